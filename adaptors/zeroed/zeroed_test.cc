#include "adaptors/zeroed/zeroed.h"

#include <gtest/gtest.h>

#include <cstring>

#include "adaptors/aligned/aligned.h"
#include "adaptors/limiting/limiting.h"
#include "adaptors/redzone/redzone.h"
#include "adaptors/sized/sized.h"
#include "adaptors/testing/rounding.h"
#include "allocators/bump/bump.h"

namespace {

class ZeroedTest : public testing::Test {
 protected:
  ZeroedTest() : rounding_(true) {
    ca_zeroed_init(&zeroed_, rounding_.get());
    // Every cell is dirty.
    ca_block blocks[ca_testing::Rounding::kCells];
    for (ca_block &block : blocks) {
      block = ca_allocate(rounding_.get(), ca_testing::Rounding::kCell, 16);
      std::memset(block.ptr, 0xEE, block.size);
    }
    for (ca_block &block : blocks) {
      ca_deallocate(rounding_.get(), block.ptr, block.size, 16);
    }
  }
  ca_allocator *allocator() { return ca_zeroed_allocator(&zeroed_); }

  static void ExpectBytes(ca_block block, std::size_t begin, std::size_t end, int value) {
    for (std::size_t i = begin; i < end; ++i) {
      ASSERT_EQ(static_cast<unsigned char *>(block.ptr)[i], value) << i;
    }
  }

  ca_testing::Rounding rounding_;
  ca_zeroed zeroed_;
};

TEST_F(ZeroedTest, ABlockAndItsExcessAreZero) {
  for (const std::size_t size : {1, 63, 64, 100, 1000, 4096}) {
    const ca_block block = ca_allocate(allocator(), size, 16);
    EXPECT_EQ(block.size, ca_testing::Rounding::RoundUp(size));
    ExpectBytes(block, 0, block.size, 0);
    std::memset(block.ptr, 0xEE, block.size);
    ca_deallocate(allocator(), block.ptr, size, 16);
  }
}

TEST_F(ZeroedTest, MemoryUsedBeforeIsZeroAgain) {
  ca_block block = ca_allocate(allocator(), 100, 16);
  std::memset(block.ptr, 0xEE, block.size);
  void *const ptr = block.ptr;
  ca_deallocate(allocator(), ptr, 100, 16);
  block = ca_allocate(allocator(), 100, 16);
  ASSERT_EQ(block.ptr, ptr);
  ExpectBytes(block, 0, block.size, 0);
}

TEST_F(ZeroedTest, NothingBeyondTheBlockIsCleared) {
  const ca_block block = ca_allocate(allocator(), 100, 16);
  ExpectBytes(block, block.size, block.size + 64, 0xEE);
  ca_grow(allocator(), block.ptr, 100, 200, 16, CA_MOVE_NEVER);
  ExpectBytes(block, 256, 256 + 64, 0xEE);
}

TEST_F(ZeroedTest, WhatAGrowAddsIsZeroAndTheRestIsKept) {
  ca_block block = ca_allocate(allocator(), 100, 16);
  std::memset(block.ptr, 7, 100);
  block = ca_grow(allocator(), block.ptr, 100, 1000, 16, CA_MOVE_NEVER);
  ExpectBytes(block, 0, 100, 7);
  ExpectBytes(block, 100, block.size, 0);
}

TEST_F(ZeroedTest, AGrowClearsTheExcessThatItIsNotToldOf) {
  ca_block block = ca_allocate(allocator(), 100, 16);
  std::memset(block.ptr, 7, block.size);
  block = ca_grow(allocator(), block.ptr, 100, 110, 16, CA_MOVE_NEVER);
  ExpectBytes(block, 0, 100, 7);
  ExpectBytes(block, 100, block.size, 0);
}

TEST_F(ZeroedTest, AGrowKeepsTheExcessThatItIsToldOf) {
  ca_block block = ca_allocate(allocator(), 100, 16);
  std::memset(block.ptr, 7, block.size);
  const std::size_t size = block.size;
  block = ca_grow(allocator(), block.ptr, size, 1000, 16, CA_MOVE_NEVER);
  ExpectBytes(block, 0, size, 7);
  ExpectBytes(block, size, block.size, 0);
}

TEST_F(ZeroedTest, ReallocateMovesToClearedMemory) {
  char memory[4096];
  std::memset(memory, 0xEE, sizeof memory);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca_zeroed_init(&zeroed_, ca_bump_allocator(&bump));
  ca_block block = ca_allocate(allocator(), 100, 16);
  ca_allocate(allocator(), 1, 16);
  std::memset(block.ptr, 7, 100);
  block = ca_reallocate(allocator(), block.ptr, 100, 300, 16);
  ExpectBytes(block, 0, 100, 7);
  ExpectBytes(block, 100, 300, 0);
  ca_bump_destroy(&bump);
}

TEST_F(ZeroedTest, AShrunkBlockThatGrowsAgainIsZeroBehindWhereItWasCut) {
  ca_block block = ca_allocate(allocator(), 1000, 16);
  std::memset(block.ptr, 7, block.size);
  block = ca_shrink(allocator(), block.ptr, 1000, 10, 16, CA_MOVE_NEVER);
  block = ca_grow(allocator(), block.ptr, 10, 500, 16, CA_MOVE_NEVER);
  ExpectBytes(block, 0, 10, 7);
  ExpectBytes(block, 10, block.size, 0);
}

// All that the grow of another adaptor finds behind the block, which was cut and not cleared.
TEST_F(ZeroedTest, AboveWhatHoldsBytesItselfTheyAreClearedToo) {
  ca_sized sized;
  ca_sized_init(&sized, rounding_.get());
  ca_redzone redzone;
  ca_redzone_init(&redzone, rounding_.get());
  ca_limiting limiting;
  ca_limiting_init(&limiting, rounding_.get(), CA_SIZES_RECORDED, 4096, nullptr);
  ca_aligned aligned;
  ca_aligned_init(&aligned, rounding_.get(), 0, 8);
  for (ca_allocator *const inner :
       {ca_sized_allocator(&sized), ca_redzone_allocator(&redzone),
        ca_limiting_allocator(&limiting), ca_aligned_allocator(&aligned)}) {
    ca_zeroed_init(&zeroed_, inner);
    ca_block block = ca_allocate(allocator(), 100, 64);
    std::memset(block.ptr, 0xEE, block.size);
    block = ca_shrink(allocator(), block.ptr, 100, 90, 64, CA_MOVE_NEVER);
    block = ca_grow(allocator(), block.ptr, 90, 95, 64, CA_MOVE_NEVER);
    ASSERT_FALSE(ca_block_is_none(block)) << inner->ops->name;
    ExpectBytes(block, 0, 90, 0xEE);
    ExpectBytes(block, 90, block.size, 0);
    ca_deallocate(allocator(), block.ptr, 95, 64);
  }
}

TEST_F(ZeroedTest, RefusalsAndTheRestPassThrough) {
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 5000, 16)));
  const ca_block block = ca_allocate(allocator(), 100, 16);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 100, 5000, 16, CA_MOVE_ALLOWED)));
  EXPECT_EQ(allocator()->ops->usable_size(allocator(), block.ptr), 128U);
  allocator()->ops->deallocate_unsized(allocator(), block.ptr);
  EXPECT_EQ(rounding_.live_bytes(), 0U);
}

}  // namespace
