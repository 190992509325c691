// Contexts that begin in slots smaller than a page, so that several share one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/poison.h"
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
constexpr std::size_t kLeast = CA_CONTEXT_LEAST_SLOT;
constexpr std::size_t kSmall = kKibibyte;
constexpr std::size_t kMiddle = 16 * kKibibyte;
constexpr std::size_t kLarge = 1024 * kKibibyte;
constexpr std::size_t kLeastSlots = 100;
constexpr std::size_t kSmallSlots = 203;
constexpr std::size_t kMiddleSlots = 600;
constexpr std::size_t kLargeSlots = 64;

class Slots : public testing::Environment {
 public:
  void SetUp() override {
    const ca_contexts_settings settings = {{{kLeast, kLeastSlots, 0, 0, false},
                                            {kSmall, kSmallSlots, 1, 0, false},
                                            {kMiddle, kMiddleSlots, 0, 0, false},
                                            {kLarge, kLargeSlots, 0, 0, false}},
                                           nullptr};
    ASSERT_TRUE(ca_contexts_init(&settings));
  }
};
[[maybe_unused]] testing::Environment *const g_slots = testing::AddGlobalTestEnvironment(new Slots);

// Of the class of this size.
std::size_t SlotsOut(std::size_t slot_size) {
  const ca_contexts_counts counts = ca_contexts_count();
  for (const ca_class_counts &one : counts.classes) {
    if (one.slot_size == slot_size) return one.out;
  }
  return SIZE_MAX;
}

class SmallSlotsTest : public testing::TestWithParam<ca_context_kind> {
 protected:
  SmallSlotsTest() {
    settings_.name = "small";
    settings_.budget = 300 * kKibibyte;
    settings_.first = 100;
    settings_.kind = GetParam();
  }
  ~SmallSlotsTest() override {
    ca_context_swap_out();
    for (const ca_context one : contexts_) EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
    EXPECT_EQ(SlotsOut(), 0U);
  }

  // Where a context with a `first` of 100 bytes begins: by what its kind needs beside its blocks.
  static std::size_t FirstSlot() {
    return IsBump() ? kLeast : GetParam() == CA_CONTEXT_BIT_SET ? kSmall : kMiddle;
  }
  static bool IsBump() { return GetParam() == CA_CONTEXT_BUMP; }
  static std::size_t SlotSize(ca_context context) { return ca_context_count(context).slot_size; }

  ca_context Create() {
    const ca_context one = ca_context_create(&settings_);
    if (!ca_context_is_none(one)) contexts_.push_back(one);
    return one;
  }
  ca_context CreateAndSwapIn() {
    const ca_context one = Create();
    EXPECT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE);
    return one;
  }
  void Destroy(ca_context context) {
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
    Forget(context);
  }
  void Forget(ca_context context) {
    contexts_.erase(std::find_if(contexts_.begin(), contexts_.end(), [context](ca_context one) {
      return one.header == context.header;
    }));
  }

  ca_context_settings settings_{};
  std::vector<ca_context> contexts_;
};

using SmallSlotsDeathTest = SmallSlotsTest;

INSTANTIATE_TEST_SUITE_P(Kinds, SmallSlotsTest, EveryKind(), KindName);
INSTANTIATE_TEST_SUITE_P(Kinds, SmallSlotsDeathTest, EveryKind(), KindName);

TEST_P(SmallSlotsTest, BeginsInTheSmallestThatHoldsWhatItsKindNeeds) {
  const ca_context one = CreateAndSwapIn();
  EXPECT_EQ(SlotSize(one), FirstSlot());
  char *const block = Allocate(64);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(ca_context_header_of(block), one.header);
  std::memset(block, 1, 64);
  EXPECT_TRUE(ca_context_check(one));
  EXPECT_EQ(SlotsOut(), 1U) << "what was tried is given back";
}

TEST_P(SmallSlotsTest, FirstIsToTheByte) {
  if (!IsBump()) GTEST_SKIP() << "needs more than its struct";
  settings_.first = kLeast - CA_CONTEXT_OVERHEAD;
  EXPECT_EQ(SlotSize(Create()), kLeast);
  settings_.first++;
  EXPECT_EQ(SlotSize(Create()), kSmall);
  settings_.first = kSmall - CA_CONTEXT_OVERHEAD;
  EXPECT_EQ(SlotSize(Create()), kSmall);
  settings_.reserve = 1;
  EXPECT_EQ(SlotSize(Create()), kMiddle);
}

