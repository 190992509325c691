#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

#include <cstring>

#include "allocators/testing/allocator_model.h"
#include "base/poison.h"
#include "sources/memory_source.h"

namespace {

alignas(16) char g_memory[20011];  // Small, so that it runs out; odd, for odd ends.

// Loses what it is given back to the last byte: harder than an operating system, which takes pages.
constexpr ca_source_ops kForgetfulOps = {
    [](ca_source *, std::size_t, std::size_t) { return ca_block_make(g_memory, sizeof g_memory); },
    [](ca_source *, ca_block) {},
    [](ca_source *, void *ptr, std::size_t size) {
      ca_unpoison(ptr, size);
      std::memset(ptr, 0xEE, size);
      ca_poison(ptr, size);
      return size;
    },
    false, "forgetful"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    ca_source source = {&kForgetfulOps};
    ca_multiple_binary_search_tree trees;
    if (!ca_multiple_binary_search_tree_init(&trees, &source, sizeof g_memory, sizes)) {
      return 0;
    }
    ca_testing::FuzzCalls calls;
    calls.reset = [&trees] { ca_multiple_binary_search_tree_reset(&trees); };
    calls.tidy = [&trees] { ca_multiple_binary_search_tree_trim(&trees); };
    calls.live = [&trees] { return ca_multiple_binary_search_tree_live(&trees); };
    ca_testing::FuzzAllocator(ca_multiple_binary_search_tree_allocator(&trees), data, size, {},
                              calls);
    ca_multiple_binary_search_tree_destroy(&trees);
  }
  return 0;
}
