#include "adaptors/zeroed/zeroed.h"

#include <string.h>

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  if (CA_LIKELY(!ca_block_is_none(block))) {
    memset(block.ptr, 0, block.size);
  }
  return block;
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  const ca_block block = ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (!ca_block_is_none(block)) {
    memset((char *)block.ptr + size, 0, block.size - size);
  }
  return block;
}

static const ca_wrapper_tables tables = CA_WRAPPER_ROWS(
    "zeroed", op_allocate, ca_wrapper_deallocate, op_grow, ca_wrapper_shrink,
    ca_wrapper_deallocate_unsized, ca_wrapper_deallocate_recorded, ca_wrapper_check);

void ca_zeroed_init(ca_zeroed *self, ca_allocator *inner) {
  ca_wrapper_init(&self->wrapper, inner, CA_SIZES_RECORDED, tables);
}
