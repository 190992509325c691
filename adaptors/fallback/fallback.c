#include "adaptors/fallback/fallback.h"

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_pair *const pair = (ca_pair *)base;
  const ca_block block = ca_pair_allocate_from(pair, pair->first, size, align);
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    return ca_pair_allocate_from(pair, pair->second, size, align);
  }
  return block;
}

static const ca_pair_tables tables = CA_PAIR_TABLES("fallback", op_allocate, ca_pair_grow);

bool ca_fallback_init(ca_fallback *self, ca_allocator *first, ca_allocator *second) {
  return ca_pair_init(&self->pair, first, second, tables);
}
