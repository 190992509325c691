// Contexts that begin in a small slot and get larger ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "switchable/quarantine.h"
#include "switchable/report.h"
#include "switchable/switchable.h"
#include "switchable/testing.h"

extern "C" {
#include "switchable/context_header.h"
}

namespace {

using ca_testing::Allocate;
using ca_testing::EveryKind;
using ca_testing::KindName;
using ca_testing::OnAnotherThread;
using ca_testing::SlotsOut;

constexpr std::size_t kKibibyte = 1024;
constexpr std::size_t kSmall = 16 * kKibibyte;
constexpr std::size_t kMiddle = 64 * kKibibyte;
constexpr std::size_t kLarge = 1024 * kKibibyte;
constexpr std::size_t kLargest = 4096 * kKibibyte;
constexpr std::size_t kMiddleSlots = 6;

class Slots : public testing::Environment {
 public:
  void SetUp() override {
    const ca_contexts_settings settings = {
        {{kSmall, 16, 0}, {kMiddle, kMiddleSlots, 0}, {kLarge, 4, 0}, {kLargest, 2, 0}}, nullptr};
    ASSERT_TRUE(ca_contexts_init(&settings));
  }
};
[[maybe_unused]] testing::Environment *const g_slots = testing::AddGlobalTestEnvironment(new Slots);

class GrowthTest : public testing::TestWithParam<ca_context_kind> {
 protected:
  GrowthTest() {
    settings_.name = "growing";
    settings_.budget = 300 * kKibibyte;
    settings_.first = 1000;
    settings_.kind = GetParam();
  }
  ~GrowthTest() override {
    ca_context_swap_out();
    if (!ca_context_is_none(context_)) {
      EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
    }
    EXPECT_EQ(SlotsOut(), 0U);
  }

  bool IsBump() const { return GetParam() == CA_CONTEXT_BUMP; }
  std::size_t SlotSize() const { return ca_context_count(context_).slot_size; }
  bool IsInFirst(const void *ptr) const { return ca_context_header_of(ptr) == context_.header; }

  void Create() {
    context_ = ca_context_create(&settings_);
    ASSERT_FALSE(ca_context_is_none(context_));
    SwapIn();
  }
  void Begin() {
    Create();
    EXPECT_EQ(SlotSize(), kSmall);
  }
  void SwapIn() const { ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE); }
  void Destroy() {
    EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
    context_ = {};
  }

  // Blocks until `size` bytes are refused, each filled with its number.
  std::vector<char *> Fill(std::size_t size) const {
    std::vector<char *> blocks;
    while (char *const ptr = Allocate(size)) {
      std::memset(ptr, static_cast<int>(blocks.size() % 127), size);
      blocks.push_back(ptr);
    }
    EXPECT_TRUE(ca_context_check(context_));
    return blocks;
  }
  static void ExpectWhole(const std::vector<char *> &blocks, std::size_t size) {
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(blocks[i][0], static_cast<char>(i % 127));
      EXPECT_EQ(std::memcmp(blocks[i], blocks[i] + 1, size - 1), 0) << i;
    }
  }

  // One block in the first slot and one in an extension.
  void BeginWithTwo() {
    Begin();
    near_ = Allocate(600);
    far_ = Allocate(kSmall);
    ASSERT_NE(near_, nullptr);
    ASSERT_NE(far_, nullptr);
    ASSERT_TRUE(IsInFirst(near_));
    ASSERT_FALSE(IsInFirst(far_));
    std::memset(near_, 1, 600);
    std::memset(far_, 2, kSmall);
  }

  ca_context_settings settings_{};
  ca_context context_{};
  char *near_ = nullptr;
  char *far_ = nullptr;
};

using GrowthDeathTest = GrowthTest;

INSTANTIATE_TEST_SUITE_P(Kinds, GrowthTest, EveryKind(), KindName);
INSTANTIATE_TEST_SUITE_P(Kinds, GrowthDeathTest, EveryKind(), KindName);

TEST_P(GrowthTest, GrowsUpToItsBudgetAndNoFurther) {
  Begin();
  const std::vector<char *> blocks = Fill(1000);
  const ca_context_counts full = ca_context_count(context_);
  EXPECT_EQ(full.slot_size, kSmall + kMiddle + kLarge) << "each a larger class";
  EXPECT_EQ(full.budget, settings_.budget);
  EXPECT_LE(full.used, full.peak);
  EXPECT_LE(full.peak, full.budget);
  EXPECT_GT(full.used, full.budget - full.budget / 10);
  EXPECT_GT(blocks.size() * 1024, full.budget - full.budget / 10);
  EXPECT_EQ(full.allocations, blocks.size());
  EXPECT_EQ(full.refusals, 1U);
  ExpectWhole(blocks, 1000);

  EXPECT_EQ(Allocate(1000), nullptr);
  const ca_context_counts again = ca_context_count(context_);
  EXPECT_EQ(again.used, full.used);
  EXPECT_EQ(again.slot_size, full.slot_size);
  EXPECT_EQ(again.allocations, full.allocations);
  EXPECT_EQ(SlotsOut(), 3U);
}

