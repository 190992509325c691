#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"
#include "allocators/testing/allocator_model.h"
#include "sources/buffer/buffer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  alignas(16) static char memory[20011];  // Small, so that it runs out; odd, for odd ends.
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    ca_buffer buffer;
    ca_buffer_init(&buffer, memory, sizeof memory);
    ca_multiple_binary_search_tree trees;
    if (!ca_multiple_binary_search_tree_init(&trees, ca_buffer_source(&buffer), sizeof memory,
                                             sizes)) {
      return 0;
    }
    ca_testing::FuzzAllocator(ca_multiple_binary_search_tree_allocator(&trees), data, size);
    ca_multiple_binary_search_tree_destroy(&trees);
  }
  return 0;
}
