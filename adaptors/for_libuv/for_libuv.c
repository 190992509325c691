#include "adaptors/for_libuv/for_libuv.h"

#include "adaptors/hooks/hooks.h"

static ca_allocator *chosen;

bool ca_for_libuv_init(ca_allocator *allocator) {
  if (!ca_hooks_can_serve(allocator)) {
    return false;
  }
  chosen = allocator;
  return true;
}

void *ca_for_libuv_malloc(size_t size) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_malloc(chosen, size);
}

void *ca_for_libuv_realloc(void *ptr, size_t size) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_realloc(chosen, ptr, size);
}

void *ca_for_libuv_calloc(size_t count, size_t size) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_calloc(chosen, count, size);
}

void ca_for_libuv_free(void *ptr) {
  CA_ASSERT(chosen != NULL);
  ca_hooks_free(chosen, ptr);
}
