#include "adaptors/tracking/tracking.h"

#include <gtest/gtest.h>

#include <csetjmp>
#include <cstring>
#include <random>

#include "adaptors/testing/rounding.h"
#include "allocators/bump/bump.h"
#include "allocators/testing/allocator_model.h"

namespace {

class TrackingTest : public testing::TestWithParam<bool> {
 protected:
  TrackingTest() : rounding_(GetParam()) {
    ca_tracking_init(&tracking_, rounding_.get(), CA_SIZES_RECORDED);
  }
  bool recorded() { return GetParam(); }
  // What is counted for a block of `size`.
  std::size_t Counted(std::size_t size) {
    return recorded() ? ca_testing::Rounding::RoundUp(size) : size;
  }
  ca_allocator *allocator() { return ca_tracking_allocator(&tracking_); }
  ca_tracking_usage Read() { return ca_tracking_read(&tracking_); }
  bool Check() { return allocator()->ops->check(allocator()); }

  ca_testing::Rounding rounding_;
  ca_tracking tracking_;
};
INSTANTIATE_TEST_SUITE_P(Sizes, TrackingTest, testing::Bool());

TEST_P(TrackingTest, CountsWhatItHandsOut) {
  const ca_block block = ca_allocate(allocator(), 100, 16);
  EXPECT_EQ(block.size, Counted(100));
  ca_tracking_usage usage = Read();
  EXPECT_EQ(usage.allocations, 1U);
  EXPECT_EQ(usage.allocated_bytes, Counted(100));
  EXPECT_EQ(usage.peak_bytes, Counted(100));
  EXPECT_EQ(ca_tracking_live_bytes(&usage), static_cast<std::ptrdiff_t>(Counted(100)));
  EXPECT_EQ(ca_tracking_live_blocks(&usage), 1);
  ca_deallocate(allocator(), block.ptr, 100, 16);
  usage = Read();
  EXPECT_EQ(usage.deallocations, 1U);
  EXPECT_EQ(usage.deallocated_bytes, Counted(100));
  EXPECT_EQ(usage.peak_bytes, Counted(100));
  EXPECT_EQ(ca_tracking_live_bytes(&usage), 0);
  EXPECT_EQ(ca_tracking_live_blocks(&usage), 0);
}

TEST_P(TrackingTest, TakesAwayWhatItAddedWhateverSizeDescribesTheBlock) {
  for (std::size_t asked = 1; asked <= 200; asked += 3) {
    const std::size_t got = Counted(asked);
    for (const std::size_t size : {asked, (asked + got) / 2, got}) {
      ca_block block = ca_allocate(allocator(), asked, 16);
      ASSERT_EQ(block.size, got);
      ca_deallocate(allocator(), block.ptr, size, 16);
      const ca_tracking_usage usage = Read();
      ASSERT_EQ(ca_tracking_live_bytes(&usage), 0) << asked << ", " << size;
    }
  }
}

TEST_P(TrackingTest, CountsGrowingAndShrinking) {
  ca_block block = ca_allocate(allocator(), 100, 16);
  block = ca_grow(allocator(), block.ptr, 100, 1000, 16, CA_MOVE_NEVER);
  EXPECT_EQ(block.size, Counted(1000));
  ca_tracking_usage usage = Read();
  EXPECT_EQ(usage.grows, 1U);
  EXPECT_EQ(usage.grown_bytes, Counted(1000) - Counted(100));
  EXPECT_EQ(usage.peak_bytes, Counted(1000));
  block = ca_shrink(allocator(), block.ptr, 1000, 10, 16, CA_MOVE_NEVER);
  EXPECT_EQ(block.size, Counted(10));
  usage = Read();
  EXPECT_EQ(usage.shrinks, 1U);
  EXPECT_EQ(usage.shrunk_bytes, Counted(1000) - Counted(10));
  EXPECT_EQ(ca_tracking_live_bytes(&usage), static_cast<std::ptrdiff_t>(Counted(10)));
  EXPECT_EQ(usage.peak_bytes, Counted(1000));
  ca_deallocate(allocator(), block.ptr, 10, 16);
  usage = Read();
  EXPECT_EQ(ca_tracking_live_bytes(&usage), 0);
  EXPECT_EQ(usage.deallocated_bytes, Counted(10));
}

TEST_P(TrackingTest, CountsRefusalsAndNothingElseForThem) {
  const ca_block block = ca_allocate(allocator(), 64, 16);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 5000, 16)));
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 64, 5000, 16, CA_MOVE_ALLOWED)));
  const ca_tracking_usage usage = Read();
  EXPECT_EQ(usage.refusals, 1U);
  EXPECT_EQ(usage.allocations, 1U);
  EXPECT_EQ(usage.allocated_bytes, 64U);
  EXPECT_EQ(usage.grows, 0U);
  EXPECT_EQ(usage.grown_bytes, 0U);
  EXPECT_EQ(usage.peak_bytes, 64U);
}

