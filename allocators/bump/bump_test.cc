#include "allocators/bump/bump.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "allocators/bump/recorded.h"
#include "allocators/testing/allocator_conformance.h"
#include "base/poison.h"
#include "sources/buffer/buffer.h"

namespace {

template <ca_sizes kSizes>
struct BumpFixture {
  BumpFixture() : memory(kCapacity) {
    ca_buffer_init(&buffer, memory.data(), memory.size());
    EXPECT_TRUE(ca_bump_init(&bump, ca_buffer_source(&buffer), kCapacity - 15, kSizes));
  }
  ~BumpFixture() {
    ca_bump_destroy(&bump);
    EXPECT_EQ(buffer.out, 0U) << "destroy returns the range";
  }
  ca_allocator *get() { return ca_bump_allocator(&bump); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 600000;
  static constexpr bool kReclaims = false;

  std::vector<char> memory;
  ca_buffer buffer;
  ca_bump bump;
};

using BumpForgetting = BumpFixture<CA_SIZES_FORGOTTEN>;
using BumpRecording = BumpFixture<CA_SIZES_RECORDED>;
INSTANTIATE_TYPED_TEST_SUITE_P(BumpForgetting, AllocatorConformance, BumpForgetting);
INSTANTIATE_TYPED_TEST_SUITE_P(BumpRecording, AllocatorConformance, BumpRecording);

class BumpTest : public testing::TestWithParam<ca_sizes> {
 protected:
  BumpTest() { ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), GetParam()); }
  ~BumpTest() override { ca_bump_destroy(&bump_); }

  ca_allocator *allocator() { return ca_bump_allocator(&bump_); }
  ca_block Allocate(std::size_t size) { return ca_allocate(allocator(), size, 16); }

  alignas(16) char memory_[1024];
  ca_bump bump_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, BumpTest, testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(BumpTest, TakesBackOnlyTheNewestBlock) {
  const ca_block first = Allocate(24);
  const ca_block second = Allocate(24);
  ca_deallocate(allocator(), first.ptr, 24, 16);
  const ca_block third = Allocate(24);
  EXPECT_GT(third.ptr, second.ptr);
  ca_deallocate(allocator(), third.ptr, 24, 16);
  EXPECT_EQ(Allocate(24).ptr, third.ptr);
}

TEST_P(BumpTest, ResizesTheNewestBlockInPlace) {
  Allocate(24);
  ca_block newest = Allocate(24);
  std::memset(newest.ptr, 3, 24);
  newest = ca_grow(allocator(), newest.ptr, 24, 500, 16, CA_MOVE_NEVER);
  ASSERT_EQ(newest.size, 500U);
  EXPECT_EQ(static_cast<char *>(newest.ptr)[23], 3);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), newest.ptr, 500, 2000, 16, CA_MOVE_NEVER)));
  newest = ca_shrink(allocator(), newest.ptr, 500, 40, 16, CA_MOVE_NEVER);
  EXPECT_EQ(newest.size, 40U);
  EXPECT_LE(static_cast<char *>(Allocate(24).ptr), static_cast<char *>(newest.ptr) + 64);
}

TEST_P(BumpTest, GrowsTheNewestBlockToTheLastByteAndNotFurther) {
  const ca_block newest = Allocate(24);
  const auto most = static_cast<std::size_t>(bump_.end - static_cast<char *>(newest.ptr));
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), newest.ptr, 24, most + 1, 16, CA_MOVE_NEVER)));
  EXPECT_EQ(ca_grow(allocator(), newest.ptr, 24, most, 16, CA_MOVE_NEVER).size, most);
  EXPECT_TRUE(ca_block_is_none(Allocate(1)));
}

TEST_P(BumpTest, KeepsTheSizeOfAnOlderBlock) {
  const ca_block older = Allocate(64);
  Allocate(16);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), older.ptr, 64, 65, 16, CA_MOVE_ALLOWED)));
  EXPECT_EQ(ca_grow(allocator(), older.ptr, 64, 64, 16, CA_MOVE_NEVER).size, 64U);
  EXPECT_EQ(ca_shrink(allocator(), older.ptr, 64, 8, 16, CA_MOVE_NEVER).size, 64U);
}

