/* switchable/bias.h - holding a context without an exchange, by the thread that always holds it.
 *
 * Idea        an exchange waits for all stores before it, and takes twice the time of all else that a
 *             swap does. Most contexts stay on one thread. So a thread that parks a context for the
 *             second time in a row leaves it biased to itself: `holder` names the generation and the
 *             thread. It swaps it in by saying so in a word of its own, `in` of its record, and
 *             looking whether it is still named; and out by clearing that word. Another thread that
 *             wants to hold it first revokes the bias: it replaces `holder`, has every running
 *             thread of the process execute a fence (membarrier), and looks at `in`.
 * Safety      Dekker's: each side writes its word and then reads the other's. The thread's own two
 *             may be reordered by the processor, but not across the other's fence, which falls
 *             before both, and then it sees that `holder` was replaced, or after its write, and
 *             then `in` is seen. `in` is the thread's and not the context's: a thread that is too
 *             late writes into nothing that may serve others by then. D. Dice, M. Moir, W. Scherer,
 *             "Quickly Reacquirable Locks", 2003; membarrier(2). bias.pml is a model of this.
 * Progress    a thread takes its own context back from who is revoking its bias, at once. Who finds
 *             another revoking waits a moment, and then does it itself: the other may have
 *             vanished, in a child of fork().
 * Cost        revoking: a system call that interrupts every processor which runs a thread of the
 *             process, microseconds. Contexts that wander are not to pay that for ever: hence
 *             ca_bias_credit. Once for the process another, when its first thread gets a record: it
 *             takes milliseconds where there are several threads by then. Biased nowhere: where these
 *             are refused, and to a thread without a record of its own (thread_counts.h).
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_BIAS_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_BIAS_H_

#include "base/check.h"
#include "switchable/context_header.h"
#include "switchable/thread_counts.h"

/* The low three bits of `holder`: where it is biased, where it is parked and isn't, and where
 * somebody is taking a bias away; addresses have 0 there. Above are 12 bits of the thread's mark,
 * or 0, and then of a revocation its number, which no other has, else that of the generation. */
enum { CA_BIASED = 2, CA_PARKED = 3, CA_REVOKING = 6, CA_BIAS_TAGS = 7, CA_BIAS_SHIFT = 15 };

/* A generation is what its context's `holder` is where that is biased, but for the mark: so who
 * swaps in adds his own. A thread without one has the generation itself then, which no holder is. No
 * generation is 0, as `holder` may be, where a slot's pages were given back.
 * There are 2^49: a stale handle is taken for another context's only if that got the same one so
 * many contexts later, and in the same slot, and is there when the handle is used. */
static inline uint64_t ca_generation(uint64_t number) {
  return (number << CA_BIAS_SHIFT) + CA_BIASED;
}

/* What `holder` is while the context is parked, unless it is biased. */
static inline uintptr_t ca_parked(uint64_t generation) {
  return (uintptr_t)generation + (CA_PARKED - CA_BIASED);
}

/* Begins biasing, if the system can. The mark of the thread that has the index'th record; 0: it has
 * none. */
uint16_t ca_bias_mark(size_t index);

static inline uintptr_t ca_biased_to(uint64_t generation, uint16_t mark) {
  return (uintptr_t)generation + mark;
}

static inline bool ca_is_biased(uintptr_t holder) {
  return (holder & CA_BIAS_TAGS) == CA_BIASED || (holder & CA_BIAS_TAGS) == CA_REVOKING;
}

/* Whether this thread holds now what `context` names: only if it is biased to it. */
static inline bool ca_hold_by_bias(ca_context context, const ca_thread_state *state) {
  const uintptr_t *const holder = &context.header->holder;
  const uintptr_t biased = ca_biased_to(context.generation, state->mark);
  /* Relaxed: a hint, so that what isn't biased costs no store before its exchange. */
  if (CA_UNLIKELY(__atomic_load_n(holder, __ATOMIC_RELAXED) != biased)) {
    return false;
  }
  /* Release, as all stores to it: pairs with the acquire of who revokes, whichever of them he reads. */
  __atomic_store_n(&state->record->in, context.header, __ATOMIC_RELEASE);
  /* For the compiler; for the processor it is made up for by the fence of who revokes. */
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  /* Acquire: what follows comes after. What is read was written by this thread, or by who had its record
   * before, as a revocation that comes to nothing puts the same back. */
  if (CA_LIKELY(__atomic_load_n(holder, __ATOMIC_ACQUIRE) == biased)) {
    return true;
  }
  __atomic_store_n(&state->record->in, NULL, __ATOMIC_RELEASE);
  return false;
}

/* Whether this thread, which has self swapped in, holds it by bias. */
static inline bool ca_is_held_by_bias(const ca_context_header *self, const ca_thread_state *state) {
  /* Relaxed: only this thread ever stores its own state's address here, or takes it out. */
  return __atomic_load_n(&self->holder, __ATOMIC_RELAXED) != (uintptr_t)state;
}

/* Requires that this thread holds a context by bias. */
static inline void ca_let_go_by_bias(const ca_thread_state *state) {
  /* Release: pairs with the acquire of who revokes; what was done in the context is seen. */
  __atomic_store_n(&state->record->in, NULL, __ATOMIC_RELEASE);
}

/* From now on it is held by itself. Requires that this thread has self swapped in. */
static inline void ca_hold_by_itself(ca_context_header *self, const ca_thread_state *state) {
  const bool by_bias = ca_is_held_by_bias(self, state);
  /* A revocation that is under way finds another word than it left, and comes to nothing. Relaxed: nobody
   * takes it from there, and who reads the cleared `in`, a release, doesn't find an older word. */
  __atomic_store_n(&self->holder, (uintptr_t)self, __ATOMIC_RELAXED);
  if (by_bias) {
    ca_let_go_by_bias(state);
  }
}

/* What biasing may cost yet: of revocations, see bias.c. Atomic, relaxed: a number, right for
 * itself. Read by who parks, and seldom written: a line of its own. */
extern int64_t ca_bias_credit __attribute__((visibility("hidden"), aligned(64)));

/* Holds what `context` names, for `mark`, if it is parked and biased, to whomever. Else false:
 * where it was seen in another state just before, somebody held it meanwhile. */
bool ca_hold_biased(ca_context context, const void *mark);

/* What `holder` is to be when self is parked that this thread, with a mark, parked the last time
 * too. */
uintptr_t ca_bias_for(const ca_context_header *self, ca_thread_state *state);

/* Whether a `holder` that ca_is_biased() may be self's. */
bool ca_bias_is_right(const ca_context_header *self, uintptr_t holder);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_BIAS_H_ */
