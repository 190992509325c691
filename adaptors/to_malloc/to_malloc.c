#include "adaptors/to_malloc/to_malloc.h"

#include <string.h>

void ca_to_malloc_init(ca_to_malloc *self, ca_allocator *allocator) {
  ca_sized_init(&self->sized, allocator);
  self->allocator =
      allocator->ops->usable_size != NULL ? allocator : ca_sized_allocator(&self->sized);
}

void *ca_to_malloc_calloc(ca_to_malloc *self, size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total)) {
    return NULL;
  }
  void *const ptr = ca_to_malloc_malloc(self, total);
  return ptr == NULL ? NULL : memset(ptr, 0, total);
}

void *ca_to_malloc_realloc(ca_to_malloc *self, void *ptr, size_t size) {
  if (ptr == NULL) {
    return ca_to_malloc_malloc(self, size);
  }
  if (size == 0) {
    ca_to_malloc_free(self, ptr);
    return NULL;
  }
  const size_t usable = ca_to_malloc_usable_size(self, ptr);
  return ca_reallocate(self->allocator, ptr, usable, size, CA_ALIGN_DEFAULT).ptr;
}

void *ca_to_malloc_reallocarray(ca_to_malloc *self, void *ptr, size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total)) {
    return NULL;
  }
  return ca_to_malloc_realloc(self, ptr, total);
}

void *ca_to_malloc_aligned_alloc(ca_to_malloc *self, size_t align, size_t size) {
  if (!ca_is_power_of_two(align)) {
    return NULL;
  }
  const size_t stricter = align > CA_ALIGN_DEFAULT ? align : CA_ALIGN_DEFAULT;
  return ca_allocate(self->allocator, size + (size == 0), stricter).ptr;
}
