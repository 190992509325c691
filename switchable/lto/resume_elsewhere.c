/* switchable/lto/resume_elsewhere.c - a coroutine that goes to sleep on one thread and wakes on
 * another: does it find the state of the thread that it is on?
 *
 * Exits with 0 if it does at every step, and with 1 and a line on standard error if it found the
 * state of a thread that it had left. Each step is resumed by a thread of its own, and all of these
 * threads are alive to the end, so that no two of them have their state at one address.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <ucontext.h>

#include "switchable/switchable.h"
#include "switchable/thread_state.h"

enum { STEPS = 16, STACK_SIZE = 64 << 10 };

typedef struct sleeper {
  ucontext_t registers;
  ucontext_t *resumer;
  const ca_thread_state *here; /* Of the thread that resumed it last. */
  int wrong_states;            /* Steps at which the accessor named another thread's. */
  int wrong_currents;          /* Steps at which the library acted on another thread's. */
} sleeper;

static char stack[STACK_SIZE] __attribute__((aligned(16)));
static sleeper one;
static pthread_barrier_t all_are_done;

/* What the address of the state really is: in a function that never sees a switch. */
__attribute__((noinline)) static const ca_thread_state *state_of_this_thread(void) {
  __asm__ volatile("");
  return ca_thread_state_get();
}

/* Both sides of the switch in one function, in a loop, as the optimiser likes it best. */
__attribute__((noinline)) void sleep_and_wake(sleeper *self);
void sleep_and_wake(sleeper *self) {
  for (;;) {
    self->wrong_states += ca_thread_state_get() != self->here;
    (void)ca_switchable_use(CA_CURRENT_GLOBAL);
    self->wrong_currents += self->here->current != NULL;
    (void)swapcontext(&self->registers, self->resumer);
    self->wrong_states += ca_thread_state_get() != self->here;
    (void)ca_switchable_use(CA_CURRENT_THREAD);
    self->wrong_currents += self->here->current != self->here->thread;
  }
}

static void begin(void) { sleep_and_wake(&one); }

static void resume_once(void) {
  static const ca_context_settings small = {.budget = 4096};
  ucontext_t resumer;
  if (!ca_switchable_thread_init(&small)) {
    one.wrong_currents++;
  }
  one.resumer = &resumer;
  one.here = state_of_this_thread();
  (void)swapcontext(&resumer, &one.registers);
}

static void *resume_in_turn(void *turn) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static pthread_cond_t next = PTHREAD_COND_INITIALIZER;
  static int now = 0;
  pthread_mutex_lock(&lock);
  while (now != *(const int *)turn) {
    pthread_cond_wait(&next, &lock);
  }
  resume_once();
  now++;
  pthread_cond_broadcast(&next);
  pthread_mutex_unlock(&lock);
  pthread_barrier_wait(&all_are_done);
  return NULL;
}

int main(void) {
  pthread_t threads[STEPS];
  int turns[STEPS];
  (void)getcontext(&one.registers);
  one.registers.uc_stack.ss_sp = stack;
  one.registers.uc_stack.ss_size = sizeof stack;
  makecontext(&one.registers, begin, 0);
  pthread_barrier_init(&all_are_done, NULL, STEPS);
  for (int i = 0; i < STEPS; i++) {
    turns[i] = i;
    if (pthread_create(&threads[i], NULL, resume_in_turn, &turns[i]) != 0) {
      return 2;
    }
  }
  for (int i = 0; i < STEPS; i++) {
    (void)pthread_join(threads[i], NULL);
  }
  if (one.wrong_states + one.wrong_currents > 0) {
    (void)fprintf(stderr, "another thread's state: %d times by the accessor, %d in the library\n",
                  one.wrong_states, one.wrong_currents);
    return 1;
  }
  return 0;
}
