/* adaptors/segregate/segregate.h - small requests to one allocator, large ones to another.
 *
 * Idea        a request of up to `threshold` bytes goes to the small side, a larger one to the
 *             large side: so a thread's local allocator may hand over-size requests to one that
 *             maps them. Every later call for a block goes to the side that it came from, by
 *             asking the small side whether it owns it (or the large one, where that alone can
 *             tell): not by size, since a block may have been shrunk in place.
 * Cost        one indirect call and a comparison more than the side's. Where the asked side doesn't
 *             know its one range (range), also a call of its owns(), but for a block made by the
 *             asked side.
 * Overhead    0 bytes a block.
 * Alignment   what the side honours.
 * Errors      none iff the side refuses: the other one isn't tried (see adaptors/fallback). A small
 *             block isn't grown above the threshold: ca_reallocate() moves it to the large side.
 * Overlap     the asked side may lie within the other one's memory. Where the other lies within
 *             the asked one's, or they share a range, a block that the asked one claims wrongly is
 *             given back at once, and the request refused. (No allocator here moves a block there
 *             by grow or shrink; yours must not.)
 * Ownership   both allocators must outlive the adaptor, and keep their ranges as long.
 * Threads     not thread-safe, unless both sides are.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_SEGREGATE_SEGREGATE_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_SEGREGATE_SEGREGATE_H_

#include "adaptors/pair/pair.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ca_segregate {
  ca_pair pair; /* First. */
  size_t threshold;
} ca_segregate;

/* Puts *self over two allocators, of which one at least must have owns(). A threshold of 0 sends
 * everything to the large side, SIZE_MAX to the small one. Returns false if neither has owns(), or
 * if they are the same one: *self then refuses every request. Deallocation without a size, and
 * owns(), are offered where both sides offer them. Nothing to destroy. */
bool ca_segregate_init(ca_segregate *self, ca_allocator *small, ca_allocator *large,
                       size_t threshold);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_segregate_allocator(ca_segregate *self) { return &self->pair.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_SEGREGATE_SEGREGATE_H_ */
