// What the settings of classes say: each in a process of its own, as the contexts' slots are reserved once
// in a process.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "sources/memory_map/memory_map.h"
#include "sources/memory_map/presence.h"
#include "switchable/context.h"
#include "switchable/switchable.h"
#include "switchable/testing.h"

namespace {

constexpr std::size_t kSmall = 1024;
constexpr std::size_t kLarge = std::size_t{64} << 10;
constexpr std::size_t kMany = 8192;  // Small ones: more than a huge page holds.

std::size_t PageSize() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

// Runs in a process of its own, which ends well if no expectation fails.
template <typename Body>
void InItsOwnProcess(Body body) {
  EXPECT_EXIT(
      {
        body();
        _exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

char *SlotOf(ca_context context) { return reinterpret_cast<char *>(context.header); }

ca_context CreateWith(std::size_t budget) {
  ca_context_settings settings = {};
  settings.budget = budget;
  return ca_context_create(&settings);
}

bool IsPresent(const char *ptr) {
  unsigned char present = 0;
  const std::uintptr_t page = reinterpret_cast<std::uintptr_t>(ptr) & ~(PageSize() - 1);
  EXPECT_EQ(mincore(reinterpret_cast<void *>(page), 1, &present), 0);
  return (present & 1) != 0;
}

bool KernelMakesPresent() {
  void *const page = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const ca_block range = ca_block_make(page, 1);
  const bool can = ca_pages_make_present(&range, 1);
  munmap(page, 1);
  return can;
}

// The kernel's flags of the mapping that ptr lies in: "hg" if huge pages are wished, "nh" if not.
std::string FlagsOf(const void *ptr) {
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  bool here = false;
  while (std::getline(smaps, line)) {
    unsigned long long begin = 0;
    unsigned long long end = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &begin, &end) == 2) {
      here = reinterpret_cast<std::uintptr_t>(ptr) - begin < end - begin;
    } else if (here && line.compare(0, 8, "VmFlags:") == 0) {
      return line + " ";
    }
  }
  return "";
}
bool WantsHugePages(const void *ptr) { return FlagsOf(ptr).find(" hg ") != std::string::npos; }
bool WantsNone(const void *ptr) { return FlagsOf(ptr).find(" nh ") != std::string::npos; }

bool KernelHasHugePages() {
  return access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0;
}

TEST(ClassesTest, SlotSizesThatAreNoneAreRefused) {
  InItsOwnProcess([] {
    ca_contexts_settings settings = {};
    for (const std::size_t bad : {CA_CONTEXT_LEAST_SLOT / 2, 768, 1000, 3 * 4096}) {
      settings.classes[0] = {bad, 10, 0, 0, false};
      EXPECT_FALSE(ca_contexts_init(&settings)) << bad;
    }
    settings.classes[0] = {CA_CONTEXT_LEAST_SLOT, 10, 0, 0, false};
    EXPECT_TRUE(ca_contexts_init(&settings));
  });
}

TEST(ClassesTest, OneThatNoSlotHoldsIsRefused) {
  InItsOwnProcess([] {
    ca_contexts_settings settings = {};
    settings.classes[0] = {CA_CONTEXT_LEAST_SLOT, 100, 0, 0, false};
    ASSERT_TRUE(ca_contexts_init(&settings));
    const ca_context neighbours[] = {CreateWith(100), CreateWith(100), CreateWith(100)};
    EXPECT_EQ(ca_context_destroy(neighbours[1]), CA_CONTEXT_DONE);
    EXPECT_FALSE(ca_switchable_thread_init(nullptr)) << "trees need more";
    EXPECT_TRUE(ca_context_check(neighbours[0]));
    EXPECT_TRUE(ca_context_check(neighbours[2]));
    ca_context_settings one = {};
    EXPECT_TRUE(ca_context_is_none(ca_context_create(&one))) << "no slot of 1 MiB";
    one.budget = 100;
    one.on_destroy = CA_CONTEXT_QUARANTINE;
    EXPECT_TRUE(ca_context_is_none(ca_context_create(&one))) << "no slot of whole pages";
    one.on_destroy = CA_CONTEXT_RELEASE;
    one.kind = CA_CONTEXT_BIT_SET;
    EXPECT_TRUE(ca_context_is_none(ca_context_create(&one)));
    one.kind = CA_CONTEXT_BUMP;
    one.first = 50;
    EXPECT_FALSE(ca_context_is_none(ca_context_create(&one)));
    one.first = 50;
    one.budget = 1000;
    EXPECT_TRUE(ca_context_is_none(ca_context_create(&one))) << "the whole budget must fit a slot";
  });
}

// The slot that a small context takes for its second block: beside slots of 16, 32 and 64 KiB.
std::size_t Growth(std::size_t budget, ca_context parent) {
  ca_context_settings settings = {};
  settings.kind = CA_CONTEXT_BUMP;
  settings.budget = budget;
  settings.first = kSmall - CA_CONTEXT_OVERHEAD;
  settings.parent = parent;
  const ca_context one = ca_context_create(&settings);
  EXPECT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE);
  EXPECT_NE(ca_switchable_allocate(2000, 16).ptr, nullptr);
  EXPECT_TRUE(ca_context_check(one));
  ca_context_swap_out();
  return ca_context_count(one).slot_size - kSmall;
}

void InitForGrowth() {
  ca_contexts_settings slots = {};
  slots.classes[0] = {kSmall, 16, 0, 0, false};
  slots.classes[1] = {kLarge / 4, 16, 0, 0, false};
  slots.classes[2] = {kLarge / 2, 16, 0, 0, false};
  slots.classes[3] = {kLarge, 16, 0, 0, false};
  ASSERT_TRUE(ca_contexts_init(&slots));
}

TEST(ClassesTest, NoMoreIsTakenThanTheBudgetLeaves) {
  InItsOwnProcess([] {
    InitForGrowth();
    EXPECT_EQ(Growth(10000, {}), kLarge / 4);
    EXPECT_EQ(Growth(30000, {}), kLarge / 2);
    EXPECT_EQ(Growth(60000, {}), kLarge);
    EXPECT_EQ(ca_testing::SlotsOut(), 6U);
  });
}

TEST(ClassesTest, OfAFamilysRoomNoMoreIsTakenThanIsNeeded) {
  InItsOwnProcess([] {
    InitForGrowth();
    ca_context_settings settings = {};
    settings.budget = 500;
    settings.family_budget = 500 + 3 * (kSmall + kLarge / 4 - 2 * CA_CONTEXT_OVERHEAD);
    const ca_context parent = ca_context_create(&settings);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Growth(60000, parent), kLarge / 4);
    EXPECT_EQ(ca_context_count(parent).family_used, settings.family_budget);
    EXPECT_EQ(ca_context_count(parent).family_refusals, 0U);
  });
}

