#include "sources/memory_map/memory_map.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "sources/testing/source_conformance.h"

namespace {

std::size_t PageSize() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

template <ca_memory_map_reserve kReserve>
struct MemoryMapFixture {
  MemoryMapFixture() {
    const ca_memory_map_settings settings = {kReserve};
    ca_memory_map_init(&map, &settings);
  }
  ca_source *get() { return ca_memory_map_source(&map); }
  static constexpr std::size_t kMaxAlign = std::size_t{1} << 30;
  static constexpr std::size_t kMaxSize = 1 << 20;
  static constexpr bool kBounded = false;
  ca_memory_map map;
};

using Committed = MemoryMapFixture<CA_MEMORY_MAP_COMMITTED>;
using Uncommitted = MemoryMapFixture<CA_MEMORY_MAP_NORESERVE>;
INSTANTIATE_TYPED_TEST_SUITE_P(Committed, SourceConformance, Committed);
INSTANTIATE_TYPED_TEST_SUITE_P(Uncommitted, SourceConformance, Uncommitted);

// Pages of [ptr, ptr + size) that have memory; -1 where nothing is mapped.
int Resident(void *ptr, std::size_t size) {
  std::vector<unsigned char> pages((size + PageSize() - 1) / PageSize());
  if (mincore(ptr, size, pages.data()) != 0) return -1;
  int count = 0;
  for (const unsigned char page : pages) count += page & 1;
  return count;
}

class MemoryMapTest : public testing::Test {
 protected:
  MemoryMapTest() { ca_memory_map_init(&map_, nullptr); }
  ca_source *source() { return ca_memory_map_source(&map_); }
  ca_memory_map map_;
};

TEST_F(MemoryMapTest, SizesAreRoundedUpToPages) {
  const ca_block range = ca_source_obtain(source(), 1, 1);
  EXPECT_EQ(range.size, PageSize());
  ca_source_release(source(), range);
  EXPECT_EQ(Resident(range.ptr, range.size), -1) << "unmapped";
}

TEST_F(MemoryMapTest, NothingIsLeftBesideAnAlignedRange) {
  const std::size_t align = 64 * PageSize();
  const ca_block range = ca_source_obtain(source(), PageSize(), align);
  ASSERT_TRUE(ca_is_aligned(range.ptr, align));
  char *begin = static_cast<char *>(range.ptr);
  ca_source_release(source(), range);
  EXPECT_EQ(Resident(begin, PageSize()), -1);
}

// Pages of address space that the process has.
long AddressSpace() {
  std::ifstream file("/proc/self/statm");
  long pages = 0;
  file >> pages;
  return pages;
}

TEST_F(MemoryMapTest, ReleaseReturnsAllAddressSpaceAlsoOfAlignedRanges) {
  AddressSpace();  // The stream's own memory is there from now on.
  const long before = AddressSpace();
  for (int i = 0; i < 16; ++i) {
    ca_source_release(source(), ca_source_obtain(source(), PageSize(), 64 * PageSize()));
    ca_source_release(source(), ca_source_obtain(source(), 64 * PageSize(), 1));
  }
  EXPECT_EQ(AddressSpace(), before);
}

TEST_F(MemoryMapTest, DecommitGivesThePagesBackToTheSystem) {
  const ca_block range = ca_source_obtain(source(), 64 * PageSize(), 1);
  std::memset(range.ptr, 1, range.size);
  EXPECT_EQ(Resident(range.ptr, range.size), 64);
  EXPECT_EQ(ca_source_decommit(source(), range.ptr, range.size), range.size);
  EXPECT_EQ(Resident(range.ptr, range.size), 0);
  EXPECT_EQ(static_cast<char *>(range.ptr)[5], 0);
  ca_source_release(source(), range);
}

TEST_F(MemoryMapTest, UncommittedRangesMayBeFarLargerThanTheMachine) {
  const ca_memory_map_settings settings = {CA_MEMORY_MAP_NORESERVE};
  ca_memory_map_init(&map_, &settings);
  const std::size_t terabyte = std::size_t{1} << 40;
  const ca_block range = ca_source_obtain(source(), terabyte, std::size_t{1} << 30);
  ASSERT_FALSE(ca_block_is_none(range));
  static_cast<char *>(range.ptr)[terabyte - 1] = 1;
  ca_source_release(source(), range);
}

class ReservedTest : public MemoryMapTest {
 protected:
  ReservedTest() {
    const ca_memory_map_settings settings = {CA_MEMORY_MAP_RESERVED};
    ca_memory_map_init(&map_, &settings);
    range_ = ca_source_obtain(source(), 16 * PageSize(), 1);
    EXPECT_FALSE(ca_block_is_none(range_));
    bytes_ = static_cast<char *>(range_.ptr);
  }
  ~ReservedTest() override { ca_source_release(source(), range_); }
  ca_block range_;
  char *bytes_;
};

using ReservedDeathTest = ReservedTest;

TEST_F(ReservedTest, ACommittedPartIsZeroAndUsable) {
  ASSERT_TRUE(ca_memory_map_commit(bytes_ + PageSize() + 10, PageSize()));  // Touches two pages.
  EXPECT_EQ(bytes_[PageSize()], 0);
  std::memset(bytes_ + PageSize(), 3, 2 * PageSize());
  EXPECT_TRUE(ca_memory_map_commit(bytes_, range_.size));
  EXPECT_EQ(bytes_[PageSize()], 3) << "what was usable before keeps its contents";
}

TEST_F(ReservedTest, WhatIsUncommittedIsZeroWhenItIsCommittedAgain) {
  ASSERT_TRUE(ca_memory_map_commit(bytes_, range_.size));
  std::memset(bytes_, 3, range_.size);
  EXPECT_TRUE(ca_memory_map_uncommit(bytes_ + 1, 2 * PageSize()));  // One whole page.
  EXPECT_EQ(bytes_[PageSize() - 1], 3);
  EXPECT_EQ(bytes_[2 * PageSize()], 3);
  ASSERT_TRUE(ca_memory_map_commit(bytes_ + PageSize(), 1));
  EXPECT_EQ(bytes_[PageSize()], 0);
  EXPECT_TRUE(ca_memory_map_uncommit(bytes_ + 1, 10)) << "no whole page: nothing to do";
}

TEST_F(ReservedTest, CommittingWhatIsNotMappedIsRefusedAndKeepsErrno) {
  errno = 12;
  EXPECT_FALSE(ca_memory_map_commit(reinterpret_cast<void *>(PageSize()), PageSize()));
  EXPECT_EQ(errno, 12);
}

TEST_F(ReservedDeathTest, ATouchOfWhatIsReservedFaults) {
  EXPECT_DEATH(*const_cast<volatile char *>(bytes_) = 1, "");
  ASSERT_TRUE(ca_memory_map_commit(bytes_, range_.size));
  EXPECT_TRUE(ca_memory_map_uncommit(bytes_, range_.size));
  EXPECT_DEATH(*const_cast<volatile char *>(bytes_) = 1, "");
}

// In a process of its own, as the limit stays.
TEST(MemoryMapLimitDeathTest, ALimitOnTheAddressSpaceIsARefusalNotAnEnd) {
  EXPECT_EXIT(
      {
        ca_memory_map map;
        ca_memory_map_init(&map, nullptr);
        ca_source *source = ca_memory_map_source(&map);
        rlimit limit = {};
        getrlimit(RLIMIT_AS, &limit);
        limit.rlim_cur = std::size_t{1} << 40;  // Less than asked below; sanitizers need terabytes.
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
        errno = 9;
        const ca_block refused = ca_source_obtain(source, std::size_t{1} << 41, 1);
        const ca_block served = ca_source_obtain(source, PageSize(), 1);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        _exit(ca_block_is_none(refused) && errno == 9 ? 0 : 1);
#endif
        _exit(ca_block_is_none(refused) && !ca_block_is_none(served) && errno == 9 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
