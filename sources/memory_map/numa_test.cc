// On which node pages land. Needs two nodes for most of it: numa_vm_test runs it in a machine that
// has them, and here each test says what it could not check.
#include <gtest/gtest.h>
#include <numaif.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "sources/chained/chained.h"
#include "sources/memory_map/memory_map.h"

namespace {

constexpr std::size_t kPages = 16;

std::size_t Page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

// The node of each page, by the kernel's own account.
std::vector<int> NodesOf(ca_block range, std::size_t page) {
  std::vector<void *> pages;
  for (std::size_t at = 0; at < range.size; at += page) {
    pages.push_back(static_cast<char *>(range.ptr) + at);
  }
  std::vector<int> nodes(pages.size(), -1);
  EXPECT_EQ(move_pages(0, pages.size(), pages.data(), nullptr, nodes.data(), 0), 0);
  return nodes;
}

int ModeOf(ca_block range) {
  int mode = -1;
  EXPECT_EQ(get_mempolicy(&mode, nullptr, 0, range.ptr, MPOL_F_ADDR), 0);
  return mode;
}

void RunOn(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
}

class NumaTest : public testing::Test {
 protected:
  void SetUp() override {
    ca_node_set allowed = {};
    if (!ca_node_set_allowed(&allowed)) GTEST_SKIP() << "no NUMA calls on this kernel";
    nodes_ = ca_node_set_count(&allowed);
  }

  ca_block Touched(ca_memory_map_policy policy, const char *nodes, std::size_t size) {
    settings_.policy = policy;
    settings_.effort = CA_MEMORY_MAP_STRICT;
    EXPECT_TRUE(*nodes == '\0' || ca_node_set_parse(&settings_.nodes, nodes));
    ca_memory_map_init(&map_, &settings_);
    const ca_block range = ca_memory_map_obtain(&map_, size, 1, &report_);
    EXPECT_FALSE(ca_block_is_none(range)) << std::strerror(report_.error);
    if (!ca_block_is_none(range)) std::memset(range.ptr, 1, range.size);
    return range;
  }
  ca_block Touched(ca_memory_map_policy policy, const char *nodes) {
    return Touched(policy, nodes, kPages * Page());
  }
  ca_source *source() { return ca_memory_map_source(&map_); }