TEST(ClassesTest, WhereNoneThatThreadsKeepIsIdleTheLargerOnesAreLeftToWhoNeedsThem) {
  InItsOwnProcess([] {
    ca_contexts_settings slots = {};
    slots.classes[0] = {kSmall, 16, 0, 0, false};
    slots.classes[1] = {kLarge / 4, 1, 0, 0, false};
    slots.classes[2] = {kLarge, 1, 0, 0, false};
    slots.classes[3] = {16 * kLarge, 1, 0, 0, false};
    ASSERT_TRUE(ca_contexts_init(&slots));
    ca_context_settings settings = {};
    settings.kind = CA_CONTEXT_BUMP;
    settings.budget = 4 * kLarge;
    settings.first = kSmall - CA_CONTEXT_OVERHEAD;
    for (const std::size_t next : {kLarge, kLarge / 4, 16 * kLarge}) {
      const ca_context one = ca_context_create(&settings);
      EXPECT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE);
      EXPECT_NE(ca_switchable_allocate(2000, 16).ptr, nullptr);
      EXPECT_EQ(ca_context_count(one).slot_size, kSmall + next);
      ca_context_swap_out();
    }
  });
}

TEST(ClassesTest, WithinAFamilysRoomNoneOfTheLargestIsTakenThatTheThreadKeeps) {
  InItsOwnProcess([] {
    ca_contexts_settings slots = {};
    slots.classes[0] = {kSmall, 16, 0, 0, false};
    slots.classes[1] = {kLarge, 4, 0, 0, false};
    ASSERT_TRUE(ca_contexts_init(&slots));
    ca_context_settings settings = {};
    settings.kind = CA_CONTEXT_BUMP;
    settings.budget = 500;
    settings.family_budget = 500 + kSmall - CA_CONTEXT_OVERHEAD + 20000;
    settings.parent = ca_context_create(&settings);
    settings.family_budget = 0;
    settings.budget = 40000;
    settings.first = kSmall - CA_CONTEXT_OVERHEAD;
    const ca_context one = ca_context_create(&settings);
    EXPECT_EQ(ca_context_destroy(CreateWith(kLarge / 2)), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_switchable_allocate(2000, 16).ptr, nullptr);
    EXPECT_EQ(ca_context_count(settings.parent).family_refusals, 1U);
  });
}

TEST(ClassesTest, WhatExhaustedEndsIsGrownInto) {
  InItsOwnProcess([] {
    ca_contexts_settings slots = {};
    slots.classes[0] = {kSmall, 16, 0, 0, false};
    slots.classes[1] = {kLarge, 1, 0, 0, false};
    ASSERT_TRUE(ca_contexts_init(&slots));
    static ca_context other;
    other = CreateWith(kLarge / 2);
    ca_context_settings settings = {};
    settings.kind = CA_CONTEXT_BUMP;
    settings.budget = 40000;
    settings.first = kSmall - CA_CONTEXT_OVERHEAD;
    settings.over_budget = CA_OVER_BUDGET_ASK;
    settings.exhausted = [](void *, std::size_t) {
      return ca_context_destroy(other) == CA_CONTEXT_DONE;  // Once.
    };
    const ca_context one = ca_context_create(&settings);
    EXPECT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE);
    EXPECT_NE(ca_switchable_allocate(2000, 16).ptr, nullptr);
    const ca_context_counts counts = ca_context_count(one);
    EXPECT_EQ(counts.slot_size, kSmall + kLarge);
    EXPECT_EQ(counts.allocations, 1U);
    EXPECT_EQ(counts.refusals, 0U);
  });
}

