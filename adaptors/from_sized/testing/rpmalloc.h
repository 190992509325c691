/* An outline of rpmalloc 1.4's interface to first-class heaps, over malloc: what
 * adaptors/from_sized/rpmalloc.h calls, and nothing else. For tests where rpmalloc isn't to be had.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_TESTING_RPMALLOC_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_TESTING_RPMALLOC_H_

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

typedef struct heap_t {
  size_t live; /* Blocks. */
} rpmalloc_heap_t;

static inline size_t rpmalloc_usable_size(void *ptr) { return malloc_usable_size(ptr); }

static inline void *rpmalloc_heap_aligned_alloc(rpmalloc_heap_t *heap, size_t alignment,
                                                size_t size) {
  void *ptr = NULL;
  if (posix_memalign(&ptr, alignment, size) != 0) {
    return NULL;
  }
  heap->live++;
  return ptr;
}

static inline void rpmalloc_heap_free(rpmalloc_heap_t *heap, void *ptr) {
  heap->live--;
  free(ptr);
}

static inline void *rpmalloc_heap_aligned_realloc(rpmalloc_heap_t *heap, void *ptr,
                                                  size_t alignment, size_t size,
                                                  unsigned int flags) {
  (void)flags;
  void *const moved = rpmalloc_heap_aligned_alloc(heap, alignment, size);
  if (moved != NULL) {
    const size_t usable = malloc_usable_size(ptr);
    memcpy(moved, ptr, usable < size ? usable : size);
    rpmalloc_heap_free(heap, ptr);
  }
  return moved;
}

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_TESTING_RPMALLOC_H_ */