TEST_P(BumpTest, ResetForgetsEverythingAtOnce) {
  const ca_block first = Allocate(24);
  while (!ca_block_is_none(Allocate(24))) {
  }
  ca_bump_reset(&bump_);
  EXPECT_EQ(ca_bump_used(&bump_), 0U);
  EXPECT_EQ(Allocate(24).ptr, first.ptr);
}

TEST_P(BumpTest, DestroyTwiceIsHarmlessAndRefusesAfterwards) {
  ca_bump_destroy(&bump_);
  ca_bump_destroy(&bump_);
  EXPECT_TRUE(ca_block_is_none(Allocate(1)));
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  EXPECT_FALSE(allocator()->ops->owns(allocator(), memory_));
  ca_bump zero = {};
  ca_bump_destroy(&zero);
  EXPECT_TRUE(ca_block_is_none(ca_bump_allocate(&zero, 1, 1)));
}

TEST_P(BumpTest, AnExhaustedSourceLeavesAnAllocatorThatRefuses) {
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory_, 100);
  ca_bump bump;
  EXPECT_FALSE(ca_bump_init(&bump, ca_buffer_source(&buffer), 101, GetParam()));
  EXPECT_TRUE(ca_block_is_none(ca_allocate(ca_bump_allocator(&bump), 1, 1)));
  ca_bump_destroy(&bump);
  EXPECT_FALSE(ca_bump_init(&bump, ca_buffer_source(&buffer), 0, GetParam()));
  EXPECT_FALSE(ca_bump_init(&bump, ca_buffer_source(&buffer), SIZE_MAX, GetParam()));
  ca_bump_destroy(&bump);
  EXPECT_EQ(buffer.out, 0U);
}

TEST_P(BumpTest, ARangeTooSmallForABlockGoesBackToTheSource) {
  for (std::size_t offset = 0; offset < 16; ++offset) {
    for (std::size_t size = 1; size < 64; ++size) {
      ca_buffer buffer;
      ca_buffer_init(&buffer, memory_ + offset, sizeof memory_ - offset);
      ca_bump bump;
      const bool ready = ca_bump_init(&bump, ca_buffer_source(&buffer), size, GetParam());
      EXPECT_EQ(ready, GetParam() == CA_SIZES_FORGOTTEN || size >= 24) << size;
      EXPECT_EQ(buffer.out, ready ? 1U : 0U);
      EXPECT_EQ(ca_block_is_none(ca_allocate(ca_bump_allocator(&bump), 1, 1)), !ready);
      ca_bump_destroy(&bump);
      EXPECT_EQ(buffer.out, 0U);
    }
  }
}

TEST_P(BumpTest, TinyAndMisalignedRangesAreNeverOverrun) {
  for (std::size_t offset = 0; offset < 16; ++offset) {
    for (std::size_t size = 0; size < 64; ++size) {
      ca_bump bump;
      ca_bump_init_range(&bump, ca_block_make(memory_ + offset, size), GetParam());
      for (;;) {
        const ca_block block = ca_allocate(ca_bump_allocator(&bump), 3, 1);
        if (ca_block_is_none(block)) break;
        ASSERT_LE(static_cast<char *>(block.ptr) + 3, memory_ + offset + size);
      }
      EXPECT_TRUE(bump.base.ops->check(ca_bump_allocator(&bump)));
      ca_bump_destroy(&bump);
    }
  }
  ca_bump none;
  ca_bump_init_range(&none, ca_block_none(), GetParam());
  EXPECT_TRUE(ca_block_is_none(ca_allocate(ca_bump_allocator(&none), 1, 1)));
  ca_bump_init_range(&none, ca_block_make(memory_, SIZE_MAX), GetParam());
  EXPECT_TRUE(ca_block_is_none(ca_allocate(ca_bump_allocator(&none), 1, 1)));
}