TEST_P(GrowthTest, FreedMemoryOfEverySlotServesAgain) {
  Begin();
  std::vector<char *> blocks = Fill(1000);
  const std::size_t slot_size = SlotSize();
  for (char *const block : blocks) ca_switchable_deallocate(block);
  const ca_context_counts freed = ca_context_count(context_);
  EXPECT_EQ(freed.allocations, freed.deallocations);
  if (IsBump()) {
    EXPECT_LT(freed.used, freed.budget) << "each slot's newest at least";
    return;
  }
  EXPECT_EQ(freed.used, 0U);
  std::vector<char *> again = Fill(1000);
  std::sort(blocks.begin(), blocks.end());
  std::sort(again.begin(), again.end());
  EXPECT_EQ(again.size(), blocks.size());
  EXPECT_EQ(again.front(), blocks.front());
  EXPECT_EQ(again.back(), blocks.back());
  EXPECT_EQ(SlotSize(), slot_size);
}

// What is left of the budget after the first slot fits the smallest class again, of which it takes a part.
TEST_P(GrowthTest, TheLastSlotIsCutToWhatTheBudgetLeaves) {
  settings_.budget = kSmall + 5000;
  Begin();
  const std::size_t overhead = context_.header->overhead;
  const std::size_t left = 5000 + overhead;
  if (IsBump()) {
    ASSERT_NE(Allocate(kSmall - overhead - 24), nullptr);
  } else {
    ASSERT_NE(Allocate(8000), nullptr);
    ASSERT_NE(Allocate(6000), nullptr);
  }
  EXPECT_EQ(Allocate(left + 1), nullptr) << "though its slot would hold it";
  EXPECT_EQ(Allocate(left - 15), nullptr) << "and what its kind needs";
  EXPECT_EQ(SlotsOut(), 1U) << "it was tried, and given back";
  EXPECT_NE(Allocate(IsBump() ? left - 16 : 4096), nullptr);
  EXPECT_EQ(SlotSize(), 2 * kSmall);
  if (IsBump()) {
    EXPECT_GE(ca_context_count(context_).used, settings_.budget - 32);
  }
  EXPECT_EQ(Allocate(4096), nullptr);
  EXPECT_TRUE(ca_context_check(context_));
}

TEST_P(GrowthTest, ABlockGrowsIntoWhatOthersFreed) {
  settings_.first = 0;
  settings_.budget = 8 * kKibibyte;
  Begin();
  char *const block = Allocate(100);
  char *const behind = Allocate(6000);
  ASSERT_NE(behind, nullptr);
  block[99] = 7;
  EXPECT_EQ(ca_switchable_reallocate(block, 3000, 16).ptr, nullptr);
  OnAnotherThread([behind] { ca_switchable_deallocate(behind); });
  const char *const grown = static_cast<char *>(ca_switchable_reallocate(block, 3000, 16).ptr);
  ASSERT_NE(grown, nullptr);
  EXPECT_EQ(grown[99], 7);
  EXPECT_EQ(ca_context_count(context_).taken_in, 1U);
}

// A family whose budget has so much room besides what this context begins with.
class GrowthInAFamilyTest : public GrowthTest {
 protected:
  void BeginInAFamilyWithRoom(std::size_t room) {
    Create();
    ca_context_swap_out();
    ca_context_settings family{};
    family.budget = kFamilysOwn;
    family.family_budget = kFamilysOwn + kSmall - context_.header->overhead + room;
    Destroy();
    settings_.parent = parent_ = ca_context_create(&family);
    Begin();
  }
  ~GrowthInAFamilyTest() override {
    ca_context_swap_out();
    EXPECT_EQ(ca_context_destroy(parent_), CA_CONTEXT_DONE);
    context_ = {};
  }
  ca_context_counts Family() const { return ca_context_count(parent_); }

  static constexpr std::size_t kFamilysOwn = 1000;
  ca_context parent_{};
};
INSTANTIATE_TEST_SUITE_P(Kinds, GrowthInAFamilyTest, EveryKind(), KindName);

TEST_P(GrowthInAFamilyTest, AnExtensionIsCutToWhatTheFamilyLeaves) {
  BeginInAFamilyWithRoom(9000);
  const std::vector<char *> blocks = Fill(1000);
  EXPECT_EQ(SlotSize(), kSmall + kMiddle);
  EXPECT_EQ(Family().family_used, Family().family_budget);
  EXPECT_EQ(Family().family_refusals, 1U) << "of the last request";
  EXPECT_GE(blocks.size() * 1024, kSmall + 9000 - 4500);
  ExpectWhole(blocks, 1000);
}

