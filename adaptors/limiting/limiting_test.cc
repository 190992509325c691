#include "adaptors/limiting/limiting.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "adaptors/testing/rounding.h"
#include "allocators/bump/bump.h"
#include "allocators/testing/allocator_model.h"

namespace {

using ca_testing::Rounding;

class LimitingTest : public testing::TestWithParam<bool> {
 protected:
  LimitingTest() : rounding_(GetParam()) {
    ca_limiting_init(&limiting_, rounding_.get(), CA_SIZES_RECORDED, 1000, nullptr);
  }
  bool recorded() { return GetParam(); }
  std::size_t Counted(std::size_t size) { return recorded() ? Rounding::RoundUp(size) : size; }
  ca_allocator *allocator() { return ca_limiting_allocator(&limiting_); }
  ca_budget *budget() { return ca_limiting_budget(&limiting_); }
  ca_block Allocate(std::size_t size) { return ca_allocate(allocator(), size, 16); }

  Rounding rounding_;
  ca_limiting limiting_;
};
INSTANTIATE_TEST_SUITE_P(Sizes, LimitingTest, testing::Bool());

TEST_P(LimitingTest, ServesUpToTheLimitAndNotAByteMore) {
  EXPECT_EQ(Allocate(500).size, Counted(500));
  EXPECT_EQ(ca_budget_used(budget()), Counted(500));
  EXPECT_TRUE(ca_block_is_none(Allocate(501)));
  EXPECT_EQ(budget()->refusals, 1U);
  EXPECT_EQ(ca_budget_used(budget()), Counted(500));
  EXPECT_EQ(ca_block_is_none(Allocate(500)), recorded()) << "512 + 512 recorded are too much";
  EXPECT_EQ(rounding_.live_bytes() == 512, recorded()) << "what was refused went back";
  EXPECT_LE(ca_budget_used(budget()), 1000U);
}

TEST_P(LimitingTest, TakesBackWhatItTookWhateverSizeDescribesTheBlock) {
  for (std::size_t asked = 1; asked <= 200; asked += 3) {
    const std::size_t got = Counted(asked);
    for (const std::size_t size : {asked, (asked + got) / 2, got}) {
      const ca_block block = Allocate(asked);
      ASSERT_EQ(ca_budget_used(budget()), got);
      ca_deallocate(allocator(), block.ptr, size, 16);
      ASSERT_EQ(ca_budget_used(budget()), 0U);
    }
  }
}

TEST_P(LimitingTest, GrowingTakesTheDifferenceOrRefuses) {
  ca_block block = Allocate(100);
  block = ca_grow(allocator(), block.ptr, 100, 900, 16, CA_MOVE_ALLOWED);
  EXPECT_EQ(block.size, Counted(900));
  EXPECT_EQ(ca_budget_used(budget()), Counted(900));
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 900, 1001, 16, CA_MOVE_NEVER)));
  EXPECT_EQ(ca_budget_used(budget()), Counted(900));
  EXPECT_EQ(ca_block_is_none(ca_grow(allocator(), block.ptr, 900, 1000, 16, CA_MOVE_NEVER)),
            recorded());
  EXPECT_EQ(ca_budget_used(budget()), recorded() ? 960U : 1000U);
  if (recorded()) EXPECT_EQ(rounding_.live_bytes(), 960U) << "the growth was given back";
}

TEST_P(LimitingTest, GrowingWithinWhatTheBlockHasTakesNothing) {
  const ca_block block = Allocate(900);
  ca_budget_set_limit(budget(), 0);
  const std::size_t within = (900 + block.size) / 2;
  const ca_block same = ca_grow(allocator(), block.ptr, 900, within, 16, CA_MOVE_NEVER);
  EXPECT_EQ(same.ptr, block.ptr);
  EXPECT_EQ(same.size, block.size);
  EXPECT_EQ(ca_budget_used(budget()), block.size);
}

TEST_P(LimitingTest, AGrowThatTheInnerAllocatorRefusesTakesNothing) {
  ca_limiting_init(&limiting_, rounding_.get(), CA_SIZES_RECORDED, 100000, nullptr);
  const ca_block block = Allocate(100);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 100, 5000, 16, CA_MOVE_ALLOWED)));
  EXPECT_TRUE(ca_block_is_none(Allocate(5000)));
  EXPECT_EQ(ca_budget_used(budget()), Counted(100));
  EXPECT_EQ(budget()->refusals, 0U);
}

