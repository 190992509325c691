/* adaptors/from_sized/from_sized.h - any sized interface, given as a table of functions, as an
 * allocator.
 *
 * Idea        the table has the functions that allocators of this kind are used to offer: allocate
 *             by size and alignment, free by size, and optionally what resizes in place, what may
 *             move, and what tells how large a block really is. Worked examples stand beside:
 *             from_sized/jemalloc, from_sized/mimalloc, from_sized/rpmalloc.
 * Cost        the functions', and one indirect call.
 * Overhead    theirs.
 * Alignment   theirs, up to most_align.
 * Errors      none iff they return NULL, and for sizes above PTRDIFF_MAX and alignments above
 *             most_align without asking them. errno is kept, whatever they do to it (usable_size
 *             and owns must not).
 * Ownership   table and context must outlive the allocator.
 * Threads     as the functions.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_FROM_SIZED_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_FROM_SIZED_H_

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `context` is what init was given. Sizes are never 0; blocks are described by sizes that fit, as
 * allocator.h says: by a size asked for, or by one that good_size or usable_size told; and by the
 * alignment asked for or, where there is usable_size, any smaller one. */
typedef struct ca_sized_functions {
  /* Returns at least size bytes aligned to align, or NULL. */
  void *(*allocate)(void *context, size_t size, size_t align);
  void (*deallocate)(void *context, void *ptr, size_t size, size_t align);

  /* Optional: makes a block new_size bytes, larger or smaller, where it is; returns whether it did.
   * A refused shrink leaves the block as it was, but its caller may from then on name any size from
   * new_size on: deallocate must not take it for a smaller block. Without it blocks stay as they
   * are. */
  bool (*resize_in_place)(void *context, void *ptr, size_t size, size_t new_size, size_t align);

  /* Optional: the same, perhaps elsewhere; contents up to the smaller size are kept. Returns NULL,
   * and the block is as it was, if it can't. Without it only ca_reallocate() moves blocks. */
  void *(*resize)(void *context, void *ptr, size_t size, size_t new_size, size_t align);

  /* Optional: the bytes that a block of `size` really gets; at least size. The same for the same
   * arguments, always. */
  size_t (*good_size)(void *context, size_t size, size_t align);

  /* Optional, both or neither: the bytes usable at a live ptr, at least those that good_size tells
   * (or, without it, those asked for) and then the excess of each block; and deallocation without
   * size and alignment. */
  size_t (*usable_size)(const void *context, const void *ptr);
  void (*deallocate_unsized)(void *context, void *ptr);

  /* Optional: whether ptr lies in the context's memory; any ptr. */
  bool (*owns)(const void *context, const void *ptr);

  size_t most_align; /* The largest alignment that they honour; 0: PTRDIFF_MAX's. */
} ca_sized_functions;

typedef struct ca_from_sized {
  ca_allocator base; /* First. */
  const ca_sized_functions *functions;
  void *context;
} ca_from_sized;

/* Makes *self an allocator that calls functions with context, which may be NULL. Returns false if
 * allocate or deallocate is missing, or one of the two unsized functions without the other: *self
 * then refuses every request. Nothing to destroy. */
bool ca_from_sized_init(ca_from_sized *self, const ca_sized_functions *functions, void *context);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_from_sized_allocator(ca_from_sized *self) { return &self->base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_FROM_SIZED_H_ */
