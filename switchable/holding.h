/* switchable/holding.h - who holds a context.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_HOLDING_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_HOLDING_H_

#include "switchable/bias.h"
#include "switchable/context_header.h"

/* `holder` says the generation while the context is parked: one exchange from that to the caller's
 * mark tells that it is the right context, that nobody holds it, and holds it. It acquires, and pairs
 * with the release in ca_let_go(): what the last holder did is seen. */
static inline bool ca_hold_unbiased(ca_context context, const void *mark) {
  uintptr_t parked = ca_parked(context.generation);
  /* Relaxed: only whether it is worth an exchange. */
  return __atomic_load_n(&context.header->holder, __ATOMIC_RELAXED) == parked &&
         __atomic_compare_exchange_n(&context.header->holder, &parked, (uintptr_t)mark, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* What is biased to this thread, unless it has another swapped in: that may be by bias, too. */
static inline bool ca_hold_own(ca_context context) {
  const ca_thread_state *const state = ca_thread_state_get();
  if (state->coroutine != NULL || !ca_hold_by_bias(context, state)) {
    return false;
  }
  ca_hold_by_itself(context.header, state);
  return true;
}

/* Has it held by itself, if it is parked. */
static inline bool ca_hold(ca_context context) {
  return ca_hold_own(context) || CA_LIKELY(ca_hold_unbiased(context, context.header)) ||
         ca_hold_biased(context, context.header);
}

/* Likewise. Requires that it can't end meanwhile. */
static inline bool ca_hold_parked(ca_context_header *self) {
  /* Relaxed: if it is just being orphaned, it is held. */
  const uint64_t generation = __atomic_load_n(&self->generation, __ATOMIC_RELAXED);
  return ca_hold((ca_context){self, generation});
}

static inline void ca_let_go(ca_context_header *self) {
  __atomic_store_n(&self->holder, ca_parked(self->generation), __ATOMIC_RELEASE);
}

/* The first time: biased at once where a context of this thread ended in the same slot just before,
 * as most will end where they began, too. Not on another thread, which may have no mark: `exhausted`,
 * asked of its parent, may come back there. */
static inline void ca_let_go_new(ca_context_header *self, ca_thread_state *state) {
  const uintptr_t holder = self->parked_by == state->mark && state->mark != 0
                               ? ca_bias_for(self, state)
                               : ca_parked(self->generation);
  /* Release, as above. */
  __atomic_store_n(&self->holder, holder, __ATOMIC_RELEASE);
}

/* Whether this thread holds it: swapped in, or as its own heap. Doesn't touch *self. */
static inline bool ca_is_held_here(const ca_context_header *self, const ca_thread_state *state) {
  return self == state->coroutine || self == state->thread;
}

static inline bool ca_is_gone(ca_context context) {
  /* Relaxed: a hint for who reports; ca_hold() decides. */
  return context.header == NULL || context.generation == 0 ||
         __atomic_load_n(&context.header->generation, __ATOMIC_RELAXED) != context.generation;
}

static inline bool ca_has_foreign(const ca_context_header *self) {
  /* Relaxed: only a hint; ca_take_in() acquires. */
  return __atomic_load_n(&self->foreign, __ATOMIC_RELAXED) != NULL;
}

/* Takes in what others freed; whether that was any. Requires that the caller holds self. */
bool ca_take_in(ca_context_header *self);

/* Why a handle could not be held. */
ca_context_result ca_refuse(ca_context context);

/* Has what the handle names held by itself. */
static inline ca_context_result ca_hold_handle(ca_context context) {
  return CA_LIKELY(context.header != NULL && ca_hold(context)) ? CA_CONTEXT_DONE
                                                               : ca_refuse(context);
}

/* Likewise for a moment, unless this thread has it swapped in already: then *here is set. A thread's
 * own heap is held by its thread, but never swapped in. */
static inline ca_context_result ca_hold_or_have(ca_context context, bool *here) {
  *here = ca_thread_state_get()->coroutine == context.header && !ca_is_gone(context);
  return *here ? CA_CONTEXT_DONE : ca_hold_handle(context);
}

/* What was current within a context, and outside: by name, as a callback may end the thread's
 * heap. */
typedef struct ca_stepped_out {
  ca_current inside;
  ca_current outside;
} ca_stepped_out;

/* For the time that a user's callbacks run, a context that is swapped in here is held by itself
 * instead. What they change of what is current is undone by ca_step_in(). */
static inline ca_stepped_out ca_step_out(ca_thread_state *state, ca_context_header *self) {
  ca_stepped_out before;
  before.inside = ca_thread_state_current(state);
  state->current = state->outside;
  state->coroutine = NULL;
  before.outside = ca_thread_state_current(state);
  ca_hold_by_itself(self, state);
  return before;
}

static inline void ca_step_in(ca_thread_state *state, ca_context_header *self,
                              ca_stepped_out before) {
  (void)ca_context_swap_out(); /* What a callback left behind. */
  /* Relaxed: no other thread takes it from itself. */
  __atomic_store_n(&self->holder, (uintptr_t)state, __ATOMIC_RELAXED);
  state->outside = ca_thread_state_resolve(state, before.outside);
  state->coroutine = self;
  state->current = ca_thread_state_resolve(state, before.inside);
}

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_HOLDING_H_ */
