#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "allocators/testing/allocator_conformance.h"
#include "base/poison.h"
#include "sources/buffer/buffer.h"

namespace {

using Trees = ca_multiple_binary_search_tree;

template <ca_sizes kSizes>
struct TreesFixture {
  TreesFixture() : memory(kCapacity) {
    ca_buffer_init(&buffer, memory.data(), memory.size());
    EXPECT_TRUE(ca_multiple_binary_search_tree_init(&trees, ca_buffer_source(&buffer),
                                                    kCapacity - 15, kSizes));
  }
  ~TreesFixture() {
    ca_multiple_binary_search_tree_destroy(&trees);
    EXPECT_EQ(buffer.out, 0U) << "destroy returns the range";
  }
  ca_allocator *get() { return ca_multiple_binary_search_tree_allocator(&trees); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 600000;
  static constexpr bool kReclaims = true;

  std::vector<char> memory;
  ca_buffer buffer;
  Trees trees;
};

using TreesForgetting = TreesFixture<CA_SIZES_FORGOTTEN>;
using TreesRecording = TreesFixture<CA_SIZES_RECORDED>;
INSTANTIATE_TYPED_TEST_SUITE_P(TreesForgetting, AllocatorConformance, TreesForgetting);
INSTANTIATE_TYPED_TEST_SUITE_P(TreesRecording, AllocatorConformance, TreesRecording);

class TreesTest : public testing::TestWithParam<ca_sizes> {
 protected:
  TreesTest() { Init(sizeof memory_); }
  ~TreesTest() override { ca_multiple_binary_search_tree_destroy(&trees_); }

  void Init(std::size_t size) {
    ca_multiple_binary_search_tree_init_range(&trees_, ca_block_make(memory_, size), GetParam());
  }
  ca_allocator *allocator() { return ca_multiple_binary_search_tree_allocator(&trees_); }
  ca_block Allocate(std::size_t size, std::size_t align = 16) {
    return ca_allocate(allocator(), size, align);
  }
  void Free(ca_block block) { ca_deallocate(allocator(), block.ptr, block.size, 16); }
  bool Check() { return allocator()->ops->check(allocator()); }
  std::size_t Live() { return ca_multiple_binary_search_tree_live(&trees_); }

