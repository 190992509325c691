#include "adaptors/from_sized/mimalloc.h"

#include <mimalloc.h>
#include <stdint.h>

/* At offset 0: mi_heap_malloc_aligned() takes another way for 256, 512 and 1024 bytes, on which
 * mimalloc 2.0.9 loses their alignment (its issue 700). */
static void *allocate(void *context, size_t size, size_t align) {
  return mi_heap_malloc_aligned_at(context, size, align, 0);
}

static void deallocate(void *context, void *ptr, size_t size, size_t align) {
  (void)context;
  mi_free_size_aligned(ptr, size, align);
}

/* It tells nothing of a smaller size: a block shrunk in place keeps its own. */
static bool resize_in_place(void *context, void *ptr, size_t size, size_t new_size, size_t align) {
  (void)context;
  (void)align;
  return new_size > size && mi_expand(ptr, new_size) != NULL;
}

static void *resize(void *context, void *ptr, size_t size, size_t new_size, size_t align) {
  (void)size;
  return mi_heap_realloc_aligned(context, ptr, new_size, align);
}

static size_t usable_size(const void *context, const void *ptr) {
  (void)context;
  return mi_usable_size(ptr);
}

static void deallocate_unsized(void *context, void *ptr) {
  (void)context;
  mi_free(ptr);
}

/* mimalloc asks for a pointer to one of its own blocks, or to none: no range is known. */
const ca_sized_functions ca_from_mimalloc = {
    .allocate = allocate,
    .deallocate = deallocate,
    .resize_in_place = resize_in_place,
    .resize = resize,
    .usable_size = usable_size,
    .deallocate_unsized = deallocate_unsized,
    .most_align = (size_t)1 << 20,
};