TEST(ClassesTest, AheadOfSmallSlotsTheirPagesAreThere) {
  InItsOwnProcess([] {
    const std::size_t each = PageSize() / kSmall;
    ca_contexts_settings settings = {};
    settings.classes[0] = {kSmall, 7 * each, 0, CA_PRESENCE_RANGES * each, false};
    EXPECT_FALSE(ca_contexts_init(&settings)) << "too many ahead";
    settings.classes[0].ahead = CA_PRESENCE_RANGES * each - 1;
    settings.classes[1] = {kLarge, 8, 0, CA_PRESENCE_RANGES, false};
    EXPECT_FALSE(ca_contexts_init(&settings)) << "too many of large ones";
    const std::size_t at_once = 2 * each + each / 2 + 1;  // The second time from within a page.
    settings.classes[0].ahead = at_once - 1;
    settings.classes[1] = {};
    ASSERT_TRUE(ca_contexts_init(&settings));
    const char *first = nullptr;
    std::size_t made = 0;
    const auto make = [&](std::size_t count) {
      for (std::size_t i = 0; i < count; ++i, ++made) {
        const ca_context one = CreateWith(100);
        if (made == 0) first = SlotOf(one);
      }
      std::vector<bool> pages;
      for (std::size_t i = 0; i < 7; ++i) pages.push_back(IsPresent(first + i * PageSize()));
      return pages;
    };
    const std::vector<bool> three = {true, true, true, false, false, false, false};
    const std::vector<bool> six = {true, true, true, true, true, true, false};
    const bool can = KernelMakesPresent();
    EXPECT_TRUE(make(1) == three || !can);
    EXPECT_TRUE(make(at_once - 1) == three || !can) << "they were made present for these";
    EXPECT_TRUE(make(1) == six || !can);
    EXPECT_TRUE(make(at_once - 1) == six || !can);
    EXPECT_EQ(make(7 * each - made), std::vector<bool>(7, true)) << "the last ones are fewer";
    EXPECT_TRUE(ca_context_is_none(CreateWith(100)));
  });
}

TEST(ClassesTest, ManySmallSlotsMayBeAhead) {
  InItsOwnProcess([] {
    const std::size_t each = PageSize() / kSmall;
    ca_contexts_settings settings = {};
    settings.classes[0] = {kSmall, kMany, 0, CA_PRESENCE_RANGES * each - 1, false};
    ASSERT_TRUE(ca_contexts_init(&settings));
    const char *const first = SlotOf(CreateWith(100));
    EXPECT_EQ(IsPresent(first + (CA_PRESENCE_RANGES - 1) * PageSize()), KernelMakesPresent());
    EXPECT_FALSE(IsPresent(first + CA_PRESENCE_RANGES * PageSize()));
  });
}

TEST(ClassesTest, HugePagesAreAskedForByTheClassThatWantsThem) {
  if (!KernelHasHugePages()) GTEST_SKIP() << "NOT CHECKED HERE: the kernel has none";
  InItsOwnProcess([] {
    ca_contexts_settings settings = {};
    settings.classes[0] = {kSmall, kMany, 0, 0, true};
    settings.classes[1] = {kLarge, 64, 0, 0, false};
    ASSERT_TRUE(ca_contexts_init(&settings));
    const char *const small = SlotOf(CreateWith(100));
    const char *const large = SlotOf(CreateWith(kSmall));
    EXPECT_TRUE(WantsHugePages(small)) << FlagsOf(small);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(small) % (std::uintptr_t{2} << 20), 0U);
    EXPECT_TRUE(WantsNone(large)) << FlagsOf(large);
  });
}

TEST(ClassesTest, HugePagesAreNotAskedOfAnothersSource) {
  if (!KernelHasHugePages()) GTEST_SKIP() << "NOT CHECKED HERE: the kernel has none";
  InItsOwnProcess([] {
    ca_memory_map map;
    ca_memory_map_settings mapping = {};
    mapping.huge_pages = CA_MEMORY_MAP_HUGE_NEVER;
    ca_memory_map_init(&map, &mapping);
    ca_contexts_settings settings = {};
    settings.classes[0] = {kSmall, kMany, 0, 0, true};
    settings.source = ca_memory_map_source(&map);
    ASSERT_TRUE(ca_contexts_init(&settings));
    EXPECT_TRUE(WantsNone(SlotOf(CreateWith(100))));
  });
}

}  // namespace
