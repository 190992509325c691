#include "adaptors/for_lua/for_lua.h"

#include "allocators/allocator.h"

void *ca_for_lua(void *allocator, void *ptr, size_t old_size, size_t new_size) {
  ca_allocator *const self = allocator;
  if (ptr == NULL) { /* old_size then tells the kind of object, not a size. */
    return new_size == 0 ? NULL : ca_allocate(self, new_size, CA_ALIGN_DEFAULT).ptr;
  }
  if (new_size == 0) {
    ca_deallocate(self, ptr, old_size, CA_ALIGN_DEFAULT);
    return NULL;
  }
  return ca_reallocate(self, ptr, old_size, new_size, CA_ALIGN_DEFAULT).ptr;
}
