#include "adaptors/retry/retry.h"

#include <stdint.h>

static bool freed_something(ca_retry *self, size_t size, size_t align, size_t attempt) {
  self->calling = true;
  const bool freed = self->callback(self->argument, size, align, attempt);
  self->calling = false;
  return freed;
}

CA_COLD static ca_block ask_again(ca_retry *self, size_t size, size_t align) {
  if (self->callback == NULL || self->calling || size > PTRDIFF_MAX) {
    return ca_block_none();
  }
  for (size_t attempt = 1; freed_something(self, size, align, attempt); ++attempt) {
    const ca_block block = ca_allocate(self->wrapper.inner, size, align);
    if (!ca_block_is_none(block)) {
      return block;
    }
  }
  return ca_block_none();
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    return ask_again((ca_retry *)base, size, align);
  }
  return block;
}

static const ca_wrapper_tables tables = CA_WRAPPER_ROWS(
    "retry", op_allocate, ca_wrapper_deallocate, ca_wrapper_grow, ca_wrapper_shrink,
    ca_wrapper_deallocate_unsized, ca_wrapper_deallocate_recorded, ca_wrapper_check);

void ca_retry_init(ca_retry *self, ca_allocator *inner, ca_retry_callback callback,
                   void *argument) {
  ca_wrapper_init(&self->wrapper, inner, CA_SIZES_RECORDED, tables);
  self->callback = callback;
  self->argument = argument;
  self->calling = false;
}
