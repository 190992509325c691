#include "switchable/lock.h"

#include <pthread.h>

#include "switchable/thread_state.h"

static pthread_mutex_t locks[CA_LOCKS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                          PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                          PTHREAD_MUTEX_INITIALIZER};

/* The thread that has them all while it forks. Atomic, relaxed: only whether it is the calling one
 * matters, which wrote it then. */
static const ca_thread_state *forker;

static bool is_forker(const ca_thread_state *state) {
  return __atomic_load_n(&forker, __ATOMIC_RELAXED) == state;
}

void ca_lock_take(ca_lock which) {
  ca_thread_state *const state = ca_thread_state_get();
  if (!is_forker(state)) {
    state->locks++; /* Before, for a signal's handler. */
    pthread_mutex_lock(&locks[which]);
  }
}

bool ca_lock_try(ca_lock which) {
  ca_thread_state *const state = ca_thread_state_get();
  if (is_forker(state)) {
    return true;
  }
  state->locks++;
  const bool taken = pthread_mutex_trylock(&locks[which]) == 0;
  if (!taken) {
    state->locks--;
  }
  return taken;
}

void ca_lock_release(ca_lock which) {
  ca_thread_state *const state = ca_thread_state_get();
  if (!is_forker(state)) {
    pthread_mutex_unlock(&locks[which]);
    state->locks--;
  }
}

static void before_fork(void) {
  const ca_thread_state *const state = ca_thread_state_get();
  if (state->locks > 0) {
    return;
  }
  for (int i = 0; i < CA_LOCKS; i++) {
    pthread_mutex_lock(&locks[i]);
  }
  __atomic_store_n(&forker, state, __ATOMIC_RELAXED);
}

static void after_fork(void) {
  if (is_forker(ca_thread_state_get())) {
    __atomic_store_n(&forker, NULL, __ATOMIC_RELAXED);
    for (int i = CA_LOCKS - 1; i >= 0; i--) {
      pthread_mutex_unlock(&locks[i]);
    }
  }
}

/* Early: handlers run in the reverse order before a fork, so that these come last, and others' may
 * still wait for threads that wait for a lock of ours. */
__attribute__((constructor(101))) static void look_after_forks(void) {
  (void)pthread_atfork(before_fork, after_fork, after_fork);
}
