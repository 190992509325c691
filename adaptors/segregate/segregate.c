#include "adaptors/segregate/segregate.h"

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_segregate *const self = (ca_segregate *)base;
  ca_allocator *const side = size <= self->threshold ? self->pair.first : self->pair.second;
  return ca_pair_allocate_from(&self->pair, side, size, align);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  const ca_segregate *const self = (const ca_segregate *)base;
  ca_allocator *const owner = ca_pair_owner(base, ptr);
  if (owner == self->pair.first && new_size > self->threshold && new_size > size) {
    return ca_block_none();
  }
  return ca_grow(owner, ptr, size, new_size, align, move);
}

static const ca_pair_tables tables = CA_PAIR_TABLES("segregate", op_allocate, op_grow);

bool ca_segregate_init(ca_segregate *self, ca_allocator *small, ca_allocator *large,
                       size_t threshold) {
  self->threshold = threshold;
  return ca_pair_init(&self->pair, small, large, tables);
}
