#include "allocators/bit_set/bit_set.h"

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

template <ca_sizes kSizes, std::size_t kBlockSize>
struct BitSetFixture {
  BitSetFixture() : memory(kCapacity + kBlockSize) {
    ca_buffer_init(&buffer, memory.data(), memory.size());
    EXPECT_TRUE(ca_bit_set_init(&set, ca_buffer_source(&buffer), kCapacity, kBlockSize, kSizes));
  }
  ~BitSetFixture() {
    EXPECT_EQ(ca_bit_set_live(&set), 0U);
    ca_bit_set_destroy(&set);
    EXPECT_EQ(buffer.out, 0U) << "destroy returns the range";
  }
  ca_allocator *get() { return ca_bit_set_allocator(&set); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 600000;
  static constexpr bool kReclaims = true;

  std::vector<char> memory;
  ca_buffer buffer;
  ca_bit_set set;
};

using BitSetForgetting64 = BitSetFixture<CA_SIZES_FORGOTTEN, 64>;
using BitSetRecording64 = BitSetFixture<CA_SIZES_RECORDED, 64>;
using BitSetForgetting1024 = BitSetFixture<CA_SIZES_FORGOTTEN, 1024>;
using BitSetRecording8 = BitSetFixture<CA_SIZES_RECORDED, 8>;
INSTANTIATE_TYPED_TEST_SUITE_P(BitSetForgetting64, AllocatorConformance, BitSetForgetting64);
INSTANTIATE_TYPED_TEST_SUITE_P(BitSetRecording64, AllocatorConformance, BitSetRecording64);
INSTANTIATE_TYPED_TEST_SUITE_P(BitSetForgetting1024, AllocatorConformance, BitSetForgetting1024);
INSTANTIATE_TYPED_TEST_SUITE_P(BitSetRecording8, AllocatorConformance, BitSetRecording8);

constexpr std::size_t kBlock = 64;

class BitSetTest : public testing::TestWithParam<ca_sizes> {
 protected:
  // 15 words of blocks, none of them in part.
  BitSetTest() {
    const std::size_t size = 960 * kBlock + 704 + (GetParam() == CA_SIZES_RECORDED ? 128 : 0);
    EXPECT_TRUE(ca_bit_set_init_range(&set_, ca_block_make(memory_, size), kBlock, GetParam()));
    EXPECT_EQ(Count(), 960U);
  }
  ~BitSetTest() override { ca_bit_set_destroy(&set_); }

  ca_allocator *allocator() { return ca_bit_set_allocator(&set_); }
  void *Allocate(std::size_t blocks, std::size_t align = 16) {
    return ca_allocate(allocator(), blocks * kBlock, align).ptr;
  }
  void Free(void *ptr, std::size_t blocks) { ca_deallocate(allocator(), ptr, blocks * kBlock, 16); }
  bool Check() { return allocator()->ops->check(allocator()); }
  std::size_t Count() const { return set_.map.count; }

