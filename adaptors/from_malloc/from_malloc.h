/* adaptors/from_malloc/from_malloc.h - a malloc family as an allocator.
 *
 * Idea        the family is a table of functions: libc's by default, or any other with malloc's
 *             signatures. Where it can tell a block's usable size, that is handed out as excess,
 *             and blocks can be deallocated without a size.
 * Cost        the family's, and one indirect call; the usable size costs one call of the family's
 *             for each allocation.
 * Overhead    the family's.
 * Alignment   up to 16 by malloc itself; above by aligned_alloc, where the family has it.
 * Errors      none iff the family returns NULL, for sizes and alignments above PTRDIFF_MAX without
 *             asking it. errno is kept, whatever the family does to it (usable_size must not). In
 *             place a block grows within its usable size only; where it may move, realloc moves it
 *             (alignments up to 16).
 * Ownership   the table must outlive the allocator. Blocks belong to the family: they may be freed
 *             by its free(), and what its malloc() made may be deallocated here.
 * Threads     as the family; libc's may be used by every thread.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FROM_MALLOC_FROM_MALLOC_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FROM_MALLOC_FROM_MALLOC_H_

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Functions that behave as C's of the same name. A block of at least `align` bytes from malloc and
 * realloc is aligned to align, for every align up to 16. */
typedef struct ca_malloc_family {
  void *(*malloc)(size_t size);
  void (*free)(void *ptr);

  /* Optional: without it no block is moved by a resize but by ca_reallocate(). */
  void *(*realloc)(void *ptr, size_t size);

  /* Optional: without it alignments above 16 are refused. The size is a multiple of align. */
  void *(*aligned_alloc)(size_t align, size_t size);

  /* Optional: without it there is no excess, and no deallocation without a size. */
  size_t (*usable_size)(void *ptr);
} ca_malloc_family;

typedef struct ca_from_malloc {
  ca_allocator base; /* First. */
  const ca_malloc_family *family;
} ca_from_malloc;

/* libc's: malloc, free, realloc, aligned_alloc, malloc_usable_size, as the program has them. */
const ca_malloc_family *ca_malloc_family_of_libc(void);

/* Makes *self an allocator that asks family; NULL: libc's. Returns false if malloc or free is
 * missing: *self then refuses every request. Nothing to destroy. */
bool ca_from_malloc_init(ca_from_malloc *self, const ca_malloc_family *family);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_from_malloc_allocator(ca_from_malloc *self) { return &self->base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FROM_MALLOC_FROM_MALLOC_H_ */
