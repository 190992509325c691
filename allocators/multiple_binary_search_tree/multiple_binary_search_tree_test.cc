#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "allocators/testing/allocator_conformance.h"
#include "base/poison.h"
#include "sources/buffer/buffer.h"

namespace {

using Trees = ca_multiple_binary_search_tree;

template <ca_sizes kSizes>
struct TreesFixture {
  TreesFixture() : memory(kCapacity) {
    ca_buffer_init(&buffer, memory.data(), memory.size());
    EXPECT_TRUE(ca_multiple_binary_search_tree_init(&trees, ca_buffer_source(&buffer),
                                                    kCapacity - 15, kSizes));
  }
  ~TreesFixture() {
    ca_multiple_binary_search_tree_destroy(&trees);
    EXPECT_EQ(buffer.out, 0U) << "destroy returns the range";
  }
  ca_allocator *get() { return ca_multiple_binary_search_tree_allocator(&trees); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 600000;
  static constexpr bool kReclaims = true;

  std::vector<char> memory;
  ca_buffer buffer;
  Trees trees;
};

using TreesForgetting = TreesFixture<CA_SIZES_FORGOTTEN>;
using TreesRecording = TreesFixture<CA_SIZES_RECORDED>;
INSTANTIATE_TYPED_TEST_SUITE_P(TreesForgetting, AllocatorConformance, TreesForgetting);
INSTANTIATE_TYPED_TEST_SUITE_P(TreesRecording, AllocatorConformance, TreesRecording);

}  // namespace
