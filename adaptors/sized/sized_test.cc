#include "adaptors/sized/sized.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "adaptors/failing/failing.h"
#include "adaptors/testing/rounding.h"
#include "adaptors/tracking/tracking.h"
#include "allocators/bump/bump.h"
#include "base/poison.h"

namespace {

class SizedTest : public testing::TestWithParam<std::size_t> {
 protected:
  // The parameter shifts the inner allocator's memory: records and blocks meet every phase.
  SizedTest() {
    ca_bump_init_range(&bump_, ca_block_make(memory_ + GetParam(), sizeof memory_ - GetParam()),
                       CA_SIZES_FORGOTTEN);
    ca_sized_init(&sized_, ca_bump_allocator(&bump_));
  }
  ~SizedTest() override { ca_bump_destroy(&bump_); }

  ca_allocator *allocator() { return ca_sized_allocator(&sized_); }
  const ca_allocator_ops *ops() { return allocator()->ops; }
  ca_block Allocate(std::size_t size, std::size_t align = 16) {
    const ca_block block = ca_allocate(allocator(), size, align);
    EXPECT_FALSE(ca_block_is_none(block));
    EXPECT_TRUE(ca_is_aligned(block.ptr, align));
    EXPECT_GE(block.size, size);
    EXPECT_EQ(ops()->usable_size(allocator(), block.ptr), block.size);
    std::memset(block.ptr, 0xEE, block.size);
    return block;
  }

  alignas(16) char memory_[65536];
  ca_bump bump_;
  ca_sized sized_;
};
INSTANTIATE_TEST_SUITE_P(Shift, SizedTest, testing::Values(0, 1, 7, 8, 9, 15));

TEST_P(SizedTest, CostsEightBytesABlockAndKeepsSixteenByteAlignment) {
  Allocate(24);  // Finds the phase.
  const std::size_t before = ca_bump_used(&bump_);
  for (int i = 0; i < 100; ++i) Allocate(24);
  EXPECT_EQ(ca_bump_used(&bump_) - before, 100U * (24 + 8));
  for (const std::size_t size : {8, 40, 56, 104, 1000}) {
    const std::size_t used = ca_bump_used(&bump_);
    Allocate(size);
    EXPECT_EQ(ca_bump_used(&bump_) - used, size + 8);
  }
}

TEST_P(SizedTest, MixedSizesCostEightBytesAndTheRoundingToSixteen) {
  Allocate(24);
  for (std::size_t size = 1; size < 200; ++size) {
    const std::size_t used = ca_bump_used(&bump_);
    Allocate(size);
    EXPECT_EQ(ca_bump_used(&bump_) - used, (size + 8 + 15) / 16 * 16) << size;
  }
}

TEST_P(SizedTest, HonoursLargeAlignmentsOverAnInnerAllocatorThatHonoursEight) {
  for (std::size_t align = 1; align <= 16384; align *= 2) {
    const std::size_t used = ca_bump_used(&bump_);
    const ca_block block = Allocate(100, align);
    EXPECT_LE(ca_bump_used(&bump_) - used, 100 + 31 + (align > 16 ? align : 16));
    ca_deallocate(allocator(), block.ptr, 100, align);
    EXPECT_LE(ca_bump_used(&bump_), used + 8) << "the inner block is found again";
  }
}

TEST_P(SizedTest, DeallocatesWithoutASize) {
  Allocate(24);
  const std::size_t used = ca_bump_used(&bump_);
  const ca_block block = Allocate(1000);
  ops()->deallocate_unsized(allocator(), block.ptr);
  EXPECT_EQ(ca_bump_used(&bump_), used);
}

TEST_P(SizedTest, GrowsAndShrinksInPlaceWhereTheInnerAllocatorDoes) {
  ca_block block = Allocate(100);
  const ca_block grown = ca_grow(allocator(), block.ptr, 100, 1000, 16, CA_MOVE_NEVER);
  EXPECT_EQ(grown.ptr, block.ptr);
  EXPECT_GE(grown.size, 1000U);
  EXPECT_EQ(ops()->usable_size(allocator(), grown.ptr), grown.size);
  const std::size_t used = ca_bump_used(&bump_);
  const ca_block shrunk = ca_shrink(allocator(), block.ptr, 1000, 10, 16, CA_MOVE_NEVER);
  EXPECT_LE(shrunk.size, 24U);
  EXPECT_GE(used - ca_bump_used(&bump_), 970U);
  EXPECT_EQ(ops()->usable_size(allocator(), block.ptr), shrunk.size);
  Allocate(1);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 10, 100, 16, CA_MOVE_ALLOWED)));
  EXPECT_EQ(ca_grow(allocator(), block.ptr, 10, shrunk.size, 16, CA_MOVE_NEVER).ptr, block.ptr);
}