  alignas(4096) char memory_[65536];
  ca_bit_set set_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, BitSetTest, testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(BitSetTest, ASlotOf64KiBServes1000BlocksOf64Bytes) {
  ca_bit_set_init_range(&set_, ca_block_make(memory_, sizeof memory_), kBlock, GetParam());
  EXPECT_GE(Count(), 1005U);
  for (std::size_t i = 0; i < Count(); ++i) ASSERT_NE(Allocate(1), nullptr) << i;
  EXPECT_EQ(Allocate(1), nullptr);
  EXPECT_EQ(ca_bit_set_live(&set_), ca_bit_set_capacity(&set_));
  EXPECT_TRUE(Check());
}

TEST_P(BitSetTest, ARunAsLongAsTheRangeIsServed) {
  void *whole = Allocate(Count());
  ASSERT_EQ(whole, memory_);
  EXPECT_EQ(Allocate(1), nullptr);
  EXPECT_TRUE(Check());
  Free(whole, Count());
  EXPECT_EQ(Allocate(Count() + 1), nullptr);
  EXPECT_EQ(Allocate(Count()), whole);
}

TEST_P(BitSetTest, ARunIsWholeAgainThoughItsWordsWereInUseForSingleBlocks) {
  void *blocks[300];
  for (void *&block : blocks) block = Allocate(1);
  for (std::size_t i = 0; i < 300; ++i) Free(blocks[i], 1);
  EXPECT_TRUE(Check());
  EXPECT_EQ(Allocate(Count()), memory_);
}

TEST_P(BitSetTest, TheBlockFreedLastServesNextWhenTheRestIsFull) {
  std::vector<void *> blocks;
  for (std::size_t i = 0; i < Count(); ++i) blocks.push_back(Allocate(1));
  for (std::size_t i = 0; i < Count(); i += 37) {
    Free(blocks[i], 1);
    ASSERT_EQ(Allocate(1), blocks[i]);
    ASSERT_TRUE(Check());
  }
  EXPECT_EQ(Allocate(1), nullptr);
}

TEST_P(BitSetTest, SingleBlocksPreferWordsWithoutLongRuns) {
  void *whole = Allocate(Count());
  Free(static_cast<char *>(whole) + 0, Count());
  void *first = Allocate(64);
  void *second = Allocate(3);
  ASSERT_EQ(static_cast<char *>(second), static_cast<char *>(first) + 64 * kBlock);
  void *third = Allocate(61);
  Free(second, 3);  // A hole of three between two runs.
  for (int i = 0; i < 3; ++i) EXPECT_LT(Allocate(1), third);
}

TEST_P(BitSetTest, HonoursAlignmentsAboveTheBlockSize) {
  Allocate(1);
  for (std::size_t align = 128; align <= 16384; align *= 2) {
    for (const std::size_t blocks : {1, 3, 64, 100}) {
      void *run = Allocate(blocks, align);
      ASSERT_NE(run, nullptr) << blocks << ", " << align;
      EXPECT_TRUE(ca_is_aligned(run, align));
      EXPECT_TRUE(Check());
      ca_deallocate(allocator(), run, blocks * kBlock, align);
    }
  }
}

TEST_P(BitSetTest, FindsTheOnlyAlignedPlace) {
  void *whole = Allocate(Count());
  ASSERT_NE(whole, nullptr);
  char *const bytes = memory_;
  if (GetParam() == CA_SIZES_RECORDED) {  // There, what was allocated whole is freed whole.
    Free(whole, Count());
    for (std::size_t i = 0; i < Count(); ++i) ASSERT_NE(Allocate(1), nullptr);
  }
  for (std::size_t i = 60; i < 69; ++i) Free(bytes + i * kBlock, 1);  // 64 is a multiple of 4096.
  EXPECT_EQ(Allocate(6, 4096), nullptr);
  EXPECT_EQ(Allocate(5, 4096), bytes + 4096);
  EXPECT_EQ(Allocate(4, 256), bytes + 60 * kBlock);
  EXPECT_TRUE(Check());
}

TEST_P(BitSetTest, GrowsAndShrinksInPlaceByAnyNumberOfBlocks) {
  void *run = Allocate(1);
  std::memset(run, 7, kBlock);
  std::size_t length = 1;
  for (const std::size_t longer : {2, 63, 64, 65, 200, 950}) {
    const ca_block grown =
        ca_grow(allocator(), run, length * kBlock, longer * kBlock - 5, 16, CA_MOVE_NEVER);
    ASSERT_EQ(grown.ptr, run);
    EXPECT_EQ(grown.size, longer * kBlock);
    EXPECT_TRUE(Check());
    length = longer;
  }
  EXPECT_TRUE(ca_block_is_none(
      ca_grow(allocator(), run, length * kBlock, 2000 * kBlock, 16, CA_MOVE_ALLOWED)));
  for (const std::size_t shorter : {949, 300, 65, 64, 1}) {
    const ca_block shrunk =
        ca_shrink(allocator(), run, length * kBlock, shorter * kBlock, 16, CA_MOVE_NEVER);
    ASSERT_EQ(shrunk.size, shorter * kBlock);
    EXPECT_TRUE(Check());
    length = shorter;
  }
  EXPECT_EQ(static_cast<char *>(run)[63], 7);
  EXPECT_EQ(ca_bit_set_live(&set_), kBlock);
  void *whole = Allocate(959);
  ASSERT_NE(whole, nullptr);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), run, 1, kBlock + 1, 16, CA_MOVE_ALLOWED)));
}

