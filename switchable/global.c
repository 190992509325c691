#include "switchable/global.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"

#define WEAK __attribute__((weak))

WEAK void *ca_global_malloc(size_t size) { return malloc(size); }
WEAK void ca_global_free(void *ptr) { free(ptr); }
WEAK void *ca_global_realloc(void *ptr, size_t size) { return realloc(ptr, size); }
WEAK void *ca_global_memalign(size_t align, size_t size) { return memalign(align, size); }
WEAK size_t ca_global_usable_size(void *ptr) { return malloc_usable_size(ptr); }

static ca_block block_of(void *ptr) {
  return ptr == NULL ? ca_block_none() : ca_block_make(ptr, ca_global_usable_size(ptr));
}

ca_block ca_global_allocate(size_t size, size_t align) {
  if (size > PTRDIFF_MAX || align > PTRDIFF_MAX - size) {
    return ca_block_none();
  }
  const int saved = errno;
  void *const ptr =
      align <= CA_ALIGN_DEFAULT ? ca_global_malloc(size) : ca_global_memalign(align, size);
  errno = saved;
  return block_of(ptr);
}

static ca_block move(void *ptr, size_t new_size, size_t align) {
  const size_t size = ca_global_usable_size(ptr);
  if (new_size <= size && ca_is_aligned(ptr, align)) {
    return ca_block_make(ptr, size);
  }
  const ca_block fresh = ca_global_allocate(new_size, align);
  if (!ca_block_is_none(fresh)) {
    memcpy(fresh.ptr, ptr, size < new_size ? size : new_size);
    ca_global_free(ptr);
  }
  return fresh;
}

ca_block ca_global_reallocate(void *ptr, size_t new_size, size_t align) {
  if (align > CA_ALIGN_DEFAULT) {
    return move(ptr, new_size, align); /* realloc() forgets alignments. */
  }
  if (new_size > PTRDIFF_MAX) {
    return ca_block_none();
  }
  const int saved = errno;
  void *const resized = ca_global_realloc(ptr, new_size);
  errno = saved;
  return block_of(resized);
}