// What holds so many bytes may not hold the records of its kind besides.
TEST_P(SmallSlotsTest, ASlotTooSmallForItsRecordsIsLeftForALargerOne) {
  if (GetParam() != CA_CONTEXT_BIT_SET) GTEST_SKIP() << "its records are a share of any range";
  settings_.block_size = 512;
  const ca_context one = CreateAndSwapIn();
  EXPECT_EQ(SlotSize(one), kMiddle);
  EXPECT_NE(Allocate(512), nullptr);
  EXPECT_EQ(SlotsOut(), 1U) << "what was tried is given back";
  settings_.budget = settings_.first;
  EXPECT_TRUE(ca_context_is_none(Create())) << "as all of its budget is too small";
  settings_.budget = 300 * kKibibyte;
  settings_.block_size = kLarge;
  EXPECT_TRUE(ca_context_is_none(Create())) << "as every slot is too small";
  EXPECT_EQ(SlotsOut(), 1U);
}

TEST_P(SmallSlotsTest, ABudgetThatFitsIsAllItGets) {
  settings_.first = 0;
  settings_.budget = 190;
  const ca_context one = Create();
  EXPECT_EQ(SlotSize(one), FirstSlot());
  ASSERT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE);
  EXPECT_NE(Allocate(40), nullptr);
  EXPECT_EQ(Allocate(130), nullptr);
  EXPECT_EQ(ca_context_count(one).refusals, 1U);
}

TEST_P(SmallSlotsTest, GrowsThroughTheClassesUpToItsBudget) {
  const ca_context one = CreateAndSwapIn();
  std::vector<char *> blocks;
  while (char *const block = Allocate(100)) {
    std::memset(block, static_cast<int>(blocks.size() % 127), 100);
    blocks.push_back(block);
  }
  const ca_context_counts counts = ca_context_count(one);
  EXPECT_EQ(counts.slot_size, FirstSlot() % kMiddle + kMiddle + kLarge)
      << "a small one is followed by one that threads keep";
  EXPECT_EQ(counts.budget, settings_.budget);
  EXPECT_GT(counts.used, counts.budget - counts.budget / 10);
  EXPECT_LE(counts.peak, counts.budget);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(std::count(blocks[i], blocks[i] + 100, static_cast<char>(i % 127)), 100);
  }
  EXPECT_TRUE(ca_context_check(one));
  EXPECT_EQ(ca_context_reset(one), CA_CONTEXT_DONE);
  EXPECT_EQ(SlotSize(one), FirstSlot());
  EXPECT_EQ(SlotsOut(), 1U);
}

TEST_P(SmallSlotsTest, ABlockGrowsOutOfASmallSlotAndBack) {
  const ca_context one = CreateAndSwapIn();
  char *block = Allocate(40);
  std::memset(block, 7, 40);
  for (std::size_t size = 80; size <= 100 * kKibibyte; size *= 2) {
    block = static_cast<char *>(ca_switchable_reallocate(block, size, 16).ptr);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(std::count(block, block + size / 2, 7), static_cast<std::ptrdiff_t>(size / 2));
    std::memset(block, 7, size);
  }
  EXPECT_EQ(ca_switchable_reallocate(block, 10, 16).ptr, block) << "shrunk where it is";
  std::size_t blocks = 0;
  const auto count = [](void *seen, ca_block) { return ++*static_cast<std::size_t *>(seen) > 0; };
  EXPECT_EQ(ca_context_walk(one, count, &blocks), CA_CONTEXT_DONE);
  EXPECT_EQ(blocks, 1U) << "where it was before, there is none";
  const ca_context_counts counts = ca_context_count(one);
  EXPECT_EQ(counts.allocations - counts.deallocations, 1U);
  EXPECT_TRUE(ca_context_check(one));
}

