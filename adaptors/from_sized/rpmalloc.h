/* adaptors/from_sized/rpmalloc.h - rpmalloc's first-class heaps as an allocator: a worked example
 * in one header, since Debian has no package of rpmalloc: include it where rpmalloc.h is found.
 *
 *   ca_from_sized it;
 *   ca_from_sized_init(&it, &ca_from_rpmalloc, rpmalloc_heap_acquire());
 *
 * Against rpmalloc 1.4 and 2.0, built with RPMALLOC_FIRST_CLASS_HEAPS=1; rpmalloc_initialize() comes
 * first. (The conformance suite passed over 1.4.5 and 2.0.1, by hand.)
 * Threads: a heap belongs to one thread at a time.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_RPMALLOC_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_RPMALLOC_H_

#ifndef RPMALLOC_FIRST_CLASS_HEAPS
#define RPMALLOC_FIRST_CLASS_HEAPS 1
#endif
#include <rpmalloc.h>
#include <stdint.h>

#include "adaptors/from_sized/from_sized.h"

#ifdef __cplusplus
extern "C" {
#endif

/* rpmalloc takes alignments from a pointer's size on. */
static inline size_t ca_from_rpmalloc_align(size_t align) {
  return align < sizeof(void *) ? sizeof(void *) : align;
}

static inline void *ca_from_rpmalloc_allocate(void *context, size_t size, size_t align) {
  return rpmalloc_heap_aligned_alloc((rpmalloc_heap_t *)context, ca_from_rpmalloc_align(align),
                                     size);
}

static inline void ca_from_rpmalloc_deallocate(void *context, void *ptr, size_t size,
                                               size_t align) {
  (void)size;
  (void)align;
  rpmalloc_heap_free((rpmalloc_heap_t *)context, ptr);
}

static inline void *ca_from_rpmalloc_resize(void *context, void *ptr, size_t size, size_t new_size,
                                            size_t align) {
  (void)size;
  return rpmalloc_heap_aligned_realloc((rpmalloc_heap_t *)context, ptr,
                                       ca_from_rpmalloc_align(align), new_size, 0);
}

static inline bool ca_from_rpmalloc_resize_in_place(void *context, void *ptr, size_t size,
                                                    size_t new_size, size_t align) {
  (void)context;
  (void)size;
  (void)align;
  return new_size <= rpmalloc_usable_size(ptr); /* It may only grow into what it has. */
}

static inline size_t ca_from_rpmalloc_usable_size(const void *context, const void *ptr) {
  (void)context;
  return rpmalloc_usable_size((void *)(uintptr_t)ptr);
}

static inline void ca_from_rpmalloc_deallocate_unsized(void *context, void *ptr) {
  rpmalloc_heap_free((rpmalloc_heap_t *)context, ptr);
}

/* The context is the rpmalloc_heap_t. Positional, so that it is C++17 too. */
static const ca_sized_functions ca_from_rpmalloc = {
    ca_from_rpmalloc_allocate,
    ca_from_rpmalloc_deallocate,
    ca_from_rpmalloc_resize_in_place,
    ca_from_rpmalloc_resize,
    NULL, /* good_size */
    ca_from_rpmalloc_usable_size,
    ca_from_rpmalloc_deallocate_unsized,
    NULL,              /* owns */
    (size_t)32 * 1024, /* most_align: below the span, 64 KiB by default */
};

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_RPMALLOC_H_ */
