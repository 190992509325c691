#include "adaptors/for_expat/for_expat.h"

#include "adaptors/hooks/hooks.h"

static ca_allocator *chosen;

bool ca_for_expat_init(ca_allocator *allocator) {
  if (!ca_hooks_can_serve(allocator)) {
    return false;
  }
  chosen = allocator;
  return true;
}

void *ca_for_expat_malloc(size_t size) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_malloc(chosen, size);
}

void *ca_for_expat_realloc(void *ptr, size_t size) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_realloc(chosen, ptr, size);
}

void ca_for_expat_free(void *ptr) {
  CA_ASSERT(chosen != NULL);
  ca_hooks_free(chosen, ptr);
}