TEST_P(BumpTest, CheckFindsACursorOutOfPlace) {
  char *const right = bump_.cursor;
  bump_.cursor = bump_.end + 8;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  bump_.cursor = bump_.begin - 8;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  bump_.cursor = right;
  bump_.region = ca_block_make(memory_, 8);
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  bump_.region = ca_block_none();
  EXPECT_TRUE(allocator()->ops->check(allocator()));
}

TEST_P(BumpTest, ToolsSeeFreedAndNeverAllocatedMemory) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  const ca_block block = Allocate(24);
  auto *bytes = static_cast<char *>(block.ptr);
  EXPECT_FALSE(ca_is_poisoned(bytes + 23));
  EXPECT_TRUE(ca_is_poisoned(bytes + 24)) << "one past the end";
  ca_deallocate(allocator(), block.ptr, 24, 16);
  EXPECT_TRUE(ca_is_poisoned(bytes)) << "freed";
  Allocate(24);
  ca_bump_reset(&bump_);
  EXPECT_TRUE(ca_is_poisoned(bytes)) << "reset";
}

TEST_P(BumpTest, TheSourceGetsNothingPoisonedBack) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  alignas(16) static char memory[1024];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  ca_bump bump;
  ASSERT_TRUE(ca_bump_init(&bump, ca_buffer_source(&buffer), sizeof memory, GetParam()));
  ca_bump_move_end(&bump, bump.end - 512);
  EXPECT_TRUE(ca_is_poisoned(memory + 800));
  ca_bump_destroy(&bump);
  for (const char &byte : memory) ASSERT_FALSE(ca_is_poisoned(&byte)) << &byte - memory;
}

TEST(BumpRecordingTest, ABlockOfEightMoreThanAMultipleOfSixteenCostsOnlyItsRecord) {
  alignas(16) char memory[1024];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_RECORDED);
  const ca_block first = ca_allocate(ca_bump_allocator(&bump), 24, 16);
  const ca_block second = ca_allocate(ca_bump_allocator(&bump), 24, 16);
  EXPECT_EQ(static_cast<char *>(second.ptr) - static_cast<char *>(first.ptr), 32);
  ca_bump_destroy(&bump);
}

TEST(BumpRecordingTest, BlocksFreedNewestFirstAreTakenBackWholeWhateverTheirSizes) {
  alignas(16) char memory[1024];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_RECORDED);
  std::vector<void *> blocks;
  for (const std::size_t size : {1, 8, 16, 24, 32, 100}) {
    blocks.push_back(ca_allocate(ca_bump_allocator(&bump), size, size < 16 ? 8 : 16).ptr);
  }
  for (; !blocks.empty(); blocks.pop_back()) {
    bump.base.ops->deallocate_unsized(&bump.base, blocks.back());
  }
  EXPECT_EQ(ca_bump_used(&bump), 0U);
  EXPECT_EQ(ca_bump_peak(&bump), 16U + 16 + 32 + 32 + 48 + 112);
  ca_allocate(ca_bump_allocator(&bump), 100, 16);
  EXPECT_EQ(ca_bump_peak(&bump), 16U + 16 + 32 + 32 + 48 + 112);
  ca_bump_reset(&bump);
  EXPECT_EQ(ca_bump_peak(&bump), 0U);
  ca_bump_destroy(&bump);
}