TEST_P(GrowthInAFamilyTest, OfSeveralTheOneWithTheLeastRoomCounts) {
  settings_.family_budget = kSmall + 9000;
  BeginInAFamilyWithRoom(40000);
  Fill(1000);
  EXPECT_EQ(SlotSize(), kSmall + kMiddle);
  EXPECT_EQ(ca_context_count(context_).family_used, settings_.family_budget);
  EXPECT_LT(Family().family_used, Family().family_budget);
}

TEST_P(GrowthInAFamilyTest, WhatItLeavesMustHoldTheRequest) {
  BeginInAFamilyWithRoom(9000);
  EXPECT_EQ(Allocate(20000), nullptr);
  EXPECT_EQ(Family().family_refusals, 1U);
  EXPECT_EQ(SlotsOut(), 2U) << "nothing is kept of it";
  EXPECT_NE(Allocate(9000), nullptr) << "in its first slot";
  EXPECT_EQ(Allocate(9000), nullptr) << "and what its kind needs";
  EXPECT_EQ(Family().family_refusals, 2U);
  EXPECT_EQ(SlotsOut(), 2U);
}

TEST_P(GrowthInAFamilyTest, SmallOnesAreFewAndOneOfTheLargestIsNeverCut) {
  settings_.budget = 3 * kLarge;
  BeginInAFamilyWithRoom(40000);
  ca_context_settings other{};
  other.budget = 8000;
  other.parent = parent_;
  std::vector<ca_context> others;
  for (int i = 0; i < 4; ++i) others.push_back(ca_context_create(&other));
  for (const ca_context one : others) {
    Fill(1000);
    ca_context_swap_out();
    EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
    SwapIn();
  }
  Fill(1000);
  EXPECT_EQ(SlotSize(), kSmall + kMiddle + kLarge);
  EXPECT_TRUE(ca_context_check(context_));
}

TEST_P(GrowthTest, ALargeRequestGetsASlotThatHoldsIt) {
  settings_.budget = 3 * kLarge;
  Begin();
  char *const large = Allocate(200 * kKibibyte);
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(SlotSize(), kSmall + kLarge);
  std::memset(large, 5, 200 * kKibibyte);
  char *const aligned = Allocate(100, 4 * kKibibyte);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(aligned) % (4 * kKibibyte), 0U);
  char *const larger = Allocate(3 * kLarge / 2);
  ASSERT_NE(larger, nullptr);
  std::memset(larger, 6, 3 * kLarge / 2);
  EXPECT_EQ(SlotSize(), kSmall + kLarge + kLargest);
  EXPECT_EQ(Allocate(3 * kLarge), nullptr) << "more than is left";
  EXPECT_EQ(Allocate(SIZE_MAX / 2), nullptr);
  EXPECT_EQ(Allocate(SIZE_MAX - 100), nullptr);
  EXPECT_EQ(large[200 * kKibibyte - 1], 5);
  EXPECT_TRUE(ca_context_check(context_));
}

// A slot that would hold the size, but not at this alignment, isn't kept: the next class is tried.
TEST_P(GrowthTest, AnAlignmentMayNeedALargerSlot) {
  settings_.budget = 2 * kLarge;
  Begin();
  char *const aligned = Allocate(40 * kKibibyte, 32 * kKibibyte);
  ASSERT_NE(aligned, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(aligned) % (32 * kKibibyte), 0U);
  EXPECT_EQ(SlotSize(), kSmall + kLarge);
  EXPECT_EQ(SlotsOut(), 2U);
}

TEST_P(GrowthTest, WhereNoSlotIsLeftItIsOverItsBudget) {
  ca_context_settings other{};
  other.budget = 32 * kKibibyte;
  other.name = "parent";
  settings_.parent = ca_context_create(&other);
  settings_.over_budget = CA_OVER_BUDGET_PARENT;
  settings_.budget = 100 * kKibibyte;
  std::vector<ca_context> others;
  for (;;) {
    const ca_context one = ca_context_create(&other);
    if (ca_context_is_none(one)) break;
    others.push_back(one);
  }
  const std::size_t out = SlotsOut();
  Begin();
  EXPECT_EQ(Allocate(32 * kKibibyte), nullptr) << "the parent has no room for it either";
  char *const from_parent = Allocate(20 * kKibibyte);
  ASSERT_NE(from_parent, nullptr);
  EXPECT_EQ(ca_context_header_of(from_parent), settings_.parent.header);
  EXPECT_EQ(SlotsOut(), out + 1);
  EXPECT_EQ(SlotSize(), kSmall);
  EXPECT_TRUE(ca_context_check(context_));
  ca_context_destroy(others.back());
  others.pop_back();
  char *const own = Allocate(20 * kKibibyte);
  ASSERT_NE(own, nullptr);
  EXPECT_EQ(ca_context_header_owner(ca_context_header_of(own)), context_.header);
  EXPECT_EQ(SlotSize(), kSmall + kLargest) << "from a larger class than it needs";
  ca_context_swap_out();
  for (const ca_context one : others) EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
  Destroy();
  EXPECT_EQ(ca_context_destroy(settings_.parent), CA_CONTEXT_DONE);
}