TEST_P(BitSetTest, AfterResetEverythingIsFree) {
  std::mt19937 random(3);
  for (int round = 0; round < 5; ++round) {
    while (Allocate(1 + random() % (round + 1)) != nullptr) {
    }
    ca_bit_set_reset(&set_);
    EXPECT_TRUE(Check());
    EXPECT_EQ(ca_bit_set_live(&set_), 0U);
  }
  EXPECT_EQ(Allocate(Count()), memory_);
}

TEST_P(BitSetTest, DestroyTwiceIsHarmlessAndRefusesAfterwards) {
  Allocate(1);
  ca_bit_set_destroy(&set_);
  ca_bit_set_destroy(&set_);
  EXPECT_EQ(Allocate(1), nullptr);
  EXPECT_EQ(Allocate(1, 1), nullptr);
  EXPECT_TRUE(Check());
  EXPECT_FALSE(allocator()->ops->owns(allocator(), memory_));
  EXPECT_EQ(ca_bit_set_live(&set_), 0U);
  ca_bit_set_reset(&set_);
  ca_bit_set zero = {};
  ca_bit_set_destroy(&zero);
  EXPECT_TRUE(ca_block_is_none(ca_bit_set_allocate(&zero, 1, 1)));
}

TEST_P(BitSetTest, ImpossibleBlockSizesAndRangesAreRefused) {
  ca_bit_set set;
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory_, sizeof memory_);
  ca_source *source = ca_buffer_source(&buffer);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4}, std::size_t{48},
                                 std::size_t{65}, SIZE_MAX, SIZE_MAX / 2 + 1}) {
    EXPECT_FALSE(ca_bit_set_init(&set, source, 4096, size, GetParam())) << size;
    EXPECT_TRUE(ca_block_is_none(ca_allocate(ca_bit_set_allocator(&set), 1, 1)));
    EXPECT_TRUE(set.base.ops->check(ca_bit_set_allocator(&set)));
    ca_bit_set_destroy(&set);
  }
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{143}, SIZE_MAX}) {
    EXPECT_FALSE(ca_bit_set_init(&set, source, size, 64, GetParam())) << size;
    ca_bit_set_destroy(&set);
  }
  EXPECT_EQ(buffer.out, 0U);
  EXPECT_FALSE(ca_bit_set_init_range(&set, ca_block_none(), 64, GetParam()));
  EXPECT_FALSE(ca_bit_set_init_range(&set, ca_block_make(memory_, SIZE_MAX), 64, GetParam()));
  EXPECT_FALSE(ca_bit_set_init_range(
      &set, ca_block_make(reinterpret_cast<void *>(UINTPTR_MAX - 5000), 6000), 64, GetParam()));
}

// Address space only: of 40 GiB, no more than a few pages are touched.
TEST_P(BitSetTest, OfARangeOfMoreBlocksThanCanBeNumberedOnlySoManyAreUsed) {
  if (ca_poison_is_seen()) GTEST_SKIP() << "the tool's own records of so much would be touched";
  constexpr std::size_t kSize = std::size_t{40} << 30;
  void *const memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "no such address space";
  ca_bit_set set;
  ASSERT_TRUE(ca_bit_set_init_range(&set, ca_block_make(memory, kSize), 8, GetParam()));
  const std::size_t capacity = ca_bit_set_capacity(&set);
  EXPECT_EQ(capacity, CA_BIT_SET_COUNT_MAX * 8);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(&set.base, capacity + 1, 8)));
  const ca_block block = ca_allocate(&set.base, 1 << 20, 8);
  EXPECT_FALSE(ca_block_is_none(block));
  EXPECT_TRUE(
      ca_block_is_none(ca_grow(&set.base, block.ptr, block.size, capacity + 1, 8, CA_MOVE_NEVER)));
  EXPECT_EQ(ca_bit_set_live(&set), block.size);
  EXPECT_TRUE(set.base.ops->check(&set.base));
  ca_bit_set_destroy(&set);
  munmap(memory, kSize);
}

