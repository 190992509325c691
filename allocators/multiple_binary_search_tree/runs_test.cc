#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "base/poison.h"
#include "sources/buffer/buffer.h"
#include "sources/memory_map/memory_map.h"

namespace {

// In bytes.
struct Counts {
  std::size_t live, waiting, free, untouched, overhead;
};

class RunsTest : public testing::TestWithParam<ca_sizes> {
 protected:
  RunsTest() {
    ca_multiple_binary_search_tree_init_range(&trees_, ca_block_make(memory_, sizeof memory_),
                                              GetParam());
  }
  ~RunsTest() override { ca_multiple_binary_search_tree_destroy(&trees_); }

  ca_allocator *allocator() { return ca_multiple_binary_search_tree_allocator(&trees_); }
  char *Allocate(std::size_t size, std::size_t align = 16) {
    return static_cast<char *>(ca_allocate(allocator(), size, align).ptr);
  }
  void Free(void *ptr, std::size_t size) { ca_deallocate(allocator(), ptr, size, 16); }
  bool Check() { return allocator()->ops->check(allocator()); }
  Counts Count() {
    const auto bytes = [](std::uint32_t granules) { return std::size_t{granules} * 16; };
    return {ca_multiple_binary_search_tree_live(&trees_), bytes(trees_.waiting),
            bytes(trees_.free_granules), bytes(trees_.end - trees_.top), bytes(trees_.first)};
  }