TEST_P(GrowthTest, AskedOnlyWhenTheBudgetIsSpent) {
  struct Asked {
    int times = 0;
    char *block = nullptr;
  } asked;
  settings_.over_budget = CA_OVER_BUDGET_ASK;
  settings_.budget = kMiddle;
  settings_.exhausted_argument = &asked;
  settings_.exhausted = [](void *argument, std::size_t) {
    auto *const self = static_cast<Asked *>(argument);
    self->times++;
    ca_switchable_deallocate(self->block);
    return self->times == 1;
  };
  Begin();
  ASSERT_NE(Allocate(10000), nullptr);
  asked.block = Allocate(40000);
  EXPECT_FALSE(IsInFirst(asked.block));
  EXPECT_EQ(asked.times, 0);
  EXPECT_NE(Allocate(39000), nullptr);
  EXPECT_EQ(asked.times, 1);
  EXPECT_EQ(ca_context_count(context_).deallocations, 1U);
}

TEST_P(GrowthTest, AParkedParentGrowsForItsChild) {
  Begin();
  ca_context_swap_out();
  ca_context_settings child{};
  child.budget = 4000;
  child.parent = context_;
  child.over_budget = CA_OVER_BUDGET_PARENT;
  const ca_context one = ca_context_create(&child);
  ASSERT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE);
  char *const block = Allocate(30000);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(ca_context_header_owner(ca_context_header_of(block)), context_.header);
  ca_switchable_deallocate(block);
  ca_context_swap_out();
  SwapIn();
  EXPECT_EQ(ca_context_count(context_).taken_in, 1U);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
}

TEST_P(GrowthTest, AnybodyFreesWhatLiesInAnExtension) {
  BeginWithTwo();
  char *const more = Allocate(3000);
  char *const most = Allocate(3 * kMiddle);
  ASSERT_NE(most, nullptr);
  OnAnotherThread([&] { ca_switchable_deallocate(far_); });  // Held here.
  ca_context_swap_out();
  OnAnotherThread([&] { ca_switchable_deallocate(most); });  // Parked.
  ca_context_settings plain{};
  const ca_context other = ca_context_create(&plain);
  ASSERT_EQ(ca_context_swap_in(other), CA_CONTEXT_DONE);
  ca_switchable_deallocate(more);  // By another context.
  EXPECT_EQ(ca_context_count(other).deallocations, 0U);
  ca_context_swap_out();
  EXPECT_TRUE(ca_context_check(context_)) << "with blocks to take in";
  SwapIn();
  const ca_context_counts counts = ca_context_count(context_);
  EXPECT_EQ(counts.taken_in, 3U);
  EXPECT_EQ(counts.allocations - counts.deallocations, 1U);
  EXPECT_TRUE(ca_context_check(context_));
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
}

TEST_P(GrowthTest, SizesAreToldAsInTheFirstSlot) {
  BeginWithTwo();
  EXPECT_GE(ca_switchable_usable_size(far_), kSmall);
  const std::size_t size = ca_switchable_usable_size(far_);
  OnAnotherThread([&] { EXPECT_EQ(ca_switchable_usable_size(far_), IsBump() ? size : 0); });
  OnAnotherThread([&] { EXPECT_EQ(ca_switchable_usable_size(near_), IsBump() ? 600U : 0); });
  ca_context_swap_out();
  OnAnotherThread([&] { EXPECT_EQ(ca_switchable_usable_size(far_), size); });
}

TEST_P(GrowthTest, ABlockGrowsOutOfItsSlotIntoAnExtension) {
  Begin();
  char *block = Allocate(5000);
  std::memset(block, 7, 5000);
  for (std::size_t size = 10000; size < settings_.budget / 2; size *= 2) {
    const ca_block moved = ca_switchable_reallocate(block, size, 16);
    ASSERT_FALSE(ca_block_is_none(moved)) << size;
    block = static_cast<char *>(moved.ptr);
    EXPECT_EQ(std::count(block, block + 5000, 7), 5000);
    std::memset(block, 7, size);
  }
  EXPECT_FALSE(IsInFirst(block));
  const ca_context_counts counts = ca_context_count(context_);
  EXPECT_EQ(counts.allocations - counts.deallocations, 1U);
  EXPECT_TRUE(ca_block_is_none(ca_switchable_reallocate(block, settings_.budget, 16)));
  EXPECT_EQ(std::count(block, block + 5000, 7), 5000) << "as it was";
  const ca_block shrunk = ca_switchable_reallocate(block, 100, 16);
  EXPECT_EQ(shrunk.ptr, block);
  EXPECT_TRUE(ca_context_check(context_));
}