TEST_P(BitSetTest, TinyAndMisalignedRangesAreNeverOverrun) {
  std::vector<char> memory(3000);
  std::size_t served = 0;
  for (std::size_t offset = 0; offset < 80; offset += 7) {
    for (std::size_t size = 0; size < 2500; size += 13) {
      std::fill(memory.begin(), memory.end(), 9);
      ca_bit_set set;
      const ca_block range = ca_block_make(memory.data() + offset, size);
      if (!ca_bit_set_init_range(&set, range, 32, GetParam())) continue;
      for (;;) {
        const ca_block block = ca_allocate(ca_bit_set_allocator(&set), 1, 32);
        if (ca_block_is_none(block)) break;
        std::memset(block.ptr, 1, block.size);
        served++;
      }
      ASSERT_TRUE(set.base.ops->check(ca_bit_set_allocator(&set))) << offset << ", " << size;
      ca_bit_set_destroy(&set);
      for (std::size_t i = 0; i < memory.size(); ++i) {
        if (i < offset || i >= offset + size) ASSERT_EQ(memory[i], 9) << "wrote outside";
      }
    }
  }
  EXPECT_GT(served, 1000U);
}

TEST_P(BitSetTest, CheckFindsDamageAndDoesNotFollowIt) {
  Allocate(3);
  void *single = Allocate(1);
  Allocate(3);  // In the word behind, since the first one is checked out.
  ASSERT_TRUE(Check());
  const ca_bit_set right = set_;
  const auto found = [&] {
    const bool holds = Check();
    set_ = right;
    return !holds && Check();
  };
  EXPECT_TRUE((set_.map.words = reinterpret_cast<std::uint64_t *>(8), found()));
  EXPECT_TRUE((set_.map.count = SIZE_MAX, found()));
  EXPECT_TRUE((set_.map.index.sets = nullptr, found()));
  EXPECT_TRUE((set_.map.index.groups = nullptr, found()));
  EXPECT_TRUE((set_.map.index.stale = nullptr, found()));
  EXPECT_TRUE((set_.map.index.word_count = SIZE_MAX / 2, found()));
  EXPECT_TRUE((set_.map.index.level.count = 5, found()));
  EXPECT_TRUE((set_.map.index.level.begin[0] = 77, found()));
  EXPECT_TRUE((set_.map.index.stale_level.count = 5, found()));
  EXPECT_TRUE((set_.map.index.stale_level.begin[0] = 77, found()));
  EXPECT_TRUE((set_.range = ca_block_make(reinterpret_cast<void *>(16), SIZE_MAX), found()));
  EXPECT_TRUE((set_.range.size -= kBlock * 70, found()));
  EXPECT_TRUE((set_.begin += kBlock, found()));
  EXPECT_TRUE((set_.block_size = 63, found()));
  EXPECT_TRUE((set_.block_shift = 7, found()));
  EXPECT_TRUE((set_.plain++, found()));
  EXPECT_TRUE((set_.current++, found()));
  EXPECT_TRUE((set_.current_begin += kBlock, found()));
  EXPECT_TRUE((set_.map.out = 5000, found()));
  EXPECT_TRUE((set_.map.out = CA_FREE_MAP_NONE, found()));
  EXPECT_TRUE((set_.map.known += 64, found()));
  EXPECT_TRUE((set_.borders++, found()));
  EXPECT_TRUE((set_.last = memory_ + 50 * kBlock, found())) << "free as well";
  EXPECT_TRUE((set_.last = memory_ + 960 * kBlock, found()));
  EXPECT_TRUE((set_.last = memory_ + 1, found()));
  EXPECT_TRUE((set_.map.index.used = 0, found()));
  set_.map.words[1] ^= 1ULL << 40;
  EXPECT_FALSE(Check());
  set_.map.words[1] ^= 1ULL << 40;
  EXPECT_TRUE(Check());
  Free(single, 1);
  EXPECT_TRUE(Check());
}