  alignas(16) char memory_[65536];
  ca_multiple_binary_search_tree trees_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, RunsTest, testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(RunsTest, ABlockCostsItsSizeRoundedUpToSixteen) {
  char *const first = Allocate(33);
  EXPECT_EQ(Allocate(1) - first, 48);
  EXPECT_EQ(Count().live, 64U);
}

TEST_P(RunsTest, TheMarksTakeWhatTheHeaderSays) {
  const std::size_t one = GetParam() == CA_SIZES_RECORDED ? 64 : 128;
  EXPECT_LE(Count().overhead, sizeof memory_ / one + 32 + 904);
  EXPECT_LE(sizeof trees_, 792U);
}

TEST_P(RunsTest, AFreedBlockWaitsForARequestOfItsSize) {
  char *const first = Allocate(40);
  char *const second = Allocate(40);
  Allocate(40);
  Free(first, 40);
  Free(second, 40);
  EXPECT_EQ(Count().waiting, 96U);
  EXPECT_TRUE(Check());
  EXPECT_EQ(Allocate(48), second) << "the newest first";
  EXPECT_EQ(Allocate(33), first);
  EXPECT_EQ(Count().waiting, 0U);
}

// A list's head has room for as many numbers as it has words: several heads, and one that isn't full.
TEST_P(RunsTest, ManyFreedBlocksComeBackNewestFirstAndMostUntouched) {
  for (const std::size_t size : {16, 48, 1280}) {
    std::vector<char *> blocks(size / 4 * 2 + 3);
    for (char *&block : blocks) {
      block = Allocate(size);
      if (block != nullptr) std::memset(block, 'Z', size);
    }
    blocks.erase(std::find(blocks.begin(), blocks.end(), nullptr), blocks.end());
    for (char *const block : blocks) {
      Free(block, size);
      ASSERT_TRUE(Check());
    }
    EXPECT_EQ(Count().waiting, blocks.size() * size);
    std::size_t touched = 0;
    for (std::size_t i = blocks.size(); i-- > 0;) {
      ASSERT_EQ(Allocate(size), blocks[i]);
      ca_unpoison_defined(blocks[i], size);
      touched += std::memcmp(blocks[i], "ZZZZ", 4) != 0 ? 1 : 0;
      ASSERT_TRUE(Check());
    }
    EXPECT_EQ(touched, (blocks.size() - 1) / (size / 4) + 1) << "the heads only";
    for (char *const block : blocks) Free(block, size);
    ca_multiple_binary_search_tree_fold(&trees_);
    EXPECT_EQ(Count().live + Count().free + Count().waiting, 0U);
    ASSERT_TRUE(Check());
  }
}

// What follows the head is a live block's, and may look like a number that waits.
TEST_P(RunsTest, CheckFindsAHeadWithMoreNumbersThanWords) {
  char *blocks[6];
  for (char *&block : blocks) block = Allocate(16);
  const auto number = static_cast<std::uint32_t>((blocks[1] - trees_.memory) / 16);
  std::memcpy(blocks[1], &number, sizeof number);
  for (const int which : {0, 2, 3, 4}) Free(blocks[which], 16);
  ASSERT_EQ(trees_.lists[1].count, 4U);
  ASSERT_TRUE(Check());
  trees_.lists[1].count = 5;
  trees_.waiting += 1;
  EXPECT_FALSE(Check());
  trees_.lists[1].count = 4;
  trees_.waiting -= 1;
  EXPECT_TRUE(Check());
}

TEST_P(RunsTest, TheLowestRunOfTheSmallestClassThatFitsServes) {
  char *blocks[8];
  for (char *&block : blocks) {
    block = Allocate(2000);
    Allocate(2000);
  }
  char *const large = Allocate(5000);
  Allocate(16);
  Free(large, 5000);
  Free(blocks[5], 2000);
  Free(blocks[2], 2000);
  Free(blocks[6], 2000);
  EXPECT_EQ(Allocate(2000), blocks[2]);
  EXPECT_EQ(Allocate(2000), blocks[5]);
  EXPECT_EQ(Allocate(1900), blocks[6]);
  EXPECT_EQ(Allocate(2000), large) << "before what was never handed out";
  EXPECT_TRUE(Check());
}

TEST_P(RunsTest, NeighboursMergeWhicheverIsFreedFirst) {
  int order[] = {0, 1, 2};
  do {
    char *blocks[3];
    for (char *&block : blocks) block = Allocate(1440);
    char *const fence = Allocate(16);
    for (const int which : order) {
      Free(blocks[which], 1440);
      EXPECT_TRUE(Check());
    }
    EXPECT_EQ(Count().free, 3 * 1440U);
    EXPECT_EQ(Allocate(3 * 1440), blocks[0]);
    Free(blocks[0], 3 * 1440);
    Free(fence, 16);
    ca_multiple_binary_search_tree_trim(&trees_);
    EXPECT_EQ(Count().live + Count().free + Count().waiting, 0U);
  } while (std::next_permutation(order, order + 3));
}

TEST_P(RunsTest, WhatWaitsIsMergedBeforeARequestIsRefused) {
  std::vector<char *> blocks;
  for (char *block = Allocate(64); block != nullptr; block = Allocate(64)) blocks.push_back(block);
  for (char *const block : blocks) Free(block, 64);
  EXPECT_GT(Count().waiting, 0U);
  const std::size_t all = Count().waiting + Count().free + Count().untouched;
  EXPECT_NE(Allocate(all), nullptr);
  EXPECT_TRUE(Check());
}

TEST_P(RunsTest, TheWholeRegionIsOneBlock) {
  const std::size_t all = Count().untouched;
  EXPECT_EQ(Allocate(all + 1), nullptr);
  char *const whole = Allocate(all);
  ASSERT_NE(whole, nullptr);
  std::memset(whole, 1, all);
  EXPECT_EQ(Allocate(1), nullptr);
  EXPECT_TRUE(Check());
  Free(whole, all);
  EXPECT_EQ(Allocate(all), whole);
}

TEST_P(RunsTest, GrowsIntoAFreeNeighbourOfAnySizeAndShrinkGivesTheTailBack) {
  char *const block = Allocate(2000);
  char *const next = Allocate(3008);
  Allocate(16);
  Free(next, 3008);
  for (const std::size_t size : {2001, 2100, 3000, 5008}) {
    EXPECT_EQ(ca_grow(allocator(), block, 2000, size, 16, CA_MOVE_NEVER).ptr, block) << size;
    EXPECT_TRUE(Check());
    EXPECT_EQ(ca_shrink(allocator(), block, size, 2000, 16, CA_MOVE_NEVER).size, 2000U);
    EXPECT_TRUE(Check());
  }
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block, 2000, 5009, 16, CA_MOVE_NEVER)));
  EXPECT_EQ(Allocate(3008), next);
}

