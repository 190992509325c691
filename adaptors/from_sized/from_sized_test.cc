#include "adaptors/from_sized/from_sized.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>

#include "adaptors/from_sized/rpmalloc.h"
#include "allocators/testing/allocator_conformance.h"

extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char *__tsan_default_options() { return "allocator_may_return_null=1"; }

namespace {

// The table for rpmalloc, over an outline of it.
struct FromRpmalloc {
  FromRpmalloc() { EXPECT_TRUE(ca_from_sized_init(&it, &ca_from_rpmalloc, &heap)); }
  ~FromRpmalloc() { EXPECT_EQ(heap.live, 0U); }
  ca_allocator *get() { return ca_from_sized_allocator(&it); }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 0;
  static constexpr bool kReclaims = true;
  rpmalloc_heap_t heap = {0};
  ca_from_sized it;
};
INSTANTIATE_TYPED_TEST_SUITE_P(FromRpmalloc, AllocatorConformance, FromRpmalloc);

// Writes down what it is asked; spoils errno each time.
struct Spy {
  int allocations = 0, deallocations = 0, in_place = 0, moving = 0, unsized = 0;
  std::size_t size = 0, new_size = 0, align = 0;
  bool refuses = false, resizes = false;
};
alignas(64) char memory[4096];

Spy *Seen(void *context) {
  errno = ENOMEM;
  return static_cast<Spy *>(context);
}
void *Allocate(void *context, std::size_t size, std::size_t align) {
  Spy *spy = Seen(context);
  spy->allocations++;
  spy->size = size;
  spy->align = align;
  return spy->refuses ? nullptr : memory;
}
void Deallocate(void *context, void *, std::size_t size, std::size_t align) {
  Spy *spy = Seen(context);
  spy->deallocations++;
  spy->size = size;
  spy->align = align;
}
bool ResizeInPlace(void *context, void *, std::size_t size, std::size_t new_size, std::size_t) {
  Spy *spy = Seen(context);
  spy->in_place++;
  spy->size = size;
  spy->new_size = new_size;
  return spy->resizes;
}
void *Resize(void *context, void *, std::size_t, std::size_t new_size, std::size_t) {
  Spy *spy = Seen(context);
  spy->moving++;
  spy->new_size = new_size;
  return spy->refuses ? nullptr : memory + 64;
}
std::size_t GoodSize(void *, std::size_t size, std::size_t) { return (size + 63) / 64 * 64; }
std::size_t UsableSize(const void *, const void *) { return 1000; }
void DeallocateUnsized(void *context, void *) { Seen(context)->unsized++; }
bool Owns(const void *, const void *ptr) { return ptr == memory; }

class FromSizedTest : public testing::Test {
 protected:
  FromSizedTest() { Init(); }
  void Init() { EXPECT_TRUE(ca_from_sized_init(&it_, &table_, &spy_)); }
  ca_allocator *allocator() { return ca_from_sized_allocator(&it_); }
  const ca_allocator_ops *ops() { return allocator()->ops; }

  Spy spy_;
  ca_sized_functions table_ = {Allocate, Deallocate, ResizeInPlace, Resize, GoodSize,
                               nullptr,  nullptr,    Owns,          64};
  ca_from_sized it_;
};

TEST_F(FromSizedTest, TheGoodSizeIsTheExcess) {
  EXPECT_EQ(ca_allocate(allocator(), 100, 32).size, 128U);
  EXPECT_EQ(spy_.size, 100U);
  EXPECT_EQ(spy_.align, 32U);
  table_.good_size = nullptr;
  EXPECT_EQ(ca_allocate(allocator(), 100, 32).size, 100U);
}

TEST_F(FromSizedTest, TheUsableSizeGoesBeforeTheGoodSize) {
  table_.usable_size = UsableSize;
  table_.deallocate_unsized = DeallocateUnsized;
  Init();
  EXPECT_EQ(ca_allocate(allocator(), 100, 16).size, 1000U);
  EXPECT_EQ(ops()->usable_size(allocator(), memory), 1000U);
  EXPECT_EQ(ca_shrink(allocator(), memory, 200, 10, 16, CA_MOVE_NEVER).size, 1000U);
  EXPECT_EQ(ca_grow(allocator(), memory, 200, 200, 16, CA_MOVE_NEVER).size, 1000U);
  ops()->deallocate_unsized(allocator(), memory);
  EXPECT_EQ(spy_.unsized, 1);
}

TEST_F(FromSizedTest, DeallocatesWithSizeAndAlignment) {
  ca_deallocate(allocator(), memory, 77, 32);
  EXPECT_EQ(spy_.deallocations, 1);
  EXPECT_EQ(spy_.size, 77U);
  EXPECT_EQ(spy_.align, 32U);
}

TEST_F(FromSizedTest, ResizesInPlaceFirstAndElsewhereWhereAllowed) {
  spy_.resizes = true;
  EXPECT_EQ(ca_grow(allocator(), memory, 100, 200, 16, CA_MOVE_ALLOWED).size, 256U);
  EXPECT_EQ(spy_.size, 100U);
  EXPECT_EQ(spy_.new_size, 200U);
  EXPECT_EQ(spy_.moving, 0);
  EXPECT_EQ(ca_shrink(allocator(), memory, 200, 10, 16, CA_MOVE_NEVER).size, 64U);
  spy_.resizes = false;
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 100, 200, 16, CA_MOVE_NEVER)));
  EXPECT_EQ(spy_.moving, 0);
  EXPECT_EQ(ca_grow(allocator(), memory, 100, 200, 16, CA_MOVE_ALLOWED).ptr, memory + 64);
  EXPECT_EQ(ca_shrink(allocator(), memory, 200, 10, 16, CA_MOVE_ALLOWED).ptr, memory + 64);
  EXPECT_EQ(spy_.moving, 2);
}

