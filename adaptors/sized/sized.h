/* adaptors/sized/sized.h - records the size of every block of an allocator that forgets them.
 *
 * Idea        a word in front of each block says how many bytes the inner allocator was asked for
 *             and how far into them the block begins. The inner allocator is asked for multiples
 *             of 16 bytes at alignment 8: one that hands them out one after the other (bump) then
 *             puts each 8 bytes below a multiple of 16, so that word and block are 8 + size bytes,
 *             and the block is aligned to 16. One that hands out multiples of 16 is found out, and
 *             asked for 8 bytes more where they are needed.
 * Cost        O(1): one indirect call and a few instructions more than the inner allocator's; at
 *             most two calls more, once, when the two ways above change.
 * Overhead    alignments up to 16: 8 bytes a block, rounded up to the next 16 together with it (16
 *             where the inner allocator's blocks begin at multiples of 16); above: the alignment.
 * Alignment   up to 4 MiB, whatever the inner allocator honours: it needs 8.
 * Errors      none iff the inner allocator refuses, or size exceeds 2^43 or align 4 MiB. Blocks
 *             never move by grow or shrink; ca_reallocate() moves them.
 * Misuse      a double free, and a pointer that isn't a block, is reported by name where the word
 *             in front of it shows it: after a free until the memory is used again.
 * Ownership   the inner allocator must outlive the adaptor.
 * Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_SIZED_SIZED_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_SIZED_SIZED_H_

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Invariant: misses <= 2. */
typedef struct ca_sized {
  ca_wrapper wrapper; /* First. */
  unsigned misses;    /* Times in a row that a block began at a multiple of 16 and didn't fit. */
} ca_sized;

/* Puts *self around inner. Never fails; nothing to destroy. */
void ca_sized_init(ca_sized *self, ca_allocator *inner);

/* The allocator interface of *self; valid as long as *self is. It has usable_size() and
 * deallocate_unsized(). */
static inline ca_allocator *ca_sized_allocator(ca_sized *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_SIZED_SIZED_H_ */
