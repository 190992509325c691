#include "adaptors/failing/failing.h"

#include <gtest/gtest.h>

#include "allocators/bump/bump.h"

namespace {

class FailingTest : public testing::Test {
 protected:
  FailingTest() {
    ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), CA_SIZES_RECORDED);
    ca_failing_init(&failing_, ca_bump_allocator(&bump_), &plan_);
  }
  ~FailingTest() override { ca_bump_destroy(&bump_); }
  ca_allocator *allocator() { return ca_failing_allocator(&failing_); }
  bool Serves() { return !ca_block_is_none(ca_allocate(allocator(), 16, 16)); }

  alignas(16) char memory_[1024];
  ca_bump bump_;
  ca_failing_plan plan_ = {};
  ca_failing failing_;
};

TEST_F(FailingTest, RefusesNothingUnlessTold) {
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Serves());
  EXPECT_EQ(plan_.requests, 10U);
  EXPECT_EQ(plan_.refused, 0U);
}

TEST_F(FailingTest, RefusesTheNthRequestOnly) {
  ca_failing_plan_set(&plan_, 3, CA_FAILING_ONCE);
  for (int i = 1; i <= 6; ++i) EXPECT_EQ(Serves(), i != 3) << i;
  EXPECT_EQ(plan_.requests, 6U);
  EXPECT_EQ(plan_.refused, 1U);
}

TEST_F(FailingTest, RefusesAllFromTheNthOn) {
  ca_failing_plan_set(&plan_, 3, CA_FAILING_FROM_THEN_ON);
  for (int i = 1; i <= 6; ++i) EXPECT_EQ(Serves(), i < 3) << i;
  EXPECT_EQ(plan_.refused, 4U);
}

TEST_F(FailingTest, AGrowIsARequestButFreeingAndShrinkingAreNot) {
  ca_failing_plan_set(&plan_, 2, CA_FAILING_FROM_THEN_ON);
  ca_block block = ca_allocate(allocator(), 64, 16);
  block = ca_shrink(allocator(), block.ptr, 64, 32, 16, CA_MOVE_NEVER);
  EXPECT_EQ(block.size, 32U);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 32, 64, 16, CA_MOVE_NEVER)));
  ca_deallocate(allocator(), block.ptr, 32, 16);
  EXPECT_LE(ca_bump_used(&bump_), 8U);  // The padding below a record stays.
  EXPECT_EQ(plan_.requests, 2U);
}

TEST_F(FailingTest, ARefusalDoesNotReachTheInnerAllocator) {
  ca_failing_plan_set(&plan_, 1, CA_FAILING_FROM_THEN_ON);
  EXPECT_FALSE(Serves());
  EXPECT_EQ(ca_bump_used(&bump_), 0U);
}

TEST_F(FailingTest, OnePlanCountsTheRequestsOfSeveral) {
  ca_failing other;
  ca_failing_init(&other, ca_bump_allocator(&bump_), &plan_);
  ca_failing_plan_set(&plan_, 2, CA_FAILING_ONCE);
  EXPECT_TRUE(Serves());
  EXPECT_TRUE(ca_block_is_none(ca_allocate(ca_failing_allocator(&other), 16, 16)));
  EXPECT_TRUE(Serves());
}

TEST_F(FailingTest, SettingThePlanCountsAnew) {
  EXPECT_TRUE(Serves());
  ca_failing_plan_set(&plan_, 1, CA_FAILING_ONCE);
  EXPECT_FALSE(Serves());
  ca_failing_plan_set(&plan_, 0, CA_FAILING_FROM_THEN_ON);
  EXPECT_EQ(plan_.requests, 0U);
  EXPECT_EQ(plan_.refused, 0U);
  EXPECT_TRUE(Serves());
}

TEST_F(FailingTest, OffersWhatTheInnerAllocatorOffers) {
  ca_allocator *inner = ca_bump_allocator(&bump_);
  const ca_block block = ca_allocate(allocator(), 40, 16);
  EXPECT_EQ(allocator()->ops->usable_size(allocator(), block.ptr), 40U);
  EXPECT_TRUE(allocator()->ops->owns(allocator(), block.ptr));
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  allocator()->ops->deallocate_unsized(allocator(), block.ptr);
  EXPECT_LE(ca_bump_used(&bump_), 8U);
  ca_allocator_ops bare = *inner->ops;
  bare.usable_size = nullptr;
  bare.deallocate_unsized = nullptr;
  bare.owns = nullptr;
  bare.check = nullptr;
  inner->ops = &bare;
  ca_failing_init(&failing_, inner, &plan_);
  EXPECT_EQ(allocator()->ops->usable_size, nullptr);
  EXPECT_EQ(allocator()->ops->deallocate_unsized, nullptr);
  EXPECT_EQ(allocator()->ops->owns, nullptr);
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  bare.owns = [](const ca_allocator *, const void *) { return true; };
  ca_failing_init(&failing_, inner, &plan_);
  EXPECT_EQ(allocator()->ops->usable_size, nullptr);
  EXPECT_TRUE(allocator()->ops->owns(allocator(), nullptr));
}

}  // namespace