TEST_F(FromSizedTest, AShrinkThatIsRefusedKeepsTheBlock) {
  EXPECT_EQ(ca_shrink(allocator(), memory, 200, 10, 16, CA_MOVE_NEVER).size, 200U);
  spy_.refuses = true;
  EXPECT_EQ(ca_shrink(allocator(), memory, 200, 10, 16, CA_MOVE_ALLOWED).ptr, memory);
}

TEST_F(FromSizedTest, WithoutResizeFunctionsBlocksStayWhatTheyAre) {
  table_.resize_in_place = nullptr;
  table_.resize = nullptr;
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 100, 200, 16, CA_MOVE_ALLOWED)));
  EXPECT_EQ(ca_grow(allocator(), memory, 100, 100, 16, CA_MOVE_NEVER).size, 100U);
  EXPECT_EQ(ca_shrink(allocator(), memory, 200, 10, 16, CA_MOVE_ALLOWED).size, 200U);
}

TEST_F(FromSizedTest, TheImpossibleIsRefusedWithoutAsking) {
  for (const std::size_t size :
       {SIZE_MAX, std::size_t{PTRDIFF_MAX} + 1, std::size_t{PTRDIFF_MAX}}) {
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), size, 16)));
    EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 100, size, 16, CA_MOVE_ALLOWED)));
  }
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 16, 128))) << "above most_align";
  EXPECT_EQ(spy_.allocations + spy_.in_place + spy_.moving, 0);
  EXPECT_FALSE(ca_block_is_none(ca_allocate(allocator(), 16, 64)));
  table_.most_align = 0;
  EXPECT_FALSE(ca_block_is_none(ca_allocate(allocator(), 16, 4096)));
}

TEST_F(FromSizedTest, ErrnoIsKeptWhateverTheFunctionsDo) {
  errno = 4321;
  spy_.refuses = true;
  table_.usable_size = UsableSize;
  table_.deallocate_unsized = DeallocateUnsized;
  Init();
  EXPECT_EQ(ca_allocate(allocator(), 100, 16).size, 0U);
  EXPECT_EQ(errno, 4321);
  ca_grow(allocator(), memory, 100, 200, 16, CA_MOVE_ALLOWED);
  EXPECT_EQ(errno, 4321);
  ca_deallocate(allocator(), memory, 100, 16);
  EXPECT_EQ(errno, 4321);
  ops()->deallocate_unsized(allocator(), memory);
  EXPECT_EQ(errno, 4321);
}

TEST_F(FromSizedTest, OffersWhatTheTableHas) {
  EXPECT_EQ(ops()->usable_size, nullptr);
  EXPECT_TRUE(ops()->owns(allocator(), memory));
  EXPECT_FALSE(ops()->owns(allocator(), nullptr));
  table_.owns = nullptr;
  Init();
  EXPECT_EQ(ops()->owns, nullptr);
}

TEST_F(FromSizedTest, ATableThatLacksWhatItMustHaveRefusesEverything) {
  ca_sized_functions tables[4] = {table_, table_, table_, table_};
  tables[0].allocate = nullptr;
  tables[1].deallocate = nullptr;
  tables[2].usable_size = UsableSize;
  tables[3].deallocate_unsized = DeallocateUnsized;
  for (const ca_sized_functions &table : tables) {
    EXPECT_FALSE(ca_from_sized_init(&it_, &table, &spy_));
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 16, 16)));
    EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), memory, 16, 32, 16, CA_MOVE_ALLOWED)));
    EXPECT_EQ(ca_shrink(allocator(), memory, 32, 16, 16, CA_MOVE_ALLOWED).ptr, memory);
    ca_deallocate(allocator(), memory, 16, 16);
    EXPECT_EQ(ops()->usable_size, nullptr);
    EXPECT_EQ(ops()->owns, nullptr);
  }
  EXPECT_EQ(spy_.allocations + spy_.deallocations, 0);
}

}  // namespace