TEST_P(GrowthTest, AForeignThreadResizesInAParkedContext) {
  BeginWithTwo();
  ca_context_swap_out();
  OnAnotherThread([&] {
    const ca_block moved = ca_switchable_reallocate(far_, 2 * kMiddle, 16);
    ASSERT_FALSE(ca_block_is_none(moved));
    EXPECT_EQ(ca_context_header_owner(ca_context_header_of(moved.ptr)), context_.header);
    EXPECT_EQ(
        std::count(static_cast<char *>(moved.ptr), static_cast<char *>(moved.ptr) + kSmall, 2),
        static_cast<std::ptrdiff_t>(kSmall));
  });
  EXPECT_TRUE(ca_context_check(context_));
  EXPECT_EQ(ca_context_count(context_).allocations, 3U);
}

TEST_P(GrowthTest, AForeignThreadResizesToTheGlobalAllocatorWhatIsHeldHere) {
  BeginWithTwo();
  OnAnotherThread([&] {
    char *const moved = static_cast<char *>(ca_switchable_reallocate(far_, 4 * kMiddle, 16).ptr);
    ASSERT_NE(moved, nullptr);
    EXPECT_EQ(ca_context_header_of(moved), nullptr);
    EXPECT_EQ(std::count(moved, moved + kSmall, 2), static_cast<std::ptrdiff_t>(kSmall));
    ca_switchable_deallocate(moved);
  });
  ca_context_swap_out();
  SwapIn();
  EXPECT_EQ(ca_context_count(context_).taken_in, 1U);
}

// For the thread sanitizer: a bump's sizes are read by who frees while its owner goes to a larger slot.
TEST_P(GrowthTest, GrowsWhileOthersFree) {
  Begin();
  std::vector<char *> blocks;
  for (int i = 0; i < 20; ++i) blocks.push_back(Allocate(500));
  std::atomic<bool> grown{false};  // Relaxed: it orders nothing that the library should.
  std::thread other([&] {
    while (!grown.load(std::memory_order_relaxed)) std::this_thread::yield();
    for (char *const block : blocks) {
      (void)ca_switchable_usable_size(block);
      ca_switchable_deallocate(block);
    }
  });
  EXPECT_NE(Allocate(kSmall), nullptr);
  grown.store(true, std::memory_order_relaxed);
  EXPECT_NE(Allocate(kMiddle), nullptr);
  other.join();
  ca_context_swap_out();
  SwapIn();
  EXPECT_EQ(ca_context_count(context_).taken_in, 20U);
}

TEST_P(GrowthTest, ResetGivesTheExtensionsBack) {
  Begin();
  const ca_context_counts before = ca_context_count(context_);
  for (int i = 0; i < 3; ++i) {
    const std::size_t blocks = Fill(900).size();
    EXPECT_GT(blocks, 250U);
    EXPECT_EQ(SlotsOut(), 3U);
    EXPECT_EQ(ca_context_reset(context_), CA_CONTEXT_DONE);
    EXPECT_EQ(SlotsOut(), 1U);
    const ca_context_counts after = ca_context_count(context_);
    EXPECT_EQ(after.used, 0U);
    EXPECT_EQ(after.peak, 0U);
    EXPECT_EQ(after.slot_size, before.slot_size);
    EXPECT_TRUE(ca_context_check(context_));
    char *const block = Allocate(100);
    EXPECT_TRUE(IsInFirst(block));
    ca_switchable_deallocate(block);
  }
}

TEST_P(GrowthTest, DestroyGivesTheExtensionsBack) {
  BeginWithTwo();
  ca_context_swap_out();
  EXPECT_EQ(SlotsOut(), 2U);
  Destroy();
}

TEST_P(GrowthTest, OneThatRefusesToGoKeepsItsExtensions) {
  settings_.on_destroy = CA_CONTEXT_REFUSE;
  BeginWithTwo();
  ca_switchable_deallocate(near_);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_LIVE);
  EXPECT_EQ(SlotsOut(), 2U);
  EXPECT_EQ(far_[0], 2);
  ca_switchable_deallocate(far_);
  Destroy();
}

TEST_P(GrowthTest, AnOrphanKeepsItsExtensionsUntilItsLastBlockGoes) {
  settings_.on_destroy = CA_CONTEXT_ORPHAN;
  BeginWithTwo();
  ca_context_swap_out();
  Destroy();
  EXPECT_EQ(SlotsOut(), 2U);
  EXPECT_EQ(far_[kSmall - 1], 2);
  EXPECT_GE(ca_switchable_usable_size(far_), kSmall);
  ca_switchable_deallocate(near_);
  char *const moved = static_cast<char *>(ca_switchable_reallocate(far_, 2 * kSmall, 16).ptr);
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(ca_context_header_of(moved), nullptr);
  EXPECT_EQ(SlotsOut(), 0U);
  EXPECT_EQ(moved[kSmall - 1], 2);
  ca_switchable_deallocate(moved);
}