TEST_P(TrackingTest, StaysExactUnderRandomOperations) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    ca_testing::ModelLimits limits;
    limits.max_align = 64;
    limits.max_blocks = 40;
    ca_testing::AllocatorModel model(
        allocator(), [&random] { return static_cast<std::uint32_t>(random()); }, limits);
    for (int step = 0; step < 500; ++step) {
      ASSERT_EQ(model.Step(), "");
      const ca_tracking_usage usage = Read();
      if (recorded()) {
        ASSERT_EQ(ca_tracking_live_bytes(&usage),
                  static_cast<std::ptrdiff_t>(rounding_.live_bytes()));
      }
      ASSERT_EQ(ca_tracking_live_blocks(&usage), static_cast<std::ptrdiff_t>(model.live_blocks()));
    }
    ASSERT_EQ(model.FreeAll(), "");
    const ca_tracking_usage usage = Read();
    ASSERT_EQ(ca_tracking_live_bytes(&usage), 0) << "seed " << seed;
  }
}

TEST_P(TrackingTest, UnsizedDeallocationIsOfferedWhereInnerOffersItAndCounted) {
  EXPECT_EQ(allocator()->ops->usable_size != nullptr, recorded());
  EXPECT_EQ(allocator()->ops->owns, nullptr);
  if (!recorded()) return;
  const ca_block block = ca_allocate(allocator(), 100, 16);
  allocator()->ops->deallocate_unsized(allocator(), block.ptr);
  const ca_tracking_usage usage = Read();
  EXPECT_EQ(usage.deallocations, 1U);
  EXPECT_EQ(usage.deallocated_bytes, 128U);
}

TEST_P(TrackingTest, WithSizesForgottenTheInnerRecordIsNotUsed) {
  ca_tracking_init(&tracking_, rounding_.get(), CA_SIZES_FORGOTTEN);
  EXPECT_EQ(allocator()->ops->usable_size, nullptr);
  EXPECT_EQ(allocator()->ops->deallocate_unsized, nullptr);
  ca_block block = ca_allocate(allocator(), 100, 16);
  EXPECT_EQ(block.size, 100U);
  block = ca_grow(allocator(), block.ptr, 100, 150, 16, CA_MOVE_NEVER);
  EXPECT_EQ(block.size, 150U);
  const ca_tracking_usage usage = Read();
  EXPECT_EQ(ca_tracking_live_bytes(&usage), 150);
}

TEST_P(TrackingTest, ResetCountsEverythingAsDeallocated) {
  ca_allocate(allocator(), 64, 16);
  ca_allocate(allocator(), 128, 16);
  ca_tracking_reset(&tracking_);
  const ca_tracking_usage usage = Read();
  EXPECT_EQ(usage.deallocations, 2U);
  EXPECT_EQ(usage.deallocated_bytes, 192U);
  EXPECT_EQ(ca_tracking_live_bytes(&usage), 0);
  EXPECT_TRUE(Check());
}

void UseSome(ca_allocator *allocator, void *argument) {
  const ca_block kept = ca_allocate(allocator, 64, 16);
  const ca_block freed = ca_allocate(allocator, 256, 16);
  ca_deallocate(allocator, freed.ptr, 256, 16);
  *static_cast<ca_block *>(argument) = kept;
}

TEST_P(TrackingTest, TellsWhatACallbackUsed) {
  const ca_block before = ca_allocate(allocator(), 1024, 16);
  const ca_block more = ca_allocate(allocator(), 2048, 16);
  ca_deallocate(allocator(), more.ptr, 2048, 16);
  ca_block kept;
  const ca_tracking_usage usage = ca_tracking_usage_of(&tracking_, UseSome, &kept);
  EXPECT_EQ(usage.allocations, 2U);
  EXPECT_EQ(usage.deallocations, 1U);
  EXPECT_EQ(usage.allocated_bytes, 320U);
  EXPECT_EQ(usage.deallocated_bytes, 256U);
  EXPECT_EQ(usage.peak_bytes, 320U) << "above what was live, not the peak of before";
  EXPECT_EQ(ca_tracking_live_bytes(&usage), 64);
  EXPECT_EQ(Read().peak_bytes, 3072U) << "the peak of all is not lost";
  ca_deallocate(allocator(), kept.ptr, 64, 16);
  ca_deallocate(allocator(), before.ptr, 1024, 16);
}

