#include "adaptors/for_openssl/for_openssl.h"

#include "adaptors/to_malloc/to_malloc.h"

/* Around the chosen allocator; nothing before the first choice. */
static ca_to_malloc chosen;

bool ca_for_openssl_init(ca_allocator *allocator) {
  if (allocator == NULL) {
    return false;
  }
  ca_to_malloc_init(&chosen, allocator);
  return true;
}

void *ca_for_openssl_malloc(size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  CA_ASSERT(chosen.allocator != NULL);
  return ca_to_malloc_malloc(&chosen, size);
}

void *ca_for_openssl_realloc(void *ptr, size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  CA_ASSERT(chosen.allocator != NULL);
  return ca_to_malloc_realloc(&chosen, ptr, size);
}

void ca_for_openssl_free(void *ptr, const char *file, int line) {
  (void)file;
  (void)line;
  CA_ASSERT(chosen.allocator != NULL);
  ca_to_malloc_free(&chosen, ptr);
}
