#include "adaptors/fallback/fallback.h"

#include <gtest/gtest.h>

#include "adaptors/testing/rounding.h"
#include "allocators/bump/bump.h"

namespace {

class FallbackTest : public testing::TestWithParam<ca_sizes> {
 protected:
  FallbackTest() {
    ca_bump_init_range(&first_, ca_block_make(one_, sizeof one_), GetParam());
    ca_bump_init_range(&second_, ca_block_make(other_, sizeof other_), GetParam());
    EXPECT_TRUE(ca_fallback_init(&fallback_, first(), second()));
  }
  ~FallbackTest() override {
    ca_bump_destroy(&first_);
    ca_bump_destroy(&second_);
  }
  ca_allocator *first() { return ca_bump_allocator(&first_); }
  ca_allocator *second() { return ca_bump_allocator(&second_); }
  ca_allocator *allocator() { return ca_fallback_allocator(&fallback_); }
  const ca_allocator_ops *ops() { return allocator()->ops; }
  ca_block Allocate(std::size_t size) { return ca_allocate(allocator(), size, 16); }
  bool InFirst(ca_block block) { return first()->ops->owns(first(), block.ptr); }
  bool InSecond(ca_block block) { return second()->ops->owns(second(), block.ptr); }

  alignas(16) char one_[512];
  alignas(16) char other_[2048];
  ca_bump first_, second_;
  ca_fallback fallback_;
};
INSTANTIATE_TEST_SUITE_P(Sizes, FallbackTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(FallbackTest, AsksTheSecondWhenTheFirstRefuses) {
  EXPECT_TRUE(InFirst(Allocate(200)));
  EXPECT_TRUE(InSecond(Allocate(1000)));
  EXPECT_TRUE(InFirst(Allocate(200))) << "the first is asked each time";
  EXPECT_TRUE(InSecond(Allocate(200)));
  EXPECT_TRUE(ca_block_is_none(Allocate(1000)));
}

TEST_P(FallbackTest, BlocksGoBackToTheSideTheyCameFrom) {
  const ca_block one = Allocate(200);
  const ca_block other = Allocate(1000);
  ca_deallocate(allocator(), other.ptr, 1000, 16);
  EXPECT_LE(ca_bump_used(&second_), 8U);
  EXPECT_GE(ca_bump_used(&first_), 200U);
  ca_deallocate(allocator(), one.ptr, 200, 16);
  EXPECT_LE(ca_bump_used(&first_), 8U);
}

TEST_P(FallbackTest, ResizesOnTheSideOfTheBlock) {
  ca_block block = Allocate(1000);
  ASSERT_TRUE(InSecond(block));
  EXPECT_EQ(ca_grow(allocator(), block.ptr, 1000, 1100, 16, CA_MOVE_NEVER).ptr, block.ptr);
  EXPECT_EQ(ca_shrink(allocator(), block.ptr, 1100, 10, 16, CA_MOVE_NEVER).ptr, block.ptr);
  EXPECT_LE(ca_bump_used(&second_), 32U);
  block = Allocate(400);
  ASSERT_TRUE(InFirst(block));
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 400, 600, 16, CA_MOVE_ALLOWED)));
  block = ca_reallocate(allocator(), block.ptr, 400, 600, 16);
  EXPECT_TRUE(InSecond(block)) << "reallocate moves it to the side that has room";
  EXPECT_LE(ca_bump_used(&first_), 8U);
}

TEST_P(FallbackTest, OffersWhatBothSidesOffer) {
  EXPECT_EQ(ops()->usable_size != nullptr, GetParam() == CA_SIZES_RECORDED);
  const ca_block one = Allocate(200);
  const ca_block other = Allocate(1000);
  int local = 0;
  EXPECT_TRUE(ops()->owns(allocator(), one.ptr));
  EXPECT_TRUE(ops()->owns(allocator(), other.ptr));
  EXPECT_FALSE(ops()->owns(allocator(), &local));
  EXPECT_FALSE(ops()->owns(allocator(), nullptr));
  if (GetParam() == CA_SIZES_FORGOTTEN) return;
  EXPECT_EQ(ops()->usable_size(allocator(), one.ptr), 200U);
  EXPECT_EQ(ops()->usable_size(allocator(), other.ptr), 1000U);
  ops()->deallocate_unsized(allocator(), other.ptr);
  ops()->deallocate_unsized(allocator(), one.ptr);
  EXPECT_LE(ca_bump_used(&first_) + ca_bump_used(&second_), 16U);
}