  alignas(4096) char memory_[65536];
  Trees trees_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, TreesTest, testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(TreesTest, ABlockCostsItsSizeRoundedUpTo16) {
  for (std::size_t size = 1; size < 1800; size += 37) {
    EXPECT_EQ(Allocate(size).size, ca_round_up(size, 16));
  }
  EXPECT_TRUE(Check());
}

TEST_P(TreesTest, TheTablesTakeNoMoreThanTheHeaderSays) {
  const std::size_t tables = static_cast<std::size_t>(trees_.first) * 16;
  const std::size_t marks = sizeof memory_ / (GetParam() == CA_SIZES_RECORDED ? 64 : 128);
  EXPECT_LE(tables, marks + 904 + 32);
  EXPECT_LE(sizeof trees_, 792U);
  const ca_block all = Allocate(sizeof memory_ - tables);
  EXPECT_FALSE(ca_block_is_none(all)) << "the rest is one block";
  EXPECT_TRUE(ca_block_is_none(Allocate(1)));
}

TEST_P(TreesTest, TheBlockFreedLastServesTheNextRequestOfItsSize) {
  const ca_block first = Allocate(48);
  const ca_block second = Allocate(48);
  Free(first);
  Free(second);
  EXPECT_EQ(Allocate(33).ptr, second.ptr);
  EXPECT_EQ(Allocate(48).ptr, first.ptr);
}

// Every order of freeing 6 neighbours, small and large: in the end all is one piece again.
TEST_P(TreesTest, NeighboursMergeInEveryOrder) {
  for (const std::size_t size : {16, 48, 1008, 1040, 4000}) {
    std::vector<int> order = {0, 1, 2, 3, 4, 5};
    do {
      ca_multiple_binary_search_tree_reset(&trees_);
      std::vector<ca_block> blocks;
      for (int i = 0; i < 6; ++i) {
        blocks.push_back(Allocate(size));
      }
      const ca_block guard = Allocate(2000);
      for (const int i : order) {
        Free(blocks[i]);
        ca_multiple_binary_search_tree_fold(&trees_);
        ASSERT_TRUE(Check());
      }
      ASSERT_EQ(Live(), guard.size);
      Free(guard);
      ca_multiple_binary_search_tree_fold(&trees_);
      ASSERT_EQ(trees_.top, trees_.first);
      ASSERT_EQ(trees_.free_granules, 0U);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_P(TreesTest, ListsAreFoldedBeforeARequestIsRefused) {
  std::vector<ca_block> blocks;
  for (;;) {
    const ca_block block = Allocate(64);
    if (ca_block_is_none(block)) break;
    blocks.push_back(block);
  }
  for (const ca_block block : blocks) {
    Free(block);
  }
  EXPECT_GT(trees_.waiting, 0U);
  EXPECT_FALSE(ca_block_is_none(Allocate(blocks.size() * 64)));
  EXPECT_TRUE(Check());
}

TEST_P(TreesTest, GrowsInPlaceIntoFreeNeighboursOfAnySize) {
  const ca_block block = Allocate(100);
  const ca_block next = Allocate(100);
  const ca_block guard = Allocate(2000);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 100, 120, 16, CA_MOVE_NEVER)));
  Free(next);
  const ca_block grown = ca_grow(allocator(), block.ptr, 100, 130, 16, CA_MOVE_NEVER);
  EXPECT_EQ(grown.ptr, block.ptr) << "folded first";
  EXPECT_EQ(grown.size, 144U);
  EXPECT_EQ(ca_grow(allocator(), grown.ptr, 130, 224, 16, CA_MOVE_NEVER).size, 224U);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), grown.ptr, 224, 225, 16, CA_MOVE_NEVER)));
  EXPECT_TRUE(Check());
  EXPECT_EQ(Live(), 224 + guard.size);
  const ca_block up = ca_grow(allocator(), guard.ptr, 2000, 30000, 16, CA_MOVE_NEVER);
  EXPECT_EQ(up.ptr, guard.ptr) << "into the top";
  EXPECT_TRUE(Check());
}

TEST_P(TreesTest, AnAlignedBlockGrowsIntoOneThatWaitsThoughAnUnalignedPlaceWouldDo) {
  Allocate(4096 - trees_.first * 16); /* What there is before an aligned place. */
  const ca_block block = Allocate(1024, 4096);
  const ca_block behind = Allocate(1024);
  ASSERT_EQ(behind.ptr, static_cast<char *>(block.ptr) + 1024);
  Allocate(16);
  const ca_block hole = Allocate(3000);
  for (std::size_t size = sizeof memory_; size > 0; size /= 2) {
    while (!ca_block_is_none(Allocate(size))) continue;
  }
  Free(hole);
  Free(behind);
  const ca_block grown = ca_reallocate(allocator(), block.ptr, block.size, 2048, 4096);
  EXPECT_EQ(grown.ptr, block.ptr);
  EXPECT_EQ(grown.size, 2048U);
  EXPECT_TRUE(Check());
}

TEST_P(TreesTest, ShrinkGivesTheTailBack) {
  const ca_block block = Allocate(20000);
  Allocate(16);
  EXPECT_EQ(ca_shrink(allocator(), block.ptr, 20000, 10001, 16, CA_MOVE_NEVER).size, 10016U);
  EXPECT_TRUE(Check());
  const ca_block tail = Allocate(9984);
  EXPECT_EQ(tail.ptr, static_cast<char *>(block.ptr) + 10016);
  EXPECT_TRUE(Check());
}

TEST_P(TreesTest, AlignmentTakesNoMoreThanItMustAndIsFoundInHoles) {
  const ca_block first = Allocate(16);
  const ca_block page = Allocate(100, 4096);
  ASSERT_TRUE(ca_is_aligned(page.ptr, 4096));
  EXPECT_EQ(Live(), first.size + page.size);
  EXPECT_TRUE(Check());
  const ca_block between = Allocate(1000, 64);
  EXPECT_LT(between.ptr, page.ptr) << "what was skipped is free";
  EXPECT_TRUE(ca_block_is_none(Allocate(16, std::size_t{1} << 62))) << "no address is aligned so";
  EXPECT_TRUE(Check());
}

