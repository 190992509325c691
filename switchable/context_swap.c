#include "switchable/context.h"
#include "switchable/context_header.h"
#include "switchable/guard.h"
#include "switchable/holding.h"
#include "switchable/thread_life.h"

CA_COLD static void make_current_what_was(ca_thread_state *state, ca_context_header *self) {
  state->current = ca_thread_state_resolve(state, (ca_current)self->current);
  self->current = CA_CURRENT_COROUTINE;
}

static inline void install(ca_thread_state *state, ca_context_header *self) {
  state->coroutine = self;
  if (CA_LIKELY(self->current == CA_CURRENT_COROUTINE)) {
    state->current = self;
  } else {
    make_current_what_was(state, self);
  }
}

/* The rare cases are calls in tail position, so that the common one needs no stack frame. */

CA_COLD static ca_context_result refuse_second(ca_context context, const ca_thread_state *state) {
  return ca_is_gone(context)                  ? CA_CONTEXT_GONE
         : state->coroutine == context.header ? CA_CONTEXT_HELD
                                              : CA_CONTEXT_OCCUPIED;
}

CA_COLD static ca_context_result begin_and_swap_in(ca_context context, ca_thread_state *state) {
  ca_thread_begin(state);
  return ca_context_swap_in(context);
}

CA_COLD static ca_context_result take_in_and_install(ca_thread_state *state,
                                                     ca_context_header *self) {
  ca_take_in(self);
  install(state, self);
  return CA_CONTEXT_DONE;
}

static inline ca_context_result take_in_if_any_and_install(ca_thread_state *state,
                                                           ca_context_header *self) {
  if (CA_UNLIKELY(ca_has_foreign(self))) {
    return take_in_and_install(state, self);
  }
  install(state, self);
  return CA_CONTEXT_DONE;
}

CA_COLD static ca_context_result revoke_and_swap_in(ca_context context, ca_thread_state *state) {
  return ca_hold_biased(context, state) ? take_in_if_any_and_install(state, context.header)
                                        : ca_refuse(context);
}

/* What isn't biased to this thread. */
static __attribute__((noinline)) ca_context_result hold_and_swap_in(ca_context context,
                                                                    ca_thread_state *state) {
  if (CA_UNLIKELY(!state->registered)) {
    return begin_and_swap_in(context, state);
  }
  return CA_LIKELY(ca_hold_unbiased(context, state))
             ? take_in_if_any_and_install(state, context.header)
             : revoke_and_swap_in(context, state);
}

ca_context_result ca_context_swap_in(ca_context context) {
  ca_thread_state *const state = ca_thread_state_get();
  if (CA_UNLIKELY(state->coroutine != NULL)) {
    return refuse_second(context, state);
  }
  if (CA_UNLIKELY(context.header == NULL)) {
    return CA_CONTEXT_GONE;
  }
  return CA_LIKELY(ca_hold_by_bias(context, state))
             ? take_in_if_any_and_install(state, context.header)
             : hold_and_swap_in(context, state);
}

/* A locked instruction waits for all stores before it, and a swap that isn't by bias has one: hence
 * no store of what is there already. */
static inline void note_current(const ca_thread_state *state, ca_context_header *self) {
  if (CA_UNLIKELY(state->current != self)) {
    self->current = (uint8_t)ca_thread_state_current(state);
  }
}

static inline ca_context leave(ca_thread_state *state, ca_context_header *self) {
  const ca_context context = {self, self->generation};
  state->current = state->outside;
  state->coroutine = NULL;
  return context;
}

CA_COLD static void let_go_again(ca_thread_state *state, ca_context_header *self) {
  /* Release, as in ca_let_go(). */
  __atomic_store_n(&self->holder, ca_bias_for(self, state), __ATOMIC_RELEASE);
}

/* What isn't held by bias, and not swapped in any more. */
static inline void let_go_held(ca_thread_state *state, ca_context_header *self) {
  if (self->parked_by != state->mark) {
    self->parked_by = state->mark;
  } else if (state->mark != 0) {
    let_go_again(state, self);
    return;
  }
  ca_let_go(self);
}

static __attribute__((noinline)) ca_context park_held(ca_thread_state *state,
                                                      ca_context_header *self) {
  const ca_context context = leave(state, self);
  let_go_held(state, self);
  return context;
}

static inline ca_context park_biased(ca_thread_state *state, ca_context_header *self) {
  const ca_context context = leave(state, self);
  ca_let_go_by_bias(state);
  return context;
}

/* In the middle of a callback, or with another current. */
CA_COLD static ca_context park_with_notes(ca_thread_state *state, ca_context_header *self) {
  ca_guards_unregister_inside(state); /* It may wake on another thread. */
  note_current(state, self);
  return ca_is_held_by_bias(self, state) ? park_biased(state, self) : park_held(state, self);
}

ca_context ca_context_swap_out(void) {
  ca_thread_state *const state = ca_thread_state_get();
  ca_context_header *const self = state->coroutine;
  if (CA_UNLIKELY(self == NULL)) {
    return (ca_context){NULL, 0};
  }
  if (CA_UNLIKELY(state->guards != NULL) || CA_UNLIKELY(state->current != self)) {
    return park_with_notes(state, self);
  }
  if (CA_UNLIKELY(!ca_is_held_by_bias(self, state))) {
    return park_held(state, self);
  }
  return park_biased(state, self);
}

/* From one to another. */

/* `next` isn't biased to this thread. If what it has swapped in was held by bias, it isn't any
 * more. */
static __attribute__((noinline)) bool hold_another(ca_context next, ca_thread_state *state,
                                                   bool by_bias) {
  if (by_bias) {
    ca_let_go_by_bias(state);
  }
  return ca_hold_unbiased(next, state) || ca_hold_biased(next, state);
}

static inline void let_go(ca_thread_state *state, ca_context_header *self, bool was_by_bias) {
  if (CA_LIKELY(was_by_bias)) {
    /* Release, likewise. */
    __atomic_store_n(&self->holder, ca_biased_to(self->generation, state->mark), __ATOMIC_RELEASE);
  } else {
    let_go_held(state, self);
  }
}

static inline void exchange(ca_thread_state *state, ca_context_header *self,
                            ca_context_header *next) {
  if (CA_UNLIKELY(state->guards != NULL)) {
    ca_guards_unregister_inside(state);
  }
  note_current(state, self);
  install(state, next);
}

ca_context_result ca_context_swap_to(ca_context next) {
  ca_thread_state *const state = ca_thread_state_get();
  ca_context_header *const self = state->coroutine;
  if (self == NULL) {
    return ca_context_swap_in(next);
  }
  const bool by_bias = ca_is_held_by_bias(self, state);
  if (CA_LIKELY(by_bias)) {
    /* As `in` is about to name the other. Relaxed, as in ca_hold_by_itself(). */
    __atomic_store_n(&self->holder, (uintptr_t)state, __ATOMIC_RELAXED);
  }
  if (CA_UNLIKELY(!ca_hold_by_bias(next, state)) && !hold_another(next, state, by_bias)) {
    return ca_refuse(next);
  }
  if (CA_UNLIKELY(ca_has_foreign(next.header))) {
    ca_take_in(next.header);
  }
  exchange(state, self, next.header);
  let_go(state, self, by_bias);
  return CA_CONTEXT_DONE;
}
