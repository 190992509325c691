#include "adaptors/for_libxml2/for_libxml2.h"

#include <string.h>

#include "adaptors/to_malloc/to_malloc.h"

/* Around the chosen allocator; nothing before the first choice. */
static ca_to_malloc chosen;

bool ca_for_libxml2_init(ca_allocator *allocator) {
  if (allocator == NULL) {
    return false;
  }
  ca_to_malloc_init(&chosen, allocator);
  return true;
}

void *ca_for_libxml2_malloc(size_t size) {
  CA_ASSERT(chosen.allocator != NULL);
  return ca_to_malloc_malloc(&chosen, size);
}

void *ca_for_libxml2_realloc(void *ptr, size_t size) {
  CA_ASSERT(chosen.allocator != NULL);
  return ca_to_malloc_realloc(&chosen, ptr, size);
}

void ca_for_libxml2_free(void *ptr) {
  CA_ASSERT(chosen.allocator != NULL);
  ca_to_malloc_free(&chosen, ptr);
}

char *ca_for_libxml2_strdup(const char *string) {
  const size_t size = strlen(string) + 1;
  char *const copy = ca_for_libxml2_malloc(size);
  return copy == NULL ? NULL : memcpy(copy, string, size);
}