TEST_P(TreesTest, ResetForgetsEverythingAtOnce) {
  const ca_block first = Allocate(24);
  std::vector<ca_block> blocks;
  for (int i = 0; i < 400; ++i) {
    blocks.push_back(Allocate(16 + i % 9 * 16));
  }
  for (std::size_t i = 0; i < blocks.size(); i += 2) {
    Free(blocks[i]);
  }
  ca_multiple_binary_search_tree_fold(&trees_);
  ca_multiple_binary_search_tree_reset(&trees_);
  EXPECT_EQ(Live(), 0U);
  EXPECT_EQ(ca_multiple_binary_search_tree_peak(&trees_), 0U);
  EXPECT_TRUE(Check());
  EXPECT_EQ(Allocate(24).ptr, first.ptr);
  EXPECT_TRUE(Check());
}

TEST_P(TreesTest, TinyAndMisalignedRangesAreNeverOverrun) {
  for (std::size_t offset = 0; offset < 16; ++offset) {
    for (std::size_t size = 0; size < 700; ++size) {
      Trees trees;
      ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory_ + offset, size),
                                                GetParam());
      for (;;) {
        const ca_block block = ca_allocate(&trees.base, 3, 1);
        if (ca_block_is_none(block)) break;
        ASSERT_LE(static_cast<char *>(block.ptr) + block.size, memory_ + offset + size);
      }
      ASSERT_TRUE(trees.base.ops->check(&trees.base));
      ca_multiple_binary_search_tree_destroy(&trees);
    }
  }
  for (const ca_block range : {ca_block_none(), ca_block_make(memory_, SIZE_MAX)}) {
    Trees trees;
    ca_multiple_binary_search_tree_init_range(&trees, range, GetParam());
    EXPECT_TRUE(ca_block_is_none(ca_allocate(&trees.base, 1, 1)));
    EXPECT_FALSE(trees.base.ops->owns(&trees.base, memory_));
  }
}

TEST_P(TreesTest, DestroyTwiceIsHarmlessAndRefusesAfterwards) {
  ca_multiple_binary_search_tree_destroy(&trees_);
  ca_multiple_binary_search_tree_destroy(&trees_);
  EXPECT_TRUE(ca_block_is_none(Allocate(1)));
  EXPECT_TRUE(ca_block_is_none(Allocate(1, 4096)));
  EXPECT_TRUE(Check());
  Trees zero = {};
  ca_multiple_binary_search_tree_destroy(&zero);
  EXPECT_TRUE(ca_block_is_none(ca_multiple_binary_search_tree_allocate(&zero, 1, 1)));
}

TEST_P(TreesTest, AnExhaustedSourceOrATooSmallSizeLeavesAnAllocatorThatRefuses) {
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory_, 1000);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{40}, std::size_t{1001}, SIZE_MAX}) {
    Trees trees;
    EXPECT_FALSE(
        ca_multiple_binary_search_tree_init(&trees, ca_buffer_source(&buffer), size, GetParam()))
        << size;
    EXPECT_TRUE(ca_block_is_none(ca_allocate(&trees.base, 1, 1)));
    ca_multiple_binary_search_tree_destroy(&trees);
    EXPECT_EQ(buffer.out, 0U);
  }
}

// Address space only: of 40 GiB, no more than a few pages are touched.
TEST_P(TreesTest, OfARegionAboveTheLimitOnlySoMuchIsUsed) {
  if (ca_poison_is_seen()) GTEST_SKIP() << "the tool's own records of so much would be touched";
  constexpr std::size_t kSize = std::size_t{40} << 30, kLimit = std::size_t{32} << 30;
  void *const memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "no such address space";
  Trees trees;
  ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory, kSize), GetParam());
  const ca_block range = trees.base.ops->range(&trees.base);
  EXPECT_LE(static_cast<char *>(range.ptr) + range.size, static_cast<char *>(memory) + kLimit);
  EXPECT_GE(range.size, kLimit / 64 * 63 - 4096);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(&trees.base, range.size + 1, 16)));
  EXPECT_TRUE(ca_block_is_none(ca_allocate(&trees.base, 1, std::size_t{1} << 62)));
  const ca_block block = ca_allocate(&trees.base, 1 << 20, 16);
  EXPECT_FALSE(ca_block_is_none(block));
  EXPECT_TRUE(ca_block_is_none(
      ca_grow(&trees.base, block.ptr, block.size, range.size + 1, 16, CA_MOVE_NEVER)));
  EXPECT_TRUE(trees.base.ops->check(&trees.base));
  ca_multiple_binary_search_tree_destroy(&trees);
  munmap(memory, kSize);
}