TEST_P(BitSetTest, DirectCallsAndTheTableDoTheSame) {
  const ca_block direct = ca_bit_set_allocate(&set_, 10, 64);
  EXPECT_EQ(direct.size, kBlock);
  ca_deallocate(allocator(), direct.ptr, 10, 64);
  EXPECT_EQ(Allocate(1), direct.ptr);
  ca_bit_set_deallocate(&set_, direct.ptr, 64);
  const ca_block run = ca_bit_set_allocate(&set_, 1000, 16);
  EXPECT_EQ(run.size, 1024U);
  ca_bit_set_deallocate(&set_, run.ptr, 1000);
  EXPECT_EQ(ca_bit_set_live(&set_), 0U);
}

TEST_P(BitSetTest, ToolsSeeFreedAndNeverAllocatedMemory) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  for (const std::size_t blocks : {1, 2, 70}) {
    auto *bytes = static_cast<char *>(Allocate(blocks));
    EXPECT_FALSE(ca_is_poisoned(bytes));
    EXPECT_FALSE(ca_is_poisoned(bytes + blocks * kBlock - 1));
    EXPECT_TRUE(ca_is_poisoned(bytes + blocks * kBlock)) << "one past the end";
    Free(bytes, blocks);
    EXPECT_TRUE(ca_is_poisoned(bytes)) << "freed";
    EXPECT_TRUE(ca_is_poisoned(bytes + blocks * kBlock - 1)) << "freed";
  }
  void *run = Allocate(3);
  run = ca_shrink(allocator(), run, 3 * kBlock, kBlock, 16, CA_MOVE_NEVER).ptr;
  EXPECT_TRUE(ca_is_poisoned(static_cast<char *>(run) + kBlock)) << "shrunk";
  ca_grow(allocator(), run, kBlock, 2 * kBlock, 16, CA_MOVE_NEVER);
  EXPECT_FALSE(ca_is_poisoned(static_cast<char *>(run) + 2 * kBlock - 1)) << "grown";
  ca_bit_set_reset(&set_);
  EXPECT_TRUE(ca_is_poisoned(run)) << "reset";
}

// Random traffic with the whole state compared, in a set of many words and of every kind of run.
TEST_P(BitSetTest, SinglesAndRunsTogetherKeepEveryInvariant) {
  std::mt19937 random(11);
  std::vector<std::pair<void *, std::size_t>> live;
  for (int step = 0; step < 6000; ++step) {
    const bool singles = step / 500 % 2 == 0;
    if (random() % 5 < 3 || live.empty()) {
      const std::size_t blocks = singles ? 1 : 1 + random() % 90;
      void *run = Allocate(blocks);
      if (run != nullptr) live.push_back({run, blocks});
    } else {
      const std::size_t at = random() % 2 == 0 ? live.size() - 1 : random() % live.size();
      std::swap(live[at], live.back());
      Free(live.back().first, live.back().second);
      live.pop_back();
    }
    ASSERT_TRUE(Check()) << step;
  }
  std::size_t blocks = 0;
  for (const auto &[run, length] : live) blocks += length;
  EXPECT_EQ(ca_bit_set_live(&set_), blocks * kBlock);
}

using BitSetDeathTest = BitSetTest;