TEST_P(FallbackTest, CheckLooksAtBothSides) {
  EXPECT_TRUE(ops()->check(allocator()));
  for (ca_bump *side : {&first_, &second_}) {
    char *const end = side->end;
    side->end = side->begin - 1;
    EXPECT_FALSE(ops()->check(allocator()));
    side->end = end;
  }
}

TEST_P(FallbackTest, OneSideThatTellsIsEnough) {
  ca_testing::Rounding silent(GetParam() == CA_SIZES_RECORDED);
  EXPECT_TRUE(ca_fallback_init(&fallback_, first(), silent.get()));
  EXPECT_EQ(ops()->owns, nullptr);
  ca_block block = Allocate(1000);
  EXPECT_EQ(silent.live_bytes(), 1024U);
  ca_deallocate(allocator(), block.ptr, 1000, 16);
  EXPECT_EQ(silent.live_bytes(), 0U);
  EXPECT_TRUE(ca_fallback_init(&fallback_, silent.get(), second()));
  block = Allocate(1000);
  EXPECT_EQ(silent.live_bytes(), 1024U);
  ca_deallocate(allocator(), block.ptr, 1000, 16);
  EXPECT_EQ(silent.live_bytes(), 0U);
  EXPECT_TRUE(InSecond(ca_allocate(allocator(), 100, 128)));
}

TEST_P(FallbackTest, SizesAreOfferedOnlyIfBothRecordThem) {
  ca_testing::Rounding recording(true), forgetting(false);
  EXPECT_TRUE(ca_fallback_init(&fallback_, first(), recording.get()));
  EXPECT_EQ(ops()->usable_size != nullptr, GetParam() == CA_SIZES_RECORDED);
  EXPECT_TRUE(ca_fallback_init(&fallback_, first(), forgetting.get()));
  EXPECT_EQ(ops()->usable_size, nullptr);
  EXPECT_EQ(ops()->deallocate_unsized, nullptr);
}

TEST_P(FallbackTest, TheSameAllocatorTwiceOrTwoThatCannotTellAreRefused) {
  EXPECT_FALSE(ca_fallback_init(&fallback_, first(), first()));
  EXPECT_TRUE(ca_block_is_none(Allocate(16)));
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), one_, 16, 32, 16, CA_MOVE_ALLOWED)));
  EXPECT_TRUE(ca_block_is_none(ca_shrink(allocator(), one_, 16, 8, 16, CA_MOVE_ALLOWED)));
  ca_deallocate(allocator(), one_, 16, 16);
  EXPECT_EQ(ca_bump_used(&first_), 0U);
  ca_testing::Rounding one(true), other(true);
  EXPECT_FALSE(ca_fallback_init(&fallback_, one.get(), other.get()));
  EXPECT_TRUE(ca_block_is_none(Allocate(16)));
}

TEST_P(FallbackTest, TheAskedSideMayLieWithinTheOther) {
  const ca_block region = ca_allocate(second(), 256, 16);
  ca_bump within;
  ca_bump_init_range(&within, region, GetParam());
  EXPECT_TRUE(ca_fallback_init(&fallback_, ca_bump_allocator(&within), second()));
  const ca_block one = Allocate(100);
  const ca_block other = Allocate(1000);
  EXPECT_TRUE(within.base.ops->owns(&within.base, one.ptr));
  EXPECT_FALSE(within.base.ops->owns(&within.base, other.ptr));
  const std::size_t used = ca_bump_used(&second_);
  ca_deallocate(allocator(), one.ptr, 100, 16);
  EXPECT_LE(ca_bump_used(&within), 8U);
  EXPECT_EQ(ca_bump_used(&second_), used);
  ca_bump_destroy(&within);
}

// An allocator whose range isn't known, over a bump; perhaps it can't tell either what it owns.
class Silent {
 public:
  explicit Silent(ca_bump *bump, bool tells = true) : ops_(*ca_bump_allocator(bump)->ops) {
    ops_.range = nullptr;
    it_.base.ops = &ops_;
    it_.bump = bump;
    ops_.allocate = [](ca_allocator *base, std::size_t size, std::size_t align) {
      return ca_allocate(Below(base), size, align);
    };
    ops_.deallocate = [](ca_allocator *base, void *ptr, std::size_t size, std::size_t align) {
      ca_deallocate(Below(base), ptr, size, align);
    };
    ops_.owns = [](const ca_allocator *base, const void *ptr) {
      return Below(base)->ops->owns(Below(base), ptr);
    };
    if (!tells) ops_.owns = nullptr;
  }
  ca_allocator *get() { return &it_.base; }