  unsigned nodes_ = 0;
  ca_memory_map_settings settings_ = {};
  ca_memory_map map_;
  ca_memory_map_report report_ = {};
};

// Also where there is one node: its policy is what was asked, and the pages are on it.
TEST_F(NumaTest, EachPolicyIsTheOneAskedFor) {
  const struct {
    ca_memory_map_policy policy;
    int mode;
  } cases[] = {{CA_MEMORY_MAP_BIND, MPOL_BIND},
               {CA_MEMORY_MAP_PREFERRED, MPOL_PREFERRED},
               {CA_MEMORY_MAP_INTERLEAVE, MPOL_INTERLEAVE},
               {CA_MEMORY_MAP_LOCAL, MPOL_LOCAL}};
  for (const auto &one : cases) {
    const ca_block range = Touched(one.policy, "0");
    EXPECT_EQ(ModeOf(range), one.mode);
    if (one.policy != CA_MEMORY_MAP_LOCAL) {
      EXPECT_EQ(NodesOf(range, Page()), std::vector<int>(kPages, 0));
    }
    ca_source_release(source(), range);
  }
}

TEST_F(NumaTest, AMissingNodeIsToldByBestEffortAndRefusedByStrict) {
  for (const char *nodes : {"900", "0,900"}) {
    for (const auto policy : {CA_MEMORY_MAP_BIND, CA_MEMORY_MAP_INTERLEAVE}) {
      ca_memory_map_settings settings = {};
      settings.policy = policy;
      ASSERT_TRUE(ca_node_set_parse(&settings.nodes, nodes));
      ca_memory_map_init(&map_, &settings);
      const ca_block range = ca_memory_map_obtain(&map_, 1, 1, &report_);
      EXPECT_FALSE(ca_block_is_none(range));
      EXPECT_EQ(report_.missed, unsigned{CA_MEMORY_MAP_WISH_POLICY}) << nodes;
      EXPECT_EQ(report_.error, EINVAL);
      ca_source_release(source(), range);
      settings.effort = CA_MEMORY_MAP_STRICT;
      ca_memory_map_init(&map_, &settings);
      EXPECT_TRUE(ca_block_is_none(ca_memory_map_obtain(&map_, 1, 1, &report_))) << nodes;
      EXPECT_EQ(report_.error, EINVAL);
    }
  }
}

class TwoNodesTest : public NumaTest {
 protected:
  void SetUp() override {
    NumaTest::SetUp();
    if (nodes_ < 2) GTEST_SKIP() << "NOT CHECKED HERE: needs two nodes, see numa_vm_test";
  }
};

TEST_F(TwoNodesTest, BoundAndPreferredPagesAreOnTheNodeFromEitherCpu) {
  for (const int cpu : {0, 1}) {
    RunOn(cpu);
    for (const auto policy : {CA_MEMORY_MAP_BIND, CA_MEMORY_MAP_PREFERRED}) {
      for (const int node : {0, 1}) {
        settings_ = {};
        const ca_block range = Touched(policy, node == 0 ? "0" : "1");
        EXPECT_EQ(NodesOf(range, Page()), std::vector<int>(kPages, node)) << policy;
        ca_source_release(source(), range);
      }
    }
  }
}

TEST_F(TwoNodesTest, InterleavedPagesAlternate) {
  for (const char *named : {"0-1", ""}) {
    settings_ = {};
    const ca_block range = Touched(CA_MEMORY_MAP_INTERLEAVE, named);
    const std::vector<int> nodes = NodesOf(range, Page());
    for (std::size_t i = 1; i < nodes.size(); ++i) {
      EXPECT_EQ(nodes[i], 1 - nodes[i - 1]) << i;
    }
    ca_source_release(source(), range);
  }
}

TEST_F(TwoNodesTest, LocalPagesAreOnTheNodeOfTheThread) {
  for (const int cpu : {0, 1}) {
    RunOn(cpu);
    EXPECT_EQ(ca_node_current(), static_cast<unsigned>(cpu));
    settings_ = {};
    const ca_block range = Touched(CA_MEMORY_MAP_LOCAL, "");
    EXPECT_EQ(NodesOf(range, Page()), std::vector<int>(kPages, cpu));
    ca_source_release(source(), range);
  }
}

TEST_F(TwoNodesTest, ExistingPagesMove) {
  const ca_block range = Touched(CA_MEMORY_MAP_BIND, "0");
  ca_memory_map_settings settings = {};
  settings.policy = CA_MEMORY_MAP_BIND;
  settings.effort = CA_MEMORY_MAP_STRICT;
  ASSERT_TRUE(ca_node_set_parse(&settings.nodes, "1"));
  ca_memory_map there;
  ca_memory_map_init(&there, &settings);
  EXPECT_TRUE(ca_memory_map_move(&there, range.ptr, range.size, &report_));
  EXPECT_EQ(NodesOf(range, Page()), std::vector<int>(kPages, 1));
  EXPECT_EQ(static_cast<char *>(range.ptr)[range.size - 1], 1) << "contents move along";
  ca_source_release(source(), range);
}

TEST_F(TwoNodesTest, HugePagesAreOnTheNodeToo) {
  const std::size_t huge = std::size_t{2} << 20;
  for (const char *node : {"0", "1"}) {
    settings_ = {};
    settings_.huge_pages = CA_MEMORY_MAP_HUGE_2_MIB;
    const ca_block range = Touched(CA_MEMORY_MAP_BIND, node, 2 * huge);
    EXPECT_EQ(NodesOf(range, huge), std::vector<int>(2, node[0] - '0'));
    ca_source_release(source(), range);
  }
}

// Sets a file of /proc/sys for the time of a test; only where the machine is the test's own.
class Sysctl {
 public:
  Sysctl(const char *path, const char *value) : path_(path) {
    std::ifstream(path_) >> before_;
    std::ofstream(path_) << value;
  }
  ~Sysctl() { std::ofstream(path_) << before_; }

