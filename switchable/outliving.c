#include "switchable/outliving.h"

#include <string.h>

#include "base/check.h"
#include "switchable/context_header.h"
#include "switchable/global.h"

ca_block ca_outliving_allocate(size_t size, size_t align) {
  CA_ASSERT(size > 0 && ca_is_power_of_two(align));
  return ca_global_allocate(size, align);
}

ca_block ca_outliving_clone(const void *ptr, size_t size, size_t align) {
  const ca_block copy = ca_outliving_allocate(size, align);
  if (!ca_block_is_none(copy)) {
    memcpy(copy.ptr, ptr, size);
  }
  return copy;
}

char *ca_outliving_clone_string(const char *text) {
  return ca_outliving_clone(text, strlen(text) + 1, 1).ptr;
}

void ca_outliving_free(void *ptr) {
  if (CA_UNLIKELY(ca_context_header_of(ptr) != NULL)) {
    ca_panic_misuse("outliving_free", ptr, "a context's block, not the global allocator's");
  }
  ca_global_free(ptr);
}
