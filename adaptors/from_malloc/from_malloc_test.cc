#include "adaptors/from_malloc/from_malloc.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "allocators/testing/allocator_conformance.h"

// What is too large is refused here too, as by the plain libc, rather than reported.
extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char *__tsan_default_options() { return "allocator_may_return_null=1"; }

namespace {

struct FromLibc {
  FromLibc() { EXPECT_TRUE(ca_from_malloc_init(&it, nullptr)); }
  ca_allocator *get() { return ca_from_malloc_allocator(&it); }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 0;
  static constexpr bool kReclaims = true;
  ca_from_malloc it;
};
INSTANTIATE_TYPED_TEST_SUITE_P(FromLibc, AllocatorConformance, FromLibc);

// The least that a family must have.
struct FromTheLeast {
  FromTheLeast() { EXPECT_TRUE(ca_from_malloc_init(&it, &family)); }
  ca_allocator *get() { return ca_from_malloc_allocator(&it); }
  static constexpr std::size_t kMaxAlign = 16;
  static constexpr std::size_t kCapacity = 0;
  static constexpr bool kReclaims = true;
  ca_malloc_family family = {std::malloc, std::free, nullptr, nullptr, nullptr};
  ca_from_malloc it;
};
INSTANTIATE_TYPED_TEST_SUITE_P(FromTheLeast, AllocatorConformance, FromTheLeast);

// A family that writes down what it is asked.
struct Calls {
  int mallocs, frees, reallocs, aligned;
  std::size_t size, align;
  bool refuses;
};
Calls calls;
alignas(4096) char memory[8192];

void *Answer(std::size_t size) {
  calls.size = size;
  errno = ENOMEM;  // Right or wrong, every call spoils errno.
  return calls.refuses ? nullptr : memory;
}
const ca_malloc_family kSpy = {
    [](std::size_t size) { return calls.mallocs++, Answer(size); },
    [](void *) {
      calls.frees++;
      errno = EINVAL;
    },
    [](void *, std::size_t size) { return calls.reallocs++, Answer(size); },
    [](std::size_t align, std::size_t size) {
      calls.align = align;
      return calls.aligned++, Answer(size);
    },
    [](void *) -> std::size_t { return 100; }};

class FromMallocTest : public testing::Test {
 protected:
  FromMallocTest() {
    calls = {};
    EXPECT_TRUE(ca_from_malloc_init(&it_, &family_));
  }
  void Without(void *member) {
    std::memset(member, 0, sizeof(void *));
    EXPECT_TRUE(ca_from_malloc_init(&it_, &family_));
  }
  ca_allocator *allocator() { return ca_from_malloc_allocator(&it_); }

  ca_malloc_family family_ = kSpy;
  ca_from_malloc it_;
};

TEST_F(FromMallocTest, TheUsableSizeIsTheExcess) {
  EXPECT_EQ(ca_allocate(allocator(), 50, 16).size, 100U);
  EXPECT_EQ(calls.size, 50U);
  EXPECT_EQ(allocator()->ops->usable_size(allocator(), memory), 100U);
  Without(&family_.usable_size);
  EXPECT_EQ(ca_allocate(allocator(), 50, 16).size, 50U);
  EXPECT_EQ(allocator()->ops->usable_size, nullptr);
  EXPECT_EQ(allocator()->ops->deallocate_unsized, nullptr);
}

TEST_F(FromMallocTest, ASmallBlockIsAskedLargeEnoughForItsAlignment) {
  ca_allocate(allocator(), 1, 16);
  EXPECT_EQ(calls.size, 16U);
  ca_allocate(allocator(), 1, 1);
  EXPECT_EQ(calls.size, 1U);
  Without(&family_.usable_size);
  ca_grow(allocator(), memory, 1, 2, 16, CA_MOVE_ALLOWED);
  EXPECT_EQ(calls.size, 16U);
}

TEST_F(FromMallocTest, LargerAlignmentsGoToAlignedAllocWithAMultiple) {
  EXPECT_EQ(ca_allocate(allocator(), 50, 64).ptr, memory);
  EXPECT_EQ(calls.aligned, 1);
  EXPECT_EQ(calls.align, 64U);
  EXPECT_EQ(calls.size, 64U);
  EXPECT_EQ(calls.mallocs, 0);
  Without(&family_.aligned_alloc);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 50, 32)));
  EXPECT_EQ(ca_allocate(allocator(), 50, 16).ptr, memory);
}