TEST_P(LimitingTest, ShrinkingGivesBackTheDifference) {
  ca_block block = Allocate(900);
  block = ca_shrink(allocator(), block.ptr, 900, 100, 16, CA_MOVE_NEVER);
  EXPECT_EQ(block.size, Counted(100));
  EXPECT_EQ(ca_budget_used(budget()), Counted(100));
  ca_deallocate(allocator(), block.ptr, 100, 16);
  EXPECT_EQ(ca_budget_used(budget()), 0U);
}

TEST_P(LimitingTest, WhatTheInnerAllocatorKeepsStaysCounted) {
  rounding_.KeepTails();
  ca_block block = Allocate(900);
  block = ca_shrink(allocator(), block.ptr, 900, 100, 16, CA_MOVE_NEVER);
  EXPECT_EQ(ca_budget_used(budget()), recorded() ? 960U : 100U);
  ca_deallocate(allocator(), block.ptr, 100, 16);
  EXPECT_EQ(ca_budget_used(budget()), 0U);
  if (!recorded()) return;
  block = Allocate(900);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 900, 1000, 16, CA_MOVE_NEVER)));
  EXPECT_EQ(ca_budget_used(budget()), 1024U) << "what is in use may exceed the limit";
  ca_deallocate(allocator(), block.ptr, 900, 16);
  EXPECT_EQ(ca_budget_used(budget()), 0U);
}

// Some allocators have, where a shrink moves the block, nothing but a larger one.
TEST(LimitingShrinkTest, AShrinkThatMovesToALargerBlockIsCounted) {
  ca_testing::Rounding rounding(true);
  ca_allocator_ops ops = *rounding.get()->ops;
  ops.shrink = [](ca_allocator *base, void *ptr, std::size_t size, std::size_t, std::size_t align,
                  ca_move) {
    const ca_block moved = ca_allocate(base, 512, align);
    ca_deallocate(base, ptr, size, align);
    return moved;
  };
  rounding.get()->ops = &ops;
  ca_limiting limiting;
  ca_limiting_init(&limiting, rounding.get(), CA_SIZES_RECORDED, 200, nullptr);
  ca_allocator *const allocator = ca_limiting_allocator(&limiting);
  const ca_block block = ca_allocate(allocator, 100, 16);
  const ca_block shrunk = ca_shrink(allocator, block.ptr, 100, 50, 16, CA_MOVE_ALLOWED);
  EXPECT_EQ(shrunk.size, 512U);
  EXPECT_EQ(ca_budget_used(ca_limiting_budget(&limiting)), 512U);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator, 1, 16)));
  ca_deallocate(allocator, shrunk.ptr, 50, 16);
  EXPECT_EQ(ca_budget_used(ca_limiting_budget(&limiting)), 0U);
}

TEST_P(LimitingTest, ALimitBelowWhatIsLiveLetsBlocksLiveShrinkAndGo) {
  ca_block block = Allocate(640);
  ca_budget_set_limit(budget(), 320);
  EXPECT_EQ(ca_budget_room(budget()), 0U);
  EXPECT_TRUE(ca_block_is_none(Allocate(1)));
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 640, 641, 16, CA_MOVE_NEVER)));
  EXPECT_EQ(ca_grow(allocator(), block.ptr, 640, 640, 16, CA_MOVE_NEVER).size, 640U);
  block = ca_shrink(allocator(), block.ptr, 640, 256, 16, CA_MOVE_NEVER);
  EXPECT_EQ(ca_budget_used(budget()), 256U);
  EXPECT_FALSE(ca_block_is_none(Allocate(64)));
  ca_deallocate(allocator(), block.ptr, 256, 16);
  EXPECT_EQ(ca_budget_used(budget()), 64U);
}

