#include "adaptors/redzone/redzone.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "allocators/bit_set/bit_set.h"
#include "allocators/bump/bump.h"
#include "base/poison.h"

namespace {

class RedzoneTest : public testing::Test {
 protected:
  RedzoneTest() : memory_(200000) {
    ca_bit_set_init_range(&inner_, ca_block_make(memory_.data(), memory_.size()), 64,
                          CA_SIZES_FORGOTTEN);
    ca_redzone_init(&redzone_, ca_bit_set_allocator(&inner_));
  }
  ~RedzoneTest() override { ca_bit_set_destroy(&inner_); }
  ca_allocator *allocator() { return ca_redzone_allocator(&redzone_); }
  char *Allocate(std::size_t size, std::size_t align = 16) {
    const ca_block block = ca_allocate(allocator(), size, align);
    EXPECT_EQ(block.size, size) << "no excess is handed out";
    EXPECT_TRUE(ca_is_aligned(block.ptr, align));
    return static_cast<char *>(block.ptr);
  }
  bool Check() { return allocator()->ops->check(allocator()); }
  // Past the tools, which would stop the program there and then; another value than the byte has,
  // which in a seal may be any.
  static void Damage(char *at) {
    ca_unpoison_defined(at, 1);
    *at = static_cast<char>(~*at);
  }

  static void Repair(char *at) {
    ca_unpoison_defined(at, 1);
    *at = static_cast<char>(0xFB);
  }

  std::vector<char> memory_;
  ca_bit_set inner_;
  ca_redzone redzone_;
};

TEST_F(RedzoneTest, BlocksComeAndGoInAnyOrderAndTheListHolds) {
  std::vector<std::pair<char *, std::size_t>> live;
  for (int round = 0; round < 20; ++round) {
    for (const std::size_t size : {1, 7, 64, 100, 1000}) live.push_back({Allocate(size), size});
    for (const auto &[ptr, size] : live) std::memset(ptr, 0, size);
    EXPECT_TRUE(Check());
    std::swap(live[round % live.size()], live.back());
    ca_deallocate(allocator(), live.back().first, live.back().second, 16);
    live.pop_back();
    std::swap(live[0], live.back());
    allocator()->ops->deallocate_unsized(allocator(), live.back().first);
    live.pop_back();
    EXPECT_TRUE(Check());
    EXPECT_EQ(redzone_.live, live.size());
  }
  for (const auto &[ptr, size] : live) ca_deallocate(allocator(), ptr, size, 16);
  EXPECT_EQ(redzone_.newest, nullptr);
  EXPECT_EQ(ca_bit_set_live(&inner_), 0U);
}

TEST_F(RedzoneTest, LargeAlignmentsAndImpossibleSizes) {
  for (std::size_t align = 1; align <= 4096; align *= 2) {
    char *ptr = Allocate(10, align);
    ca_deallocate(allocator(), ptr, 10, align);
  }
  EXPECT_EQ(ca_bit_set_live(&inner_), 0U);
  for (const std::size_t size : {std::size_t{PTRDIFF_MAX}, SIZE_MAX, SIZE_MAX - 79}) {
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), size, 16)));
  }
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 1, std::size_t{1} << 63)));
  EXPECT_TRUE(Check());
}

TEST_F(RedzoneTest, ABlockGrowsIntoTheRoomAShrinkLeft) {
  char *ptr = Allocate(100);
  EXPECT_EQ(ca_shrink(allocator(), ptr, 100, 10, 16, CA_MOVE_NEVER).size, 10U);
  EXPECT_EQ(allocator()->ops->usable_size(allocator(), ptr), 10U);
  EXPECT_TRUE(Check());
  Damage(ptr + 10);
  EXPECT_FALSE(Check()) << "the zone follows the end";
  Repair(ptr + 10);
  EXPECT_TRUE(Check());
  EXPECT_EQ(ca_grow(allocator(), ptr, 10, 50, 16, CA_MOVE_NEVER).ptr, ptr);
  ptr[49] = 1;
  EXPECT_TRUE(Check());
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), ptr, 50, 5000, 16, CA_MOVE_ALLOWED)));
  ca_deallocate(allocator(), ptr, 50, 16);
}

