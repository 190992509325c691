#include "adaptors/aligned/aligned.h"

#include <gtest/gtest.h>

#include <cstring>

#include "adaptors/testing/rounding.h"
#include "allocators/bump/bump.h"

namespace {

using ca_testing::Rounding;

// Rounding honours alignments up to 64 and rounds sizes up to 64.
class AlignedTest : public testing::TestWithParam<bool> {
 protected:
  AlignedTest() : rounding_(GetParam()) { Init(0, 0); }
  void Init(std::size_t least, std::size_t most) {
    EXPECT_TRUE(ca_aligned_init(&aligned_, rounding_.get(), least, most));
  }
  ca_allocator *allocator() { return ca_aligned_allocator(&aligned_); }
  ca_block Allocate(std::size_t size, std::size_t align) {
    return ca_allocate(allocator(), size, align);
  }
  Rounding rounding_;
  ca_aligned aligned_;
};
INSTANTIATE_TEST_SUITE_P(Sizes, AlignedTest, testing::Bool());

TEST(AlignedOfBumpTest, RaisesEveryBlockToTheLeast) {
  alignas(64) char memory[4096];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca_aligned aligned;
  EXPECT_TRUE(ca_aligned_init(&aligned, ca_bump_allocator(&bump), 64, 0));
  ca_allocator *allocator = ca_aligned_allocator(&aligned);
  for (int i = 0; i < 10; ++i) {
    const ca_block block = ca_allocate(allocator, 10, 8);
    EXPECT_TRUE(ca_is_aligned(block.ptr, 64));
  }
  EXPECT_TRUE(ca_is_aligned(ca_allocate(allocator, 10, 256).ptr, 256));
  ca_bump_destroy(&bump);
}

TEST_P(AlignedTest, PassesThroughWhatTheInnerAllocatorHonours) {
  Init(0, 64);
  const ca_block block = Allocate(100, 64);
  EXPECT_EQ(block.size, 128U);
  EXPECT_EQ(rounding_.live_bytes(), 128U);
  ca_deallocate(allocator(), block.ptr, 100, 64);
  EXPECT_EQ(rounding_.live_bytes(), 0U);
}

TEST_P(AlignedTest, HonoursMoreThanTheInnerAllocatorDoes) {
  EXPECT_TRUE(ca_block_is_none(Allocate(100, 128)));
  for (const std::size_t most : {8, 16, 64}) {
    Init(0, most);
    for (std::size_t align = 128; align <= 2048; align *= 2) {
      for (int way = 0; way < 3; ++way) {
        const ca_block block = Allocate(100, align);
        ASSERT_FALSE(ca_block_is_none(block)) << align;
        EXPECT_TRUE(ca_is_aligned(block.ptr, align));
        EXPECT_GE(block.size, 100U);
        std::memset(block.ptr, 0xEE, block.size);
        const std::size_t size = way == 0 ? 100 : way == 1 ? (100 + block.size) / 2 : block.size;
        ca_deallocate(allocator(), block.ptr, size, align);
        EXPECT_EQ(rounding_.live_bytes(), 0U);
      }
    }
  }
}

TEST_P(AlignedTest, ExcessIsHandedOutOnlyAsFarAsItReaches) {
  Init(0, 64);
  const ca_block block = Allocate(100, 128);  // 228 bytes asked, 256 got.
  EXPECT_EQ(block.size, 128U);
  EXPECT_EQ(rounding_.live_bytes(), 256U);
}

TEST_P(AlignedTest, ResizesInPlaceAboveTheMost) {
  Init(0, 64);
  ca_block block = Allocate(100, 256);
  std::memset(block.ptr, 7, 100);
  ca_block resized = ca_grow(allocator(), block.ptr, 100, 1000, 256, CA_MOVE_ALLOWED);
  EXPECT_EQ(resized.ptr, block.ptr);
  EXPECT_EQ(resized.size, Rounding::RoundUp(1256) - 256);
  resized = ca_shrink(allocator(), block.ptr, 1000, 50, 256, CA_MOVE_NEVER);
  EXPECT_EQ(resized.ptr, block.ptr);
  EXPECT_EQ(resized.size, Rounding::RoundUp(306) - 256);
  EXPECT_EQ(static_cast<char *>(block.ptr)[49], 7);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 50, 5000, 256, CA_MOVE_ALLOWED)));
  ca_deallocate(allocator(), block.ptr, 50, 256);
  EXPECT_EQ(rounding_.live_bytes(), 0U);
}

TEST_P(AlignedTest, TheLeastCountsForEveryCallOfABlock) {
  Init(256, 64);
  ca_block block = Allocate(10, 1);
  EXPECT_TRUE(ca_is_aligned(block.ptr, 256));
  EXPECT_EQ(ca_grow(allocator(), block.ptr, 10, 500, 1, CA_MOVE_NEVER).ptr, block.ptr);
  EXPECT_EQ(ca_shrink(allocator(), block.ptr, 500, 20, 1, CA_MOVE_NEVER).ptr, block.ptr);
  ca_deallocate(allocator(), block.ptr, 20, 1);
  EXPECT_EQ(rounding_.live_bytes(), 0U);
}

TEST_P(AlignedTest, RefusesWhatWraps) {
  Init(0, 64);
  const ca_block block = Allocate(100, 128);
  for (const std::size_t size : {SIZE_MAX, SIZE_MAX - 127, std::size_t{PTRDIFF_MAX}}) {
    EXPECT_TRUE(ca_block_is_none(Allocate(size, 128)));
    EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 100, size, 128, CA_MOVE_ALLOWED)));
  }
  EXPECT_TRUE(ca_block_is_none(Allocate(1, std::size_t{1} << 63)));
  EXPECT_TRUE(ca_block_is_none(Allocate(1, std::size_t{1} << 62)));
}

TEST_P(AlignedTest, SizesAreOfferedOnlyWhereNoBlockLiesWithinAnother) {
  Init(32, 0);
  EXPECT_EQ(allocator()->ops->usable_size != nullptr, GetParam());
  if (GetParam()) {
    const ca_block block = Allocate(100, 8);
    EXPECT_EQ(allocator()->ops->usable_size(allocator(), block.ptr), 128U);
    allocator()->ops->deallocate_unsized(allocator(), block.ptr);
    EXPECT_EQ(rounding_.live_bytes(), 0U);
  }
  Init(32, 64);
  EXPECT_EQ(allocator()->ops->usable_size, nullptr);
  EXPECT_EQ(allocator()->ops->deallocate_unsized, nullptr);
}

TEST_P(AlignedTest, SettingsThatAreNoAlignmentsPassEverythingThrough) {
  for (const std::size_t wrong : {3, 24, 100}) {
    EXPECT_FALSE(ca_aligned_init(&aligned_, rounding_.get(), wrong, 0));
    EXPECT_EQ(aligned_.least, 1U);
    EXPECT_TRUE(allocator()->ops->check(allocator()));
    EXPECT_FALSE(ca_aligned_init(&aligned_, rounding_.get(), 0, wrong));
    EXPECT_EQ(Allocate(10, 1).size, 64U);
    EXPECT_TRUE(ca_block_is_none(Allocate(10, 128)));
    EXPECT_TRUE(allocator()->ops->check(allocator()));
  }
  EXPECT_FALSE(ca_aligned_init(&aligned_, rounding_.get(), 0, 4)) << "no room for the word";
}

TEST_P(AlignedTest, CheckFindsSettingsThatCannotBe) {
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  aligned_.least = 3;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  Init(0, 0);
  aligned_.most = 4;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
}

}  // namespace