TEST(BudgetTest, NothingMayBeTakenEvenAboveTheLimitAndSumsDoNotWrap) {
  ca_budget parent, child;
  ca_budget_init(&parent, SIZE_MAX, nullptr);
  ca_budget_init(&child, SIZE_MAX, &parent);
  EXPECT_TRUE(ca_budget_take(&child, 10));
  EXPECT_FALSE(ca_budget_take(&child, SIZE_MAX - 9));
  EXPECT_EQ(child.refusals, 1U);
  ca_budget_set_limit(&parent, 5);
  EXPECT_TRUE(ca_budget_take(&child, 0));
  EXPECT_FALSE(ca_budget_take(&child, 1));
  EXPECT_EQ(parent.refusals, 1U);
  EXPECT_EQ(ca_budget_used(&child), 10U);
  EXPECT_EQ(ca_budget_used(&parent), 10U);
}

TEST(BudgetTest, NothingStaysAheadWhereALimitIsPassed) {
  ca_budget parent, one, other;
  ca_budget_init(&parent, 1000, nullptr);
  ca_budget_init(&one, 1000, &parent);
  ca_budget_init(&other, 1000, &parent);
  EXPECT_TRUE(ca_budget_take(&one, 1));
  EXPECT_GT(one.granted, one.taken) << "something is ahead";
  ca_budget_take_anyway(&other, 1200);
  EXPECT_FALSE(ca_budget_take(&one, 1));
  EXPECT_EQ(parent.refusals, 1U);
  EXPECT_EQ(ca_budget_used(&parent), 1201U);
}

// Where it would be seen: the range's highest use.
TEST(LimitingRefusalTest, WhatHasNoRoomIsNotAskedOfTheInnerAllocator) {
  alignas(16) static char memory[4096];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_RECORDED);
  ca_limiting limiting;
  ca_limiting_init(&limiting, ca_bump_allocator(&bump), CA_SIZES_RECORDED, 100, nullptr);
  ca_allocator *const allocator = ca_limiting_allocator(&limiting);
  ASSERT_FALSE(ca_block_is_none(ca_allocate(allocator, 60, 16)));
  const std::size_t peak = ca_bump_peak(&bump);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator, 41, 16)));
  EXPECT_EQ(ca_bump_peak(&bump), peak);
  ca_budget_set_limit(ca_limiting_budget(&limiting), 10);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator, 1, 16)));
  EXPECT_EQ(ca_bump_peak(&bump), peak);
  ca_bump_destroy(&bump);
}

TEST_P(LimitingTest, NothingFitsInABudgetOfNothing) {
  ca_budget_set_limit(budget(), 0);
  EXPECT_TRUE(ca_block_is_none(Allocate(1)));
  ca_budget_set_limit(budget(), SIZE_MAX);
  EXPECT_TRUE(ca_block_is_none(Allocate(SIZE_MAX)));
  EXPECT_TRUE(ca_block_is_none(Allocate(5000)));
  EXPECT_EQ(ca_budget_used(budget()), 0U);
  EXPECT_FALSE(ca_block_is_none(Allocate(4096)));
}

TEST_P(LimitingTest, AChildTakesFromItsParentsToo) {
  ca_budget tenant;
  ca_budget_init(&tenant, 1000, nullptr);
  ca_limiting first, second;
  ca_limiting_init(&first, rounding_.get(), CA_SIZES_RECORDED, 700, &tenant);
  ca_limiting_init(&second, rounding_.get(), CA_SIZES_RECORDED, 700, &tenant);
  ca_allocator *one = ca_limiting_allocator(&first);
  ca_allocator *other = ca_limiting_allocator(&second);
  const ca_block block = ca_allocate(one, 640, 16);
  EXPECT_EQ(ca_budget_used(&tenant), 640U);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(other, 640, 16))) << "its own budget has room";
  EXPECT_EQ(tenant.refusals, 1U);
  EXPECT_EQ(second.budget.refusals, 0U);
  EXPECT_EQ(ca_budget_used(&second.budget), 0U) << "taken from all or from none";
  EXPECT_FALSE(ca_block_is_none(ca_allocate(other, 320, 16)));
  EXPECT_EQ(ca_budget_used(&tenant), 960U);
  ca_deallocate(one, block.ptr, 640, 16);
  EXPECT_EQ(ca_budget_used(&tenant), 320U);
  ca_limiting_reset(&second);
  EXPECT_EQ(ca_budget_used(&second.budget), 0U);
  EXPECT_EQ(ca_budget_used(&tenant), 0U);
}

