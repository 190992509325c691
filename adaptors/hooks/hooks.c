#include "adaptors/hooks/hooks.h"

#include <string.h>

void *ca_hooks_calloc(ca_allocator *allocator, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    return NULL;
  }
  void *const ptr = ca_hooks_malloc(allocator, bytes);
  if (ptr != NULL) {
    memset(ptr, 0, bytes);
  }
  return ptr;
}

void *ca_hooks_realloc(ca_allocator *allocator, void *ptr, size_t size) {
  if (ptr == NULL) {
    return ca_hooks_malloc(allocator, size);
  }
  if (size == 0) {
    ca_hooks_free(allocator, ptr);
    return NULL;
  }
  const size_t usable = allocator->ops->usable_size(allocator, ptr);
  return ca_reallocate(allocator, ptr, usable, size, CA_ALIGN_DEFAULT).ptr;
}

char *ca_hooks_strdup(ca_allocator *allocator, const char *string) {
  const size_t size = strlen(string) + 1;
  char *const copy = (char *)ca_hooks_malloc(allocator, size);
  return copy == NULL ? NULL : (char *)memcpy(copy, string, size);
}
