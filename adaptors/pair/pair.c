#include "adaptors/pair/pair.h"

ca_block ca_pair_allocate_from(ca_pair *self, ca_allocator *side, size_t size, size_t align) {
  const ca_block block = ca_allocate(side, size, align);
  if (side == self->asked || ca_block_is_none(block)) {
    return block;
  }
  if (CA_UNLIKELY(self->asked->ops->owns(self->asked, block.ptr))) {
    ca_deallocate(side, block.ptr, size, align);
    return ca_block_none();
  }
  return block;
}

void ca_pair_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  ca_deallocate(ca_pair_owner(base, ptr), ptr, size, align);
}

ca_block ca_pair_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                      ca_move move) {
  return ca_grow(ca_pair_owner(base, ptr), ptr, size, new_size, align, move);
}

ca_block ca_pair_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  return ca_shrink(ca_pair_owner(base, ptr), ptr, size, new_size, align, move);
}

size_t ca_pair_usable_size(const ca_allocator *base, const void *ptr) {
  const ca_allocator *const owner = ca_pair_owner(base, ptr);
  return owner->ops->usable_size(owner, ptr);
}

void ca_pair_deallocate_unsized(ca_allocator *base, void *ptr) {
  ca_allocator *const owner = ca_pair_owner(base, ptr);
  owner->ops->deallocate_unsized(owner, ptr);
}

bool ca_pair_owns(const ca_allocator *base, const void *ptr) {
  const ca_allocator *const owner = ca_pair_owner(base, ptr);
  return owner->ops->owns(owner, ptr);
}

static bool holds(const ca_allocator *side) {
  return side->ops->check == NULL || side->ops->check(side);
}

bool ca_pair_check(const ca_allocator *base) {
  const ca_pair *const self = (const ca_pair *)base;
  return holds(self->asked) && holds(self->other);
}

/* Stands in where a pair could not be made. */

static ca_block refuse(ca_allocator *base, size_t size, size_t align) {
  (void)base;
  (void)size;
  (void)align;
  return ca_block_none();
}

static ca_block refuse_resize(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                              size_t align, ca_move move) {
  (void)base;
  (void)ptr;
  (void)size;
  (void)new_size;
  (void)align;
  (void)move;
  return ca_block_none();
}

static void ignore(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)base;
  (void)ptr;
  (void)size;
  (void)align;
}

static const ca_allocator_ops refusing_ops = {
    .allocate = refuse,
    .deallocate = ignore,
    .grow = refuse_resize,
    .shrink = refuse_resize,
    .name = "no pair",
};

bool ca_pair_init(ca_pair *self, ca_allocator *first, ca_allocator *second,
                  const ca_pair_tables tables) {
  *self = (ca_pair){.base = {.ops = &refusing_ops}};
  const ca_allocator_ops *const one = first->ops;
  const ca_allocator_ops *const two = second->ops;
  if (first == second || (one->owns == NULL && two->owns == NULL)) {
    return false;
  }
  const bool recorded = one->usable_size != NULL && two->usable_size != NULL;
  const bool owned = one->owns != NULL && two->owns != NULL;
  self->base.ops = &tables[recorded][owned];
  self->asked = one->owns != NULL ? first : second;
  self->other = one->owns != NULL ? second : first;
  self->first = first;
  self->second = second;
  return true;
}
