// A second init without a destroy between them forgets what the first obtained (base/CONVENTIONS.md):
// no more is asked of the source than that, and the allocator serves from the second range alone.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "allocators/bit_set/bit_set.h"
#include "allocators/bump/bump.h"
#include "allocators/context/context.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"
#include "sources/buffer/buffer.h"
#include "sources/failing/failing.h"

namespace {

constexpr std::size_t kSize = 64 << 10;

class SecondInitTest : public testing::TestWithParam<ca_sizes> {
 protected:
  SecondInitTest() : memory_(2 * kSize + 16384) {
    ca_buffer_init(&buffer_, memory_.data(), memory_.size());
    const ca_failing_settings counting = {};
    ca_failing_init(&source_, ca_buffer_source(&buffer_), &counting);
  }

  void Expect(const std::function<bool(ca_source *)> &init, ca_allocator *allocator,
              const std::function<void()> &destroy) {
    ca_source *const source = ca_failing_source(&source_);
    ASSERT_TRUE(init(source));
    const ca_block before = ca_allocate(allocator, 1000, 16);
    ASSERT_TRUE(init(source));
    EXPECT_EQ(ca_failing_ranges_out(&source_), 2U);
    EXPECT_FALSE(allocator->ops->owns(allocator, before.ptr));
    const ca_block after = ca_allocate(allocator, 1000, 16);
    EXPECT_TRUE(allocator->ops->owns(allocator, after.ptr));
    EXPECT_TRUE(allocator->ops->check(allocator));
    destroy();
    EXPECT_EQ(ca_failing_ranges_out(&source_), 1U) << "the first, which nobody knows of";
    destroy();
    EXPECT_EQ(ca_failing_ranges_out(&source_), 1U);
  }

  std::vector<char> memory_;
  ca_buffer buffer_;
  ca_failing source_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, SecondInitTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(SecondInitTest, Bump) {
  ca_bump bump;
  Expect([&](ca_source *source) { return ca_bump_init(&bump, source, kSize, GetParam()); },
         ca_bump_allocator(&bump), [&] { ca_bump_destroy(&bump); });
}

TEST_P(SecondInitTest, BitSet) {
  ca_bit_set bits;
  Expect([&](ca_source *source) { return ca_bit_set_init(&bits, source, kSize, 64, GetParam()); },
         ca_bit_set_allocator(&bits), [&] { ca_bit_set_destroy(&bits); });
}

TEST_P(SecondInitTest, MultipleBinarySearchTree) {
  ca_multiple_binary_search_tree trees;
  Expect(
      [&](ca_source *source) {
        return ca_multiple_binary_search_tree_init(&trees, source, kSize, GetParam());
      },
      ca_multiple_binary_search_tree_allocator(&trees),
      [&] { ca_multiple_binary_search_tree_destroy(&trees); });
}

TEST_P(SecondInitTest, ContextOfAnotherKind) {
  ca_context_allocator context;
  ca_context_kind kind = CA_CONTEXT_BUMP;
  const ca_context_allocator_settings settings = {GetParam(), 0};
  Expect(
      [&](ca_source *source) {
        const ca_context_kind now = kind;
        kind = CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE;
        return ca_context_allocator_init(&context, source, kSize, now, &settings);
      },
      ca_context_allocator_allocator(&context), [&] { ca_context_allocator_destroy(&context); });
}

// Over a range of the caller's, which the first has poisoned: what the second keeps lies elsewhere.
void ExpectOverTheSameRange(const std::function<void(ca_block, ca_sizes)> &init,
                            ca_allocator *allocator) {
  std::vector<char> memory(kSize);
  const ca_block range = ca_block_make(memory.data(), memory.size());
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED, CA_SIZES_FORGOTTEN}) {
    init(range, sizes);
    char *const ptr = static_cast<char *>(ca_allocate(allocator, 1000, 16).ptr);
    ASSERT_NE(ptr, nullptr);
    EXPECT_FALSE(ca_block_is_none(ca_allocate(allocator, 100, 64)));
    EXPECT_EQ(ca_shrink(allocator, ptr, 1000, 10, 16, CA_MOVE_NEVER).ptr, ptr);
    EXPECT_TRUE(allocator->ops->check(allocator));
    ca_deallocate(allocator, ptr, 10, 16);
    EXPECT_TRUE(allocator->ops->check(allocator));
  }
}

TEST(SecondInitOverTheSameRangeTest, Bump) {
  ca_bump bump;
  ExpectOverTheSameRange(
      [&](ca_block range, ca_sizes sizes) { ca_bump_init_range(&bump, range, sizes); },
      ca_bump_allocator(&bump));
  ca_bump_destroy(&bump);
}

TEST(SecondInitOverTheSameRangeTest, BitSet) {
  ca_bit_set bits;
  ExpectOverTheSameRange(
      [&](ca_block range, ca_sizes sizes) {
        const std::size_t block_size = sizes == CA_SIZES_FORGOTTEN ? 64 : 16;
        ca_bit_set_init_range(&bits, range, block_size, sizes);
      },
      ca_bit_set_allocator(&bits));
  ca_bit_set_destroy(&bits);
}

TEST(SecondInitOverTheSameRangeTest, MultipleBinarySearchTree) {
  ca_multiple_binary_search_tree trees;
  ExpectOverTheSameRange(
      [&](ca_block range, ca_sizes sizes) {
        ca_multiple_binary_search_tree_init_range(&trees, range, sizes);
      },
      ca_multiple_binary_search_tree_allocator(&trees));
  ca_multiple_binary_search_tree_destroy(&trees);
}

}  // namespace