// Makes a free block of 1, of 2 and of many granules, and a block that waits.
class TreesCheckTest : public TreesTest {
 protected:
  TreesCheckTest() {
    std::vector<ca_block> blocks;
    for (const std::size_t size : {16, 16, 32, 16, 3000, 16, 16, 16, 40, 16}) {
      blocks.push_back(Allocate(size));
    }
    Free(blocks[0]);
    Free(blocks[2]);
    Free(blocks[4]);
    Free(blocks[6]);
    ca_multiple_binary_search_tree_fold(&trees_);
    Free(Allocate(64));
    Free(blocks[8]);
    EXPECT_TRUE(Check());
  }
};

INSTANTIATE_TEST_SUITE_P(Sizes, TreesCheckTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

// What matters is that check returns at all, and the right answer once all is put back; most
// damages of free memory and of the tables are found.
TEST_P(TreesCheckTest, SurvivesEveryDamagedWord) {
  auto *words = reinterpret_cast<volatile std::uint32_t *>(memory_);
  const std::size_t count = static_cast<std::size_t>(trees_.highest) * 4;
  std::size_t found = 0;
  ca_unpoison_defined(memory_, sizeof memory_);
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::uint32_t wrong : {0xFFFFFFFFU, 0x7FFFFFF0U, 3U, 0U}) {
      ca_unpoison_defined(&memory_[i / 4 * 16], 16);
      const std::uint32_t right = words[i];
      words[i] = wrong;
      if (wrong != right && !Check()) found++;
      ca_unpoison_defined(&memory_[i / 4 * 16], 16);
      words[i] = right;
    }
  }
  EXPECT_GT(found, 50U);
  EXPECT_TRUE(Check());
}

TEST_P(TreesCheckTest, FindsEachDamagedMember) {
  const Trees right = trees_;
  for (std::uint32_t Trees::*member :
       {&Trees::waiting, &Trees::free_granules, &Trees::top, &Trees::first}) {
    trees_.*member += 1;
    // Where sizes are forgotten, nothing tells a live block's bytes from others.
    const bool seen = GetParam() == CA_SIZES_RECORDED || member == &Trees::waiting ||
                      member == &Trees::free_granules;
    EXPECT_TRUE(!seen || !Check());
    trees_.*member = 0xFFFFFFFF;
    EXPECT_FALSE(Check());
    trees_ = right;
  }
  for (std::size_t n = 0; n <= 80; ++n) {
    trees_.lists[n].head = n == 4 ? 0 : trees_.first + 3;
    EXPECT_FALSE(Check()) << n;
    trees_ = right;
    trees_.lists[n].count += 1;
    EXPECT_FALSE(Check()) << n;
    trees_ = right;
  }
  for (int bit = 0; bit < 264; ++bit) {
    trees_.classes[bit / 64] ^= std::uint64_t{1} << (bit % 64);
    EXPECT_FALSE(Check()) << bit;
    trees_ = right;
  }
  EXPECT_TRUE(Check());
}

bool Notes(void *live, ca_block block) {
  static_cast<std::vector<ca_block> *>(live)->push_back(block);
  return true;
}

