#include "adaptors/for_zlib/for_zlib.h"

#include <stddef.h>

#include "adaptors/hooks/hooks.h"

void *ca_for_zlib_allocate(void *allocator, unsigned items, unsigned size) {
  if (!ca_hooks_can_serve(allocator)) {
    return NULL;
  }
  return ca_hooks_malloc(allocator, (size_t)items * size);
}

void ca_for_zlib_free(void *allocator, void *ptr) { ca_hooks_free(allocator, ptr); }