TEST_P(RunsTest, TheNewestGrowsIntoWhatWasNeverHandedOut) {
  char *const block = Allocate(100);
  EXPECT_EQ(ca_grow(allocator(), block, 100, 20000, 16, CA_MOVE_NEVER).ptr, block);
  EXPECT_EQ(Allocate(16), block + 20000);
  EXPECT_TRUE(Check());
}

TEST_P(RunsTest, GrowsIntoABlockThatWaitsWhenNothingElseIsLeft) {
  char *const block = Allocate(512);
  char *const next = Allocate(512);
  while (Allocate(16) != nullptr) {
  }
  Free(next, 512);
  EXPECT_EQ(ca_grow(allocator(), block, 512, 1024, 16, CA_MOVE_NEVER).ptr, block);
  EXPECT_TRUE(Check());
}

TEST_P(RunsTest, AnAlignedBlockLeavesHeadAndTailToOthers) {
  const std::size_t before = Count().untouched;
  Allocate(16);
  char *const block = Allocate(100, 4096);
  EXPECT_TRUE(ca_is_aligned(block, 4096));
  EXPECT_EQ(Count().live, 16U + 112);
  EXPECT_EQ(Count().live + Count().free + Count().untouched, before);
  EXPECT_LT(Allocate(16), block) << "the head";
  EXPECT_TRUE(Check());
}

// A run with room for the block, but not for the largest padding that an unlucky one could need.
TEST_P(RunsTest, AnAlignedBlockTakesARunThatFitsExactly) {
  char *const aligned = Allocate(4096, 4096);
  while (Allocate(16) != nullptr) {
  }
  Free(aligned, 4096);
  EXPECT_EQ(Allocate(4096, 4096), aligned);
}

TEST_P(RunsTest, ResetForgetsEverythingAtOnce) {
  const std::size_t all = Count().untouched;
  char *const first = Allocate(24);
  std::mt19937 random(1);
  std::vector<std::pair<char *, std::size_t>> live;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 100; ++i) {
      const std::size_t size = 1 + random() % 1500;
      char *const block = Allocate(size);
      if (block != nullptr) live.emplace_back(block, size);
    }
    for (std::size_t i = 0; i < live.size(); i += 2) Free(live[i].first, live[i].second);
    live.clear();
    ca_multiple_binary_search_tree_reset(&trees_);
    EXPECT_TRUE(Check());
    EXPECT_EQ(Count().untouched, all);
    EXPECT_EQ(Allocate(24), first);
  }
}

TEST_P(RunsTest, MarksOfAnEarlierLifeAreNotTakenForItsOwn) {
  ca_multiple_binary_search_tree_destroy(&trees_);
  std::memset(memory_, 0xFF, sizeof memory_);
  ca_multiple_binary_search_tree_init_range(&trees_, ca_block_make(memory_, sizeof memory_),
                                            GetParam());
  for (int i = 0; i < 40; ++i) {
    char *const block = Allocate(1500);
    ASSERT_NE(block, nullptr);
    std::memset(block, 0xFF, 1500);
    ASSERT_TRUE(Check());
    if (i % 2 == 0) Free(block, 1500);
    ASSERT_TRUE(Check());
  }
}

TEST_P(RunsTest, DestroyTwiceIsHarmlessAndRefusesAfterwards) {
  Free(Allocate(1), 1);
  ca_multiple_binary_search_tree_destroy(&trees_);
  ca_multiple_binary_search_tree_destroy(&trees_);
  EXPECT_EQ(Allocate(1), nullptr);
  EXPECT_TRUE(Check());
  EXPECT_FALSE(allocator()->ops->owns(allocator(), memory_));
  EXPECT_EQ(ca_multiple_binary_search_tree_trim(&trees_), 0U);
  ca_multiple_binary_search_tree_reset(&trees_);
  ca_multiple_binary_search_tree zero = {};
  ca_multiple_binary_search_tree_destroy(&zero);
  EXPECT_TRUE(ca_block_is_none(ca_multiple_binary_search_tree_allocate(&zero, 1, 1)));
}

