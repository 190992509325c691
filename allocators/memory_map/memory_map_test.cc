#include "allocators/memory_map/memory_map.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "allocators/testing/allocator_conformance.h"

namespace {

template <ca_sizes kSizes>
struct MemoryMapFixture {
  MemoryMapFixture() {
    ca_memory_map_allocator_settings settings = {};
    settings.sizes = kSizes;
    ca_memory_map_allocator_init(&map, &settings);
  }
  ~MemoryMapFixture() {
    EXPECT_EQ(map.blocks, 0U);
    EXPECT_EQ(map.mapped, 0U);
    ca_memory_map_allocator_destroy(&map);
  }
  ca_allocator *get() { return ca_memory_map_allocator_allocator(&map); }

  static constexpr std::size_t kMaxAlign = 1 << 22;
  static constexpr std::size_t kCapacity = 0;
  static constexpr bool kReclaims = true;

  ca_memory_map_allocator map;
};

using MapForgetting = MemoryMapFixture<CA_SIZES_FORGOTTEN>;
using MapRecording = MemoryMapFixture<CA_SIZES_RECORDED>;
INSTANTIATE_TYPED_TEST_SUITE_P(MapForgetting, AllocatorConformance, MapForgetting);
INSTANTIATE_TYPED_TEST_SUITE_P(MapRecording, AllocatorConformance, MapRecording);

class MemoryMapTest : public testing::TestWithParam<ca_sizes> {
 protected:
  MemoryMapTest() { Init({}); }
  void Init(ca_memory_map_allocator_settings settings) {
    settings.sizes = GetParam();
    ca_memory_map_allocator_init(&map_, &settings);
  }
  ca_allocator *allocator() { return ca_memory_map_allocator_allocator(&map_); }
  bool Check() { return allocator()->ops->check(allocator()); }
  std::size_t Front() const { return GetParam() == CA_SIZES_RECORDED ? page_ : 0; }
  static bool IsMapped(const void *ptr) {
    unsigned char resident;
    return mincore(const_cast<void *>(ptr), 1, &resident) == 0;
  }