TEST_P(LimitingTest, ALevelInTheMiddleRefusesAndNobodyKeepsAnything) {
  ca_budget top, middle;
  ca_budget_init(&top, 10000, nullptr);
  ca_budget_init(&middle, 100, &top);
  ca_limiting_init(&limiting_, rounding_.get(), CA_SIZES_RECORDED, 1000, &middle);
  EXPECT_TRUE(ca_block_is_none(Allocate(128)));
  EXPECT_EQ(ca_budget_used(&top) + ca_budget_used(&middle) + ca_budget_used(budget()), 0U);
  EXPECT_EQ(top.refusals, 0U);
  EXPECT_EQ(middle.refusals, 1U);
  EXPECT_FALSE(ca_block_is_none(Allocate(64)));
  EXPECT_EQ(ca_budget_used(&top), 64U);
}

// Two tenants with five adaptors each and plain counts beside them: refused is exactly what the
// counts leave no room for, whatever the others took ahead.
class BudgetTreeTest : public testing::Test {
 protected:
  static constexpr std::size_t kOrganisation = 400000, kTenant = 250000, kLeaf = 100000;
  BudgetTreeTest() {
    ca_budget_init(&organisation_, kOrganisation, nullptr);
    for (ca_budget &tenant : tenants_) ca_budget_init(&tenant, kTenant, &organisation_);
    for (int i = 0; i < 10; ++i) ca_budget_init(&leaves_[i], kLeaf, &tenants_[i % 2]);
  }
  std::size_t UsedBy(int tenant) const {
    std::size_t used = 0;
    for (int i = tenant; i < 10; i += 2) used += used_[i];
    return used;
  }
  bool HasRoom(int leaf, std::size_t bytes) const {
    return used_[leaf] + bytes <= leaf_limit_ && UsedBy(leaf % 2) + bytes <= tenant_limit_ &&
           UsedBy(0) + UsedBy(1) + bytes <= kOrganisation;
  }
  bool Holds() const {
    for (const ca_budget &leaf : leaves_) {
      if (!ca_budget_check(&leaf)) return false;
    }
    return organisation_.taken <= kOrganisation;
  }
  void Step(std::mt19937 *random) {
    const int leaf = static_cast<int>((*random)() % 10);
    const std::size_t bytes = (*random)() % ((*random)() % 16 == 0 ? 30000 : 1000);
    if ((*random)() % 5 < 2) {
      const std::size_t back = std::min(bytes, used_[leaf]);
      ca_budget_give_back(&leaves_[leaf], back);
      used_[leaf] -= back;
      return;
    }
    const bool has_room = bytes == 0 || HasRoom(leaf, bytes);
    ASSERT_EQ(ca_budget_take(&leaves_[leaf], bytes), has_room);
    if (has_room) used_[leaf] += bytes;
  }
  void ExpectExact() {
    for (int i = 0; i < 10; ++i) ASSERT_EQ(ca_budget_used(&leaves_[i]), used_[i]);
    for (int i = 0; i < 2; ++i) ASSERT_EQ(ca_budget_used(&tenants_[i]), UsedBy(i));
    ASSERT_EQ(ca_budget_used(&organisation_), UsedBy(0) + UsedBy(1));
  }

  ca_budget organisation_, tenants_[2], leaves_[10];
  std::size_t used_[10] = {}, tenant_limit_ = kTenant, leaf_limit_ = kLeaf;
};

TEST_F(BudgetTreeTest, WhatIsTakenAheadRefusesNobody) {
  std::mt19937 random(1);
  for (int step = 0; step < 20000; ++step) {
    Step(&random);
    ASSERT_TRUE(Holds()) << step;
    if (HasFatalFailure()) return;
    if (step % 1000 == 0) ExpectExact();
  }
  for (const ca_budget &tenant : tenants_) EXPECT_GT(tenant.refusals, 0U);
  EXPECT_GT(organisation_.refusals, 0U);
}

TEST_F(BudgetTreeTest, NothingAheadServesAboveALimitThatWasLowered) {
  std::mt19937 random(2);
  for (int step = 0; step < 20000; ++step) {
    if (step % 500 == 0) {
      tenant_limit_ = step % 1000 == 0 ? kTenant / 2 : kTenant;
      for (ca_budget &tenant : tenants_) ca_budget_set_limit(&tenant, tenant_limit_);
      leaf_limit_ = step % 1500 == 0 ? kLeaf / 3 : kLeaf;
      for (ca_budget &leaf : leaves_) ca_budget_set_limit(&leaf, leaf_limit_);
    }
    Step(&random);
    if (HasFatalFailure()) return;
  }
  ExpectExact();
}