TEST_P(RunsTest, TooSmallAndMisalignedRangesAreNeverOverrun) {
  for (std::size_t offset = 0; offset < 16; ++offset) {
    for (std::size_t size = 0; size < 400; ++size) {
      ca_multiple_binary_search_tree trees;
      ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory_ + offset, size),
                                                GetParam());
      ca_allocator *const base = ca_multiple_binary_search_tree_allocator(&trees);
      for (;;) {
        const ca_block block = ca_allocate(base, 3, 1);
        if (ca_block_is_none(block)) break;
        ASSERT_GE(static_cast<char *>(block.ptr), memory_ + offset + 8);
        ASSERT_LE(static_cast<char *>(block.ptr) + block.size, memory_ + offset + size);
      }
      EXPECT_TRUE(base->ops->check(base));
      ca_multiple_binary_search_tree_destroy(&trees);
    }
  }
  for (const ca_block range : {ca_block_none(), ca_block_make(memory_, SIZE_MAX)}) {
    ca_multiple_binary_search_tree none;
    ca_multiple_binary_search_tree_init_range(&none, range, GetParam());
    EXPECT_TRUE(ca_block_is_none(ca_allocate(&none.base, 1, 1)));
  }
}

TEST_P(RunsTest, ASourceThatHasNoneOrTooLittleLeavesAnAllocatorThatRefuses) {
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory_, 1000);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{1001}, SIZE_MAX}) {
    ca_multiple_binary_search_tree trees;
    EXPECT_FALSE(
        ca_multiple_binary_search_tree_init(&trees, ca_buffer_source(&buffer), size, GetParam()));
    EXPECT_TRUE(ca_block_is_none(ca_allocate(&trees.base, 1, 1)));
    EXPECT_EQ(buffer.out, 0U);
    ca_multiple_binary_search_tree_destroy(&trees);
  }
}

TEST_P(RunsTest, TrimGivesWholePagesBackAndKeepsTheRest) {
  ca_memory_map map;
  ca_memory_map_init(&map, nullptr);
  ca_multiple_binary_search_tree trees;
  ASSERT_TRUE(
      ca_multiple_binary_search_tree_init(&trees, ca_memory_map_source(&map), 1 << 20, GetParam()));
  ca_allocator *const base = &trees.base;
  const ca_block low = ca_allocate(base, 100000, 16);
  const ca_block high = ca_allocate(base, 100000, 16);
  const ca_block last = ca_allocate(base, 100000, 16);
  std::memset(low.ptr, 1, 100000);
  std::memset(high.ptr, 2, 100000);
  ca_deallocate(base, low.ptr, 100000, 16);
  ca_deallocate(base, last.ptr, 100000, 16);
  EXPECT_GE(ca_multiple_binary_search_tree_trim(&trees), 2 * 80000U);
  EXPECT_TRUE(base->ops->check(base));
  for (int i = 0; i < 100000; ++i) ASSERT_EQ(static_cast<char *>(high.ptr)[i], 2);
  EXPECT_EQ(ca_allocate(base, 100000, 16).ptr, low.ptr);
  ca_multiple_binary_search_tree_destroy(&trees);
}

// Each byte of the marks and of a free run's ends, changed: found, not followed.
TEST_P(RunsTest, CheckFindsDamageInTheRegion) {
  char *blocks[6];
  char *const waits = Allocate(64);
  Allocate(64);
  Free(waits, 64);
  for (char *&block : blocks) block = Allocate(1500);
  for (int i = 0; i < 6; i += 2) Free(blocks[i], 1500);
  ASSERT_TRUE(Check());
  const auto expect_found = [this](char *byte, char flip) {
    ca_unpoison_defined(byte, 1);
    *byte = static_cast<char>(*byte ^ flip);
    EXPECT_FALSE(Check()) << byte - memory_;
    ca_unpoison_defined(byte, 1);
    *byte = static_cast<char>(*byte ^ flip);
  };
  for (int i = 0; i < 16; ++i) {
    expect_found(blocks[0] + i, 0x10);
    expect_found(blocks[2] + i, 0x41);
  }
  const std::size_t last = 1500 / 16 * 16;
  for (int i = 12; i < 16; ++i) expect_found(blocks[4] + last + i, 0x04);
  for (int i = 0; i < 4; ++i) expect_found(waits + i, 0x20);
  const auto number = static_cast<std::size_t>(blocks[2] - trees_.memory) / 16;
  char *const mark =
      trees_.memory + number / 64 * (GetParam() == CA_SIZES_RECORDED ? 16 : 8) + number % 64 / 8;
  for (int bit = 0; bit < 8; ++bit) {
    if (GetParam() == CA_SIZES_FORGOTTEN || bit == static_cast<int>(number % 8)) {
      expect_found(mark, static_cast<char>(1 << bit));
    }
  }
  EXPECT_TRUE(Check());
}