 private:
  const char *path_;
  std::string before_;
};

TEST(OvercommitTest, WhatTheKernelWillNotPromiseIsRefusedAndTheSmallerServed) {
  if (std::getenv("NUMA_VM") == nullptr) GTEST_SKIP() << "only where vm.overcommit may be changed";
  const Sysctl never("/proc/sys/vm/overcommit_memory", "2");
  const std::size_t too_much = std::size_t{16} << 30;
  for (const ca_memory_map_backing backing : {CA_MEMORY_MAP_COMMITTED, CA_MEMORY_MAP_RESERVED}) {
    ca_memory_map_settings settings = {};
    settings.backing = backing;
    ca_memory_map map;
    ca_memory_map_init(&map, &settings);
    ca_memory_map_report report = {};
    errno = 5;
    EXPECT_TRUE(ca_block_is_none(ca_memory_map_obtain(&map, too_much, 1, &report)));
    EXPECT_EQ(report.error, ENOMEM);
    EXPECT_EQ(errno, 5);
    const ca_block served = ca_source_obtain(ca_memory_map_source(&map), 16 * Page(), 1);
    ASSERT_FALSE(ca_block_is_none(served));
    std::memset(served.ptr, 1, served.size);
    ca_source_release(ca_memory_map_source(&map), served);
  }
  // Addresses alone are never charged; committing a part of them is.
  ca_memory_map_settings settings = {};
  settings.backing = CA_MEMORY_MAP_INACCESSIBLE;
  ca_memory_map map;
  ca_memory_map_init(&map, &settings);
  const ca_block range = ca_source_obtain(ca_memory_map_source(&map), too_much, 1);
  ASSERT_FALSE(ca_block_is_none(range));
  EXPECT_FALSE(ca_memory_map_commit(&map, range.ptr, range.size));
  EXPECT_TRUE(ca_memory_map_commit(&map, range.ptr, 16 * Page()));
  static_cast<char *>(range.ptr)[0] = 1;
  ca_source_release(ca_memory_map_source(&map), range);
}

class FullNodeTest : public TwoNodesTest {
 protected:
  void SetUp() override {
    TwoNodesTest::SetUp();
    if (IsSkipped()) return;
    if (std::getenv("NUMA_VM") == nullptr) GTEST_SKIP() << "only where a node may be filled";
    for (int node : {0, 1}) {
      ca_memory_map_settings settings = {};
      settings.policy = CA_MEMORY_MAP_BIND;
      settings.backing = CA_MEMORY_MAP_NEVER_OVERCOMMIT;
      settings.effort = CA_MEMORY_MAP_STRICT;
      ca_node_set_add(&settings.nodes, static_cast<unsigned>(node));
      ca_memory_map_init(&on_[node], &settings);
    }
  }
  void Fill(ca_source *near) {
    for (;;) {
      const ca_block range = ca_source_obtain(near, kChunk, 1);
      if (ca_block_is_none(range)) break;
      held_.push_back(range);
    }
  }
  void ReleaseAll() {
    for (const ca_block &range : held_) ca_source_release(ca_memory_map_source(&on_[0]), range);
    held_.clear();
  }

  static constexpr std::size_t kChunk = std::size_t{16} << 20;
  ca_memory_map on_[2];
  std::vector<ca_block> held_;
};

TEST_F(FullNodeTest, NeverOvercommitIsRefusedAndTheChainGoesToTheOtherNode) {
  ca_chained_link links[] = {{ca_memory_map_source(&on_[0]), nullptr},
                             {ca_memory_map_source(&on_[1]), nullptr}};
  ca_chained chained;
  ca_chained_init(&chained, links, 2);
  Fill(ca_memory_map_source(&on_[0]));
  EXPECT_GE(held_.size(), 4U) << "the node had room";
  EXPECT_TRUE(ca_block_is_none(ca_memory_map_obtain(&on_[0], kChunk, 1, &report_)));
  EXPECT_EQ(report_.error, ENOMEM);
  const ca_block other = ca_source_obtain(ca_chained_source(&chained), kChunk, 1);
  ASSERT_FALSE(ca_block_is_none(other));
  EXPECT_EQ(NodesOf(other, Page()), std::vector<int>(kChunk / Page(), 1));
  EXPECT_EQ(NodesOf(held_.back(), Page()), std::vector<int>(kChunk / Page(), 0));
  ca_source_release(ca_chained_source(&chained), other);
  ReleaseAll();
}

TEST_F(FullNodeTest, BoundMemoryThatWasNotCheckedIsKilledWhenTouched) {
  const pid_t child = fork();
  if (child == 0) {
    std::FILE *score = std::fopen("/proc/self/oom_score_adj", "w");
    std::fputs("1000", score);
    std::fclose(score);
    settings_.policy = CA_MEMORY_MAP_BIND;
    ca_node_set_add(&settings_.nodes, 0);
    ca_memory_map_init(&map_, &settings_);
    const ca_block range = ca_source_obtain(source(), std::size_t{600} << 20, 1);
    if (ca_block_is_none(range)) _exit(1);
    std::memset(range.ptr, 1, range.size);
    _exit(2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

}  // namespace
