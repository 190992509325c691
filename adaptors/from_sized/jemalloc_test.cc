#include "adaptors/from_sized/jemalloc.h"

#include <gtest/gtest.h>
#include <jemalloc/jemalloc.h>

#include "allocators/testing/allocator_conformance.h"

namespace {

struct FromJemalloc {
  FromJemalloc() {
    EXPECT_TRUE(ca_from_sized_init(&it, &ca_from_jemalloc, ca_from_jemalloc_flags(0)));
  }
  ca_allocator *get() { return ca_from_sized_allocator(&it); }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 0;
  static constexpr bool kReclaims = true;
  ca_from_sized it;
};
INSTANTIATE_TYPED_TEST_SUITE_P(FromJemalloc, AllocatorConformance, FromJemalloc);

TEST(FromJemallocTest, ServesFromTheArenaThatTheContextNames) {
  unsigned arena = 0;
  std::size_t size = sizeof arena;
  ASSERT_EQ(mallctl("arenas.create", &arena, &size, nullptr, 0), 0);
  ca_from_sized it;
  ASSERT_TRUE(ca_from_sized_init(
      &it, &ca_from_jemalloc,
      ca_from_jemalloc_flags(static_cast<int>(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE))));
  ca_allocator *allocator = ca_from_sized_allocator(&it);
  const ca_block block = ca_allocate(allocator, 100, 16);
  ASSERT_FALSE(ca_block_is_none(block));
  EXPECT_EQ(block.size, 112U) << "the size class is the excess";
  unsigned found = 0;
  size = sizeof found;
  void *ptr = block.ptr;
  ASSERT_EQ(mallctl("arenas.lookup", &found, &size, &ptr, sizeof ptr), 0);
  EXPECT_EQ(found, arena);
  ca_deallocate(allocator, block.ptr, 100, 16);
}

}  // namespace