TEST_P(RunsTest, CheckFindsDamageInTheStructure) {
  char *const between = Allocate(1500);
  Allocate(1500);
  Free(between, 1500);
  ASSERT_TRUE(Check());
  for (std::uint32_t *const word : {&trees_.top, &trees_.free_granules, &trees_.first}) {
    *word += 1;
    EXPECT_FALSE(Check());
    *word -= 1;
  }
  trees_.classes[0] ^= 2;
  EXPECT_FALSE(Check());
  trees_.classes[0] ^= 2;
  for (unsigned wrong = 1; wrong < 3; ++wrong) {  // A whole tree in another class.
    unsigned from = 64;
    while ((trees_.classes[from / 64] >> from % 64 & 1) == 0) ++from;
    trees_.trees[from + wrong] = trees_.trees[from];
    const std::uint64_t both = std::uint64_t{1} << from % 64 | std::uint64_t{1}
                                                                   << (from + wrong) % 64;
    trees_.classes[from / 64] ^= both;
    EXPECT_FALSE(Check());
    trees_.classes[from / 64] ^= both;
  }
  trees_.waiting += 4;
  EXPECT_FALSE(Check());
  trees_.waiting -= 4;
  EXPECT_TRUE(Check());
}

TEST_P(RunsTest, ToolsSeeFreedAndNeverAllocatedMemory) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  for (const std::size_t size : {32, 4096}) {
    char *const block = Allocate(size);
    Allocate(16);
    EXPECT_FALSE(ca_is_poisoned(block + size - 1));
    Free(block, size);
    EXPECT_TRUE(ca_is_poisoned(block)) << "freed";
    EXPECT_TRUE(ca_is_poisoned(block + size - 1)) << "freed";
    EXPECT_TRUE(ca_is_poisoned(block + 9000)) << "never allocated";
    EXPECT_TRUE(Check());
    EXPECT_TRUE(ca_is_poisoned(block)) << "checked";
  }
}

TEST(TreesDirectTest, TheInlineFunctionsAndTheInterfaceShareTheLists) {
  alignas(16) char memory[4096];
  ca_multiple_binary_search_tree trees;
  ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory, sizeof memory),
                                            CA_SIZES_FORGOTTEN);
  const ca_block block = ca_multiple_binary_search_tree_allocate(&trees, 50, 16);
  ca_multiple_binary_search_tree_allocate(&trees, 50, 16);
  ca_multiple_binary_search_tree_deallocate(&trees, block.ptr, 50);
  EXPECT_EQ(ca_allocate(&trees.base, 60, 16).ptr, block.ptr);
  ca_deallocate(&trees.base, block.ptr, 60, 16);
  EXPECT_EQ(ca_multiple_binary_search_tree_allocate(&trees, 49, 16).ptr, block.ptr);
  ca_multiple_binary_search_tree_destroy(&trees);
}

class RunsDeathTest : public testing::Test {
 protected:
  RunsDeathTest() {
    ca_multiple_binary_search_tree_init_range(&trees_, ca_block_make(memory_, sizeof memory_),
                                              CA_SIZES_RECORDED);
    block_ = static_cast<char *>(ca_allocate(&trees_.base, 100, 16).ptr);
    large_ = static_cast<char *>(ca_allocate(&trees_.base, 2000, 16).ptr);
    last_ = static_cast<char *>(ca_allocate(&trees_.base, 100, 16).ptr);
  }
  ~RunsDeathTest() override { ca_multiple_binary_search_tree_destroy(&trees_); }

