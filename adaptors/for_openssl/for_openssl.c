#include "adaptors/for_openssl/for_openssl.h"

#include "adaptors/hooks/hooks.h"

static ca_allocator *chosen;

bool ca_for_openssl_init(ca_allocator *allocator) {
  if (!ca_hooks_can_serve(allocator)) {
    return false;
  }
  chosen = allocator;
  return true;
}

void *ca_for_openssl_malloc(size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  CA_ASSERT(chosen != NULL);
  return ca_hooks_malloc(chosen, size);
}

void *ca_for_openssl_realloc(void *ptr, size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  CA_ASSERT(chosen != NULL);
  return ca_hooks_realloc(chosen, ptr, size);
}

void ca_for_openssl_free(void *ptr, const char *file, int line) {
  (void)file;
  (void)line;
  CA_ASSERT(chosen != NULL);
  ca_hooks_free(chosen, ptr);
}
