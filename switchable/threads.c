/* switchable/threads.c - a multi-threaded program for preload_test.sh: blocks are allocated on one
 * thread, resized on the next, freed on the third. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, ROUNDS = 200, BLOCKS = 50 };

static unsigned char *shared[THREADS][BLOCKS];
static pthread_barrier_t barrier;

static void *work(void *argument) {
  const size_t self = (size_t)(uintptr_t)argument;
  size_t wrong = 0;
  for (size_t round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < BLOCKS; i++) {
      shared[self][i] = malloc(16 + (round * 37 + i * 101) % 3000);
      memset(shared[self][i], (int)(self + i), 16);
    }
    pthread_barrier_wait(&barrier);
    unsigned char **const next = shared[(self + 1) % THREADS];
    for (size_t i = 0; i < BLOCKS; i++) {
      next[i] = realloc(next[i], 5000);
      wrong += next[i][15] != (unsigned char)((self + 1) % THREADS + i);
    }
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < BLOCKS; i++) {
      free(shared[(self + 2) % THREADS][i]);
    }
    pthread_barrier_wait(&barrier);
  }
  return (void *)(uintptr_t)wrong;
}

int main(void) {
  pthread_t threads[THREADS];
  size_t wrong = 0;
  pthread_barrier_init(&barrier, NULL, THREADS);
  for (size_t i = 0; i < THREADS; i++) {
    pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i);
  }
  for (size_t i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    wrong += (size_t)(uintptr_t)result;
  }
  printf("%zu wrong\n", wrong);
  return wrong != 0;
}