  void FreeUnsized(void *ptr) { trees_.base.ops->deallocate_unsized(&trees_.base, ptr); }
  void Free(void *ptr, std::size_t size) { ca_deallocate(&trees_.base, ptr, size, 16); }

  alignas(16) char memory_[8192];
  ca_multiple_binary_search_tree trees_;
  char *block_;
  char *large_;
  char *last_;
};

TEST_F(RunsDeathTest, ADoubleFreeIsReported) {
  FreeUnsized(block_);
  FreeUnsized(large_);
  EXPECT_DEATH(FreeUnsized(block_), "deallocate\\(0x[0-9a-f]+\\): double free");
  EXPECT_DEATH(Free(block_, 100), "double free");
  EXPECT_DEATH(FreeUnsized(large_), "double free");
  ca_multiple_binary_search_tree_trim(&trees_);
  EXPECT_DEATH(FreeUnsized(block_), "double free");
  FreeUnsized(last_);
  ca_multiple_binary_search_tree_trim(&trees_);
  EXPECT_DEATH(FreeUnsized(last_), "double free");
}

TEST_F(RunsDeathTest, ABlockThatCameToLieAboveTopIsReportedAsFreed) {
  FreeUnsized(last_);
  ca_multiple_binary_search_tree_trim(&trees_);
  EXPECT_DEATH(FreeUnsized(last_), "double free");
}

TEST_F(RunsDeathTest, AnInteriorOrWildPointerIsReported) {
  EXPECT_DEATH(FreeUnsized(block_ + 16), "interior pointer|not a block");
  EXPECT_DEATH(FreeUnsized(block_ + 1), "interior pointer|not a block");
  EXPECT_DEATH(FreeUnsized(large_ + 1984), "interior pointer|not a block");
  EXPECT_DEATH(FreeUnsized(memory_), "interior pointer|not a block");
  EXPECT_DEATH(FreeUnsized(memory_ + sizeof memory_), "interior pointer|not a block");
  EXPECT_DEATH(FreeUnsized(nullptr), "interior pointer|not a block");
  EXPECT_DEATH(FreeUnsized(&trees_), "interior pointer|not a block");
  EXPECT_DEATH(trees_.base.ops->usable_size(&trees_.base, block_ + 32), "usable_size.*interior");
  EXPECT_DEATH(ca_grow(&trees_.base, block_ + 16, 1, 2, 16, CA_MOVE_NEVER), "grow.*interior");
  EXPECT_DEATH(ca_shrink(&trees_.base, block_ + 16, 2, 1, 16, CA_MOVE_NEVER), "shrink.*interior");
}

TEST_F(RunsDeathTest, AWrongSizeIsReported) {
  for (const std::size_t size : {1, 96, 113, 2000}) {
    EXPECT_DEATH(Free(block_, size), "deallocate.*wrong size") << size;
  }
  EXPECT_DEATH(Free(large_, 1984), "wrong size");
  EXPECT_DEATH(ca_grow(&trees_.base, block_, 113, 200, 16, CA_MOVE_NEVER), "grow.*wrong size");
  Free(block_, 112);
}

TEST(RunsSanitizerDeathTest, UseAfterFreeAndOverflowAreReportedByAddressSanitizer) {
#if CA_POISON_ASAN
  alignas(16) static char memory[4096];
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    ca_multiple_binary_search_tree trees;
    ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory, sizeof memory), sizes);
    volatile char *bytes = static_cast<char *>(ca_allocate(&trees.base, 32, 16).ptr);
    EXPECT_DEATH(bytes[32] = 1, "use-after-poison");
    ca_deallocate(&trees.base, const_cast<char *>(bytes), 32, 16);
    EXPECT_DEATH(bytes[0] = 1, "use-after-poison");
    ca_multiple_binary_search_tree_destroy(&trees);
  }
#else
  GTEST_SKIP() << "only under --config=asan";
#endif
}

}  // namespace
