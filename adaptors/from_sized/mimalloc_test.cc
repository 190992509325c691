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

}  // namespace
