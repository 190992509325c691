#include "sources/buffer/buffer.h"

#include <stdint.h>

static ca_block op_obtain(ca_source *base, size_t size, size_t align) {
  ca_buffer *const self = (ca_buffer *)base;
  const size_t padding = ca_padding_to((uintptr_t)self->mark, align);
  const size_t room = (size_t)(self->end - self->mark);
  if (padding > room || size > room - padding) {
    return ca_block_none();
  }
  char *const ptr = self->mark + padding;
  self->mark = ptr + size;
  self->out++;
  return ca_block_make(ptr, size);
}

static void op_release(ca_source *base, ca_block range) {
  ca_buffer *const self = (ca_buffer *)base;
  char *const ptr = range.ptr;
  CA_CHECK(self->out > 0);
  CA_ASSERT(ptr >= self->begin && range.size <= (size_t)(self->mark - ptr));
  self->out--;
  if (self->out == 0) {
    self->mark = self->begin;
  } else if (ptr + range.size == self->mark) {
    self->mark = ptr;
  }
}

static const ca_source_ops ops = {
    .obtain = op_obtain,
    .release = op_release,
    .decommit = NULL,
    .zeroed = false,
    .name = "buffer",
};

void ca_buffer_init(ca_buffer *self, void *ptr, size_t size) {
  const size_t to_top = UINTPTR_MAX - (uintptr_t)ptr;
  *self = (ca_buffer){.base = {.ops = &ops}};
  if (ptr != NULL) {
    self->begin = self->mark = ptr;
    self->end = self->begin + (size < to_top ? size : to_top);
  }
}

void ca_buffer_destroy(ca_buffer *self) {
  CA_ASSERT(self->out == 0);
  *self = (ca_buffer){.base = {.ops = &ops}};
}

bool ca_buffer_check(const ca_buffer *self) {
  return self->begin <= self->mark && self->mark <= self->end &&
         (self->out > 0 || self->mark == self->begin);
}