// All in one page.
TEST_P(SmallSlotsTest, NeighboursAreFreedIntoFromAnywhere) {
  std::vector<std::pair<ca_context, char *>> all;
  for (int i = 0; i < 4; ++i) {
    const ca_context one = CreateAndSwapIn();
    char *const block = Allocate(48);
    std::memset(block, i, 48);
    all.emplace_back(one, block);
    ca_context_swap_out();
  }
  ASSERT_EQ(ca_context_swap_in(all[0].first), CA_CONTEXT_DONE);
  ca_switchable_deallocate(all[1].second);  // Of a parked neighbour, from here,
  OnAnotherThread([&] { ca_switchable_deallocate(all[2].second); });  // from another thread,
  OnAnotherThread([&] { ca_switchable_deallocate(all[0].second); });  // and of one that is held.
  ca_context_swap_out();
  OnAnotherThread([&] {
    char *const moved = static_cast<char *>(ca_switchable_reallocate(all[3].second, 90, 16).ptr);
    EXPECT_EQ(ca_context_header_of(moved), all[3].first.header);
    EXPECT_EQ(std::count(moved, moved + 48, 3), 48);
  });
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(ca_context_swap_in(all[i].first), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_context_count(all[i].first).taken_in, i < 3 ? 1U : 0U);
    EXPECT_TRUE(ca_context_check(all[i].first));
    ca_context_swap_out();
  }
}

TEST_P(SmallSlotsTest, WhereAClassIsOutTheNextOneServes) {
  std::size_t count = 0;
  while (!ca_context_is_none(Create())) ++count;
  const std::size_t small = IsBump()                           ? kLeastSlots + kSmallSlots
                            : GetParam() == CA_CONTEXT_BIT_SET ? kSmallSlots
                                                               : 0;
  EXPECT_EQ(count, small + kMiddleSlots + kLargeSlots);
  EXPECT_EQ(SlotsOut(), count);
  ASSERT_EQ(ca_context_swap_in(contexts_[0]), CA_CONTEXT_DONE);
  EXPECT_EQ(Allocate(FirstSlot()), nullptr) << "nowhere to grow to";
  EXPECT_NE(Allocate(40), nullptr);
  ca_context_swap_out();
  Destroy(contexts_[0]);
  EXPECT_EQ(SlotSize(Create()), FirstSlot());
  EXPECT_TRUE(ca_context_is_none(Create()));
}

TEST_P(SmallSlotsTest, WhereNoneThatThreadsKeepIsIdleItGoesOnInASmallerOne) {
  if (!IsBump()) GTEST_SKIP() << "begins in one that isn't the smallest";
  const ca_context one = CreateAndSwapIn();
  settings_.first = 2 * kSmall;
  while (!ca_context_is_none(Create())) {
  }
  EXPECT_NE(Allocate(300), nullptr);
  EXPECT_EQ(SlotSize(one), kLeast + kSmall);
  EXPECT_EQ(Allocate(kSmall), nullptr);
}

TEST_P(SmallSlotsTest, OneThatRefusesToGoStays) {
  settings_.on_destroy = CA_CONTEXT_REFUSE;
  const ca_context one = CreateAndSwapIn();
  char *const block = Allocate(40);
  block[0] = 5;
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_LIVE);
  EXPECT_EQ(block[0], 5);
  ca_switchable_deallocate(block);
  Destroy(one);
}

TEST_P(SmallSlotsTest, AnOrphanKeepsItsSlotUntilItsLastBlockGoes) {
  settings_.on_destroy = CA_CONTEXT_ORPHAN;
  const ca_context one = CreateAndSwapIn();
  char *const block = Allocate(40);
  std::memset(block, 5, 40);
  ca_context_swap_out();
  Destroy(one);
  EXPECT_EQ(SlotsOut(), 1U);
  EXPECT_GT(ca_contexts_trim() + 1, 0U);
  EXPECT_EQ(std::count(block, block + 40, 5), 40);
  OnAnotherThread([block] { ca_switchable_deallocate(block); });
  EXPECT_EQ(SlotsOut(), 0U);
}

TEST_P(SmallSlotsDeathTest, QuarantineGetsPagesOfItsOwn) {
  const ca_context neighbour = CreateAndSwapIn();
  char *const other = Allocate(40);
  ca_context_swap_out();
  settings_.on_destroy = CA_CONTEXT_QUARANTINE;
  const ca_context one = CreateAndSwapIn();
  EXPECT_EQ(SlotSize(one), kMiddle);
  char *const block = Allocate(40);
  char *const far = Allocate(kMiddle);
  ca_context_swap_out();
  Destroy(one);
  EXPECT_EQ(ca_quarantine_bytes(), kMiddle + kLarge);
  EXPECT_DEATH(block[0] = 1, "");
  EXPECT_DEATH(far[0] = 1, "");
  EXPECT_STREQ(ca_quarantine_find(block).name, "small");
  other[0] = 1;
  EXPECT_TRUE(ca_context_check(neighbour));
  EXPECT_TRUE(ca_quarantine_set_capacity(0));
  EXPECT_TRUE(ca_quarantine_set_capacity(CA_QUARANTINE_DEFAULT));
}

