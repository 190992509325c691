#include "adaptors/fallback/fallback.h"

static inline ca_block ask_second(ca_pair *pair, size_t size, size_t align) {
  return ca_pair_allocate_from(pair, pair->second, size, align);
}

/* The first side is the one that can't tell what it owns. */
CA_COLD static ca_block ask_checking(ca_pair *pair, size_t size, size_t align) {
  const ca_block block = ca_pair_allocate_checked(pair, pair->first, size, align);
  return ca_block_is_none(block) ? ask_second(pair, size, align) : block;
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_pair *const pair = (ca_pair *)base;
  if (CA_UNLIKELY(pair->first == pair->claimable)) {
    return ask_checking(pair, size, align);
  }
  const ca_block block = ca_allocate(pair->first, size, align);
  if (ca_block_is_none(block)) {
    return ask_second(pair, size, align);
  }
  return block;
}

static const ca_pair_tables tables = CA_PAIR_TABLES("fallback", op_allocate, ca_pair_grow);

bool ca_fallback_init(ca_fallback *self, ca_allocator *first, ca_allocator *second) {
  return ca_pair_init(&self->pair, first, second, tables);
}
