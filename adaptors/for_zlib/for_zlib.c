#include "adaptors/for_zlib/for_zlib.h"

#include <stddef.h>

#include "adaptors/to_malloc/to_malloc.h"

void *ca_for_zlib_allocate(void *family, unsigned items, unsigned size) {
  return ca_to_malloc_malloc(family, (size_t)items * size);
}

void ca_for_zlib_free(void *family, void *ptr) { ca_to_malloc_free(family, ptr); }