TEST(BumpRecordingTest, AWalkEndsAtARecordThatWasWrittenOver) {
  alignas(16) char memory[1024];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_RECORDED);
  ca_allocate(ca_bump_allocator(&bump), 24, 16);
  const auto *second = static_cast<char *>(ca_allocate(ca_bump_allocator(&bump), 24, 16).ptr);
  char *record = const_cast<char *>(second) - 8;
  const auto walk = [&bump] {
    const bool walked = bump.base.ops->walk(
        &bump.base, [](void *, ca_block) { return true; }, nullptr);
    EXPECT_EQ(bump.base.ops->check(&bump.base), walked);
    return walked;
  };
  EXPECT_TRUE(walk());
  for (const char bit : {2, 16}) {
    ca_unpoison_defined(record, 8);
    record[0] = static_cast<char>(record[0] ^ bit);
    EXPECT_FALSE(walk());
    ca_unpoison_defined(record, 8);
    record[0] = static_cast<char>(record[0] ^ bit);
    EXPECT_TRUE(walk());
  }
  void *const smallest = ca_allocate(ca_bump_allocator(&bump), 8, 16).ptr;
  EXPECT_TRUE(walk());
  ca_bump_store_record(smallest, ca_bump_live_record(smallest, 0));
  EXPECT_FALSE(walk()) << "no block has no bytes, though what follows stands where it should";
  ca_bump_destroy(&bump);
}

class BumpDeathTest : public testing::Test {
 protected:
  BumpDeathTest() {
    ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), CA_SIZES_RECORDED);
    block_ = ca_allocate(ca_bump_allocator(&bump_), 100, 16);
    ca_allocate(ca_bump_allocator(&bump_), 100, 16);
  }
  ~BumpDeathTest() override { ca_bump_destroy(&bump_); }

  void FreeUnsized(void *ptr) { bump_.base.ops->deallocate_unsized(&bump_.base, ptr); }

  alignas(16) char memory_[1024];
  ca_bump bump_;
  ca_block block_;
};

TEST_F(BumpDeathTest, ADoubleFreeIsReported) {
  FreeUnsized(block_.ptr);
  EXPECT_DEATH(FreeUnsized(block_.ptr), "deallocate\\(0x[0-9a-f]+\\): double free \\(bump\\)");
  EXPECT_DEATH(ca_deallocate(ca_bump_allocator(&bump_), block_.ptr, 100, 16), "double free");
}

TEST_F(BumpDeathTest, AnInteriorOrWildPointerIsReported) {
  std::memset(block_.ptr, 0xFF, 100);  // Every word could be the record of a live block.
  EXPECT_DEATH(FreeUnsized(static_cast<char *>(block_.ptr) + 16), "not a block \\(bump\\)");
  EXPECT_DEATH(FreeUnsized(static_cast<char *>(block_.ptr) + 1), "not a block");
  EXPECT_DEATH(FreeUnsized(memory_), "not a block");
  EXPECT_DEATH(FreeUnsized(memory_ + sizeof memory_ - 8), "not a block");
  EXPECT_DEATH(FreeUnsized(nullptr), "not a block");
  EXPECT_DEATH(FreeUnsized(&bump_), "not a block");
  EXPECT_DEATH(bump_.base.ops->usable_size(&bump_.base, memory_ + 512), "usable_size.*not a block");
}

TEST_F(BumpDeathTest, ASizeLargerThanTheBlockIsReported) {
  EXPECT_DEATH(ca_deallocate(ca_bump_allocator(&bump_), block_.ptr, 101, 16), "wrong size");
  EXPECT_DEATH(ca_deallocate_recorded(ca_bump_allocator(&bump_), block_.ptr, 101), "wrong size");
  EXPECT_DEATH(ca_grow(ca_bump_allocator(&bump_), block_.ptr, 101, 101, 16, CA_MOVE_NEVER),
               "grow\\(0x[0-9a-f]+\\): wrong size \\(bump\\)");
  EXPECT_DEATH(ca_shrink(ca_bump_allocator(&bump_), block_.ptr, 101, 101, 16, CA_MOVE_NEVER),
               "shrink\\(0x[0-9a-f]+\\): wrong size \\(bump\\)");
}

// The inline functions of recorded.h beside the interface: the same blocks, one at a time.
class BumpRecordedTest : public testing::Test {
 protected:
  BumpRecordedTest() {
    const ca_block range = ca_block_make(memory_, sizeof memory_);
    ca_bump_init_range(&inline_, range, CA_SIZES_RECORDED);
    ca_bump_init_range(&called_, range, CA_SIZES_RECORDED);
  }
  ~BumpRecordedTest() override { ca_bump_destroy(&inline_); }
  bool Check() { return inline_.base.ops->check(&inline_.base); }

