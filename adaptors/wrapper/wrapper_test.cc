#include "adaptors/wrapper/wrapper.h"

#include <gtest/gtest.h>

#include <cstring>

namespace {

// An inner allocator that writes down how it was called.
struct Spy {
  ca_allocator base;  // First.
  const char *called;
  void *ptr;
  std::size_t size, new_size, align;
  ca_move move;
};

char memory[64];

Spy *SpyOf(const ca_allocator *base, const char *called) {
  auto *const spy = reinterpret_cast<Spy *>(const_cast<ca_allocator *>(base));
  spy->called = called;
  return spy;
}

ca_block Note(Spy *spy, void *ptr, std::size_t size, std::size_t new_size, std::size_t align,
              ca_move move) {
  spy->ptr = ptr;
  spy->size = size;
  spy->new_size = new_size;
  spy->align = align;
  spy->move = move;
  return ca_block_make(memory, 60);
}

constexpr ca_allocator_ops kEverything = {
    [](ca_allocator *base, std::size_t size, std::size_t align) {
      return Note(SpyOf(base, "allocate"), nullptr, size, 0, align, CA_MOVE_NEVER);
    },
    [](ca_allocator *base, void *ptr, std::size_t size, std::size_t align) {
      Note(SpyOf(base, "deallocate"), ptr, size, 0, align, CA_MOVE_NEVER);
    },
    [](ca_allocator *base, void *ptr, std::size_t size, std::size_t new_size, std::size_t align,
       ca_move move) { return Note(SpyOf(base, "grow"), ptr, size, new_size, align, move); },
    [](ca_allocator *base, void *ptr, std::size_t size, std::size_t new_size, std::size_t align,
       ca_move move) { return Note(SpyOf(base, "shrink"), ptr, size, new_size, align, move); },
    [](const ca_allocator *base, const void *ptr) -> std::size_t {
      SpyOf(base, "usable_size")->ptr = const_cast<void *>(ptr);
      return 61;
    },
    [](ca_allocator *base, void *ptr) { SpyOf(base, "deallocate_unsized")->ptr = ptr; },
    [](const ca_allocator *base, const void *ptr) {
      SpyOf(base, "owns")->ptr = const_cast<void *>(ptr);
      return ptr == memory;
    },
    [](const ca_allocator *base) { return SpyOf(base, "check")->ptr == memory; },
    "spy",
    [](const ca_allocator *base) {
      SpyOf(base, "range");
      return ca_block_make(memory, 62);
    },
    [](const ca_allocator *base, ca_block_visitor *, void *argument) {
      SpyOf(base, "walk");
      return argument == memory;
    },
    [](ca_allocator *base, void *ptr, std::size_t size) -> std::size_t {
      Note(SpyOf(base, "deallocate_recorded"), ptr, size, 0, 0, CA_MOVE_NEVER);
      return 63;
    }};

const ca_wrapper_tables kPassing = CA_WRAPPER_ROWS(
    "passing", ca_wrapper_allocate, ca_wrapper_deallocate, ca_wrapper_grow, ca_wrapper_shrink,
    ca_wrapper_deallocate_unsized, ca_wrapper_deallocate_recorded, ca_wrapper_check);

class WrapperTest : public testing::Test {
 protected:
  WrapperTest() { Init(CA_SIZES_RECORDED); }
  void Init(ca_sizes sizes) { ca_wrapper_init(&wrapper_, &spy_.base, sizes, kPassing); }
  ca_allocator *allocator() { return &wrapper_.base; }
  const ca_allocator_ops *ops() { return wrapper_.base.ops; }
  void ExpectCalled(const char *name, std::size_t size, std::size_t new_size, std::size_t align) {
    EXPECT_STREQ(spy_.called, name);
    EXPECT_EQ(spy_.size, size);
    EXPECT_EQ(spy_.new_size, new_size);
    EXPECT_EQ(spy_.align, align);
  }

  ca_allocator_ops inner_ = kEverything;
  Spy spy_ = {{&inner_}, "", nullptr, 0, 0, 0, CA_MOVE_NEVER};
  ca_wrapper wrapper_;
};

TEST_F(WrapperTest, PassesEachCallOnAsItComes) {
  EXPECT_EQ(ca_allocate(allocator(), 5, 8).size, 60U);
  ExpectCalled("allocate", 5, 0, 8);
  ca_deallocate(allocator(), memory, 6, 16);
  ExpectCalled("deallocate", 6, 0, 16);
  EXPECT_EQ(ca_grow(allocator(), memory + 1, 7, 8, 32, CA_MOVE_ALLOWED).size, 60U);
  ExpectCalled("grow", 7, 8, 32);
  EXPECT_EQ(spy_.ptr, memory + 1);
  EXPECT_EQ(spy_.move, CA_MOVE_ALLOWED);
  EXPECT_EQ(ca_shrink(allocator(), memory + 2, 10, 9, 64, CA_MOVE_ALLOWED).size, 60U);
  ExpectCalled("shrink", 10, 9, 64);
  EXPECT_EQ(spy_.ptr, memory + 2);
  EXPECT_EQ(spy_.move, CA_MOVE_ALLOWED);
  EXPECT_EQ(ops()->usable_size(allocator(), memory), 61U);
  ops()->deallocate_unsized(allocator(), memory + 3);
  EXPECT_STREQ(spy_.called, "deallocate_unsized");
  EXPECT_EQ(spy_.ptr, memory + 3);
  EXPECT_EQ(ca_deallocate_recorded(allocator(), memory + 4, 11), 63U);
  ExpectCalled("deallocate_recorded", 11, 0, 0);
  EXPECT_TRUE(ops()->owns(allocator(), memory));
  EXPECT_FALSE(ops()->owns(allocator(), nullptr));
}

TEST_F(WrapperTest, AsksTheInnerAllocatorOfItself) {
  EXPECT_EQ(ops()->range(allocator()).size, 62U);
  EXPECT_TRUE(ops()->walk(allocator(), nullptr, memory));
  EXPECT_FALSE(ops()->walk(allocator(), nullptr, nullptr));
  spy_.ptr = memory;
  EXPECT_TRUE(ops()->check(allocator()));
  spy_.ptr = nullptr;
  EXPECT_FALSE(ops()->check(allocator()));
  inner_.range = nullptr;
  inner_.walk = nullptr;
  inner_.check = nullptr;
  EXPECT_TRUE(ca_block_is_none(ops()->range(allocator())));
  EXPECT_FALSE(ops()->walk(allocator(), nullptr, memory));
  EXPECT_TRUE(ops()->check(allocator()));
}

TEST_F(WrapperTest, OffersWhatTheInnerAllocatorOffersAndSizesOnlyIfWanted) {
  for (const bool records : {true, false}) {
    for (const bool tells : {true, false}) {
      inner_ = kEverything;
      if (!records) inner_.usable_size = nullptr;
      if (!tells) inner_.owns = nullptr;
      for (const ca_sizes sizes : {CA_SIZES_RECORDED, CA_SIZES_FORGOTTEN}) {
        Init(sizes);
        const bool offers = records && sizes == CA_SIZES_RECORDED;
        EXPECT_EQ(ops()->usable_size != nullptr, offers);
        EXPECT_EQ(ops()->deallocate_unsized != nullptr, offers);
        EXPECT_EQ(ops()->deallocate_recorded != nullptr, offers);
        EXPECT_EQ(ops()->walk != nullptr, offers);
        EXPECT_EQ(ops()->owns != nullptr, tells);
        EXPECT_EQ(ops()->range != nullptr, tells);
      }
    }
  }
}

}  // namespace
