#include "allocators/allocator.h"

#include <string.h>

/* One that records sizes takes any alignment up to the block's. */
CA_COLD size_t ca_deallocate_asking(ca_allocator *self, void *ptr, size_t size) {
  const size_t recorded = self->ops->usable_size(self, ptr);
  if (size == 0) {
    self->ops->deallocate_unsized(self, ptr);
  } else {
    self->ops->deallocate(self, ptr, size, 1);
  }
  return recorded;
}

ca_block ca_reallocate(ca_allocator *self, void *ptr, size_t size, size_t new_size, size_t align) {
  const ca_block resized = new_size >= size
                               ? ca_grow(self, ptr, size, new_size, align, CA_MOVE_ALLOWED)
                               : ca_shrink(self, ptr, size, new_size, align, CA_MOVE_ALLOWED);
  if (!ca_block_is_none(resized)) {
    return resized;
  }
  const ca_block fresh = ca_allocate(self, new_size, align);
  if (ca_block_is_none(fresh)) {
    return fresh;
  }
  memcpy(fresh.ptr, ptr, size < new_size ? size : new_size);
  ca_deallocate(self, ptr, size, align);
  return fresh;
}
