#include "adaptors/for_expat/for_expat.h"

#include "adaptors/to_malloc/to_malloc.h"

/* Around the chosen allocator; nothing before the first choice. */
static ca_to_malloc chosen;

bool ca_for_expat_init(ca_allocator *allocator) {
  if (allocator == NULL) {
    return false;
  }
  ca_to_malloc_init(&chosen, allocator);
  return true;
}

void *ca_for_expat_malloc(size_t size) {
  CA_ASSERT(chosen.allocator != NULL);
  return ca_to_malloc_malloc(&chosen, size);
}

void *ca_for_expat_realloc(void *ptr, size_t size) {
  CA_ASSERT(chosen.allocator != NULL);
  return ca_to_malloc_realloc(&chosen, ptr, size);
}

void ca_for_expat_free(void *ptr) {
  CA_ASSERT(chosen.allocator != NULL);
  ca_to_malloc_free(&chosen, ptr);
}