TEST_P(GrowthDeathTest, QuarantineKeepsEachSlotFromBeingTouched) {
  settings_.on_destroy = CA_CONTEXT_QUARANTINE;
  BeginWithTwo();
  ca_context_swap_out();
  Destroy();
  EXPECT_EQ(SlotsOut(), 2U);
  EXPECT_EQ(ca_quarantine_count().now, 2U);
  EXPECT_EQ(ca_quarantine_bytes(), kSmall + kMiddle);
  EXPECT_STREQ(ca_quarantine_find(far_).name, "growing");
  EXPECT_EQ(ca_quarantine_find(far_).slot, ca_context_header_of(far_));
  EXPECT_STREQ(ca_quarantine_find(near_).name, "growing");
  EXPECT_DEATH(far_[kKibibyte] = 1, "");
  EXPECT_DEATH(near_[kKibibyte / 2] = 1, "");
  EXPECT_DEATH(ca_switchable_deallocate(far_), "its context was destroyed");
  EXPECT_TRUE(ca_quarantine_set_capacity(1));
  EXPECT_EQ(SlotsOut(), 1U) << "oldest first";
  EXPECT_STREQ(ca_quarantine_find(near_).name, "growing");
  EXPECT_TRUE(ca_quarantine_set_capacity(0));
  EXPECT_EQ(SlotsOut(), 0U);
  EXPECT_TRUE(ca_quarantine_set_capacity(CA_QUARANTINE_DEFAULT));
}

TEST_P(GrowthDeathTest, HeldAMisuseInAnExtensionIsReported) {
  BeginWithTwo();
  EXPECT_DEATH(ca_switchable_deallocate(far_ + 64), "\\(0x[0-9a-f]+\\): ");
  EXPECT_DEATH(ca_switchable_reallocate(far_ + 64, 10, 16), "\\(0x[0-9a-f]+\\): ");
  ca_switchable_deallocate(far_);
  EXPECT_DEATH(ca_switchable_deallocate(far_), "\\(0x[0-9a-f]+\\): ");
  auto *const header = reinterpret_cast<char *>(ca_context_header_of(far_));
  EXPECT_DEATH(ca_switchable_deallocate(header + kMiddle - 16), "\\(0x[0-9a-f]+\\): ");
}

TEST_P(GrowthDeathTest, WhatLiesInAnExtensionsHeaderIsReportedHeldOrParked) {
  BeginWithTwo();
  auto *const header = reinterpret_cast<char *>(ca_context_header_of(far_));
  for (const bool parked : {false, true}) {
    if (parked) ca_context_swap_out();
    for (const std::size_t at : {0, 64, 304, CA_CONTEXT_OVERHEAD - 8}) {
      EXPECT_DEATH(ca_switchable_deallocate(header + at), "a context's header") << at;
    }
  }
}

TEST_P(GrowthDeathTest, ParkedAMisuseInAnExtensionIsReportedWhenItIsTakenInAtTheLatest) {
  BeginWithTwo();
  ca_context_swap_out();
  EXPECT_DEATH((ca_switchable_deallocate(far_ + 64), ca_context_swap_in(context_)),
               "\\(0x[0-9a-f]+\\): ");
  EXPECT_DEATH((ca_switchable_deallocate(far_), ca_switchable_deallocate(far_),
                ca_context_swap_in(context_)),
               "\\(0x[0-9a-f]+\\): ");
  if (IsBump()) {
    EXPECT_DEATH(ca_switchable_deallocate(far_ + 64), "\\(0x[0-9a-f]+\\): ") << "at once";
  }
}

TEST_P(GrowthDeathTest, AnExtensionThatWasGivenBackIsReported) {
  BeginWithTwo();
  EXPECT_EQ(ca_context_reset(context_), CA_CONTEXT_DONE);
  EXPECT_DEATH(ca_switchable_deallocate(far_), "its context was destroyed, or never was");
  EXPECT_DEATH(ca_switchable_usable_size(far_), "its context was destroyed, or never was");
}

TEST_P(GrowthTest, AWalkShowsTheBlocksOfEverySlotByRisingAddress) {
  Begin();
  std::vector<char *> blocks = Fill(1000);
  ca_switchable_deallocate(blocks[3]);
  blocks.erase(blocks.begin() + 3);
  std::sort(blocks.begin(), blocks.end());
  std::vector<char *> seen;
  const auto visitor = [](void *argument, ca_block block) {
    EXPECT_GE(block.size, 1000U);
    static_cast<std::vector<char *> *>(argument)->push_back(static_cast<char *>(block.ptr));
    return true;
  };
  EXPECT_EQ(ca_context_walk(context_, visitor, &seen), CA_CONTEXT_DONE);
  EXPECT_EQ(seen, blocks);
  ca_context_swap_out();
  seen.clear();
  EXPECT_EQ(ca_context_walk(context_, visitor, &seen), CA_CONTEXT_DONE);
  EXPECT_EQ(seen, blocks);
  std::size_t count = 0;
  const auto until = [](void *argument, ca_block) {
    return ++*static_cast<std::size_t *>(argument) < 20;
  };
  EXPECT_EQ(ca_context_walk(context_, until, &count), CA_CONTEXT_DONE);
  EXPECT_EQ(count, 20U);
}