// But for what looks like other live blocks: one more within a live block, or one less behind one.
TEST_P(TreesCheckTest, FindsEachMarkThatIsTurned) {
  const bool recording = GetParam() == CA_SIZES_RECORDED;
  std::vector<ca_block> live;
  if (recording) ASSERT_TRUE(allocator()->ops->walk(allocator(), Notes, &live));
  std::vector<bool> is_live(trees_.top + 1), begins(trees_.top + 1);
  for (const ca_block block : live) {
    const auto number = static_cast<std::size_t>(static_cast<char *>(block.ptr) - memory_) / 16;
    begins[number] = true;
    for (std::size_t i = 0; i < block.size / 16; ++i) is_live[number + i] = true;
  }
  auto *const words = reinterpret_cast<volatile std::uint64_t *>(memory_);
  for (std::uint32_t number = trees_.first; number < trees_.top; ++number) {
    for (std::size_t of_begins = 0; of_begins <= (recording ? 1 : 0); ++of_begins) {
      volatile std::uint64_t &word = words[(number / 64 << (recording ? 1 : 0)) + of_begins];
      const bool seen =
          of_begins == 0 || !is_live[number] || (begins[number] && !is_live[number - 1]);
      word = word ^ std::uint64_t{1} << number % 64;
      EXPECT_EQ(Check(), !seen) << number - trees_.first << " " << of_begins;
      word = word ^ std::uint64_t{1} << number % 64;
    }
  }
  EXPECT_TRUE(Check());
}

TEST_P(TreesTest, CheckFindsAFirstBlockThatLostItsBegin) {
  if (GetParam() == CA_SIZES_FORGOTTEN) GTEST_SKIP() << "blocks have no marks";
  Allocate(64);
  EXPECT_TRUE(Check());
  auto *const words = reinterpret_cast<volatile std::uint64_t *>(memory_);
  words[trees_.first / 64 * 2 + 1] =
      words[trees_.first / 64 * 2 + 1] & ~(std::uint64_t{1} << trees_.first % 64);
  EXPECT_FALSE(Check());
}

TEST_P(TreesCheckTest, FindsABlockThatIsListedTwiceInAnothersPlace) {
  if (GetParam() == CA_SIZES_FORGOTTEN) GTEST_SKIP() << "nothing tells what waits from what lives";
  ca_block blocks[3];
  for (ca_block &block : blocks) block = Allocate(96);
  for (const ca_block block : blocks) Free(block);
  auto *const head = reinterpret_cast<std::uint32_t *>(blocks[0].ptr);
  ca_unpoison_defined(head, 16);
  const std::uint32_t other = head[2];
  head[2] = head[1];
  EXPECT_FALSE(Check());
  ca_unpoison_defined(head, 16);
  head[2] = other;
  EXPECT_TRUE(Check());
}

// An address or a number that is damaged is not used.
TEST_P(TreesCheckTest, FindsWhatIsNotLaidOutLikeThis) {
  const Trees right = trees_;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t flip = std::uint64_t{1} << bit;
    trees_.memory = reinterpret_cast<char *>(reinterpret_cast<std::uintptr_t>(right.memory) ^ flip);
    EXPECT_FALSE(Check()) << bit;
    trees_ = right;
    trees_.trees =
        reinterpret_cast<ca_red_black_tree *>(reinterpret_cast<std::uintptr_t>(right.trees) ^ flip);
    EXPECT_FALSE(Check()) << bit;
    trees_ = right;
    if (bit >= 32) continue;
    trees_.recording ^= static_cast<std::uint32_t>(flip);
    EXPECT_FALSE(Check()) << bit;
    trees_ = right;
    trees_.end ^= static_cast<std::uint32_t>(flip);
    EXPECT_TRUE(!Check() || bit < 8) << bit << ": whatever has as many marks would do";
    trees_ = right;
  }
  trees_.touched = trees_.end + 1; /* trim() would give back what isn't the region's. */
  EXPECT_FALSE(Check());
  trees_.touched = trees_.first - 1;
  EXPECT_FALSE(Check());
  trees_ = right;
  trees_.region = ca_block_make(memory_, sizeof memory_ - 16);
  EXPECT_FALSE(Check());
  trees_.region = ca_block_make(memory_ + 16, sizeof memory_);
  EXPECT_FALSE(Check());
  trees_ = right;
  EXPECT_TRUE(Check());
}

TEST_P(TreesCheckTest, AWalkEndsAtATopThatLostItsMark) {
  if (GetParam() == CA_SIZES_FORGOTTEN) GTEST_SKIP() << "no walk";
  auto *const words = reinterpret_cast<volatile std::uint64_t *>(memory_);
  volatile std::uint64_t &word = words[trees_.top / 64 * 2 + 1];
  word = word ^ std::uint64_t{1} << trees_.top % 64;
  std::vector<ca_block> live;
  EXPECT_FALSE(allocator()->ops->walk(allocator(), Notes, &live));
  EXPECT_TRUE(live.empty());
  word = word ^ std::uint64_t{1} << trees_.top % 64;
  EXPECT_TRUE(allocator()->ops->walk(allocator(), Notes, &live));
}