  alignas(16) char memory_[4096];
  ca_bump inline_;
  ca_bump called_;  // Of the same range, never written through.
};

TEST_F(BumpRecordedTest, AllocatesWhatTheInterfaceWouldUntilTheLastByte) {
  for (std::size_t size = 1; size < 1200; size += 7) {
    ca_bump_reset(&inline_);
    ca_bump_reset(&called_);
    for (;;) {
      void *const ptr = ca_bump_allocate_recorded(&inline_, size);
      const ca_block block = ca_allocate(ca_bump_allocator(&called_), size, 16);
      if (ca_block_is_none(block)) {
        ASSERT_EQ(ptr, nullptr) << size;
        break;
      }
      if (ptr == nullptr)
        break;  // It may give up a little earlier: where no record has room behind.
      ASSERT_EQ(ptr, block.ptr) << size;
      ASSERT_EQ(inline_.cursor, called_.cursor);
      ASSERT_EQ(inline_.base.ops->usable_size(&inline_.base, ptr), size);
      ASSERT_TRUE(Check());
    }
    ASSERT_LE(inline_.end - inline_.cursor, static_cast<std::ptrdiff_t>(size + 23)) << size;
  }
}

TEST_F(BumpRecordedTest, ZeroAndHugeSizesAreLeftToTheInterface) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{INT32_MAX} + 2, SIZE_MAX / 2,
                                 SIZE_MAX - 23, SIZE_MAX - 8, SIZE_MAX - 7, SIZE_MAX}) {
    EXPECT_EQ(ca_bump_allocate_recorded(&inline_, size), nullptr) << size;
  }
  EXPECT_EQ(inline_.cursor, inline_.begin);
}

TEST_F(BumpRecordedTest, TheNewestIsTakenBackAndOthersEnd) {
  void *const first = ca_bump_allocate_recorded(&inline_, 100);
  void *const second = ca_bump_allocate_recorded(&inline_, 30);
  EXPECT_TRUE(ca_bump_deallocate_recorded(&inline_, first));
  EXPECT_EQ(ca_bump_allocate_recorded(&inline_, 30), static_cast<char *>(second) + 48);
  EXPECT_TRUE(ca_bump_deallocate_recorded(&inline_, static_cast<char *>(second) + 48));
  EXPECT_TRUE(ca_bump_deallocate_recorded(&inline_, second));
  EXPECT_EQ(ca_bump_allocate_recorded(&inline_, 500), second);
  EXPECT_TRUE(Check());
}

TEST_F(BumpRecordedTest, WhatIsNoLiveBlockIsLeftAlone) {
  auto *const ptr = static_cast<char *>(ca_bump_allocate_recorded(&inline_, 100));
  std::memset(ptr, 0, 100);
  const char *const cursor = inline_.cursor;
  for (char *wild : {ptr + 16, ptr + 8, ptr + 1, memory_, inline_.begin, memory_ + sizeof memory_,
                     memory_ + sizeof memory_ + 16, static_cast<char *>(nullptr)}) {
    EXPECT_FALSE(ca_bump_deallocate_recorded(&inline_, wild));
  }
  EXPECT_EQ(inline_.cursor, cursor);
  EXPECT_TRUE(ca_bump_deallocate_recorded(&inline_, ptr));
  EXPECT_FALSE(ca_bump_deallocate_recorded(&inline_, ptr)) << "freed already";
}