TEST_P(SmallSlotsTest, AFamilyBudgetFitsASmallSlotToo) {
  settings_.family_budget = 2000;
  settings_.first = kSmall - CA_CONTEXT_OVERHEAD - 64;
  const ca_context parent = Create();
  if (!IsBump()) {
    EXPECT_TRUE(ca_context_is_none(parent))
        << "what it begins with is more than the family may have";
    return;
  }
  EXPECT_EQ(SlotSize(parent), kSmall);
  settings_.family_budget = 0;
  settings_.parent = parent;
  const ca_context child = ca_context_create(&settings_);
  EXPECT_EQ(SlotSize(child), kSmall);
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_)));
  EXPECT_EQ(ca_context_count(parent).family_used, 2 * kSmall - 2 * CA_CONTEXT_OVERHEAD - 64);
}

TEST_P(SmallSlotsTest, AWalkShowsItsBlocksAndNoNeighbours) {
  const auto visitor = [](void *argument, ca_block block) {
    static_cast<std::vector<char *> *>(argument)->push_back(static_cast<char *>(block.ptr));
    return true;
  };
  std::vector<std::vector<char *>> blocks(3);
  for (std::vector<char *> &one : blocks) {
    CreateAndSwapIn();
    for (int i = 0; i < 3; ++i) one.push_back(Allocate(24));
    for (int i = 0; i < 8; ++i) one.push_back(Allocate(200));
    std::sort(one.begin(), one.end());
    ca_context_swap_out();
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    std::vector<char *> seen;
    EXPECT_EQ(ca_context_walk(contexts_[i], visitor, &seen), CA_CONTEXT_DONE);
    EXPECT_EQ(seen, blocks[i]);
  }
}

TEST_P(SmallSlotsTest, EachIsReportedByItsName) {
  const char *const names[] = {"first of a page", "second", "third"};
  for (const char *const name : names) {
    settings_.name = name;
    Create();
  }
  std::vector<std::string> seen;
  ca_contexts_visit(
      [](void *argument, ca_context, const ca_context_counts *counts) {
        EXPECT_EQ(counts->slot_size, FirstSlot());
        static_cast<std::vector<std::string> *>(argument)->push_back(counts->name);
      },
      &seen);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, std::vector<std::string>(std::begin(names), std::end(names)));
  const ca_contexts_counts counts = ca_contexts_count();
  EXPECT_EQ(counts.slots, 3 * FirstSlot());
  EXPECT_EQ(counts.classes[0].slot_size, kLeast);
  EXPECT_EQ(counts.classes[0].slots, kLeastSlots);
  EXPECT_EQ(SlotsOut(FirstSlot()), 3U);
}

TEST_P(SmallSlotsDeathTest, WhatIsGoneIsToldAlsoAfterItsPageWentBack) {
  std::vector<ca_context> gone;
  std::vector<char *> blocks;
  for (std::size_t i = 0; i < kLeastSlots; ++i) {
    gone.push_back(CreateAndSwapIn());
    blocks.push_back(Allocate(40));
    ca_context_swap_out();
  }
  for (std::size_t i = 1; i < gone.size(); ++i) Destroy(gone[i]);
  for (const bool trimmed : {false, true}) {
    if (trimmed) {
      EXPECT_GT(ca_contexts_trim(), 0U);
      EXPECT_EQ(ca_contexts_trim(), 0U);
    }
    for (std::size_t i = 1; i < gone.size(); ++i) {
      EXPECT_EQ(ca_context_swap_in(gone[i]), CA_CONTEXT_GONE);
      EXPECT_EQ(ca_context_destroy(gone[i]), CA_CONTEXT_GONE);
    }
    EXPECT_DEATH(ca_switchable_deallocate(blocks.back()), "its context was destroyed");
    EXPECT_DEATH(ca_switchable_deallocate(blocks[1]), "its context was destroyed");
  }
  EXPECT_TRUE(ca_context_check(gone[0]));
  if (IsBump()) {
    EXPECT_DEATH(ca_switchable_deallocate(blocks[0] + 16), "\\(0x[0-9a-f]+\\): ") << "parked";
  }
  EXPECT_DEATH(ca_switchable_deallocate(reinterpret_cast<char *>(gone[0].header) + 64),
               "a context's header");
}