  const std::size_t page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  ca_memory_map_allocator map_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, MemoryMapTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(MemoryMapTest, ABlockIsWholeZeroedPagesThatGoBackAtOnce) {
  const ca_block block = ca_allocate(allocator(), page_ + 1, 16);
  ASSERT_EQ(block.size, 2 * page_);
  for (std::size_t i = 0; i < block.size; ++i) ASSERT_EQ(static_cast<char *>(block.ptr)[i], 0);
  EXPECT_EQ(map_.mapped, 2 * page_ + Front());
  EXPECT_EQ(map_.blocks, 1U);
  EXPECT_TRUE(IsMapped(block.ptr));
  ca_deallocate(allocator(), block.ptr, page_ + 1, 16);
  EXPECT_FALSE(IsMapped(block.ptr));
  EXPECT_EQ(map_.mapped, 0U);
  EXPECT_EQ(map_.peak, 2 * page_ + Front());
  EXPECT_TRUE(Check());
}

TEST_P(MemoryMapTest, HonoursHugeAlignmentsAndGivesTheSlackBack) {
  for (std::size_t align = 2 * page_; align <= std::size_t{1} << 31; align *= 4) {
    const ca_block block = ca_allocate(allocator(), page_, align);
    ASSERT_FALSE(ca_block_is_none(block)) << align;
    EXPECT_TRUE(ca_is_aligned(block.ptr, align));
    EXPECT_EQ(map_.mapped, page_ + Front());
    static_cast<char *>(block.ptr)[page_ - 1] = 1;
    EXPECT_TRUE(IsMapped(block.ptr));
    ca_deallocate(allocator(), block.ptr, page_, align);
    EXPECT_FALSE(IsMapped(block.ptr));
  }
}

TEST_P(MemoryMapTest, GrowsInPlaceWhereTheAddressesBehindAreFree) {
  const ca_block room = ca_allocate(allocator(), 8 * page_, 16);
  const ca_block half = ca_shrink(allocator(), room.ptr, 8 * page_, 4 * page_, 16, CA_MOVE_NEVER);
  ASSERT_EQ(half.size, 4 * page_);
  EXPECT_FALSE(IsMapped(static_cast<char *>(half.ptr) + 4 * page_));
  std::memset(half.ptr, 7, half.size);
  const ca_block again = ca_grow(allocator(), half.ptr, 4 * page_, 8 * page_, 16, CA_MOVE_NEVER);
  ASSERT_EQ(again.ptr, room.ptr);
  EXPECT_EQ(static_cast<char *>(again.ptr)[4 * page_ - 1], 7);
  EXPECT_EQ(static_cast<char *>(again.ptr)[4 * page_], 0);
  ca_deallocate(allocator(), again.ptr, 8 * page_, 16);
}

TEST_P(MemoryMapTest, MovesOnlyWhenAllowedAndKeepsContentsAndAlignment) {
  const std::size_t align = 1 << 21;
  ca_block block = ca_allocate(allocator(), page_, align);
  std::memset(block.ptr, 9, page_);
  // Something in the way, exactly behind the block.
  void *behind = static_cast<char *>(block.ptr) + page_;
  ASSERT_EQ(
      mmap(behind, page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
      behind);
  EXPECT_TRUE(
      ca_block_is_none(ca_grow(allocator(), block.ptr, page_, 2 * page_, align, CA_MOVE_NEVER)));
  EXPECT_EQ(static_cast<char *>(block.ptr)[page_ - 1], 9);
  const ca_block moved = ca_grow(allocator(), block.ptr, page_, 2 * page_, align, CA_MOVE_ALLOWED);
  ASSERT_EQ(moved.size, 2 * page_);
  ASSERT_NE(moved.ptr, block.ptr);
  EXPECT_TRUE(ca_is_aligned(moved.ptr, align));
  EXPECT_FALSE(IsMapped(block.ptr));
  EXPECT_EQ(static_cast<char *>(moved.ptr)[page_ - 1], 9);
  EXPECT_EQ(static_cast<char *>(moved.ptr)[page_], 0);
  EXPECT_EQ(map_.mapped, 2 * page_ + Front());
  munmap(behind, page_);
  ca_deallocate(allocator(), moved.ptr, 2 * page_, align);
  EXPECT_EQ(map_.mapped, 0U);
}

TEST_P(MemoryMapTest, ALimitIsNeverPassed) {
  ca_memory_map_allocator_settings settings = {};
  settings.limit = 10 * page_ + Front();
  Init(settings);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 10 * page_ + 1, 16)));
  const ca_block block = ca_allocate(allocator(), 9 * page_, 16);
  ASSERT_FALSE(ca_block_is_none(block));
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), page_ + 1, 16)));
  EXPECT_TRUE(ca_block_is_none(
      ca_grow(allocator(), block.ptr, 9 * page_, 11 * page_, 16, CA_MOVE_ALLOWED)));
  const ca_block full = ca_grow(allocator(), block.ptr, 9 * page_, 10 * page_, 16, CA_MOVE_ALLOWED);
  EXPECT_EQ(full.size, 10 * page_);
  EXPECT_TRUE(Check());
  ca_deallocate(allocator(), full.ptr, 10 * page_, 16);
}

TEST_P(MemoryMapTest, PreparesEachMappingAndRefusesWhatCouldNotBe) {
  struct Seen {
    int calls = 0;
    bool answer = true;
  } seen;
  ca_memory_map_allocator_settings settings = {};
  settings.context = &seen;
  settings.prepare = [](void *context, void *ptr, std::size_t size) {
    auto *told = static_cast<Seen *>(context);
    told->calls++;
    static_cast<char *>(ptr)[size - 1] = 0;
    return told->answer;
  };
  Init(settings);
  const ca_block block = ca_allocate(allocator(), 1, 16);
  EXPECT_EQ(seen.calls, 1);
  seen.answer = false;
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 1, 16)));
  EXPECT_EQ(map_.blocks, 1U);
  ca_deallocate(allocator(), block.ptr, 1, 16);
}