TEST_F(RedzoneTest, CheckFindsAWriteToEitherSideOfAnyBlock) {
  for (int which = 0; which < 3; ++which) {
    char *blocks[3] = {Allocate(30), Allocate(31), Allocate(32)};
    for (const int offset : {-1, -16, 30 + which, 45 + which}) {
      char *at = blocks[which] + offset;
      ASSERT_TRUE(Check());
      Damage(at);
      EXPECT_FALSE(Check()) << which << ", " << offset;
      Repair(at);
    }
    for (int i = 0; i < 3; ++i) ca_deallocate(allocator(), blocks[i], 30 + i, 16);
  }
  redzone_.live++;
  EXPECT_FALSE(Check());
  redzone_.live--;
}

TEST_F(RedzoneTest, CheckFindsADamagedSeal) {
  char *ptr = Allocate(30);
  Damage(ptr - 17);
  EXPECT_FALSE(Check());
  Damage(ptr - 17);  // back to what it was
  EXPECT_TRUE(Check());
  ca_deallocate(allocator(), ptr, 30, 16);
}

TEST_F(RedzoneTest, ToolsSeeTheZones) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  char *ptr = Allocate(29);
  Allocate(29);
  EXPECT_TRUE(Check());
  EXPECT_TRUE(ca_is_poisoned(ptr - 1));
  EXPECT_TRUE(ca_is_poisoned(ptr - 64));
  EXPECT_FALSE(ca_is_poisoned(ptr));
  EXPECT_FALSE(ca_is_poisoned(ptr + 28));
  EXPECT_TRUE(ca_is_poisoned(ptr + 29));
  ca_deallocate(allocator(), ptr, 29, 16);
  EXPECT_TRUE(ca_is_poisoned(ptr));
}

using RedzoneDeathTest = RedzoneTest;

TEST_F(RedzoneDeathTest, DamageIsReportedByName) {
  char *ptr = Allocate(30);
  const auto free_after = [&](int offset) {
    Damage(ptr + offset);
    ca_deallocate(allocator(), ptr, 30, 16);
  };
  EXPECT_DEATH(free_after(-1), "deallocate\\(0x[0-9a-f]+\\): write before the block \\(redzone\\)");
  EXPECT_DEATH(free_after(-16), "write before the block");
  EXPECT_DEATH(free_after(-17), "not a block");
  EXPECT_DEATH(free_after(30), "write behind the block \\(redzone\\)");
  EXPECT_DEATH(free_after(45), "write behind the block");
  EXPECT_DEATH(ca_deallocate(allocator(), ptr, 29, 16), "wrong size \\(redzone\\)");
  EXPECT_DEATH(ca_deallocate_recorded(allocator(), ptr, 29), "deallocate.*wrong size");
  EXPECT_DEATH(ca_grow(allocator(), ptr, 31, 32, 16, CA_MOVE_NEVER), "grow.*wrong size");
  EXPECT_DEATH(ca_shrink(allocator(), ptr, 31, 3, 16, CA_MOVE_NEVER), "shrink.*wrong size");
  EXPECT_DEATH(ca_deallocate(allocator(), ptr + 8, 22, 8), "not a block");
  EXPECT_DEATH(ca_deallocate(allocator(), ptr + 1, 29, 1), "deallocate.*not a block");
  ca_deallocate(allocator(), ptr, 30, 16);
}

// An allocator that doesn't recognise it itself.
TEST_F(RedzoneDeathTest, ADoubleFreeIsNotABlock) {
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory_.data(), memory_.size()), CA_SIZES_FORGOTTEN);
  ca_redzone_init(&redzone_, ca_bump_allocator(&bump));
  char *ptr = Allocate(30);
  char *other = Allocate(30);
  ca_deallocate(allocator(), ptr, 30, 16);
  EXPECT_DEATH(ca_deallocate(allocator(), ptr, 30, 16), "not a block \\(redzone\\)");
  ca_deallocate(allocator(), other, 30, 16);
  ca_bump_destroy(&bump);
}

}  // namespace
