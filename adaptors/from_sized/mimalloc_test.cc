#include "adaptors/from_sized/mimalloc.h"

#include <gtest/gtest.h>
#include <mimalloc.h>

#include "allocators/testing/allocator_conformance.h"

namespace {

struct FromMimalloc {
  FromMimalloc() : heap(mi_heap_new()) {
    EXPECT_TRUE(ca_from_sized_init(&it, &ca_from_mimalloc, heap));
  }
  ~FromMimalloc() { mi_heap_destroy(heap); }
  ca_allocator *get() { return ca_from_sized_allocator(&it); }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 0;
  static constexpr bool kReclaims = true;
  mi_heap_t *heap;
  ca_from_sized it;
};
INSTANTIATE_TYPED_TEST_SUITE_P(FromMimalloc, AllocatorConformance, FromMimalloc);

TEST(FromMimallocTest, ServesFromTheHeapThatIsTheContext) {
  FromMimalloc one, other;
  const ca_block block = ca_allocate(one.get(), 100, 16);
  ASSERT_FALSE(ca_block_is_none(block));
  EXPECT_GE(block.size, 100U);
  EXPECT_TRUE(mi_heap_contains_block(one.heap, block.ptr));
  EXPECT_FALSE(mi_heap_contains_block(other.heap, block.ptr));
}

// Powers of two, of which mimalloc has shortcuts for some.
TEST(FromMimallocTest, BlocksAsLargeAsTheirAlignmentAreAligned) {
  FromMimalloc one;
  for (std::size_t align = 1; align <= (std::size_t{1} << 14); align *= 2) {
    for (std::size_t size = align; size <= 4 * align; size *= 2) {
      for (int i = 0; i < 20; ++i) {
        const ca_block block = ca_allocate(one.get(), size, align);
        ASSERT_TRUE(ca_is_aligned(block.ptr, align)) << size << " bytes at " << align;
        const ca_block moved = ca_reallocate(one.get(), block.ptr, size, 3 * size + 1, align);
        ASSERT_TRUE(ca_is_aligned(moved.ptr, align)) << size << " bytes at " << align;
      }
    }
  }
}

}  // namespace