TEST_P(TrackingTest, ACallbackThatFreesMoreThanItMakesHasUsedLessThanNothing) {
  const ca_block block = ca_allocate(allocator(), 128, 16);
  const ca_tracking_scope scope = ca_tracking_begin(&tracking_);
  ca_deallocate(allocator(), block.ptr, 128, 16);
  const ca_tracking_usage usage = ca_tracking_end(&tracking_, &scope);
  EXPECT_EQ(ca_tracking_live_bytes(&usage), -128);
  EXPECT_EQ(ca_tracking_live_blocks(&usage), -1);
  EXPECT_EQ(usage.peak_bytes, 0U);
}

TEST_P(TrackingTest, ScopesNestAndEachHasItsPeak) {
  const ca_tracking_scope outer = ca_tracking_begin(&tracking_);
  ca_block block = ca_allocate(allocator(), 1024, 16);
  ca_deallocate(allocator(), block.ptr, 1024, 16);
  const ca_tracking_scope inner = ca_tracking_begin(&tracking_);
  block = ca_allocate(allocator(), 128, 16);
  EXPECT_TRUE(Check());
  EXPECT_EQ(ca_tracking_end(&tracking_, &inner).peak_bytes, 128U);
  EXPECT_EQ(ca_tracking_end(&tracking_, &outer).peak_bytes, 1024U);
  ca_deallocate(allocator(), block.ptr, 128, 16);
  const ca_tracking_scope lower = ca_tracking_begin(&tracking_);
  const ca_tracking_scope higher = ca_tracking_begin(&tracking_);
  block = ca_allocate(allocator(), 256, 16);
  ca_deallocate(allocator(), block.ptr, 256, 16);
  EXPECT_EQ(ca_tracking_end(&tracking_, &higher).peak_bytes, 256U);
  EXPECT_EQ(ca_tracking_end(&tracking_, &lower).peak_bytes, 256U);
}

TEST_P(TrackingTest, AScopeLeftByLongjmpLosesNoTotals) {
  std::jmp_buf out;
  ca_block block = ca_allocate(allocator(), 2048, 16);
  ca_deallocate(allocator(), block.ptr, 2048, 16);
  if (setjmp(out) == 0) {
    ca_tracking_usage_of(
        &tracking_,
        [](ca_allocator *, void *argument) {
          std::longjmp(*static_cast<std::jmp_buf *>(argument), 1);
        },
        &out);
  }
  EXPECT_EQ(Read().peak_bytes, 2048U);
  EXPECT_EQ(Read().allocations, 1U);
  EXPECT_TRUE(Check());
}

TEST_P(TrackingTest, CheckFindsCountsThatCannotBe) {
  EXPECT_TRUE(Check());
  const ca_tracking good = tracking_;
  tracking_.counts.deallocations = 1;
  EXPECT_FALSE(Check());
  tracking_ = good;
  tracking_.below_peak = 1;
  EXPECT_FALSE(Check());
  tracking_.peak = 1;
  EXPECT_FALSE(Check());
  tracking_ = good;
  tracking_.peak_before = 1;
  EXPECT_FALSE(Check());
  tracking_ = good;
  ca_deallocate(allocator(), ca_allocate(allocator(), 64, 16).ptr, 64, 16);
  EXPECT_TRUE(Check());
  tracking_.below_peak--;
  EXPECT_FALSE(Check()) << "bytes live, but no block";
}

TEST(TrackingOfBumpTest, ChecksTheInnerAllocatorToo) {
  char memory[256];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca_tracking tracking;
  ca_tracking_init(&tracking, ca_bump_allocator(&bump), CA_SIZES_FORGOTTEN);

  ca_allocator *allocator = ca_tracking_allocator(&tracking);
  EXPECT_TRUE(allocator->ops->check(allocator));
  EXPECT_TRUE(allocator->ops->owns(allocator, memory + 1));
  char *const end = bump.end;
  bump.end = bump.begin - 1;
  EXPECT_FALSE(allocator->ops->check(allocator));
  bump.end = end;
  ca_bump_destroy(&bump);
}

}  // namespace
