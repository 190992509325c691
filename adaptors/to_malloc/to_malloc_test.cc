#include "adaptors/to_malloc/to_malloc.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/bump/bump.h"

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Refusal);  // It is for allocators.

namespace ca_testing {

// The malloc family over every allocator. Refusing lies between, so that any call can be refused.
class ToMalloc : public testing::Test {
 protected:
  ToMalloc() {
    ca_failing_plan_set(&RefusalPlan::plan, 0, CA_FAILING_ONCE);
    ca_to_malloc_init(&it_, below_.get());
    errno = 4321;
  }
  ~ToMalloc() override { EXPECT_EQ(errno, 4321) << "errno is left alone"; }

  static void RefuseAllFromNowOn() {
    ca_failing_plan_set(&RefusalPlan::plan, 1, CA_FAILING_FROM_THEN_ON);
  }
  static void RefuseNothing() { ca_failing_plan_set(&RefusalPlan::plan, 0, CA_FAILING_ONCE); }
  std::ptrdiff_t live_blocks() {
    const ca_tracking_usage usage = ca_tracking_read(&below_.tracking);
    return ca_tracking_live_blocks(&usage);
  }

  Refusing below_;
  ca_to_malloc it_;
};

TEST_F(ToMalloc, MallocAlignsToSixteenAndFreeNeedsNoSize) {
  for (std::size_t size = 1; size < 3000; size = size * 3 / 2 + 1) {
    void *ptr = ca_to_malloc_malloc(&it_, size);
    ASSERT_NE(ptr, nullptr);
    EXPECT_TRUE(ca_is_aligned(ptr, 16));
    EXPECT_GE(ca_to_malloc_usable_size(&it_, ptr), size);
    std::memset(ptr, 0xEE, ca_to_malloc_usable_size(&it_, ptr));
    EXPECT_EQ(live_blocks(), 1);
    ca_to_malloc_free(&it_, ptr);
    EXPECT_EQ(live_blocks(), 0);
  }
}

TEST_F(ToMalloc, AZeroSizeIsABlockOfItsOwn) {
  void *one = ca_to_malloc_malloc(&it_, 0);
  void *other = ca_to_malloc_calloc(&it_, 0, 7);
  void *third = ca_to_malloc_aligned_alloc(&it_, 64, 0);
  EXPECT_NE(one, nullptr);
  EXPECT_NE(other, nullptr);
  EXPECT_NE(third, nullptr);
  EXPECT_NE(one, other);
  for (void *ptr : {one, other, third}) ca_to_malloc_free(&it_, ptr);
  EXPECT_EQ(live_blocks(), 0);
}

TEST_F(ToMalloc, NullIsFreedAndMeasuredAsNothing) {
  ca_to_malloc_free(&it_, nullptr);
  EXPECT_EQ(ca_to_malloc_usable_size(&it_, nullptr), 0U);
}

TEST_F(ToMalloc, CallocClearsAndRefusesAProductThatWraps) {
  void *dirty = ca_to_malloc_malloc(&it_, 1000);
  std::memset(dirty, 0xEE, 1000);
  ca_to_malloc_free(&it_, dirty);
  auto *bytes = static_cast<unsigned char *>(ca_to_malloc_calloc(&it_, 10, 100));
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(bytes[i], 0) << i;
  ca_to_malloc_free(&it_, bytes);
  EXPECT_EQ(ca_to_malloc_calloc(&it_, SIZE_MAX / 2 + 1, 2), nullptr);
  EXPECT_EQ(ca_to_malloc_calloc(&it_, SIZE_MAX, SIZE_MAX), nullptr);
  EXPECT_EQ(ca_to_malloc_calloc(&it_, std::size_t{1} << 32, std::size_t{1} << 32), nullptr);
  EXPECT_EQ(live_blocks(), 0);
}

TEST_F(ToMalloc, ReallocKeepsWhatBothSizesHaveInCommon) {
  auto *bytes = static_cast<unsigned char *>(ca_to_malloc_realloc(&it_, nullptr, 100));
  void *next = ca_to_malloc_malloc(&it_, 16);
  std::memset(bytes, 7, 100);
  bytes = static_cast<unsigned char *>(ca_to_malloc_realloc(&it_, bytes, 2000));
  for (int i = 0; i < 100; ++i) ASSERT_EQ(bytes[i], 7) << i;
  EXPECT_TRUE(ca_is_aligned(bytes, 16));
  bytes = static_cast<unsigned char *>(ca_to_malloc_realloc(&it_, bytes, 50));
  for (int i = 0; i < 50; ++i) ASSERT_EQ(bytes[i], 7) << i;
  bytes = static_cast<unsigned char *>(ca_to_malloc_reallocarray(&it_, bytes, 30, 10));
  for (int i = 0; i < 50; ++i) ASSERT_EQ(bytes[i], 7) << i;
  EXPECT_GE(ca_to_malloc_usable_size(&it_, bytes), 300U);
  ca_to_malloc_free(&it_, next);
  EXPECT_EQ(ca_to_malloc_realloc(&it_, bytes, 0), nullptr);
  EXPECT_EQ(live_blocks(), 0) << "a size of 0 frees";
}

TEST_F(ToMalloc, ReallocarrayRefusesAProductThatWrapsAndKeepsTheBlock) {
  auto *bytes = static_cast<unsigned char *>(ca_to_malloc_malloc(&it_, 100));
  std::memset(bytes, 7, 100);
  EXPECT_EQ(ca_to_malloc_reallocarray(&it_, bytes, SIZE_MAX / 8 + 1, 8), nullptr);
  EXPECT_EQ(ca_to_malloc_reallocarray(&it_, nullptr, SIZE_MAX / 8 + 1, 8), nullptr);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(bytes[i], 7) << i;
  ca_to_malloc_free(&it_, bytes);
  EXPECT_EQ(live_blocks(), 0);
}

TEST_F(ToMalloc, AlignedAllocTakesPowersOfTwoOnly) {
  for (std::size_t align = 1; align <= 4096; align *= 2) {
    void *ptr = ca_to_malloc_aligned_alloc(&it_, align, 100);
    ASSERT_NE(ptr, nullptr);
    EXPECT_TRUE(ca_is_aligned(ptr, align < 16 ? 16 : align));
    EXPECT_GE(ca_to_malloc_usable_size(&it_, ptr), 100U);
    std::memset(ptr, 0xEE, 100);
    ca_to_malloc_free(&it_, ptr);
  }
  for (const std::size_t align : {std::size_t{0}, std::size_t{3}, std::size_t{24}, SIZE_MAX}) {
    EXPECT_EQ(ca_to_malloc_aligned_alloc(&it_, align, 100), nullptr) << align;
  }
  EXPECT_EQ(live_blocks(), 0);
}

TEST_F(ToMalloc, AnAlignedBlockIsReallocatedAndFreedLikeAnyOther) {
  auto *bytes = static_cast<unsigned char *>(ca_to_malloc_aligned_alloc(&it_, 256, 100));
  std::memset(bytes, 7, 100);
  bytes = static_cast<unsigned char *>(ca_to_malloc_realloc(&it_, bytes, 5000));
  for (int i = 0; i < 100; ++i) ASSERT_EQ(bytes[i], 7) << i;
  ca_to_malloc_free(&it_, bytes);
  EXPECT_EQ(live_blocks(), 0);
}

TEST_F(ToMalloc, ExhaustionIsNullAndChangesNothing) {
  auto *bytes = static_cast<unsigned char *>(ca_to_malloc_malloc(&it_, 100));
  std::memset(bytes, 7, 100);
  RefuseAllFromNowOn();
  EXPECT_EQ(ca_to_malloc_malloc(&it_, 10), nullptr);
  EXPECT_EQ(ca_to_malloc_calloc(&it_, 10, 10), nullptr);
  EXPECT_EQ(ca_to_malloc_aligned_alloc(&it_, 64, 10), nullptr);
  EXPECT_EQ(ca_to_malloc_realloc(&it_, nullptr, 10), nullptr);
  EXPECT_EQ(ca_to_malloc_realloc(&it_, bytes, 5000), nullptr);
  EXPECT_EQ(ca_to_malloc_reallocarray(&it_, bytes, 50, 100), nullptr);
  RefuseNothing();
  for (const std::size_t size : {SIZE_MAX, SIZE_MAX - 16, SIZE_MAX / 2, std::size_t{PTRDIFF_MAX}}) {
    EXPECT_EQ(ca_to_malloc_malloc(&it_, size), nullptr);
    EXPECT_EQ(ca_to_malloc_aligned_alloc(&it_, 4096, size), nullptr);
    EXPECT_EQ(ca_to_malloc_realloc(&it_, bytes, size), nullptr);
  }
  for (int i = 0; i < 100; ++i) ASSERT_EQ(bytes[i], 7) << i;
  EXPECT_EQ(live_blocks(), 1);
  ca_to_malloc_free(&it_, bytes);
  EXPECT_EQ(live_blocks(), 0);
}

TEST_F(ToMalloc, RandomCallsKeepEveryBlocksContents) {
  struct Held {
    unsigned char *ptr;
    std::size_t size;
    unsigned char stamp;
  };
  std::mt19937 random(1);
  std::vector<Held> held;
  for (int step = 0; step < 3000; ++step) {
    const std::size_t size = random() % 300;
    const std::uint32_t choice = random() % 8;
    const auto stamp = static_cast<unsigned char>(step);
    if (choice < 4 || held.empty()) {
      void *ptr = choice == 0 ? ca_to_malloc_aligned_alloc(&it_, 16U << random() % 4, size)
                              : ca_to_malloc_malloc(&it_, size);
      if (ptr == nullptr) continue;
      held.push_back({static_cast<unsigned char *>(ptr), size, stamp});
      std::memset(ptr, stamp, size);
      continue;
    }
    std::swap(held[random() % held.size()], held.back());
    Held &last = held.back();
    for (std::size_t i = 0; i < last.size; ++i) ASSERT_EQ(last.ptr[i], last.stamp) << step;
    if (choice < 6) {
      ca_to_malloc_free(&it_, last.ptr);
      held.pop_back();
      continue;
    }
    void *moved = ca_to_malloc_realloc(&it_, last.ptr, size + 1);
    if (moved == nullptr) continue;
    const std::size_t kept = last.size < size + 1 ? last.size : size + 1;
    last.ptr = static_cast<unsigned char *>(moved);
    for (std::size_t i = 0; i < kept; ++i) ASSERT_EQ(last.ptr[i], last.stamp) << step;
    last.size = size + 1;
    std::memset(moved, last.stamp, last.size);
  }
  for (const Held &last : held) ca_to_malloc_free(&it_, last.ptr);
  EXPECT_EQ(live_blocks(), 0);
}

TEST(ToMallocTest, UsesTheAllocatorsOwnRecordWhereThereIsOne) {
  alignas(16) char memory[1024];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_RECORDED);
  ca_to_malloc it;
  ca_to_malloc_init(&it, ca_bump_allocator(&bump));
  EXPECT_EQ(it.allocator, ca_bump_allocator(&bump));
  EXPECT_EQ(ca_to_malloc_usable_size(&it, ca_to_malloc_malloc(&it, 77)), 77U);
  ca_bump_destroy(&bump);
}

TEST(ToMallocTest, CostsEightBytesABlockOverAnAllocatorThatForgets) {
  alignas(16) static char memory[8192];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca_to_malloc it;
  ca_to_malloc_init(&it, ca_bump_allocator(&bump));
  ca_to_malloc_malloc(&it, 24);
  const std::size_t used = ca_bump_used(&bump);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(ca_is_aligned(ca_to_malloc_malloc(&it, 24), 16));
  }
  EXPECT_EQ(ca_bump_used(&bump) - used, 100U * (24 + 8));
  ca_bump_destroy(&bump);
}

}  // namespace ca_testing