TEST_P(MemoryMapTest, WhoPreparesMayAllocateAndLeaveAnErrno) {
  struct Nested {
    ca_allocator *allocator;
    std::size_t size;  // 0: none.
    ca_block block;
  } nested = {allocator(), page_, ca_block_none()};
  ca_memory_map_allocator_settings settings = {};
  settings.limit = 4 * page_;
  settings.context = &nested;
  settings.prepare = [](void *context, void *, std::size_t) {
    auto *of = static_cast<Nested *>(context);
    const std::size_t size = of->size;
    of->size = 0;
    if (size != 0) of->block = ca_allocate(of->allocator, size, 16);
    errno = EPERM;
    return true;
  };
  Init(settings);
  errno = 77;
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 4 * page_ - Front(), 16)));
  EXPECT_EQ(map_.mapped, Front() + page_) << "the nested block alone";
  EXPECT_TRUE(Check());
  const ca_block block = ca_allocate(allocator(), page_, 16);
  EXPECT_FALSE(ca_block_is_none(block));
  EXPECT_EQ(errno, 77);
  EXPECT_TRUE(Check());
  ca_deallocate(allocator(), block.ptr, block.size, 16);
  ca_deallocate(allocator(), nested.block.ptr, nested.block.size, 16);
}

TEST_P(MemoryMapTest, KeepsErrnoAlsoWhenTheSystemRefuses) {
  errno = 4321;
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), PTRDIFF_MAX - 3 * page_, 16)));
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 1, std::size_t{1} << 62)));
  const ca_block block = ca_allocate(allocator(), 1, 16);
  EXPECT_TRUE(ca_block_is_none(
      ca_grow(allocator(), block.ptr, 1, PTRDIFF_MAX - 3 * page_, 16, CA_MOVE_ALLOWED)));
  EXPECT_EQ(errno, 4321);
  ca_deallocate(allocator(), block.ptr, 1, 16);
}

TEST_P(MemoryMapTest, DestroyTwiceIsHarmless) {
  ca_memory_map_allocator_destroy(&map_);
  ca_memory_map_allocator_destroy(&map_);
  ca_memory_map_allocator zero = {};
  ca_memory_map_allocator_destroy(&zero);
  ca_memory_map_allocator_init(&zero, nullptr);
  EXPECT_TRUE(zero.base.ops->check(ca_memory_map_allocator_allocator(&zero)));
}

TEST_P(MemoryMapTest, CheckFindsDamage) {
  const ca_block block = ca_allocate(allocator(), 1, 16);
  const ca_memory_map_allocator right = map_;
  const auto found = [&] {
    const bool holds = Check();
    map_ = right;
    return !holds && Check();
  };
  EXPECT_TRUE((map_.page_size *= 2, found()));
  EXPECT_TRUE((map_.mapped += 1, found()));
  EXPECT_TRUE((map_.mapped = 0, found()));
  EXPECT_TRUE((map_.blocks = 0, found()));
  EXPECT_TRUE((map_.peak = 0, found()));
  EXPECT_TRUE((map_.settings.limit = 1, found()));
  ca_deallocate(allocator(), block.ptr, 1, 16);
}

