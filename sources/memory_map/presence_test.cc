#include "sources/memory_map/presence.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "sources/memory_map/memory_map.h"
#include "sources/memory_map/refused_calls.h"

namespace {

class PresenceTest : public testing::Test {
 protected:
  PresenceTest() {
    const ca_memory_map_settings settings = {
        .backing = CA_MEMORY_MAP_RESERVED,
        .huge_pages = CA_MEMORY_MAP_HUGE_NEVER,
    };
    ca_memory_map_init(&map_, &settings);
    range_ = ca_source_obtain(ca_memory_map_source(&map_), kPages * page_, page_);
  }
  ~PresenceTest() override { ca_source_release(ca_memory_map_source(&map_), range_); }

  char *PageAt(std::size_t index) { return static_cast<char *>(range_.ptr) + index * page_; }
  bool IsPresent(std::size_t index) {
    unsigned char present = 0;
    EXPECT_EQ(mincore(PageAt(index), page_, &present), 0);
    return (present & 1) != 0;
  }

  static constexpr std::size_t kPages = 2 * CA_PRESENCE_RANGES;
  const std::size_t page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  ca_memory_map map_;
  ca_block range_;
};

TEST_F(PresenceTest, TheAskedPagesArePresentAndNoOthers) {
  PageAt(2)[17] = 'k';
  const ca_block ranges[] = {ca_block_make(PageAt(0), 1), ca_block_make(PageAt(2), page_),
                             ca_block_make(PageAt(4), 2 * page_)};
  if (!ca_pages_make_present(ranges, 3)) GTEST_SKIP() << "this kernel can't";
  const bool expected[] = {true, false, true, false, true, true, false};
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(IsPresent(i), expected[i]) << "page " << i;
  EXPECT_EQ(PageAt(2)[17], 'k');
  EXPECT_EQ(PageAt(4)[0], 0);
}

TEST_F(PresenceTest, TakesAsManyRangesAsItSays) {
  std::vector<ca_block> ranges;
  for (std::size_t i = 0; i < CA_PRESENCE_RANGES; ++i) {
    ranges.push_back(ca_block_make(PageAt(2 * i), page_));
  }
  if (!ca_pages_make_present(ranges.data(), ranges.size())) GTEST_SKIP() << "this kernel can't";
  for (std::size_t i = 0; i < kPages; ++i) EXPECT_EQ(IsPresent(i), i % 2 == 0) << "page " << i;
}

TEST_F(PresenceTest, WhatMayNotBeWrittenIsRefusedAndErrnoKept) {
  ASSERT_EQ(mprotect(PageAt(1), page_, PROT_NONE), 0);
  const ca_block ranges[] = {ca_block_make(PageAt(0), page_), ca_block_make(PageAt(1), page_)};
  errno = 77;
  EXPECT_FALSE(ca_pages_make_present(ranges, 2));
  EXPECT_EQ(errno, 77);
  EXPECT_FALSE(IsPresent(1));
}

TEST_F(PresenceTest, ARefusedCallIsAnAnswer) {
  const ca_block range = ca_block_make(PageAt(0), page_);
  ca_testing::CallPlan plan;
  plan.refuse_nth = 1;
  plan.error = ENOSYS;
  ca_testing::ArmCalls(plan);
  errno = 77;
  const bool done = ca_pages_make_present(&range, 1);
  const int error = errno;
  const ca_testing::CallLog log = ca_testing::DisarmCalls();
  EXPECT_FALSE(done);
  EXPECT_EQ(error, 77);
  EXPECT_EQ(log.count, 1U);
  EXPECT_FALSE(IsPresent(0));
}

}  // namespace
