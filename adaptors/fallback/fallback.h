/* adaptors/fallback/fallback.h - asks one allocator, and a second one when the first refuses.
 *
 * Idea        allocate tries the first, then the second. Every later call for a block goes to the
 *             one that it came from: the first is asked whether it owns it, or, where the first
 *             can't tell, the second.
 * Cost        one indirect call and a comparison more than the owner's, and in allocate the first's
 *             refusal, once it is exhausted. Where the asked side doesn't know its one range
 *             (range), also a call of its owns(), but for a block made by the asked side.
 * Overhead    0 bytes a block.
 * Alignment   what either side honours.
 * Errors      none iff both refuse. A block never changes sides by grow or shrink; ca_reallocate()
 *             moves it.
 * Overlap     the side that is asked may lie within the other one's memory (a bump allocator over a
 *             block of the second). Where the other lies within the asked one's, or they share a
 *             range, a block that the asked one claims wrongly is given back at once and the side
 *             counts as exhausted: nothing is ever freed to the wrong one. (No allocator here moves
 *             a block there by grow or shrink; yours must not.)
 * Ownership   both allocators must outlive the adaptor, and keep their ranges as long.
 * Threads     not thread-safe, unless both sides are.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FALLBACK_FALLBACK_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FALLBACK_FALLBACK_H_

#include "adaptors/pair/pair.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ca_fallback {
  ca_pair pair; /* First. */
} ca_fallback;

/* Puts *self over two allocators, of which one at least must have owns(). Returns false if neither
 * has, or if they are the same one: *self then refuses every request. Deallocation without a size,
 * and owns(), are offered where both sides offer them. Nothing to destroy. */
bool ca_fallback_init(ca_fallback *self, ca_allocator *first, ca_allocator *second);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_fallback_allocator(ca_fallback *self) { return &self->pair.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FALLBACK_FALLBACK_H_ */