INSTANTIATE_TEST_SUITE_P(Sizes, BitSetDeathTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(BitSetDeathTest, ADoubleFreeIsReported) {
  void *single = Allocate(1);
  void *run = Allocate(70);
  Allocate(1);
  Free(single, 1);
  Free(run, 70);
  EXPECT_DEATH(Free(single, 1), "deallocate\\(0x[0-9a-f]+\\): double free \\(bit set\\)");
  EXPECT_DEATH(Free(run, 70), "double free");
  EXPECT_DEATH(Free(memory_ + 900 * kBlock, 1), "double free") << "never allocated";
  EXPECT_DEATH(ca_grow(allocator(), run, 1, 2, 16, CA_MOVE_NEVER), "grow.*double free");
  EXPECT_DEATH(ca_shrink(allocator(), run, 2, 1, 16, CA_MOVE_NEVER), "shrink.*double free");
}

TEST_P(BitSetDeathTest, ADoubleFreeIsReportedWhereverTheBlockIsKept) {
  std::vector<void *> blocks;
  for (int i = 0; i < 300; ++i) blocks.push_back(Allocate(1));
  for (int i = 0; i < 40; ++i) Free(blocks[70 + i], 1);
  ASSERT_EQ(set_.last, blocks[70]);
  EXPECT_DEATH(Free(blocks[70], 1), "double free") << "the one freed last";
  EXPECT_DEATH(ca_bit_set_deallocate(&set_, blocks[70], 1), "double free");
  EXPECT_DEATH(Free(blocks[109], 1), "double free") << "in the map";
  EXPECT_DEATH(Free(memory_ + 310 * kBlock, 1), "double free") << "in the word checked out";
  EXPECT_DEATH(Free(memory_ + 320 * kBlock, 1), "double free") << "in a word never used";
  EXPECT_DEATH(Free(blocks[105], 5), "double free");
  EXPECT_DEATH(Free(blocks[68], 3), "wrong size") << "freed last, behind";
  EXPECT_DEATH(Free(blocks[69], 100), "wrong size") << "free behind";
  EXPECT_DEATH(Free(blocks[299], 100), "wrong size") << "never used, behind";
  EXPECT_TRUE(Check());
}

// In a range that is full, what waits in front must still be found as a run, and grown into.
TEST_P(BitSetTest, TheBlockFreedLastIsAPartOfRunsToo) {
  std::vector<void *> blocks;
  for (std::size_t i = 0; i < Count(); ++i) blocks.push_back(Allocate(1));
  for (const std::size_t at : {100, 63, 64, 0}) {
    Free(blocks[at], 1);
    ASSERT_EQ(set_.last, blocks[at]);
    Free(blocks[at + 1], 1);
    ASSERT_EQ(Allocate(2), blocks[at]);
    ASSERT_TRUE(Check());
    ca_shrink(allocator(), blocks[at], 2 * kBlock, kBlock, 16, CA_MOVE_NEVER);
    ASSERT_EQ(set_.last, blocks[at + 1]);
    Free(blocks[at + 2], 1);
    ASSERT_FALSE(
        ca_block_is_none(ca_grow(allocator(), blocks[at], kBlock, 3 * kBlock, 16, CA_MOVE_NEVER)));
    ASSERT_EQ(set_.last, nullptr);
    ASSERT_TRUE(Check());
    Free(blocks[at], 3);
    for (int i = 0; i < 3; ++i) ASSERT_NE(Allocate(1), nullptr);
  }
  EXPECT_EQ(ca_bit_set_live(&set_), ca_bit_set_capacity(&set_));
}

TEST_P(BitSetTest, ThePeakIsTheHighestBlockHandedOutWhateverWasRefused) {
  const auto peak = [this] { return ca_bit_set_peak(&set_) / kBlock; };
  EXPECT_EQ(peak(), 0U);
  void *const first = Allocate(1);
  void *const second = Allocate(1);
  EXPECT_EQ(peak(), 64U);
  EXPECT_TRUE(
      ca_block_is_none(ca_grow(allocator(), first, kBlock, 500 * kBlock, 16, CA_MOVE_ALLOWED)));
  EXPECT_EQ(Allocate(Count() - 1), nullptr);
  EXPECT_EQ(Allocate(Count() - 63, 4096), nullptr);
  EXPECT_EQ(Allocate(1, std::size_t{1} << 40), nullptr);
  EXPECT_EQ(peak(), 64U) << "a call that was refused changes nothing";
  ASSERT_EQ(ca_grow(allocator(), second, kBlock, 63 * kBlock, 16, CA_MOVE_NEVER).ptr, second);
  EXPECT_EQ(peak(), 64U);
  ASSERT_EQ(ca_grow(allocator(), second, 63 * kBlock, 64 * kBlock, 16, CA_MOVE_NEVER).ptr, second);
  EXPECT_EQ(peak(), 128U);
  ASSERT_NE(Allocate(3, 2 * kBlock), nullptr);
  EXPECT_EQ(peak(), 128U);
  ASSERT_NE(Allocate(120), nullptr) << "which the end of the second word helps to hold";
  EXPECT_EQ(peak(), 192U);
  EXPECT_TRUE(Check());
  ca_bit_set_reset(&set_);
  EXPECT_EQ(peak(), 0U);
}

TEST_P(BitSetTest, InitAndResetWriteNoMoreThanAFewWords) {
  std::vector<unsigned char> memory(1 << 20, 0x5A);
  ca_bit_set set;
  ASSERT_TRUE(
      ca_bit_set_init_range(&set, ca_block_make(memory.data(), memory.size()), kBlock, GetParam()));
  const auto written = [&] {
    return memory.size() - std::count(memory.begin(), memory.end(), 0x5A);
  };
  ca_bit_set_reset(&set);
  ca_bit_set_destroy(&set);  // Whose blocks may be read again.
  EXPECT_LE(written(), 24U);
}

TEST_P(BitSetDeathTest, AnInteriorOrWildPointerIsReported) {
  auto *single = static_cast<char *>(Allocate(1));
  EXPECT_DEATH(Free(single + 1, 1), "not a block \\(bit set\\)");
  EXPECT_DEATH(Free(single + 32, 1), "not a block");
  EXPECT_DEATH(Free(memory_ - 64, 1), "not a block");
  EXPECT_DEATH(Free(memory_ + Count() * kBlock, 1), "not a block") << "the bits";
  EXPECT_DEATH(Free(&set_, 1), "not a block");
  EXPECT_DEATH(Free(reinterpret_cast<void *>(64), 1), "not a block");
}

TEST_P(BitSetDeathTest, ASizeThatReachesFreeBlocksIsReported) {
  void *run = Allocate(3);
  EXPECT_DEATH(Free(run, 4), "wrong size \\(bit set\\)");
  EXPECT_DEATH(Free(run, 5000), "wrong size");
}

TEST(BitSetRecordingDeathTest, TheSizeAndTheBeginOfARunAreKnown) {
  alignas(64) static char memory[65536];
  ca_bit_set set;
  ASSERT_TRUE(
      ca_bit_set_init_range(&set, ca_block_make(memory, sizeof memory), kBlock, CA_SIZES_RECORDED));
  ca_allocator *allocator = ca_bit_set_allocator(&set);
  auto *run = static_cast<char *>(ca_allocate(allocator, 70 * kBlock, 16).ptr);
  ca_allocate(allocator, 70 * kBlock, 16);
  EXPECT_EQ(allocator->ops->usable_size(allocator, run), 70 * kBlock);
  EXPECT_DEATH(ca_deallocate(allocator, run, 69 * kBlock, 16), "wrong size");
  EXPECT_DEATH(ca_deallocate(allocator, run, 71 * kBlock, 16), "wrong size");
  EXPECT_DEATH(ca_deallocate(allocator, run, 1, 16), "wrong size");
  EXPECT_DEATH(ca_deallocate_recorded(allocator, run, 1), "wrong size");
  EXPECT_DEATH(ca_deallocate_recorded(allocator, run, 71 * kBlock), "wrong size");
  EXPECT_DEATH(ca_deallocate(allocator, run + kBlock, 1, 16), "not a block");
  EXPECT_DEATH(allocator->ops->deallocate_unsized(allocator, run + 69 * kBlock), "not a block");
  EXPECT_DEATH(allocator->ops->usable_size(allocator, run + 5 * kBlock),
               "usable_size.*not a block");
  allocator->ops->deallocate_unsized(allocator, run);
  EXPECT_DEATH(allocator->ops->deallocate_unsized(allocator, run), "double free");
  auto *single = static_cast<char *>(ca_allocate(allocator, 1, 16).ptr);
  EXPECT_EQ(allocator->ops->usable_size(allocator, single), kBlock);
  EXPECT_DEATH(ca_deallocate(allocator, single, 65, 16), "wrong size");
  ca_bit_set_destroy(&set);
}

// Also the last block of a run, in the word that single blocks come from.
TEST(BitSetRecordingDeathTest, APartOfARunIsNoSingleBlock) {
  alignas(64) static char memory[65536];
  ca_bit_set set;
  ASSERT_TRUE(
      ca_bit_set_init_range(&set, ca_block_make(memory, sizeof memory), kBlock, CA_SIZES_RECORDED));
  ca_allocator *allocator = ca_bit_set_allocator(&set);
  auto *run = static_cast<char *>(ca_allocate(allocator, 2 * kBlock, 16).ptr);
  ca_allocate(allocator, set.map.count * kBlock - 10 * kBlock, 16);
  auto *single = static_cast<char *>(ca_allocate(allocator, 1, 16).ptr);
  auto *other = static_cast<char *>(ca_allocate(allocator, 2 * kBlock, 16).ptr);
  (void)single;
  (void)other;
  EXPECT_DEATH(ca_bit_set_deallocate(&set, run, 1), "wrong size");
  EXPECT_DEATH(ca_bit_set_deallocate(&set, run + kBlock, 1), "not a block");
  set.borders[0] &= ~std::uint64_t{1};
  EXPECT_FALSE(allocator->ops->check(allocator)) << "no border at the begin";
  ca_bit_set_destroy(&set);
}

TEST(BitSetRecordingTest, CheckFindsAFreeBlockInsideARun) {
  alignas(64) static char memory[65536];
  ca_bit_set set;
  ASSERT_TRUE(
      ca_bit_set_init_range(&set, ca_block_make(memory, sizeof memory), kBlock, CA_SIZES_RECORDED));
  ca_allocator *allocator = ca_bit_set_allocator(&set);
  const std::size_t size = ca_bit_set_capacity(&set);
  ca_deallocate(allocator, ca_allocate(allocator, size, 16).ptr, size, 16);
  for (const std::size_t border : {std::size_t{64}, std::size_t{100}, set.map.count}) {
    set.borders[border / 64] ^= std::uint64_t{1} << (border % 64);
    EXPECT_FALSE(allocator->ops->check(allocator)) << border;
    set.borders[border / 64] ^= std::uint64_t{1} << (border % 64);
    EXPECT_TRUE(allocator->ops->check(allocator));
  }
  ca_bit_set_destroy(&set);
}

TEST(BitSetSanitizerDeathTest, UseAfterFreeAndOverflowAreReportedByAddressSanitizer) {
#if CA_POISON_ASAN
  alignas(64) static char memory[4096];
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    ca_bit_set set;
    ca_bit_set_init_range(&set, ca_block_make(memory, sizeof memory), kBlock, sizes);
    volatile char *bytes = static_cast<char *>(ca_allocate(&set.base, 64, 16).ptr);
    EXPECT_DEATH(bytes[64] = 1, "use-after-poison");
    ca_deallocate(&set.base, const_cast<char *>(bytes), 64, 16);
    EXPECT_DEATH(bytes[0] = 1, "use-after-poison");
    ca_bit_set_destroy(&set);
  }
#else
  GTEST_SKIP() << "only under --config=asan";
#endif
}

}  // namespace
