/* adaptors/aligned/aligned.h - blocks aligned to more than is asked, or than the allocator below
 * honours.
 *
 * Idea        every request is raised to an alignment `least` (a cache line's, so that blocks of
 *             two threads never share one). One that exceeds `most`, the most that the inner
 *             allocator honours, is served from a larger block, with the distance from its begin in
 *             the word in front of the aligned one.
 * Cost        one indirect call and a few instructions more than the inner allocator's.
 * Overhead    0 bytes a block, and what the inner allocator needs to align it; above `most`, the
 *             alignment.
 * Alignment   where most is set: any for which the inner allocator has room; else as the inner
 *             allocator's.
 * Errors      none iff the inner allocator refuses, or size and alignment together exceed
 *             PTRDIFF_MAX. A block above `most` never moves by grow or shrink.
 * Ownership   the inner allocator must outlive the adaptor.
 * Threads     as the inner allocator's.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_ALIGNED_ALIGNED_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_ALIGNED_ALIGNED_H_

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Invariant: least and most are powers of two, most at least 8. */
typedef struct ca_aligned {
  ca_wrapper wrapper; /* First. */
  size_t least;       /* Every block's alignment is at least this. */
  size_t most;        /* The inner allocator is asked for no more than this. */
} ca_aligned;

/* Puts *self around inner. least 0: 1; most 0: inner honours every alignment, or refuses it itself.
 * Deallocation without a size is offered where most is 0 and inner offers it. Returns false if
 * least or most is no power of two, or most is below 8: *self then passes everything through as it
 * comes. Nothing to destroy. */
bool ca_aligned_init(ca_aligned *self, ca_allocator *inner, size_t least, size_t most);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_aligned_allocator(ca_aligned *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_ALIGNED_ALIGNED_H_ */
