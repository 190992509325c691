/* switchable/life_test.c - malloc before main, in constructors, at exit: a C program, linked with
 * //switchable:malloc dynamically and fully statically. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "switchable/malloc.h"
#include "switchable/switchable.h"

static int served; /* Stages whose memory was right. */
static bool left;  /* Something of libc's, in a context that ended. */
static void *global;

static void stage(void) {
  char *const ptr = malloc(100);
  char *const more = realloc(ptr, 1000);
  void *aligned = NULL;
  if (more != NULL && posix_memalign(&aligned, 256, 10) == 0) {
    memset(more, 1, malloc_usable_size(more));
    served++;
  }
  free(more);
  free(aligned);
}

static void before_everything(int argc, char **argv, char **environment) {
  (void)argc;
  (void)argv;
  (void)environment;
  stage();
}

__attribute__((section(".preinit_array"),
               used)) static void (*const preinit)(int, char **, char **) = before_everything;

__attribute__((constructor(101))) static void first_constructor(void) {
  stage();
  global = malloc(100);
}

/* A context works before main, too. */
__attribute__((constructor)) static void last_constructor(void) {
  const ca_context context = ca_context_create(NULL);
  if (ca_context_swap_in(context) == CA_CONTEXT_DONE) {
    stage();
    (void)malloc_trim(0);
    left = malloc_usable_size(global) < 100;
    ca_context_swap_out();
  }
  const ca_context_counts counts = ca_context_count(context);
  left = left || counts.allocations != counts.deallocations;
  ca_context_destroy(context);
}

static void at_exit(void) {
  stage();
  if (served != 5) {
    fprintf(stderr, "%d of 5 stages were served\n", served);
    _exit(1);
  }
  if (left || malloc_usable_size(global) < 100) {
    fprintf(stderr, "a context was asked for what libc keeps\n");
    _exit(1);
  }
  free(global);
}

__attribute__((destructor)) static void destructor(void) {
  stage();
  if (served != 6) {
    _exit(1);
  }
}

int main(void) {
  atexit(at_exit);
  stage();
  return served == 4 ? 0 : 1;
}