TEST_F(BudgetTreeTest, ABudgetThatEndsLeavesNothingAbove) {
  for (ca_budget &leaf : leaves_) EXPECT_TRUE(ca_budget_take(&leaf, 1000));
  EXPECT_GT(organisation_.taken, 10000U) << "something is ahead";
  for (int i = 0; i < 10; i += 3) {
    ca_budget_reset(&leaves_[i]);
    ca_budget_init(&leaves_[i], kLeaf, &tenants_[i % 2]);
  }
  EXPECT_EQ(ca_budget_used(&organisation_), 6000U);
  EXPECT_TRUE(Holds());
  for (ca_budget &leaf : leaves_) ca_budget_reset(&leaf);
  EXPECT_EQ(organisation_.taken + tenants_[0].taken + tenants_[1].taken, 0U);
}

TEST_F(BudgetTreeTest, OnlyTheFirstCallAsksAbove) {
  EXPECT_TRUE(ca_budget_take(&leaves_[0], 100));
  const std::size_t before = organisation_.taken;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(ca_budget_take(&leaves_[0], 100));
    ca_budget_give_back(&leaves_[0], 100);
  }
  const std::size_t ahead = leaves_[0].granted - leaves_[0].taken;
  EXPECT_TRUE(ca_budget_take(&leaves_[0], ahead)) << "to the last byte";
  EXPECT_EQ(organisation_.taken, before);
  ca_budget_give_back(&leaves_[0], ahead + 100);
  EXPECT_LE(organisation_.taken, 2 * 16384U);
}

TEST_P(LimitingTest, AChildMayStandOnItsParentsAllocator) {
  ca_limiting child;
  ca_limiting_init(&child, allocator(), CA_SIZES_RECORDED, 500, nullptr);
  const ca_block block = ca_allocate(ca_limiting_allocator(&child), 448, 16);
  EXPECT_EQ(ca_budget_used(budget()), 448U);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(ca_limiting_allocator(&child), 100, 16)));
  ca_deallocate(ca_limiting_allocator(&child), block.ptr, 448, 16);
  EXPECT_EQ(ca_budget_used(budget()), 0U);
}

TEST_P(LimitingTest, UnsizedDeallocationIsOfferedWhereInnerOffersItAndGivesBack) {
  EXPECT_EQ(allocator()->ops->deallocate_unsized != nullptr, recorded());
  if (!recorded()) return;
  const ca_block block = Allocate(100);
  EXPECT_EQ(allocator()->ops->usable_size(allocator(), block.ptr), 128U);
  allocator()->ops->deallocate_unsized(allocator(), block.ptr);
  EXPECT_EQ(ca_budget_used(budget()), 0U);
  EXPECT_EQ(rounding_.live_bytes(), 0U);
}

TEST_P(LimitingTest, StaysExactUnderRandomOperations) {
  ca_limiting_init(&limiting_, rounding_.get(), CA_SIZES_RECORDED, 20000, nullptr);
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    ca_testing::ModelLimits limits;
    limits.max_align = 64;
    ca_testing::AllocatorModel model(
        allocator(), [&random] { return static_cast<std::uint32_t>(random()); }, limits);
    for (int step = 0; step < 500; ++step) {
      ASSERT_EQ(model.Step(), "");
      ASSERT_LE(ca_budget_used(budget()), 20000U);
      if (recorded()) ASSERT_EQ(ca_budget_used(budget()), rounding_.live_bytes());
    }
    ASSERT_EQ(model.FreeAll(), "");
    ASSERT_EQ(ca_budget_used(budget()), 0U) << "seed " << seed;
  }
  EXPECT_GT(budget()->refusals, 0U);
}

#ifndef NDEBUG
TEST(LimitingDeathTest, GivingBackMoreThanWasTakenIsACallersError) {
  ca_budget budget;
  ca_budget_init(&budget, 100, nullptr);
  EXPECT_DEATH(ca_budget_give_back(&budget, 1), "taken >= bytes");
}
#endif

}  // namespace