TEST_P(GrowthTest, IsReportedOnceWithAllOfItsSlots) {
  BeginWithTwo();
  std::vector<ca_context_counts> seen;
  ca_contexts_visit(
      [](void *argument, ca_context, const ca_context_counts *counts) {
        static_cast<std::vector<ca_context_counts> *>(argument)->push_back(*counts);
      },
      &seen);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].slot_size, kSmall + kMiddle);
  EXPECT_GE(seen[0].used, kSmall + 600);
  EXPECT_EQ(ca_contexts_count().slots, kSmall + kMiddle);
}

TEST_P(GrowthTest, AFirstSlotForTheWholeBudgetIsAllThereIs) {
  settings_.first = settings_.budget = 10000;
  Begin();
  EXPECT_FALSE(Fill(1000).empty());
  EXPECT_EQ(SlotsOut(), 1U);
  EXPECT_LE(ca_context_count(context_).peak, 10000U);
}

TEST_P(GrowthTest, ABudgetThatNoSlotHoldsIsRefused) {
  settings_.budget = kLargest;
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_)));
  settings_.budget = SIZE_MAX;
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_)));
  settings_.budget = 0;
  Begin();
  EXPECT_EQ(ca_context_count(context_).budget, kLarge - context_.header->overhead);
  EXPECT_NE(Allocate(900 * kKibibyte), nullptr);
}

TEST_P(GrowthTest, AThreadsHeapGrowsAndThenTheGlobalAllocatorServes) {
  OnAnotherThread([this] {
    ASSERT_TRUE(ca_switchable_thread_init(&settings_));
    ASSERT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    std::vector<char *> blocks;
    std::size_t in_heap = 0;
    do {
      blocks.push_back(Allocate(1000));
    } while (ca_context_header_of(blocks.back()) != nullptr && ++in_heap < 1000);
    EXPECT_GT(in_heap, 270U);
    EXPECT_EQ(SlotsOut(), 3U);
    std::swap(blocks.front(), blocks[blocks.size() - 2]);
    for (char *const block : blocks) ca_switchable_deallocate(block);
  });
  EXPECT_EQ(SlotsOut(), 0U);
}

TEST_P(GrowthTest, TheReserveServesOnlyTheErrorPathWhateverTheKind) {
  for (const std::size_t first : {0, 1000}) {
    settings_.budget = first == 0 ? 10000 : 90000;
    settings_.first = first;
    settings_.reserve = 4000;
    Create();
    for (int round = 0; round < 3; ++round) {
      Fill(100);
      Fill(16);
      const ca_context_counts full = ca_context_count(context_);
      EXPECT_EQ(full.budget, settings_.budget);
      EXPECT_LE(full.used, settings_.budget - 4000);
      EXPECT_GE(full.used, settings_.budget - 4000 - 4000) << "but for what the kinds need";
      const std::size_t slots = (first == 0 ? 1 : 3) + (IsBump() ? 0 : 1);
      EXPECT_EQ(SlotsOut(), slots);
      EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_OPEN), CA_RESERVE_SHUT);
      EXPECT_TRUE(ca_context_check(context_));
      char *const error = Allocate(1000);
      ASSERT_NE(error, nullptr);
      std::memset(error, 'e', 1000);
      EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_SHUT), CA_RESERVE_OPEN);
      EXPECT_EQ(Allocate(100), nullptr);
      OnAnotherThread([error] { ca_switchable_deallocate(error); });
      if (!IsBump()) {
        EXPECT_EQ(Allocate(900), nullptr) << "nor what was freed of it";
      }
      EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_OPEN), CA_RESERVE_SHUT);
      EXPECT_NE(Allocate(900), nullptr);
      EXPECT_EQ(Allocate(4000), nullptr);
      EXPECT_TRUE(ca_context_check(context_));
      EXPECT_EQ(ca_context_reset(context_), CA_CONTEXT_DONE);  // Which shuts it.
      EXPECT_EQ(ca_context_count(context_).used, 0U);
      EXPECT_EQ(SlotsOut(), IsBump() ? 1U : 2U);
    }
    ca_context_swap_out();
    Destroy();
    EXPECT_EQ(SlotsOut(), 0U);
  }
}

// What the first slot gets back serves before the reserve does.
TEST_P(GrowthTest, AnOpenReserveServesLast) {
  settings_.budget = 10000;
  settings_.first = 0;
  settings_.reserve = 4000;
  Create();
  const std::vector<char *> blocks = Fill(500);
  (void)ca_context_use_reserve(CA_RESERVE_OPEN);
  ca_switchable_deallocate(blocks.back());
  EXPECT_EQ(Allocate(500), blocks.back());
}

