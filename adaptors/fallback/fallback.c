#include "adaptors/fallback/fallback.h"

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  const ca_pair *const pair = (const ca_pair *)base;
  const ca_block block = ca_allocate(pair->first, size, align);
  if (ca_block_is_none(block)) {
    return ca_allocate(pair->second, size, align);
  }
  return block;
}

/* Where one side might claim a block of the other. */
static ca_block checking_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_pair *const pair = (ca_pair *)base;
  const ca_block block = ca_pair_allocate_from(pair, pair->first, size, align);
  return ca_block_is_none(block) ? ca_pair_allocate_from(pair, pair->second, size, align) : block;
}

static const ca_pair_tables tables = CA_PAIR_TABLES("fallback", op_allocate, ca_pair_grow);
static const ca_pair_tables checking_tables =
    CA_PAIR_TABLES("fallback", checking_allocate, ca_pair_grow);

bool ca_fallback_init(ca_fallback *self, ca_allocator *first, ca_allocator *second) {
  return ca_pair_init(&self->pair, first, second, checking_tables) &&
         (self->pair.claimable != NULL || ca_pair_init(&self->pair, first, second, tables));
}