 private:
  struct Handle {
    ca_allocator base;  // First.
    ca_bump *bump;
  };
  static ca_allocator *Below(const ca_allocator *base) {
    return ca_bump_allocator(reinterpret_cast<const Handle *>(base)->bump);
  }
  ca_allocator_ops ops_;
  Handle it_;
};

TEST_P(FallbackTest, ASideWhoseRangeIsNotKnownIsAskedEachTime) {
  Silent silent(&first_);
  EXPECT_TRUE(ca_fallback_init(&fallback_, silent.get(), second()));
  const ca_block one = Allocate(200);
  const ca_block other = Allocate(1000);
  EXPECT_TRUE(InFirst(one));
  EXPECT_TRUE(InSecond(other));
  ca_deallocate(allocator(), other.ptr, 1000, 16);
  EXPECT_LE(ca_bump_used(&second_), 8U);
  ca_deallocate(allocator(), one.ptr, 200, 16);
  EXPECT_LE(ca_bump_used(&first_), 8U);
}

TEST_P(FallbackTest, ABlockOfASideWhoseRangeIsNotKnownIsChecked) {
  ca_bump within;
  ca_bump_init_range(&within, ca_allocate(first(), 256, 16), GetParam());
  Silent silent(&within);
  EXPECT_TRUE(ca_fallback_init(&fallback_, first(), silent.get()));
  while (!ca_block_is_none(Allocate(64))) {
  }
  EXPECT_LE(ca_bump_used(&within), 8U) << "what it gave went back";
  ca_bump_destroy(&within);
}

TEST_P(FallbackTest, AFirstThatCannotTellWithinTheSecondIsNeverUsed) {
  ca_bump within;
  ca_bump_init_range(&within, ca_allocate(second(), 256, 16), GetParam());
  Silent silent(&within, false);
  EXPECT_TRUE(ca_fallback_init(&fallback_, silent.get(), second()));
  const ca_block block = Allocate(64);
  ASSERT_FALSE(ca_block_is_none(block)) << "the second serves instead";
  EXPECT_FALSE(within.base.ops->owns(&within.base, block.ptr));
  EXPECT_LE(ca_bump_used(&within), 8U) << "what it gave went back";
  ca_bump_destroy(&within);
}

TEST_P(FallbackTest, RangesThatMeetAreApart) {
  alignas(16) char both[1024];
  ca_bump low, high;
  ca_bump_init_range(&low, ca_block_make(both, 512), GetParam());
  ca_bump_init_range(&high, ca_block_make(both + 512, 512), GetParam());
  for (const bool low_first : {true, false}) {
    ca_bump *first = low_first ? &low : &high, *second = low_first ? &high : &low;
    ASSERT_TRUE(ca_fallback_init(&fallback_, ca_bump_allocator(first), ca_bump_allocator(second)));
    EXPECT_EQ(fallback_.pair.claimable, nullptr);
    const ca_block one = Allocate(400), other = Allocate(400);
    ASSERT_FALSE(ca_block_is_none(other));
    ca_deallocate(allocator(), other.ptr, 400, 16);
    EXPECT_LE(ca_bump_used(second), 8U);
    ca_deallocate(allocator(), one.ptr, 400, 16);
    EXPECT_LE(ca_bump_used(first), 8U);
  }
  ca_bump_destroy(&high);
  ca_bump_init_range(&high, ca_block_make(both + 480, 512), GetParam());
  ASSERT_TRUE(ca_fallback_init(&fallback_, ca_bump_allocator(&low), ca_bump_allocator(&high)));
  EXPECT_EQ(fallback_.pair.claimable, ca_bump_allocator(&high)) << "they have bytes in common";
  ASSERT_TRUE(ca_fallback_init(&fallback_, ca_bump_allocator(&high), ca_bump_allocator(&low)));
  EXPECT_EQ(fallback_.pair.claimable, ca_bump_allocator(&low));
  ca_bump_destroy(&high);
  ca_bump_destroy(&low);
}

TEST_P(FallbackTest, ASideWithinTheAskedOneIsNeverUsed) {
  const ca_block region = ca_allocate(first(), 256, 16);
  ca_bump within;
  ca_bump_init_range(&within, region, GetParam());
  EXPECT_TRUE(ca_fallback_init(&fallback_, first(), ca_bump_allocator(&within)));
  while (!ca_block_is_none(Allocate(64))) {
  }
  EXPECT_LE(ca_bump_used(&within), 8U) << "what it gave went back";
  ca_bump_destroy(&within);
}

}  // namespace
