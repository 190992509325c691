// Explicit huge pages from the administrator's pool. Most machines set none aside:
// huge_pages_vm_test runs it in one that has them, and here each test says what it could not check.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "sources/memory_map/memory_map.h"
#include "sources/memory_map/smaps.h"

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t SizeOf(ca_memory_map_huge_pages huge) {
  return huge == CA_MEMORY_MAP_HUGE_1_GIB ? 1024 * kMiB : 2 * kMiB;
}

// Pages of the pool that nobody has or was promised.
std::size_t FreePages(ca_memory_map_huge_pages huge) {
  const std::string pool =
      "/sys/kernel/mm/hugepages/hugepages-" + std::to_string(SizeOf(huge) >> 10) + "kB/";
  std::size_t free = 0;
  std::size_t promised = 0;
  std::ifstream(pool + "free_hugepages") >> free;
  std::ifstream(pool + "resv_hugepages") >> promised;
  return free - promised;
}

std::size_t PageSizeOf(ca_block range) {
  const std::string line = ca_testing::SmapsOf(range.ptr, "KernelPageSize:");
  return line.empty() ? 0 : std::stoul(line.substr(line.find(':') + 1)) << 10;
}

class HugePagesTest : public testing::TestWithParam<ca_memory_map_huge_pages> {
 protected:
  void SetUp() override {
    if (FreePages(GetParam()) > 0) return;
    ASSERT_EQ(std::getenv("NUMA_VM"), nullptr) << "the machine was booted for this";
    GTEST_SKIP() << "NOT CHECKED HERE: the pool is empty";
  }
  ca_block Obtain(ca_memory_map_huge_pages huge, ca_memory_map_effort effort, std::size_t size) {
    settings_.huge_pages = huge;
    settings_.effort = effort;
    ca_memory_map_init(&map_, &settings_);
    return ca_memory_map_obtain(&map_, size, 1, &report_);
  }
  void Release(ca_block range) { ca_source_release(ca_memory_map_source(&map_), range); }
  // Takes all that the pool has.
  std::vector<ca_block> Empty(ca_memory_map_huge_pages huge) {
    std::vector<ca_block> held;
    while (FreePages(huge) > 0) {
      held.push_back(Obtain(huge, CA_MEMORY_MAP_STRICT, 1));
      if (ca_block_is_none(held.back())) {
        ADD_FAILURE() << std::strerror(report_.error);
        held.pop_back();
        break;
      }
    }
    return held;
  }
  void ReleaseAll(const std::vector<ca_block> &held) {
    for (const ca_block &range : held) Release(range);
  }

  ca_memory_map_settings settings_ = {};
  ca_memory_map map_;
  ca_memory_map_report report_ = {};
};

TEST_P(HugePagesTest, ARangeHasThemAndTheyGoBack) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t before = FreePages(GetParam());
  for (const std::size_t guard : {std::size_t{0}, page}) {
    settings_.guard_before = settings_.guard_after = guard;
    const ca_block range = Obtain(GetParam(), CA_MEMORY_MAP_STRICT, 5);
    ASSERT_FALSE(ca_block_is_none(range)) << std::strerror(report_.error);
    EXPECT_EQ(report_.missed, 0U);
    EXPECT_EQ(range.size, SizeOf(GetParam()));
    EXPECT_EQ(PageSizeOf(range), SizeOf(GetParam()));
    auto *bytes = static_cast<unsigned char *>(range.ptr);
    EXPECT_EQ(bytes[range.size - 1], 0);
    bytes[0] = bytes[range.size - 1] = 1;
    EXPECT_EQ(FreePages(GetParam()), before - 1);
    Release(range);
    EXPECT_EQ(FreePages(GetParam()), before);
  }
}

// 1 GiB pages fall back to 2 MiB, these to ordinary ones with advice.
TEST_P(HugePagesTest, AnEmptyPoolFallsBackOrIsRefused) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<ca_block> held = Empty(GetParam());
  EXPECT_TRUE(ca_block_is_none(Obtain(GetParam(), CA_MEMORY_MAP_STRICT, 1)));
  EXPECT_EQ(report_.error, ENOMEM);
  const bool has_smaller =
      GetParam() == CA_MEMORY_MAP_HUGE_1_GIB && FreePages(CA_MEMORY_MAP_HUGE_2_MIB) > 0;
  for (const std::size_t expected : {has_smaller ? 2 * kMiB : page, page}) {
    const ca_block range = Obtain(GetParam(), CA_MEMORY_MAP_BEST_EFFORT, 2 * kMiB);
    ASSERT_FALSE(ca_block_is_none(range));
    EXPECT_EQ(PageSizeOf(range), expected);
    EXPECT_EQ(report_.missed, unsigned{CA_MEMORY_MAP_WISH_HUGE_PAGES});
    EXPECT_EQ(report_.error, ENOMEM);
    std::memset(range.ptr, 1, range.size);
    if (expected == page) {
      EXPECT_NE(ca_testing::SmapsOf(range.ptr, "VmFlags:").find(" hg"), std::string::npos);
    }
    Release(range);
    for (const ca_block &smaller : Empty(CA_MEMORY_MAP_HUGE_2_MIB)) held.push_back(smaller);
  }
  ReleaseAll(held);
}

INSTANTIATE_TEST_SUITE_P(Sizes, HugePagesTest,
                         testing::Values(CA_MEMORY_MAP_HUGE_2_MIB, CA_MEMORY_MAP_HUGE_1_GIB),
                         [](const testing::TestParamInfo<ca_memory_map_huge_pages> &info) {
                           return std::string(info.param == CA_MEMORY_MAP_HUGE_1_GIB ? "OneGiB"
                                                                                     : "TwoMiB");
                         });

}  // namespace
