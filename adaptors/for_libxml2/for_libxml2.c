#include "adaptors/for_libxml2/for_libxml2.h"

#include "adaptors/hooks/hooks.h"

static ca_allocator *chosen;

bool ca_for_libxml2_init(ca_allocator *allocator) {
  if (!ca_hooks_can_serve(allocator)) {
    return false;
  }
  chosen = allocator;
  return true;
}

void *ca_for_libxml2_malloc(size_t size) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_malloc(chosen, size);
}

void *ca_for_libxml2_realloc(void *ptr, size_t size) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_realloc(chosen, ptr, size);
}

void ca_for_libxml2_free(void *ptr) {
  CA_ASSERT(chosen != NULL);
  ca_hooks_free(chosen, ptr);
}

char *ca_for_libxml2_strdup(const char *string) {
  CA_ASSERT(chosen != NULL);
  return ca_hooks_strdup(chosen, string);
}