// Where the lowest 20 bits of an address are 0 its seal is 0, too: then 0 in front of it would be a size,
// and small negative numbers are all but one.
TEST(BumpRecordTest, ZeroAndSmallNegativeNumbersAreNoRecords) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  char *const memory = static_cast<char *>(std::aligned_alloc(kMiB, 2 * kMiB));
  ASSERT_NE(memory, nullptr);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, 2 * kMiB), CA_SIZES_RECORDED);
  auto *const ptr = static_cast<char *>(ca_bump_allocate_recorded(&bump, kMiB + kMiB / 2));
  for (std::int64_t word = 0; word >= -64; --word) {
    std::memcpy(memory + kMiB - 8, &word, sizeof word);
    EXPECT_FALSE(ca_bump_deallocate_recorded(&bump, memory + kMiB)) << word;
    EXPECT_FALSE(ca_bump_record_lives(static_cast<std::uint64_t>(word), memory + kMiB)) << word;
    ca_unpoison(memory + kMiB - 8, 8);
  }
  EXPECT_TRUE(ca_bump_deallocate_recorded(&bump, ptr));
  ca_bump_destroy(&bump);
  std::free(memory);
}

TEST_F(BumpRecordedTest, AResetEndsTheLifeOfAllBlocks) {
  void *const first = ca_bump_allocate_recorded(&inline_, 16);
  void *const second = ca_bump_allocate_recorded(&inline_, 16);
  ca_bump_reset(&inline_);
  EXPECT_FALSE(ca_bump_deallocate_recorded(&inline_, first));
  EXPECT_FALSE(ca_bump_deallocate_recorded(&inline_, second));
}

TEST(BumpRecordTest, ARecordTellsItsBlockFromTheNextSixteenThousand) {
  char *const ptr = reinterpret_cast<char *>(std::uintptr_t{0x7f0123456780});
  const std::uint64_t record = ca_bump_live_record(ptr, 100);
  EXPECT_TRUE(ca_bump_record_lives(record, ptr));
  EXPECT_EQ(ca_bump_recorded_size(record), 100U);
  EXPECT_EQ(ca_bump_recorded_size(ca_bump_freed_record(record)), 100U);
  EXPECT_FALSE(ca_bump_record_lives(ca_bump_freed_record(record), ptr));
  for (std::ptrdiff_t i = 1; i <= 16384; ++i) {
    ASSERT_FALSE(ca_bump_record_lives(record, ptr + 16 * i)) << i;
    ASSERT_FALSE(ca_bump_record_lives(record, ptr - 16 * i)) << i;
  }
}

// Before the range and behind it stands what looks like a live block's record.
TEST(BumpRecordedDeathTest, ARecordOutsideTheRangeIsNotOne) {
  alignas(16) static char memory[1024];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory + 256, 512), CA_SIZES_RECORDED);
  for (char *const outside : {bump.begin - 8, bump.begin - 56, bump.end + 24, bump.end + 56}) {
    ca_bump_store_record(outside, ca_bump_live_record(outside, 8));
    EXPECT_FALSE(ca_bump_deallocate_recorded(&bump, outside)) << outside - memory;
    EXPECT_DEATH(ca_deallocate(&bump.base, outside, 8, 16), "not a block") << outside - memory;
    EXPECT_DEATH(bump.base.ops->usable_size(&bump.base, outside), "not a block");
  }
  ca_bump_destroy(&bump);
  ca_unpoison(memory, sizeof memory);
  EXPECT_DEATH(bump.base.ops->usable_size(&bump.base, nullptr), "not a block") << "of no range";
  EXPECT_FALSE(ca_bump_deallocate_recorded(&bump, nullptr));
}

TEST(BumpSanitizerDeathTest, UseAfterFreeAndOverflowAreReportedByAddressSanitizer) {
#if CA_POISON_ASAN
  alignas(16) static char memory[1024];
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    ca_bump bump;
    ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), sizes);
    volatile char *bytes = static_cast<char *>(ca_allocate(ca_bump_allocator(&bump), 24, 16).ptr);
    EXPECT_DEATH(bytes[24] = 1, "use-after-poison");
    ca_deallocate(ca_bump_allocator(&bump), const_cast<char *>(bytes), 24, 16);
    EXPECT_DEATH(bytes[0] = 1, "use-after-poison");
    ca_bump_destroy(&bump);
  }
#else
  GTEST_SKIP() << "only under --config=asan";
#endif
}

}  // namespace
