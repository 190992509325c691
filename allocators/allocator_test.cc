#include "allocators/allocator.h"

#include <gtest/gtest.h>

#include <cstring>

#include "allocators/bump/bump.h"
#include "sources/buffer/buffer.h"

namespace {

class ReallocateTest : public testing::Test {
 protected:
  ReallocateTest() {
    ca_buffer_init(&buffer_, memory_, sizeof memory_);
    EXPECT_TRUE(
        ca_bump_init(&bump_, ca_buffer_source(&buffer_), sizeof memory_, CA_SIZES_FORGOTTEN));
  }
  ~ReallocateTest() override { ca_bump_destroy(&bump_); }

  ca_allocator *allocator() { return ca_bump_allocator(&bump_); }

  alignas(16) char memory_[256];
  ca_buffer buffer_;
  ca_bump bump_;
};

TEST_F(ReallocateTest, CopiesWhereTheBlockCannotGrow) {
  const ca_block first = ca_allocate(allocator(), 16, 16);
  const ca_block second = ca_allocate(allocator(), 16, 16);
  std::memcpy(first.ptr, "0123456789abcde", 16);
  const ca_block moved = ca_reallocate(allocator(), first.ptr, 16, 64, 16);
  ASSERT_FALSE(ca_block_is_none(moved));
  EXPECT_GT(moved.ptr, second.ptr);
  EXPECT_STREQ(static_cast<char *>(moved.ptr), "0123456789abcde");
}

TEST_F(ReallocateTest, OnRefusalTheBlockIsAsItWas) {
  const ca_block first = ca_allocate(allocator(), 16, 16);
  ca_allocate(allocator(), 200, 16);
  std::memcpy(first.ptr, "0123456789abcde", 16);
  EXPECT_TRUE(ca_block_is_none(ca_reallocate(allocator(), first.ptr, 16, 64, 16)));
  EXPECT_STREQ(static_cast<char *>(first.ptr), "0123456789abcde");
}

// Two calls where the allocator doesn't offer one: a table without the member.
class DeallocateRecordedTest : public testing::Test {
 protected:
  DeallocateRecordedTest() {
    ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), CA_SIZES_RECORDED);
    without_ = *bump_.base.ops;
    without_.deallocate_recorded = nullptr;
    bump_.base.ops = &without_;
    block_ = ca_allocate(&bump_.base, 20, 16);
  }
  ~DeallocateRecordedTest() override { ca_bump_destroy(&bump_); }

  alignas(16) char memory_[256];
  ca_bump bump_;
  ca_allocator_ops without_;
  ca_block block_;
};

TEST_F(DeallocateRecordedTest, AsksBothWhereTheAllocatorOffersThemApart) {
  EXPECT_EQ(ca_deallocate_recorded(&bump_.base, block_.ptr, 20), 20U);
  const ca_block again = ca_allocate(&bump_.base, 30, 16);
  EXPECT_EQ(again.ptr, block_.ptr) << "it was freed";
  EXPECT_EQ(ca_deallocate_recorded(&bump_.base, again.ptr, 0), 30U);
  EXPECT_EQ(ca_allocate(&bump_.base, 1, 16).ptr, block_.ptr);
}

using DeallocateRecordedDeathTest = DeallocateRecordedTest;

TEST_F(DeallocateRecordedDeathTest, TheSizeIsStillLookedAt) {
  EXPECT_DEATH(ca_deallocate_recorded(&bump_.base, block_.ptr, 21), "wrong size");
}

TEST(AllocatorTest, TheTableIsOneWordInEveryAllocator) {
  EXPECT_EQ(sizeof(ca_allocator), sizeof(void *));
}

#ifndef NDEBUG
using AllocatorDeathTest = ReallocateTest;

TEST_F(AllocatorDeathTest, BrokenContractsNameThemselves) {
  EXPECT_DEATH(ca_allocate(allocator(), 0, 16), "size > 0");
  EXPECT_DEATH(ca_allocate(allocator(), 1, 0), "ca_is_power_of_two\\(align\\)");
  EXPECT_DEATH(ca_allocate(allocator(), 1, 24), "ca_is_power_of_two\\(align\\)");
  EXPECT_DEATH(ca_deallocate(allocator(), nullptr, 1, 16), "ptr != NULL");
  EXPECT_DEATH(ca_deallocate(allocator(), memory_, 0, 16), "size > 0");
  EXPECT_DEATH(ca_grow(allocator(), memory_, 16, 15, 16, CA_MOVE_NEVER), "new_size >= size");
  EXPECT_DEATH(ca_shrink(allocator(), memory_, 16, 17, 16, CA_MOVE_NEVER), "new_size <= size");
  EXPECT_DEATH(ca_shrink(allocator(), memory_, 16, 0, 16, CA_MOVE_NEVER), "new_size > 0");
}
#endif

}  // namespace
