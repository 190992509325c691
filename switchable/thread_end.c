#include "switchable/thread_end.h"

#include <pthread.h>

#include "switchable/context.h"
#include "switchable/switchable.h"

static pthread_key_t key;
static bool has_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_end(void *argument) {
  ca_thread_state *const state = argument;
  state->registered = false; /* A later destructor may use contexts again: then once more. */
  (void)ca_context_swap_out();
  ca_switchable_thread_release();
}

static void make_key(void) { has_key = pthread_key_create(&key, on_end) == 0; }

void ca_thread_end_register(ca_thread_state *state) {
  state->registered = true; /* First: what follows may call malloc, and so come back here. */
  pthread_once(&once, make_key);
  if (has_key) {
    (void)pthread_setspecific(key, state);
  }
}
