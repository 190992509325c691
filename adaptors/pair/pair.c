#include "adaptors/pair/pair.h"

CA_COLD ca_allocator *ca_pair_ask(const ca_pair *self, const void *ptr) {
  return self->asked->ops->owns(self->asked, ptr) ? self->asked : self->other;
}

ca_block ca_pair_allocate_checked(ca_pair *self, ca_allocator *side, size_t size, size_t align) {
  const ca_block block = ca_allocate(side, size, align);
  if (ca_block_is_none(block)) {
    return block;
  }
  if (CA_UNLIKELY(ca_pair_owner(&self->base, block.ptr) == self->asked)) {
    ca_deallocate(side, block.ptr, size, align);
    return ca_block_none();
  }
  return block;
}

CA_COLD static void deallocate_asking(const ca_pair *self, void *ptr, size_t size, size_t align) {
  ca_deallocate(ca_pair_ask(self, ptr), ptr, size, align);
}

void ca_pair_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  const ca_pair *const self = (const ca_pair *)base;
  if (CA_UNLIKELY(self->size == 0)) { /* Apart, so that the usual case needs no stack frame. */
    deallocate_asking(self, ptr, size, align);
    return;
  }
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

size_t ca_pair_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  return ca_deallocate_recorded(ca_pair_owner(base, ptr), ptr, size);
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

static ca_block range_of(const ca_allocator *side) {
  return side->ops->range == NULL ? ca_block_none() : side->ops->range(side);
}

static bool are_apart(ca_block one, ca_block two) {
  const uintptr_t begin = (uintptr_t)one.ptr;
  const uintptr_t other_begin = (uintptr_t)two.ptr;
  return one.size > 0 && two.size > 0 &&
         (begin < other_begin ? other_begin - begin >= one.size : begin - other_begin >= two.size);
}

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
  const ca_block range = range_of(self->asked);
  self->begin = (uintptr_t)range.ptr;
  self->size = range.size;
  self->claimable = are_apart(range, range_of(self->other)) ? NULL : self->other;
  return true;
}