TEST_P(SmallSlotsTest, ToolsSeeWhatBelongsToAnIdleNeighbour) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  const ca_context one = CreateAndSwapIn();
  char *const block = Allocate(40);
  ca_context_swap_out();
  CreateAndSwapIn();
  char *const other = Allocate(40);
  ca_context_swap_out();
  Destroy(one);
  EXPECT_TRUE(ca_is_poisoned(block));
  EXPECT_FALSE(ca_is_poisoned(other));
}

TEST_P(SmallSlotsTest, AThreadsHeapMayBeASmallOne) {
  settings_.first = settings_.budget = 200;
  OnAnotherThread([this] {
    ASSERT_TRUE(ca_switchable_thread_init(&settings_));
    EXPECT_EQ(SlotsOut(kSmall), GetParam() == CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE ? 0U : 1U);
    EXPECT_EQ(SlotsOut(), 1U);
  });
}

// What a context's blocks hold and what is left of destroyed ones, by a model of all of their bytes.
// Blocks of those that go as orphans are also handed to the models of other threads.
struct Block {
  char *ptr;
  std::size_t size;
  unsigned mark;
};
struct HandedOver {
  std::mutex lock;
  std::vector<Block> blocks;
};

class Model {
 public:
  Model(unsigned seed, HandedOver *handed_over) : random_(seed), handed_over_(handed_over) {}

  void Step() {
    const unsigned choice = random_() % 100;
    if (choice == 0) {
      ca_contexts_trim();
    } else if (choice < 10) {
      Create();
    } else if (choice < 17) {
      Destroy();
    } else if (choice < 19) {
      Reset();
    } else if (choice < 24) {
      UseADeadOne();
    } else {
      Work();
    }
  }
  void End() {
    while (!owners_.empty()) Destroy();
    FreeDown(&orphaned_, 0);
  }

 private:
  struct Owner {
    ca_context context;
    ca_context_policy policy;
    std::vector<Block> blocks;
  };

  static void ExpectWhole(const Block &block) {
    ASSERT_EQ(std::count(block.ptr, block.ptr + block.size, static_cast<char>(block.mark)),
              static_cast<std::ptrdiff_t>(block.size));
  }
  static void Free(const Block &block) {
    ExpectWhole(block);
    ca_switchable_deallocate(block.ptr);
  }
  Owner &Any() { return owners_[random_() % owners_.size()]; }
  std::size_t AnySize() { return random_() % 10 == 0 ? 1 + random_() % 4000 : 1 + random_() % 120; }

