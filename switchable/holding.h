/* switchable/holding.h - who holds a context.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_HOLDING_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_HOLDING_H_

#include "switchable/bias.h"
#include "switchable/context_header.h"

/* `holder` is the generation while the context is parked, unless it is biased: one exchange from the
 * handle's generation to the caller's mark tells that it is the right context, that nobody holds
 * it, and holds it. It acquires, and pairs with the release in ca_let_go(): what the last holder
 * did is seen.
 */
static inline bool ca_hold_unbiased(ca_context context, const void *mark) {
  uintptr_t parked = (uintptr_t)context.generation;
  /* Relaxed: only whether it is worth an exchange. */
  return __atomic_load_n(&context.header->holder, __ATOMIC_RELAXED) == parked &&
         __atomic_compare_exchange_n(&context.header->holder, &parked, (uintptr_t)mark, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline bool ca_hold(ca_context context, const void *mark) {
  return CA_LIKELY(ca_hold_unbiased(context, mark)) || ca_hold_biased(context, mark);
}

/* Holds it for itself, if it is parked. Requires that it can't end meanwhile. */
static inline bool ca_hold_parked(ca_context_header *self) {
  /* Relaxed: if it is just being orphaned, it is held. */
  const uint64_t generation = __atomic_load_n(&self->generation, __ATOMIC_RELAXED);
  return ca_hold((ca_context){self, generation}, self);
}

static inline void ca_let_go(ca_context_header *self) {
  __atomic_store_n(&self->holder, (uintptr_t)self->generation, __ATOMIC_RELEASE);
}

/* Whether this thread holds it: swapped in, or as its own heap. Doesn't touch *self. */
static inline bool ca_is_held_here(const ca_context_header *self, const ca_thread_state *state) {
  return self == state->coroutine || self == state->thread;
}

static inline bool ca_is_gone(ca_context context) {
  /* Relaxed: a hint for who reports; ca_hold() decides. */
  return context.header == NULL ||
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

/* Holds what the handle names, for `mark`. */
static inline ca_context_result ca_hold_handle(ca_context context, void *mark) {
  return context.header != NULL && ca_hold(context, mark) ? CA_CONTEXT_DONE : ca_refuse(context);
}

/* Likewise for a moment, unless this thread has it swapped in already: then *here is set. A thread's
 * own heap is held by its thread, but never swapped in. */
static inline ca_context_result ca_hold_or_have(ca_context context, bool *here) {
  *here = ca_thread_state_get()->coroutine == context.header && !ca_is_gone(context);
  return *here ? CA_CONTEXT_DONE : ca_hold_handle(context, context.header);
}

/* For the time that a user's callbacks run, a context that is swapped in here is held by itself
 * instead. Returns what was current, for ca_step_in(). */
static inline ca_context_header *ca_step_out(ca_thread_state *state, ca_context_header *self) {
  ca_context_header *const current = state->current;
  state->current = state->outside;
  state->coroutine = NULL;
  ca_hold_by_itself(self, state);
  return current;
}

static inline void ca_step_in(ca_thread_state *state, ca_context_header *self,
                              ca_context_header *current) {
  (void)ca_context_swap_out(); /* What a callback left behind. */
  /* Relaxed: no other thread takes it from itself. */
  __atomic_store_n(&self->holder, (uintptr_t)state, __ATOMIC_RELAXED);
  state->coroutine = self;
  state->current = current;
}

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_HOLDING_H_ */