TEST_F(FromMallocTest, GrowsInPlaceWithinTheUsableSizeAndElseByRealloc) {
  EXPECT_EQ(ca_grow(allocator(), memory, 50, 100, 16, CA_MOVE_NEVER).size, 100U);
  EXPECT_EQ(calls.reallocs, 0);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 50, 101, 16, CA_MOVE_NEVER)));
  EXPECT_EQ(calls.reallocs, 0);
  EXPECT_FALSE(ca_block_is_none(ca_grow(allocator(), memory, 50, 101, 16, CA_MOVE_ALLOWED)));
  EXPECT_EQ(calls.reallocs, 1);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 50, 101, 32, CA_MOVE_ALLOWED)))
      << "realloc would lose the alignment";
  EXPECT_EQ(calls.reallocs, 1);
  Without(&family_.realloc);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 50, 101, 16, CA_MOVE_ALLOWED)));
}

TEST_F(FromMallocTest, ShrinksByReallocWhereTheBlockMayMove) {
  EXPECT_EQ(ca_shrink(allocator(), memory, 100, 20, 16, CA_MOVE_NEVER).size, 100U);
  EXPECT_EQ(calls.reallocs, 0);
  ca_shrink(allocator(), memory, 100, 20, 16, CA_MOVE_ALLOWED);
  EXPECT_EQ(calls.reallocs, 1);
  EXPECT_EQ(calls.size, 20U);
  calls.refuses = true;
  EXPECT_EQ(ca_shrink(allocator(), memory, 100, 20, 16, CA_MOVE_ALLOWED).ptr, memory);
}

TEST_F(FromMallocTest, DeallocatesByFree) {
  ca_deallocate(allocator(), memory, 50, 16);
  allocator()->ops->deallocate_unsized(allocator(), memory);
  EXPECT_EQ(calls.frees, 2);
}

TEST_F(FromMallocTest, ErrnoIsKeptWhateverTheFamilyDoes) {
  for (const bool refuses : {true, false}) {
    calls.refuses = refuses;
    errno = 4321;
    EXPECT_EQ(ca_block_is_none(ca_allocate(allocator(), 50, 16)), refuses);
    EXPECT_EQ(errno, 4321);
    EXPECT_EQ(ca_block_is_none(ca_allocate(allocator(), 50, 64)), refuses);
    EXPECT_EQ(errno, 4321);
    const ca_block grown = ca_grow(allocator(), memory, 50, 200, 16, CA_MOVE_ALLOWED);
    EXPECT_EQ(ca_block_is_none(grown), refuses);
    EXPECT_EQ(errno, 4321);
    ca_shrink(allocator(), memory, 100, 20, 16, CA_MOVE_ALLOWED);
    EXPECT_EQ(errno, 4321);
    ca_deallocate(allocator(), memory, 50, 16);
    EXPECT_EQ(errno, 4321);
  }
}

TEST_F(FromMallocTest, TheImpossibleIsRefusedWithoutAsking) {
  for (const std::size_t size :
       {SIZE_MAX, std::size_t{PTRDIFF_MAX} + 1, std::size_t{PTRDIFF_MAX}}) {
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), size, 16)));
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), size, 4096)));
    EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 50, size, 16, CA_MOVE_ALLOWED)));
  }
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 1, std::size_t{1} << 63)));
  EXPECT_EQ(calls.mallocs + calls.aligned + calls.reallocs, 0);
}

TEST_F(FromMallocTest, AFamilyWithoutMallocOrFreeRefusesEverything) {
  const ca_malloc_family no_malloc = {nullptr, std::free, std::realloc, nullptr, nullptr};
  const ca_malloc_family no_free = {std::malloc, nullptr, std::realloc, nullptr, nullptr};
  for (const ca_malloc_family *family : {&no_malloc, &no_free}) {
    EXPECT_FALSE(ca_from_malloc_init(&it_, family));
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 16, 16)));
    EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 16, 32, 16, CA_MOVE_ALLOWED)));
    ca_deallocate(allocator(), memory, 16, 16);
  }
}

TEST(FromMallocOfLibcTest, BlocksBelongToTheFamily) {
  ca_from_malloc it;
  ASSERT_TRUE(ca_from_malloc_init(&it, ca_malloc_family_of_libc()));
  void *ptr = std::malloc(10);
  ca_deallocate(ca_from_malloc_allocator(&it), ptr, 10, 16);
  std::free(ca_allocate(ca_from_malloc_allocator(&it), 10, 16).ptr);
}

}  // namespace