TEST_P(SizedTest, RefusesWhatTheRecordCannotHold) {
  const ca_block block = Allocate(16);
  ca_failing_plan plan = {};
  ca_failing failing;
  ca_failing_init(&failing, ca_bump_allocator(&bump_), &plan);
  ca_sized_init(&sized_, ca_failing_allocator(&failing));
  for (const std::size_t size :
       {(std::size_t{1} << 43) + 1, SIZE_MAX / 2, SIZE_MAX - 7, SIZE_MAX}) {
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), size, 16)));
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), size, 4096)));
    EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 16, size, 16, CA_MOVE_NEVER)));
  }
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 16, std::size_t{1} << 23)));
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 16, std::size_t{1} << 63)));
  EXPECT_EQ(plan.requests, 0U) << "the inner allocator isn't asked";
}

TEST_P(SizedTest, ARefusalOnTheSecondAttemptChangesNothing) {
  while (true) {
    const std::size_t used = ca_bump_used(&bump_);
    if (ca_block_is_none(ca_allocate(allocator(), 24, 16))) {
      EXPECT_EQ(ca_bump_used(&bump_), used);
      break;
    }
  }
}

TEST(SizedOverMultiplesOfSixteenTest, CostsSixteenBytesAndSoonAsksOnlyOnce) {
  ca_testing::Rounding rounding(false);
  ca_tracking tracking;
  ca_tracking_init(&tracking, rounding.get(), CA_SIZES_FORGOTTEN);
  ca_sized sized;
  ca_sized_init(&sized, ca_tracking_allocator(&tracking));
  ca_allocator *allocator = ca_sized_allocator(&sized);
  for (int i = 0; i < 10; ++i) {
    // 56 + 8 are a whole cell of 64, but the block would begin 8 above a multiple of 16.
    const ca_block block = ca_allocate(allocator, 56, 16);
    ASSERT_TRUE(ca_is_aligned(block.ptr, 16));
    EXPECT_EQ(block.size, 72U - 16);
    EXPECT_EQ(sized.misses, i == 0 ? 1U : 2U);
    ca_allocate(allocator, 56, 8);  // Fits either way, and says nothing about it.
  }
  EXPECT_EQ(ca_tracking_read(&tracking).allocations, 10U + 2 + 10);
  EXPECT_EQ(rounding.live_bytes(), 10 * 128U + 10 * 64U) << "first attempts were given back";
}

TEST(SizedOverMultiplesOfSixteenTest, FindsBackToTheCheaperWay) {
  alignas(16) static char memory[4096];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca_sized sized;
  ca_sized_init(&sized, ca_bump_allocator(&bump));
  sized.misses = 2;
  for (int i = 0; i < 4; ++i) ca_allocate(ca_sized_allocator(&sized), 24, 16);
  const std::size_t used = ca_bump_used(&bump);
  ca_allocate(ca_sized_allocator(&sized), 24, 16);
  EXPECT_EQ(ca_bump_used(&bump) - used, 32U);
  EXPECT_EQ(sized.misses, 0U);
  ca_bump_destroy(&bump);
}

using SizedDeathTest = SizedTest;
INSTANTIATE_TEST_SUITE_P(Shift, SizedDeathTest, testing::Values(0));

TEST_P(SizedDeathTest, MisuseIsReportedByName) {
  const ca_block block = Allocate(100);
  const ca_block freed = Allocate(100);
  EXPECT_DEATH(ca_deallocate_recorded(allocator(), block.ptr, block.size + 1), "wrong size");
  EXPECT_DEATH(ca_deallocate(allocator(), block.ptr, block.size + 1, 16),
               "deallocate\\(0x[0-9a-f]+\\): wrong size \\(sized\\)");
  char *const bytes = static_cast<char *>(block.ptr);
  std::memset(bytes, 0, 100);
  EXPECT_DEATH(ops()->deallocate_unsized(allocator(), bytes + 16), "not a block");
  EXPECT_DEATH(ops()->deallocate_unsized(allocator(), bytes + 1), "\\): not a block");
  EXPECT_DEATH(ops()->deallocate_unsized(allocator(), nullptr), "not a block");
  EXPECT_DEATH(ops()->usable_size(allocator(), bytes + 48), "usable_size.*not a block");
  Allocate(1);
  ops()->deallocate_unsized(allocator(), freed.ptr);
  EXPECT_DEATH(ops()->deallocate_unsized(allocator(), freed.ptr), "double free");
  EXPECT_DEATH(ca_deallocate(allocator(), freed.ptr, 100, 16), "double free");
}

TEST_P(SizedDeathTest, AWriteBeforeABlockIsReportedByAddressSanitizer) {
#if CA_POISON_ASAN
  volatile char *bytes = static_cast<char *>(Allocate(100).ptr);
  EXPECT_DEATH(bytes[-1] = 1, "use-after-poison");
#else
  GTEST_SKIP() << "only under --config=asan";
#endif
}

}  // namespace
