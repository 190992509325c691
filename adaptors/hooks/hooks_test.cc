#include "adaptors/hooks/hooks.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "adaptors/hooks/witness.h"
#include "allocators/bump/bump.h"

namespace {

class HooksTest : public testing::Test {
 protected:
  ca_allocator *allocator() { return witness_.get(); }
  ca_testing::Witness witness_;
};

TEST_F(HooksTest, GiveMemoryOfTheSizeAskedAndTakeItBack) {
  void *const ptr = ca_hooks_malloc(allocator(), 100);
  EXPECT_TRUE(ca_is_aligned(ptr, 16));
  EXPECT_EQ(witness_.live_bytes(), 100U);
  ca_hooks_free(allocator(), ptr);
  EXPECT_EQ(witness_.live_blocks(), 0U);
  ca_hooks_free(allocator(), nullptr);
}

TEST_F(HooksTest, ZeroBytesAreABlock) {
  void *const first = ca_hooks_malloc(allocator(), 0);
  void *const second = ca_hooks_calloc(allocator(), 0, 8);
  void *const third = ca_hooks_realloc(allocator(), nullptr, 0);
  EXPECT_EQ(witness_.live_blocks(), 3U);
  ca_hooks_free(allocator(), first);
  ca_hooks_free(allocator(), second);
  ca_hooks_free(allocator(), third);
}

TEST_F(HooksTest, CallocZeroesAndDoesNotWrap) {
  alignas(16) static char memory[256];
  std::memset(memory, 7, sizeof memory);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_RECORDED);
  const auto *bytes = static_cast<char *>(ca_hooks_calloc(ca_bump_allocator(&bump), 10, 9));
  for (int i = 0; i < 90; ++i) EXPECT_EQ(bytes[i], 0) << i;
  EXPECT_EQ(ca_hooks_calloc(ca_bump_allocator(&bump), 100, 100), nullptr);
  ca_bump_destroy(&bump);
  EXPECT_EQ(ca_hooks_calloc(allocator(), SIZE_MAX / 2 + 2, 2), nullptr);
  EXPECT_EQ(ca_hooks_calloc(allocator(), 2, SIZE_MAX), nullptr);
  EXPECT_EQ(witness_.requests, 0U);
}

TEST_F(HooksTest, ReallocIsMallocResizeOrFree) {
  auto *bytes = static_cast<char *>(ca_hooks_realloc(allocator(), nullptr, 10));
  std::memcpy(bytes, "012345678", 10);
  bytes = static_cast<char *>(ca_hooks_realloc(allocator(), bytes, 1000));
  EXPECT_STREQ(bytes, "012345678");
  EXPECT_EQ(witness_.live_bytes(), 1000U);
  bytes = static_cast<char *>(ca_hooks_realloc(allocator(), bytes, 4));
  EXPECT_EQ(std::memcmp(bytes, "0123", 4), 0);
  EXPECT_EQ(witness_.live_bytes(), 4U);
  EXPECT_EQ(ca_hooks_realloc(allocator(), bytes, 0), nullptr);
  EXPECT_EQ(witness_.live_blocks(), 0U);
}

TEST_F(HooksTest, ARefusalIsNullAndLeavesTheBlockAndErrnoAlone) {
  auto *const bytes = static_cast<char *>(ca_hooks_malloc(allocator(), 4));
  std::memcpy(bytes, "abc", 4);
  witness_.refuse_from = 0;
  errno = 4321;
  EXPECT_EQ(ca_hooks_malloc(allocator(), 1), nullptr);
  EXPECT_EQ(ca_hooks_calloc(allocator(), 1, 1), nullptr);
  EXPECT_EQ(ca_hooks_realloc(allocator(), bytes, 100), nullptr);
  EXPECT_EQ(ca_hooks_strdup(allocator(), "text"), nullptr);
  EXPECT_EQ(errno, 4321);
  EXPECT_STREQ(bytes, "abc");
  ca_hooks_free(allocator(), bytes);
}

TEST_F(HooksTest, StrdupCopiesWithTheEnd) {
  char *const copy = ca_hooks_strdup(allocator(), "text");
  EXPECT_STREQ(copy, "text");
  EXPECT_EQ(witness_.live_bytes(), 5U);
  ca_hooks_free(allocator(), copy);
}

TEST_F(HooksTest, OnlyAnAllocatorThatRecordsSizesCanServe) {
  EXPECT_TRUE(ca_hooks_can_serve(allocator()));
  EXPECT_FALSE(ca_hooks_can_serve(nullptr));
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_none(), CA_SIZES_FORGOTTEN);
  EXPECT_FALSE(ca_hooks_can_serve(ca_bump_allocator(&bump)));
  ca_bump_init_range(&bump, ca_block_none(), CA_SIZES_RECORDED);
  EXPECT_TRUE(ca_hooks_can_serve(ca_bump_allocator(&bump)));
  ca_bump_destroy(&bump);
}

}  // namespace