// Sizes that put the first granule at every place of a word of marks.
TEST(TreesRecordingTest, WhatTheMemoryHeldBeforeMeansNothing) {
  alignas(16) static char memory[40000];
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    for (std::size_t size = 4000; size <= sizeof memory; size += 1200) {
      ca_multiple_binary_search_tree trees;
      std::memset(memory, 0xFF, sizeof memory);
      ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory, size), sizes);
      for (int life = 0; life < 2; ++life) {
        ASSERT_TRUE(trees.base.ops->check(&trees.base));
        if (sizes == CA_SIZES_RECORDED)
          ASSERT_EQ(ca_multiple_binary_search_tree_blocks(&trees), 0U);
        const ca_block first = ca_allocate(&trees.base, 16, 16);
        const ca_block second = ca_allocate(&trees.base, 1600, 16);
        ASSERT_TRUE(trees.base.ops->check(&trees.base)) << size;
        if (sizes == CA_SIZES_RECORDED)
          ASSERT_EQ(ca_multiple_binary_search_tree_blocks(&trees), 2U);
        ca_deallocate(&trees.base, first.ptr, first.size, 16);
        ca_multiple_binary_search_tree_fold(&trees);
        ASSERT_TRUE(trees.base.ops->check(&trees.base)) << size;
        ca_deallocate(&trees.base, second.ptr, second.size, 16);
        ASSERT_EQ(ca_multiple_binary_search_tree_live(&trees), 0U);
        ASSERT_TRUE(trees.base.ops->check(&trees.base)) << size;
        ca_multiple_binary_search_tree_reset(&trees);
      }
      ca_multiple_binary_search_tree_destroy(&trees);
    }
  }
}

TEST(TreesRecordingTest, CountsItsBlocks) {
  TreesRecording fixture;
  std::vector<void *> blocks;
  for (int i = 1; i <= 100; ++i) {
    blocks.push_back(ca_allocate(fixture.get(), static_cast<std::size_t>(i) * 30, 16).ptr);
  }
  EXPECT_EQ(ca_multiple_binary_search_tree_blocks(&fixture.trees), 100U);
  for (int i = 0; i < 50; ++i) {
    fixture.get()->ops->deallocate_unsized(fixture.get(), blocks[i]);
  }
  EXPECT_EQ(ca_multiple_binary_search_tree_blocks(&fixture.trees), 50U);
}

// A source that counts what is given back.
struct CountingSource {
  ca_source base;
  char *low, *high;
  std::size_t given;
};

TEST(TreesTrimTest, GivesFreeMemoryBackAndKeepsItsRecords) {
  alignas(4096) static char memory[1 << 20];
  static CountingSource source;
  static const ca_source_ops ops = {
      [](ca_source *, std::size_t, std::size_t) { return ca_block_make(memory, sizeof memory); },
      [](ca_source *, ca_block) {},
      [](ca_source *, void *ptr, std::size_t size) {
        ca_unpoison(ptr, size);
        std::memset(ptr, 0, size);
        ca_poison(ptr, size);
        source.given += size;
        return size;
      },
      false, "counting"};
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    source = {{&ops}, memory, memory + sizeof memory, 0};
    Trees trees;
    ASSERT_TRUE(ca_multiple_binary_search_tree_init(&trees, &source.base, sizeof memory, sizes));
    const ca_block first = ca_allocate(&trees.base, 100000, 16);
    const ca_block kept = ca_allocate(&trees.base, 5000, 16);
    const ca_block last = ca_allocate(&trees.base, 50000, 16);
    std::memset(kept.ptr, 7, kept.size);
    ca_deallocate(&trees.base, first.ptr, first.size, 16);
    ca_deallocate(&trees.base, last.ptr, last.size, 16);
    const std::size_t given = ca_multiple_binary_search_tree_trim(&trees);
    EXPECT_EQ(given, source.given);
    EXPECT_GE(given, 149000U);
    EXPECT_TRUE(trees.base.ops->check(&trees.base));
    EXPECT_EQ(static_cast<char *>(kept.ptr)[4999], 7);
    EXPECT_EQ(ca_allocate(&trees.base, 100000, 16).ptr, first.ptr);
    ca_multiple_binary_search_tree_destroy(&trees);
  }
}

