#include "adaptors/for_jansson/for_jansson.h"

#include "adaptors/hooks/hooks.h"

static ca_allocator *chosen;

bool ca_for_jansson_init(ca_allocator *allocator) {
  if (!ca_hooks_can_serve(allocator)) {
    return false;
  }
  chosen = allocator;
  return true;
}

void *ca_for_jansson_malloc(size_t size) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_malloc(chosen, size);
}

void ca_for_jansson_free(void *ptr) {
  CA_ASSERT(chosen != NULL);
  ca_hooks_free(chosen, ptr);
}
