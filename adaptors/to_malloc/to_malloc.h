/* adaptors/to_malloc/to_malloc.h - any allocator as C's malloc family.
 *
 * Idea        malloc's callers free without a size. Where the allocator records sizes, it is asked;
 *             where it forgets them, adaptors/sized keeps them in a word in front of each block.
 * Cost        where the allocator records sizes: its own, and nothing but a few tests; where not:
 *             adaptors/sized's.
 * Overhead    none, or adaptors/sized's: 8 bytes a block.
 * Alignment   16, or what aligned_alloc() is asked for.
 * Errors      NULL, and nothing has changed; errno is neither set nor kept: nobody below
 *             switchable/malloc.c sets it. A caller who needs it sets ENOMEM on NULL.
 * Misuse      as the allocator reports it, or adaptors/sized.
 * Ownership   the allocator must outlive the adaptor.
 * Threads     as the allocator's where it records sizes; else not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TO_MALLOC_TO_MALLOC_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TO_MALLOC_TO_MALLOC_H_

#include "adaptors/sized/sized.h"
#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Must not be moved or copied: `allocator` may point into it. */
typedef struct ca_to_malloc {
  ca_allocator *allocator; /* One that records sizes: the given one, or `sized` around it. */
  ca_sized sized;
} ca_to_malloc;

/* Serves from `allocator`. Never fails; nothing to destroy. */
void ca_to_malloc_init(ca_to_malloc *self, ca_allocator *allocator);

/* At least size bytes, contents unspecified. A size of 0 is a block of its own, as if it were 1. */
static inline void *ca_to_malloc_malloc(ca_to_malloc *self, size_t size) {
  return ca_allocate(self->allocator, size + (size == 0), CA_ALIGN_DEFAULT).ptr;
}

/* Ends a block's life. ptr may be NULL: nothing happens. */
static inline void ca_to_malloc_free(ca_to_malloc *self, void *ptr) {
  if (ptr != NULL) {
    self->allocator->ops->deallocate_unsized(self->allocator, ptr);
  }
}

/* Room for count members of `size` bytes, all zero. NULL also if the product can't be told. */
void *ca_to_malloc_calloc(ca_to_malloc *self, size_t count, size_t size);

/* Makes a block `size` bytes, perhaps elsewhere; what both sizes have in common is kept. ptr may be
 * NULL: the same as malloc. A size of 0 with a block frees it and returns NULL, as glibc does. On
 * NULL for another size the block is as it was. A block moved is aligned to 16. */
void *ca_to_malloc_realloc(ca_to_malloc *self, void *ptr, size_t size);

/* The same for count members of `size` bytes. NULL, and the block as it was, also if the product
 * can't be told. */
void *ca_to_malloc_reallocarray(ca_to_malloc *self, void *ptr, size_t count, size_t size);

/* At least size bytes, aligned to align and to 16. NULL also if align isn't a power of two. The
 * size needn't be a multiple of it. */
void *ca_to_malloc_aligned_alloc(ca_to_malloc *self, size_t align, size_t size);

/* The bytes usable at ptr: at least what was asked for. ptr may be NULL: 0. */
static inline size_t ca_to_malloc_usable_size(const ca_to_malloc *self, const void *ptr) {
  return ptr == NULL ? 0 : self->allocator->ops->usable_size(self->allocator, ptr);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_TO_MALLOC_TO_MALLOC_H_ */