class TreesDeathTest : public testing::Test {
 protected:
  TreesDeathTest() {
    ca_multiple_binary_search_tree_init_range(&trees_, ca_block_make(memory_, sizeof memory_),
                                              CA_SIZES_RECORDED);
    block_ = ca_allocate(&trees_.base, 100, 16);
    large_ = ca_allocate(&trees_.base, 5000, 16);
  }
  ~TreesDeathTest() override { ca_multiple_binary_search_tree_destroy(&trees_); }
  void FreeUnsized(void *ptr) { trees_.base.ops->deallocate_unsized(&trees_.base, ptr); }

  alignas(16) char memory_[20000];
  Trees trees_;
  ca_block block_, large_;
};

TEST_F(TreesDeathTest, ADoubleFreeIsReportedListedOrMerged) {
  FreeUnsized(block_.ptr);
  EXPECT_DEATH(FreeUnsized(block_.ptr), "deallocate.*double free");
  EXPECT_DEATH(ca_deallocate(&trees_.base, block_.ptr, 100, 16), "double free");
  FreeUnsized(large_.ptr);
  EXPECT_DEATH(FreeUnsized(large_.ptr), "double free");
  ca_multiple_binary_search_tree_fold(&trees_);
  EXPECT_DEATH(FreeUnsized(block_.ptr), "double free");
}

TEST_F(TreesDeathTest, InteriorAndWildPointersAreReported) {
  char *const bytes = static_cast<char *>(large_.ptr);
  EXPECT_DEATH(FreeUnsized(bytes + 16), "interior pointer");
  EXPECT_DEATH(FreeUnsized(bytes + 1), "interior pointer");
  EXPECT_DEATH(FreeUnsized(bytes + 4992), "interior pointer");
  EXPECT_DEATH(FreeUnsized(memory_), "not a block");
  EXPECT_DEATH(FreeUnsized(memory_ + sizeof memory_ - 16), "not a block");
  EXPECT_DEATH(FreeUnsized(nullptr), "not a block");
  EXPECT_DEATH(FreeUnsized(&trees_), "not a block");
  EXPECT_DEATH(trees_.base.ops->usable_size(&trees_.base, bytes + 16), "usable_size.*interior");
}

TEST_F(TreesDeathTest, AWrongSizeIsReported) {
  EXPECT_DEATH(ca_deallocate(&trees_.base, block_.ptr, 96, 16), "deallocate.*wrong size");
  EXPECT_DEATH(ca_deallocate(&trees_.base, block_.ptr, 113, 16), "wrong size");
  EXPECT_DEATH(ca_deallocate_recorded(&trees_.base, block_.ptr, 113), "deallocate.*wrong size");
  EXPECT_DEATH(ca_deallocate(&trees_.base, large_.ptr, 100, 16), "wrong size");
  EXPECT_DEATH(ca_grow(&trees_.base, block_.ptr, 96, 200, 16, CA_MOVE_NEVER), "grow.*wrong size");
}

TEST(TreesSanitizerDeathTest, UseAfterFreeAndOverflowAreReportedByAddressSanitizer) {
#if CA_POISON_ASAN
  alignas(16) static char memory[20000];
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    for (const std::size_t size : {32, 5008}) {
      Trees trees;
      ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory, sizeof memory),
                                                sizes);
      volatile char *bytes = static_cast<char *>(ca_allocate(&trees.base, size, 16).ptr);
      EXPECT_DEATH(bytes[size] = 1, "use-after-poison");
      ca_deallocate(&trees.base, const_cast<char *>(bytes), size, 16);
      EXPECT_DEATH(bytes[0] = 1, "use-after-poison");
      EXPECT_DEATH(bytes[size - 1] = 1, "use-after-poison");
      ca_multiple_binary_search_tree_destroy(&trees);
    }
  }
#else
  GTEST_SKIP() << "only under --config=asan";
#endif
}

}  // namespace