TEST_P(GrowthTest, AReserveForWhichThereIsNoSlotOrTooLittleIsRefused) {
  settings_.first = 0;
  settings_.reserve = settings_.budget;
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_)));
  settings_.reserve = settings_.budget + 1;
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_)));
  settings_.budget = 4000;
  settings_.reserve = 100;
  if (GetParam() == CA_CONTEXT_BIT_SET) {
    EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_))) << "no room for its bits";
  }
  EXPECT_EQ(SlotsOut(), 0U);
  settings_.reserve = 1000;
  std::vector<ca_context> others;
  for (;;) {
    const ca_context one = ca_context_create(&settings_);
    if (ca_context_is_none(one)) break;
    others.push_back(one);
  }
  EXPECT_EQ(SlotsOut(), (IsBump() ? 1 : 2) * others.size());
  for (const ca_context one : others) EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
}

TEST_P(GrowthTest, AThreadsHeapMayGrowToTheLargestSlotsSize) {
  settings_.budget = 0;
  OnAnotherThread([this] {
    ASSERT_TRUE(ca_switchable_thread_init(&settings_));
    ASSERT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    char *const block = Allocate(2 * kLarge);
    EXPECT_NE(ca_context_header_of(block), nullptr);
    ca_switchable_deallocate(block);
  });
}

TEST_P(GrowthTest, CheckNoticesAnExtensionOfSomebodyElse) {
  BeginWithTwo();
  ca_context_header *const extension = ca_context_header_of(far_);
  ca_context_header *const self = context_.header;
  EXPECT_TRUE(ca_context_check(context_));
  extension->extends = extension;
  EXPECT_FALSE(ca_context_check(context_));
  extension->extends = self;
  extension->generation = self->generation;
  EXPECT_FALSE(ca_context_check(context_));
  extension->generation = 0;
  const std::size_t budget = self->budget;
  self->budget = kMiddle;
  EXPECT_FALSE(ca_context_check(context_)) << "together more than the budget";
  self->budget = budget;
  extension->is_reserve = true;
  EXPECT_FALSE(ca_context_check(context_));
  extension->is_reserve = false;
  self->extends = self;
  EXPECT_FALSE(ca_context_check(context_));
  self->extends = nullptr;
  ca_allocator *const right = self->allocator;
  self->allocator = &self->local.chosen.base;
  EXPECT_FALSE(ca_context_check(context_));
  self->allocator = right;
  EXPECT_TRUE(ca_context_check(context_));
}

class GrowingBumpTest : public GrowthTest {};
INSTANTIATE_TEST_SUITE_P(Kinds, GrowingBumpTest, testing::Values(CA_CONTEXT_BUMP));

TEST_P(GrowingBumpTest, IsAsQuickInAnExtension) {
  BeginWithTwo();
  ca_context_header *const header = context_.header;
  void *const quick = ca_context_header_allocate_quickly(header, 100);
  ASSERT_NE(quick, nullptr);
  EXPECT_EQ(ca_context_header_of(quick), ca_context_header_of(far_));
  EXPECT_TRUE(ca_context_header_deallocate_quickly(header, quick));
  EXPECT_TRUE(ca_context_header_deallocate_quickly(header, far_));
  EXPECT_FALSE(ca_context_header_deallocate_quickly(header, near_)) << "in an older slot";
  ca_switchable_deallocate(near_);
  EXPECT_EQ(ca_context_count(context_).deallocations, 3U);
}

TEST_P(GrowingBumpTest, TheFirstSlotHoldsTheReserve) {
  settings_.reserve = 4000;
  Begin();
  while (char *const block = Allocate(500)) std::memset(block, 3, 500);
  EXPECT_EQ(SlotSize(), kSmall + kMiddle + kLarge);
  EXPECT_TRUE(ca_context_check(context_));
  EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_OPEN), CA_RESERVE_SHUT);
  char *const error = Allocate(3000);
  ASSERT_NE(error, nullptr);
  EXPECT_TRUE(IsInFirst(error));
  EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_SHUT), CA_RESERVE_OPEN);
  EXPECT_EQ(Allocate(500), nullptr);
  EXPECT_TRUE(ca_context_check(context_));
  ca_switchable_deallocate(error);
  EXPECT_EQ(ca_context_reset(context_), CA_CONTEXT_DONE);
  EXPECT_FALSE(IsInFirst(Allocate(kSmall - CA_CONTEXT_OVERHEAD - 3900))) << "shut again";
}

TEST_P(GrowthTest, WhereTheReserveIsTheFirstSlotAndTheNextAreAsLargeAsTheyNeedBe) {
  settings_.first = 14000;
  settings_.reserve = 4000;
  Create();
  EXPECT_EQ(SlotSize(), IsBump() ? kMiddle : 2 * kSmall);
  ca_context_swap_out();
  Destroy();
  settings_.first = 1000;
  settings_.reserve = 40000;
  Create();
  ASSERT_NE(Allocate(2 * kSmall), nullptr);
  EXPECT_EQ(SlotSize(), IsBump() ? kMiddle + kLarge : kSmall + kMiddle + kMiddle);
}

TEST_P(GrowingBumpTest, AReserveThatDoesNotFitIsRefused) {
  settings_.reserve = settings_.budget;
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_)));
  settings_.reserve = settings_.budget - settings_.first + 1;
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_)));
}

}  // namespace
