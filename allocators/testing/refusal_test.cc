// Each request to the source refused in turn, for every local allocator: a refusal at init is false,
// leaves nothing out, and leaves an allocator that refuses and may be destroyed.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "allocators/bit_set/bit_set.h"
#include "allocators/bump/bump.h"
#include "allocators/context/context.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"
#include "sources/buffer/buffer.h"
#include "sources/failing/refuse_in_turn.h"

namespace {

constexpr std::size_t kSize = 256 << 10;

// Sets the allocator up over a source, uses it, and destroys it.
testing::AssertionResult Use(bool ready, ca_allocator *allocator) {
  std::vector<void *> blocks;
  for (std::size_t i = 0; i < 50; ++i) {
    const ca_block block = ca_allocate(allocator, 100, 16);
    if (ca_block_is_none(block) == ready) {
      return testing::AssertionFailure()
             << (ready ? "refuses although set up" : "serves nothing's memory");
    }
    if (ready) blocks.push_back(block.ptr);
  }
  for (void *block : blocks) ca_deallocate(allocator, block, 100, 16);
  if (allocator->ops->check != nullptr && !allocator->ops->check(allocator)) {
    return testing::AssertionFailure() << "its invariants do not hold";
  }
  return testing::AssertionSuccess();
}

class RefusalTest : public testing::TestWithParam<ca_sizes> {
 protected:
  RefusalTest() : memory_(kSize + 8192) {
    ca_buffer_init(&buffer_, memory_.data(), memory_.size());
  }

  void ExpectRefusalsAreAnswers(
      const std::function<testing::AssertionResult(ca_source *)> &workload) {
    EXPECT_GE(ca_testing::RefuseInTurn(ca_buffer_source(&buffer_), workload), 1U);
  }

  std::vector<char> memory_;
  ca_buffer buffer_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, RefusalTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(RefusalTest, Bump) {
  ExpectRefusalsAreAnswers([](ca_source *source) {
    ca_bump bump;
    const bool ready = ca_bump_init(&bump, source, kSize, GetParam());
    const auto result = Use(ready, ca_bump_allocator(&bump));
    ca_bump_destroy(&bump);
    return result;
  });
}

TEST_P(RefusalTest, BitSet) {
  ExpectRefusalsAreAnswers([](ca_source *source) {
    ca_bit_set bits;
    const bool ready = ca_bit_set_init(&bits, source, kSize, 64, GetParam());
    const auto result = Use(ready, ca_bit_set_allocator(&bits));
    ca_bit_set_destroy(&bits);
    return result;
  });
}

TEST_P(RefusalTest, MultipleBinarySearchTree) {
  ExpectRefusalsAreAnswers([](ca_source *source) {
    ca_multiple_binary_search_tree trees;
    const bool ready = ca_multiple_binary_search_tree_init(&trees, source, kSize, GetParam());
    const auto result = Use(ready, ca_multiple_binary_search_tree_allocator(&trees));
    ca_multiple_binary_search_tree_destroy(&trees);
    return result;
  });
}

TEST_P(RefusalTest, Context) {
  for (const ca_lifetime_hint hint : {CA_LIFETIME_SHORT, CA_LIFETIME_MEDIUM, CA_LIFETIME_LONG}) {
    ExpectRefusalsAreAnswers([hint](ca_source *source) {
      const ca_context_allocator_settings settings = {GetParam(), 0};
      ca_context_allocator context;
      const bool ready =
          ca_context_allocator_init(&context, source, kSize, ca_context_kind_for(hint), &settings);
      const auto result = Use(ready, ca_context_allocator_allocator(&context));
      ca_context_allocator_destroy(&context);
      return result;
    });
  }
}

}  // namespace
