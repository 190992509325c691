#include "adaptors/wrapper/wrapper.h"

ca_block ca_wrapper_allocate(ca_allocator *base, size_t size, size_t align) {
  return ca_allocate(ca_wrapper_inner(base), size, align);
}

void ca_wrapper_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

ca_block ca_wrapper_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                         ca_move move) {
  return ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
}

ca_block ca_wrapper_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                           size_t align, ca_move move) {
  return ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
}

size_t ca_wrapper_usable_size(const ca_allocator *base, const void *ptr) {
  return ca_wrapper_recorded(base, ptr);
}

void ca_wrapper_deallocate_unsized(ca_allocator *base, void *ptr) {
  ca_allocator *const inner = ca_wrapper_inner(base);
  inner->ops->deallocate_unsized(inner, ptr);
}

size_t ca_wrapper_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  return ca_deallocate_recorded(ca_wrapper_inner(base), ptr, size);
}

bool ca_wrapper_owns(const ca_allocator *base, const void *ptr) {
  const ca_allocator *const inner = ca_wrapper_inner(base);
  return inner->ops->owns(inner, ptr);
}

ca_block ca_wrapper_range(const ca_allocator *base) {
  const ca_allocator *const inner = ca_wrapper_inner(base);
  return inner->ops->range == NULL ? ca_block_none() : inner->ops->range(inner);
}

bool ca_wrapper_walk(const ca_allocator *base, ca_block_visitor *visitor, void *argument) {
  const ca_allocator *const inner = ca_wrapper_inner(base);
  return inner->ops->walk != NULL && inner->ops->walk(inner, visitor, argument);
}

bool ca_wrapper_check(const ca_allocator *base) {
  const ca_allocator *const inner = ca_wrapper_inner(base);
  return inner->ops->check == NULL || inner->ops->check(inner);
}

void ca_wrapper_init(ca_wrapper *self, ca_allocator *inner, ca_sizes sizes,
                     const ca_wrapper_tables tables) {
  const ca_allocator_ops *const ops = inner->ops;
  const bool recorded = sizes == CA_SIZES_RECORDED && ops->usable_size != NULL;
  self->base.ops = &tables[recorded][ops->owns != NULL];
  self->inner = inner;
}
