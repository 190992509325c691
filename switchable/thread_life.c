#include "switchable/thread_life.h"

#include <pthread.h>

#include "switchable/context.h"
#include "switchable/slots.h"
#include "switchable/switchable.h"
#include "switchable/thread_counts.h"

bool ca_thread_heaps_promised;

/* Written before `ca_thread_heaps_promised` is. */
static ca_context_settings heap_settings;

static pthread_key_t key;
static bool has_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_end(void *argument) {
  ca_thread_state *const state = argument;
  (void)ca_context_swap_out();
  ca_switchable_thread_release();
  if (state->record != NULL) {
    ca_slots_forget(state->record);
  }
  ca_thread_record_release(state);
  state->ended = true;
  state->registered = false; /* A later destructor may use contexts again: then once more. */
}

static void make_key(void) { has_key = pthread_key_create(&key, on_end) == 0; }

void ca_thread_notice_end(ca_thread_state *state) {
  pthread_once(&once, make_key);
  const bool noticed = has_key && pthread_setspecific(key, state) == 0;
  /* The end that comes after a thread's end may be its last destructor's, and go by unnoticed. */
  if (noticed && !state->ended && !state->unrecorded && state->record == NULL) {
    ca_thread_record_obtain(state);
  }
}

void ca_thread_begin(ca_thread_state *state) {
  state->registered = true; /* First: what follows may call malloc, and so come back here. */
  ca_thread_notice_end(state);
  /* Acquire: pairs with the release of the promise, so that the settings are seen. */
  if (__atomic_load_n(&ca_thread_heaps_promised, __ATOMIC_ACQUIRE) && !state->ended &&
      ca_switchable_thread_init(&heap_settings)) {
    (void)ca_switchable_use(CA_CURRENT_THREAD);
  }
}

bool ca_switchable_promise_thread_heaps(const ca_context_settings *settings) {
  static bool promising;
  if (__atomic_exchange_n(&promising, true, __ATOMIC_ACQ_REL)) {
    return false;
  }
  if (settings != NULL) {
    heap_settings = *settings;
  }
  __atomic_store_n(&ca_thread_heaps_promised, true, __ATOMIC_RELEASE);
  return true;
}