using MemoryMapDeathTest = MemoryMapTest;
INSTANTIATE_TEST_SUITE_P(Sizes, MemoryMapDeathTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(MemoryMapDeathTest, MisuseIsReported) {
  const ca_block block = ca_allocate(allocator(), 3 * page_, 16);
  auto *bytes = static_cast<char *>(block.ptr);
  EXPECT_DEATH(ca_deallocate(allocator(), bytes + 1, 1, 16),
               "deallocate\\(0x[0-9a-f]+\\): not a block \\(memory map\\)");
  EXPECT_DEATH(ca_deallocate(allocator(), bytes, 50 * page_, 16), "wrong size \\(memory map\\)");
  if (GetParam() == CA_SIZES_RECORDED) {
    EXPECT_DEATH(ca_deallocate(allocator(), bytes, 2 * page_, 16), "wrong size");
    EXPECT_DEATH(ca_deallocate_recorded(allocator(), bytes, 2 * page_), "wrong size");
    EXPECT_DEATH(allocator()->ops->usable_size(allocator(), bytes + page_), "not a block");
    EXPECT_DEATH(allocator()->ops->deallocate_unsized(allocator(), bytes + page_), "not a block");
    EXPECT_DEATH(
        {
          allocator()->ops->deallocate_unsized(allocator(), bytes);
          allocator()->ops->deallocate_unsized(allocator(), bytes);
        },
        "");
  }
  EXPECT_DEATH(
      {
        ca_deallocate(allocator(), bytes, 3 * page_, 16);
        bytes[0] = 1;
      },
      "")
      << "a freed block faults";
  ca_deallocate(allocator(), bytes, 3 * page_, 16);
  EXPECT_DEATH(ca_deallocate(allocator(), bytes, 3 * page_, 16), "not a block");
}

TEST_P(MemoryMapDeathTest, AWrongSizeIsReportedByGrowAndShrink) {
  if (GetParam() == CA_SIZES_FORGOTTEN) GTEST_SKIP() << "knows no sizes";
  const ca_block block = ca_allocate(allocator(), 3 * page_, 16);
  EXPECT_DEATH(ca_grow(allocator(), block.ptr, 2 * page_, 4 * page_, 16, CA_MOVE_ALLOWED),
               "grow\\(0x[0-9a-f]+\\): wrong size");
  EXPECT_DEATH(ca_shrink(allocator(), block.ptr, 2 * page_, page_, 16, CA_MOVE_ALLOWED),
               "shrink\\(0x[0-9a-f]+\\): wrong size");
  ca_deallocate(allocator(), block.ptr, 3 * page_, 16);
}

// A block's last bytes of a page are its owner's, who may have put there what a record looks like.
TEST_P(MemoryMapDeathTest, ARecordHoldsForItsOwnPlaceAndAllocatorOnly) {
  if (GetParam() == CA_SIZES_FORGOTTEN) GTEST_SKIP() << "writes no records";
  constexpr std::size_t kRecord = 16;
  const ca_block block = ca_allocate(allocator(), 3 * page_, 16);
  auto *bytes = static_cast<char *>(block.ptr);
  std::memcpy(bytes + page_ - kRecord, bytes - kRecord, kRecord);
  EXPECT_DEATH(allocator()->ops->deallocate_unsized(allocator(), bytes + page_), "not a block");
  EXPECT_DEATH(allocator()->ops->usable_size(allocator(), bytes + page_),
               "usable_size.*not a block");
  ca_memory_map_allocator other;
  ca_memory_map_allocator_init(&other, &map_.settings);
  ca_allocator *const others = ca_memory_map_allocator_allocator(&other);
  const ca_block theirs = ca_allocate(others, 3 * page_, 16);
  EXPECT_DEATH(others->ops->deallocate_unsized(others, bytes), "not a block");
  ca_deallocate(others, theirs.ptr, 3 * page_, 16);
  ca_deallocate(allocator(), bytes, 3 * page_, 16);
}

#ifndef NDEBUG
TEST_P(MemoryMapDeathTest, DestroyWhileABlockLivesIsACallersError) {
  const ca_block block = ca_allocate(allocator(), 1, 16);
  EXPECT_DEATH(ca_memory_map_allocator_destroy(&map_), "self->blocks == 0");
  ca_deallocate(allocator(), block.ptr, 1, 16);
  ca_memory_map_allocator_destroy(&map_);
}
#endif

}  // namespace
