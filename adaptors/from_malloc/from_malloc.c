#include "adaptors/from_malloc/from_malloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

static const ca_malloc_family *family_of(const ca_allocator *base) {
  return ((const ca_from_malloc *)base)->family;
}

static bool is_possible(size_t size, size_t align) {
  return size <= PTRDIFF_MAX && align <= PTRDIFF_MAX - size;
}

/* malloc aligns a block to 16 only if it has 16 bytes. */
static size_t size_for(size_t size, size_t align) { return size < align ? align : size; }

static ca_block block_of(const ca_malloc_family *family, void *ptr, size_t size) {
  if (ptr == NULL) {
    return ca_block_none();
  }
  return ca_block_make(ptr, family->usable_size == NULL ? size : family->usable_size(ptr));
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  const ca_malloc_family *const family = family_of(base);
  const bool usual = align <= CA_ALIGN_DEFAULT;
  if (!is_possible(size, align) || (!usual && family->aligned_alloc == NULL)) {
    return ca_block_none();
  }
  const int before = errno;
  void *const ptr = usual ? family->malloc(size_for(size, align))
                          : family->aligned_alloc(align, ca_round_up(size, align));
  const ca_block block = block_of(family, ptr, size);
  errno = before; /* Also on success: malloc may have tried in vain before. */
  return block;
}

static void op_deallocate_unsized(ca_allocator *base, void *ptr) {
  const int before = errno;
  family_of(base)->free(ptr);
  errno = before;
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)size;
  (void)align;
  op_deallocate_unsized(base, ptr);
}

static ca_block resize_moving(ca_allocator *base, void *ptr, size_t new_size, size_t align) {
  const ca_malloc_family *const family = family_of(base);
  if (family->realloc == NULL || align > CA_ALIGN_DEFAULT || !is_possible(new_size, align)) {
    return ca_block_none();
  }
  const int before = errno;
  void *const moved = family->realloc(ptr, size_for(new_size, align));
  const ca_block block = block_of(family, moved, new_size);
  errno = before;
  return block;
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  const ca_malloc_family *const family = family_of(base);
  const size_t usable = family->usable_size == NULL ? size : family->usable_size(ptr);
  if (new_size <= usable) {
    return ca_block_make(ptr, usable);
  }
  return move == CA_MOVE_NEVER ? ca_block_none() : resize_moving(base, ptr, new_size, align);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  const ca_block moved =
      move == CA_MOVE_NEVER ? ca_block_none() : resize_moving(base, ptr, new_size, align);
  return ca_block_is_none(moved) ? block_of(family_of(base), ptr, size) : moved;
}

static size_t op_usable_size(const ca_allocator *base, const void *ptr) {
  return family_of(base)->usable_size((void *)(uintptr_t)ptr);
}

static const ca_allocator_ops forgetting_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .name = "from malloc",
};

static const ca_allocator_ops recording_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = op_usable_size,
    .deallocate_unsized = op_deallocate_unsized,
    .name = "from malloc, sizes recorded",
};

static const ca_malloc_family libc_family = {
    .malloc = malloc,
    .free = free,
    .realloc = realloc,
    .aligned_alloc = aligned_alloc,
    .usable_size = malloc_usable_size,
};

const ca_malloc_family *ca_malloc_family_of_libc(void) { return &libc_family; }

/* Stands in for a family that lacks what it must have. */

static void *refuse(size_t size) {
  (void)size;
  return NULL;
}

static void ignore(void *ptr) { (void)ptr; }

static const ca_malloc_family no_family = {.malloc = refuse, .free = ignore};

bool ca_from_malloc_init(ca_from_malloc *self, const ca_malloc_family *family) {
  const ca_malloc_family *const given = family == NULL ? &libc_family : family;
  const bool whole = given->malloc != NULL && given->free != NULL;
  self->family = whole ? given : &no_family;
  self->base.ops = self->family->usable_size != NULL ? &recording_ops : &forgetting_ops;
  return whole;
}
