#include "adaptors/segregate/segregate.h"

#include <gtest/gtest.h>

#include <cstring>

#include "adaptors/testing/rounding.h"
#include "allocators/bump/bump.h"

namespace {

class SegregateTest : public testing::TestWithParam<ca_sizes> {
 protected:
  SegregateTest() {
    ca_bump_init_range(&small_, ca_block_make(one_, sizeof one_), GetParam());
    ca_bump_init_range(&large_, ca_block_make(other_, sizeof other_), GetParam());
    Init(100);
  }
  ~SegregateTest() override {
    ca_bump_destroy(&small_);
    ca_bump_destroy(&large_);
  }
  void Init(std::size_t threshold) {
    EXPECT_TRUE(ca_segregate_init(&segregate_, ca_bump_allocator(&small_),
                                  ca_bump_allocator(&large_), threshold));
  }
  ca_allocator *allocator() { return ca_segregate_allocator(&segregate_); }
  const ca_allocator_ops *ops() { return allocator()->ops; }
  ca_block Allocate(std::size_t size) { return ca_allocate(allocator(), size, 16); }
  bool IsSmall(ca_block block) { return small_.base.ops->owns(&small_.base, block.ptr); }
  bool IsLarge(ca_block block) { return large_.base.ops->owns(&large_.base, block.ptr); }

  alignas(16) char one_[1024];
  alignas(16) char other_[4096];
  ca_bump small_, large_;
  ca_segregate segregate_;
};
INSTANTIATE_TEST_SUITE_P(Sizes, SegregateTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(SegregateTest, TheThresholdIsTheLargestSmallSize) {
  EXPECT_TRUE(IsSmall(Allocate(1)));
  EXPECT_TRUE(IsSmall(Allocate(100)));
  EXPECT_TRUE(IsLarge(Allocate(101)));
  EXPECT_TRUE(IsLarge(Allocate(1000)));
  Init(0);
  EXPECT_TRUE(IsLarge(Allocate(1)));
  Init(SIZE_MAX);
  EXPECT_TRUE(IsSmall(Allocate(500)));
  EXPECT_TRUE(ca_block_is_none(Allocate(SIZE_MAX)));
}

TEST_P(SegregateTest, AnExhaustedSideIsNotReplacedByTheOther) {
  while (!ca_block_is_none(Allocate(100))) {
  }
  EXPECT_EQ(ca_bump_used(&large_), 0U);
  EXPECT_TRUE(IsLarge(Allocate(101)));
}

TEST_P(SegregateTest, BlocksGoBackToTheirSide) {
  const ca_block small = Allocate(100);
  const ca_block large = Allocate(1000);
  ca_deallocate(allocator(), small.ptr, 100, 16);
  ca_deallocate(allocator(), large.ptr, 1000, 16);
  EXPECT_LE(ca_bump_used(&small_), 8U);
  EXPECT_LE(ca_bump_used(&large_), 8U);
}

TEST_P(SegregateTest, ALargeBlockShrunkInPlaceIsStillLarge) {
  const ca_block large = Allocate(1000);
  const ca_block shrunk = ca_shrink(allocator(), large.ptr, 1000, 10, 16, CA_MOVE_NEVER);
  EXPECT_EQ(shrunk.ptr, large.ptr);
  ca_deallocate(allocator(), shrunk.ptr, 10, 16);
  EXPECT_LE(ca_bump_used(&large_), 8U);
  EXPECT_EQ(ca_bump_used(&small_), 0U);
}

TEST_P(SegregateTest, ASmallBlockGrowsUpToTheThresholdAndMovesBeyondIt) {
  ca_block block = Allocate(10);
  std::memset(block.ptr, 7, 10);
  EXPECT_EQ(ca_grow(allocator(), block.ptr, 10, 100, 16, CA_MOVE_NEVER).ptr, block.ptr);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 100, 101, 16, CA_MOVE_ALLOWED)));
  block = ca_reallocate(allocator(), block.ptr, 100, 500, 16);
  EXPECT_TRUE(IsLarge(block));
  EXPECT_EQ(static_cast<char *>(block.ptr)[9], 7);
  EXPECT_LE(ca_bump_used(&small_), 8U);
  EXPECT_EQ(ca_grow(allocator(), block.ptr, 500, 600, 16, CA_MOVE_NEVER).ptr, block.ptr);
}

TEST_P(SegregateTest, GrowingByNothingIsServedEvenAboveTheThreshold) {
  ca_testing::Rounding rounding(false);
  EXPECT_TRUE(ca_segregate_init(&segregate_, rounding.get(), ca_bump_allocator(&large_), 100));
  const ca_block block = Allocate(100);
  ASSERT_EQ(block.size, 128U);
  EXPECT_EQ(ca_grow(allocator(), block.ptr, 128, 128, 16, CA_MOVE_NEVER).ptr, block.ptr);
  EXPECT_EQ(ops()->owns, nullptr);
  ca_deallocate(allocator(), block.ptr, 128, 16);
  EXPECT_EQ(rounding.live_bytes(), 0U);
}

TEST_P(SegregateTest, OffersWhatBothSidesOffer) {
  const ca_block small = Allocate(100);
  const ca_block large = Allocate(1000);
  EXPECT_TRUE(ops()->owns(allocator(), small.ptr));
  EXPECT_TRUE(ops()->owns(allocator(), large.ptr));
  EXPECT_FALSE(ops()->owns(allocator(), nullptr));
  EXPECT_TRUE(ops()->check(allocator()));
  EXPECT_EQ(ops()->usable_size != nullptr, GetParam() == CA_SIZES_RECORDED);
  if (GetParam() == CA_SIZES_FORGOTTEN) return;
  EXPECT_EQ(ops()->usable_size(allocator(), large.ptr), 1000U);
  ops()->deallocate_unsized(allocator(), large.ptr);
  ops()->deallocate_unsized(allocator(), small.ptr);
  EXPECT_LE(ca_bump_used(&small_) + ca_bump_used(&large_), 16U);
}

TEST_P(SegregateTest, TheSameAllocatorTwiceOrTwoThatCannotTellAreRefused) {
  ca_allocator *same = ca_bump_allocator(&small_);
  EXPECT_FALSE(ca_segregate_init(&segregate_, same, same, 100));
  EXPECT_TRUE(ca_block_is_none(Allocate(16)));
  EXPECT_TRUE(ca_block_is_none(Allocate(160)));
  ca_testing::Rounding one(true), other(true);
  EXPECT_FALSE(ca_segregate_init(&segregate_, one.get(), other.get(), 100));
  EXPECT_TRUE(ca_block_is_none(Allocate(16)));
}

TEST_P(SegregateTest, ALargeSideWithinTheSmallOneIsNeverUsed) {
  ca_bump within;
  ca_bump_init_range(&within, ca_allocate(&small_.base, 512, 16), GetParam());
  EXPECT_TRUE(
      ca_segregate_init(&segregate_, ca_bump_allocator(&small_), ca_bump_allocator(&within), 100));
  EXPECT_TRUE(ca_block_is_none(Allocate(200)));
  EXPECT_LE(ca_bump_used(&within), 8U);
  EXPECT_TRUE(IsSmall(Allocate(50)));
  ca_bump_destroy(&within);
}

}  // namespace