  void Create() {
    if (owners_.size() >= 60) return;
    ca_context_settings settings{};
    settings.name = "modelled";
    settings.budget = 40 * kKibibyte;
    settings.first = 1 + random_() % 700;
    const ca_context_kind kinds[] = {CA_CONTEXT_BUMP, CA_CONTEXT_BUMP, CA_CONTEXT_BUMP,
                                     CA_CONTEXT_BIT_SET, CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE};
    settings.kind = kinds[random_() % 5];
    const ca_context_policy policies[] = {CA_CONTEXT_RELEASE, CA_CONTEXT_REFUSE, CA_CONTEXT_ORPHAN};
    settings.on_destroy = policies[random_() % 3];
    const ca_context context = ca_context_create(&settings);
    if (!ca_context_is_none(context)) owners_.push_back({context, settings.on_destroy, {}});
  }
  void Destroy() {
    if (owners_.empty()) return;
    std::swap(Any(), owners_.back());
    Owner &owner = owners_.back();
    if (owner.policy == CA_CONTEXT_REFUSE && !owner.blocks.empty()) {
      ASSERT_EQ(ca_context_destroy(owner.context), CA_CONTEXT_LIVE);
    }
    if (owner.policy == CA_CONTEXT_REFUSE) {
      for (Block &block : owner.blocks) Free(block);
    } else if (owner.policy == CA_CONTEXT_ORPHAN) {
      orphaned_.insert(orphaned_.end(), owner.blocks.begin(), owner.blocks.end());
    } else {
      for (Block &block : owner.blocks) ExpectWhole(block);
    }
    ASSERT_EQ(ca_context_destroy(owner.context), CA_CONTEXT_DONE);
    dead_.push_back(owner.context);
    owners_.pop_back();
    FreeDown(&orphaned_, 30);
  }
  void Reset() {
    if (owners_.empty()) return;
    Owner &owner = Any();
    if (owner.policy == CA_CONTEXT_ORPHAN) return;  // Others may have its blocks.
    for (Block &block : owner.blocks) ExpectWhole(block);
    ASSERT_EQ(ca_context_reset(owner.context), CA_CONTEXT_DONE);
    owner.blocks.clear();
  }
  void UseADeadOne() {
    if (dead_.empty()) return;
    ASSERT_EQ(ca_context_swap_in(dead_[random_() % dead_.size()]), CA_CONTEXT_GONE);
  }
  // Allocates and resizes in one context, and frees in that and in another.
  void Work() {
    if (owners_.empty()) return;
    Owner &owner = Any();
    ASSERT_EQ(ca_context_swap_in(owner.context), CA_CONTEXT_DONE);
    for (unsigned i = random_() % 6; i > 0; --i) {
      const std::size_t size = AnySize();
      Block block = {Allocate(size), size, static_cast<unsigned>(random_() % 128)};
      if (block.ptr == nullptr) continue;
      std::memset(block.ptr, static_cast<int>(block.mark), size);
      owner.blocks.push_back(block);
    }
    if (!owner.blocks.empty() && random_() % 2 == 0) Resize(owner.blocks);
    FreeDown(&owner.blocks, 12);
    FreeDown(&Any().blocks, 6);
    if (owner.policy == CA_CONTEXT_ORPHAN) HandOver(&owner.blocks);
    ca_context_swap_out();
    if (random_() % 4 == 0) Resize(Any().blocks);  // Parked.
    ASSERT_TRUE(ca_context_check(owner.context));
    const ca_context_counts counts = ca_context_count(owner.context);
    ASSERT_GE(counts.allocations - counts.deallocations, owner.blocks.size());
  }
  void HandOver(std::vector<Block> *blocks) {
    const std::lock_guard<std::mutex> guard(handed_over_->lock);
    std::vector<Block> &handed_over = handed_over_->blocks;
    if (!blocks->empty() && random_() % 2 == 0) {
      handed_over.push_back(blocks->back());
      blocks->pop_back();
    }
    if (!handed_over.empty() && random_() % 2 == 0) {
      Free(handed_over.front());
      handed_over.erase(handed_over.begin());
    }
  }
  void Resize(std::vector<Block> &blocks) {
    if (blocks.empty()) return;
    Block &block = blocks[random_() % blocks.size()];
    ExpectWhole(block);
    const std::size_t size = AnySize();
    const ca_block moved = ca_switchable_reallocate(block.ptr, size, 16);
    if (ca_block_is_none(moved)) return ExpectWhole(block);
    block = {static_cast<char *>(moved.ptr), std::min(size, block.size), block.mark};
    ExpectWhole(block);
    block.size = size;
    std::memset(block.ptr, static_cast<int>(block.mark), size);
  }
  void FreeDown(std::vector<Block> *blocks, std::size_t most) {
    while (blocks->size() > most) {
      std::swap((*blocks)[random_() % blocks->size()], blocks->back());
      Free(blocks->back());
      blocks->pop_back();
    }
  }

  std::mt19937 random_;
  HandedOver *handed_over_;
  std::vector<Owner> owners_;
  std::vector<ca_context> dead_;
  std::vector<Block> orphaned_;
};

// One thread more than once, then several whose contexts share pages.
TEST(SmallSlotsModelTest, EveryByteIsWhoseItIs) {
  constexpr int kSteps = 4000;
  for (unsigned threads : {1U, 1U, 4U}) {
    HandedOver handed_over;
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i) {
      running.emplace_back([&handed_over, seed = 10 * threads + i] {
        Model model(seed, &handed_over);
        for (int step = 0; step < kSteps && !testing::Test::HasFatalFailure(); ++step) model.Step();
        model.End();
      });
    }
    for (std::thread &thread : running) thread.join();
    for (const Block &block : handed_over.blocks) ca_switchable_deallocate(block.ptr);
    EXPECT_EQ(SlotsOut(), 0U);
  }
}

}  // namespace
