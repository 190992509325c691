#include "switchable/guard.h"

#include "switchable/thread_state.h"

/* glibc exports these two for the clean-up handlers of old binaries and of its own functions;
 * <pthread.h> declares only the structure. */
void _pthread_cleanup_push(struct _pthread_cleanup_buffer *buffer, void (*routine)(void *),
                           void *argument);
void _pthread_cleanup_pop(struct _pthread_cleanup_buffer *buffer, int execute);

static void restore(ca_guard *self, ca_thread_state *state) {
  if (!self->left) {
    self->left = true;
    ca_thread_state_use(state, ca_thread_state_resolve(state, self->current));
  }
}

static void on_longjmp(void *guard) {
  ca_guard *const self = guard;
  ca_thread_state *const state = ca_thread_state_get();
  self->registered = false; /* glibc takes the buffer off itself. */
  state->guards = self->older;
  restore(self, state);
}

bool ca_guard_enter(ca_guard *self, ca_current current) {
  ca_thread_state *const state = ca_thread_state_get();
  struct ca_context_header *const next = ca_thread_state_resolve(state, current);
  if (next == NULL && current != CA_CURRENT_GLOBAL) {
    return false;
  }
  self->older = state->guards;
  self->current = ca_thread_state_current(state);
  self->inside = state->coroutine;
  self->left = false;
  self->registered = true;
  _pthread_cleanup_push(&self->buffer, on_longjmp, self);
  state->guards = self;
  ca_thread_state_use(state, next);
  return true;
}

static void unregister(ca_guard *self, ca_thread_state *state) {
  self->registered = false;
  state->guards = self->older;
  _pthread_cleanup_pop(&self->buffer, 0);
}

void ca_guard_leave(ca_guard *self) {
  ca_thread_state *const state = ca_thread_state_get();
  if (self->registered) {
    unregister(self, state);
  }
  restore(self, state);
}

void ca_guards_unregister_inside(ca_thread_state *state) {
  while (state->guards != NULL && state->guards->inside == state->coroutine) {
    unregister(state->guards, state);
  }
}
