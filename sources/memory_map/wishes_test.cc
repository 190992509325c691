// Each wish: fulfilled; left out and told; refused when strict. What this kernel can't do is made
// by a seccomp filter in a child process, so that it fails here as it does elsewhere.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "sources/memory_map/memory_map.h"
#include "sources/memory_map/smaps.h"

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t Page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

// From now on, in this process, the call is refused with this errno.
bool Forbid(int call, int error) {
  const auto number = static_cast<unsigned>(call);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {4, filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Whether the body holds in a child process, whose limits and filters end with it.
bool InChild(const std::function<bool()> &body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct Outcome {
  ca_block range;
  ca_memory_map_report report;
  ca_memory_map_report so_far;
};

Outcome ObtainBy(ca_memory_map *map, ca_memory_map_settings settings, ca_memory_map_effort effort,
                 std::size_t size) {
  settings.effort = effort;
  ca_memory_map_init(map, &settings);
  Outcome outcome;
  errno = 1234;
  outcome.range = ca_memory_map_obtain(map, size, 1, &outcome.report);
  EXPECT_EQ(errno, 1234);
  outcome.so_far = ca_memory_map_report_so_far(map);
  return outcome;
}

// Best effort goes on and tells `missed` and `error`; strict refuses with `error`.
bool IsMissedAndRefused(const ca_memory_map_settings &settings, unsigned missed, int error,
                        std::size_t size = 5 * kMiB) {
  ca_memory_map map;
  const Outcome best = ObtainBy(&map, settings, CA_MEMORY_MAP_BEST_EFFORT, size);
  if (ca_block_is_none(best.range)) return false;
  std::memset(best.range.ptr, 1, best.range.size);
  ca_source_release(ca_memory_map_source(&map), best.range);
  const Outcome strict = ObtainBy(&map, settings, CA_MEMORY_MAP_STRICT, size);
  return best.report.missed == missed && best.report.error == error &&
         best.so_far.missed == missed && best.so_far.error == error &&
         ca_block_is_none(strict.range) && strict.report.error == error;
}

std::size_t ResidentPages(ca_block range) {
  std::vector<unsigned char> there(range.size / Page());
  EXPECT_EQ(mincore(range.ptr, range.size, there.data()), 0);
  std::size_t count = 0;
  for (const unsigned char one : there) count += one & 1;
  return count;
}

class WishTest : public testing::Test {
 protected:
  ca_block Strictly(std::size_t size) {
    const Outcome outcome = ObtainBy(&map_, settings_, CA_MEMORY_MAP_STRICT, size);
    EXPECT_FALSE(ca_block_is_none(outcome.range)) << std::strerror(outcome.report.error);
    EXPECT_EQ(outcome.report.missed, 0U);
    return outcome.range;
  }
  void Release(ca_block range) { ca_source_release(ca_memory_map_source(&map_), range); }

  ca_memory_map_settings settings_ = {};
  ca_memory_map map_;
};

TEST_F(WishTest, WithoutWishesNothingIsMissedAndNothingIsThereBeforeTheTouch) {
  const ca_block range = Strictly(kMiB);
  EXPECT_EQ(ResidentPages(range), 0U);
  Release(range);
}

TEST_F(WishTest, PrefaultedPagesAreThereAndZero) {
  settings_.prefault = true;
  const ca_block range = Strictly(kMiB);
  EXPECT_EQ(ResidentPages(range), range.size / Page());
  EXPECT_EQ(static_cast<char *>(range.ptr)[range.size - 1], 0);
  Release(range);
}

TEST_F(WishTest, PrefaultIsDoneByHandWhereTheKernelCannot) {
  EXPECT_TRUE(InChild([this] {
    settings_.prefault = true;
    if (!Forbid(SYS_madvise, EINVAL)) return false;
    const ca_block range = Strictly(kMiB);
    return ResidentPages(range) == range.size / Page();
  }));
}

TEST_F(WishTest, LockedPagesStayEvenThroughDecommit) {
  settings_.lock = true;
  const ca_block range = Strictly(8 * Page());
  EXPECT_NE(ca_testing::SmapsOf(range.ptr, "VmFlags:").find(" lo"), std::string::npos);
  static_cast<char *>(range.ptr)[0] = 7;
  EXPECT_EQ(ca_memory_map_decommit(&map_, range.ptr, range.size), 0U);
  EXPECT_EQ(static_cast<char *>(range.ptr)[0], 7);
  Release(range);
}

TEST_F(WishTest, ARangeHasItsName) {
  settings_.name = "context heap";
  ca_memory_map_report report;
  ca_memory_map_init(&map_, &settings_);
  const ca_block range = ca_memory_map_obtain(&map_, kMiB, 1, &report);
  if (report.missed != 0) GTEST_SKIP() << "NOT CHECKED HERE: a kernel without names";
  EXPECT_NE(ca_testing::SmapsOf(range.ptr, "").find("[anon:context heap]"), std::string::npos);
  Release(range);
}

TEST_F(WishTest, ATakenOrCrookedHintIsToldOrRefused) {
  const ca_block there = Strictly(4 * kMiB);
  settings_.hint = there.ptr;
  EXPECT_TRUE(IsMissedAndRefused(settings_, CA_MEMORY_MAP_WISH_HINT, EEXIST));
  settings_.guard_before = settings_.guard_after = Page();
  EXPECT_TRUE(IsMissedAndRefused(settings_, CA_MEMORY_MAP_WISH_HINT, EEXIST));
  settings_.hint = static_cast<char *>(there.ptr) + 1;
  EXPECT_TRUE(IsMissedAndRefused(settings_, CA_MEMORY_MAP_WISH_HINT, EINVAL));
  Release(there);
}

// Only addresses that were just given up are known to be free, and only while no other thread (a
// sanitizer has one) maps anything: in a child there is none.
TEST_F(WishTest, AHintIsFollowedWhereTheAddressesAreFree) {
  for (const std::size_t guard : {std::size_t{0}, Page()}) {
    EXPECT_TRUE(InChild([this, guard] {
      const ca_block there = Strictly(4 * kMiB);
      Release(there);
      settings_.guard_before = settings_.guard_after = guard;
      settings_.hint = static_cast<char *>(there.ptr) + kMiB;
      return Strictly(kMiB).ptr == settings_.hint;
    }));
  }
}

TEST_F(WishTest, TransparentHugePagesAreAdvisedOrForbidden) {
  settings_.huge_pages = CA_MEMORY_MAP_HUGE_TRANSPARENT;
  ca_block range = Strictly(5 * kMiB);
  EXPECT_TRUE(ca_is_aligned(range.ptr, 2 * kMiB));
  EXPECT_NE(ca_testing::SmapsOf(range.ptr, "VmFlags:").find(" hg"), std::string::npos);
  Release(range);
  settings_.huge_pages = CA_MEMORY_MAP_HUGE_NEVER;
  range = Strictly(5 * kMiB);
  EXPECT_NE(ca_testing::SmapsOf(range.ptr, "VmFlags:").find(" nh"), std::string::npos);
  Release(range);
}

TEST_F(WishTest, ExplicitHugePagesFallBackToAdviceOrAreRefused) {
  settings_.huge_pages = CA_MEMORY_MAP_HUGE_1_GIB;
  const std::size_t size = (std::size_t{1} << 40) - 5;  // More than any pool: none is ever taken.
  settings_.backing = CA_MEMORY_MAP_COMMITTED;
  ca_memory_map_report report;
  settings_.effort = CA_MEMORY_MAP_STRICT;
  ca_memory_map_init(&map_, &settings_);
  EXPECT_TRUE(ca_block_is_none(ca_memory_map_obtain(&map_, size, 1, &report)));
  EXPECT_NE(report.error, 0);
  settings_.backing = CA_MEMORY_MAP_RESERVED;
  EXPECT_TRUE(IsMissedAndRefused(settings_, CA_MEMORY_MAP_WISH_HUGE_PAGES, EOPNOTSUPP));
  std::ifstream pool("/proc/sys/vm/nr_hugepages");
  int pages = 0;
  pool >> pages;
  if (pages > 0) GTEST_SKIP() << "the machine has huge pages";
  settings_.backing = CA_MEMORY_MAP_COMMITTED;
  settings_.huge_pages = CA_MEMORY_MAP_HUGE_2_MIB;
  for (const std::size_t guard : {std::size_t{0}, Page()}) {
    settings_.guard_before = settings_.guard_after = guard;
    EXPECT_TRUE(IsMissedAndRefused(settings_, CA_MEMORY_MAP_WISH_HUGE_PAGES, ENOMEM));
  }
}

TEST_F(WishTest, UnspecifiedContentsPromiseNothingAndDecommitLazily) {
  settings_.contents_unspecified = true;
  const ca_block range = Strictly(kMiB);
  EXPECT_FALSE(ca_memory_map_source(&map_)->ops->zeroed);
  std::memset(range.ptr, 1, range.size);
  EXPECT_EQ(ca_memory_map_decommit(&map_, range.ptr, range.size), range.size);
  EXPECT_GT(ResidentPages(range), 0U) << "until the kernel needs them";
  Release(range);
}

// Of a line of /proc/meminfo, in bytes.
std::size_t Meminfo(const std::string &name) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  std::size_t value = 0;
  while (file >> word && word != name) {
  }
  file >> value;
  return value << 10;
}

TEST_F(WishTest, NeverOvercommitIsThereOrRefused) {
  settings_.backing = CA_MEMORY_MAP_NEVER_OVERCOMMIT;
  const ca_block range = Strictly(kMiB);
  EXPECT_EQ(ResidentPages(range), range.size / Page());
  Release(range);
  // Half way between what is available and what the machine has, of which an ordinary mapping is
  // granted. It must be refused before the pages are asked for: those are never to be had here.
  const std::size_t size = Meminfo("MemAvailable:") / 2 + Meminfo("MemTotal:") / 2;
  EXPECT_TRUE(InChild([this, size] {
    if (!Forbid(SYS_madvise, ENOMEM)) return false;
    const Outcome refused = ObtainBy(&map_, settings_, CA_MEMORY_MAP_BEST_EFFORT, size);
    return ca_block_is_none(refused.range) && refused.report.error == ENOMEM &&
           refused.report.missed == 0;
  }));
}

// Surroundings that forbid a call.

struct Forbidden {
  const char *what;
  int call;
  int error;
  unsigned missed;
  void (*wish)(ca_memory_map_settings *);
};

class ForbiddenTest : public testing::TestWithParam<Forbidden> {};

TEST_P(ForbiddenTest, IsToldByBestEffortAndRefusedByStrict) {
  EXPECT_TRUE(InChild([] {
    const Forbidden &one = GetParam();
    ca_memory_map_settings settings = {};
    one.wish(&settings);
    return Forbid(one.call, one.error) && IsMissedAndRefused(settings, one.missed, one.error);
  }));
}

void Bind(ca_memory_map_settings *settings) {
  settings->policy = CA_MEMORY_MAP_BIND;
  ca_node_set_add(&settings->nodes, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Calls, ForbiddenTest,
    testing::Values(Forbidden{"mbind", SYS_mbind, EPERM, CA_MEMORY_MAP_WISH_POLICY, Bind},
                    Forbidden{"no_numa", SYS_mbind, ENOSYS, CA_MEMORY_MAP_WISH_POLICY,
                              [](ca_memory_map_settings *s) { s->policy = CA_MEMORY_MAP_LOCAL; }},
                    Forbidden{"madvise", SYS_madvise, EPERM, CA_MEMORY_MAP_WISH_HUGE_PAGES,
                              [](ca_memory_map_settings *s) {
                                s->huge_pages = CA_MEMORY_MAP_HUGE_TRANSPARENT;
                              }},
                    Forbidden{"out_of_pages", SYS_madvise, ENOMEM, CA_MEMORY_MAP_WISH_PREFAULT,
                              [](ca_memory_map_settings *s) { s->prefault = true; }},
                    Forbidden{"mlock2", SYS_mlock2, EPERM, CA_MEMORY_MAP_WISH_LOCK,
                              [](ca_memory_map_settings *s) { s->lock = true; }},
                    Forbidden{"prctl", SYS_prctl, EINVAL, CA_MEMORY_MAP_WISH_NAME,
                              [](ca_memory_map_settings *s) { s->name = "a name"; }},
                    Forbidden{"proc", SYS_openat, EACCES, CA_MEMORY_MAP_WISH_NEVER_OVERCOMMIT,
                              [](ca_memory_map_settings *s) {
                                s->backing = CA_MEMORY_MAP_NEVER_OVERCOMMIT;
                              }}),
    [](const testing::TestParamInfo<Forbidden> &info) { return info.param.what; });

TEST(RefusalTest, AddressSpaceLimitRefusesAndRecovers) {
  EXPECT_TRUE(InChild([] {
    ca_memory_map map;
    ca_memory_map_init(&map, nullptr);
    ca_source *source = ca_memory_map_source(&map);
    const rlimit none = {0, RLIM_INFINITY};
    rlimit before;
    getrlimit(RLIMIT_AS, &before);
    if (setrlimit(RLIMIT_AS, &none) != 0) return false;
    errno = 5;
    const bool refused = ca_block_is_none(ca_source_obtain(source, kMiB, 1)) &&
                         ca_block_is_none(ca_source_obtain(source, kMiB, 4 * kMiB));
    const bool told = errno == 5 && ca_memory_map_report_so_far(&map).error == ENOMEM;
    setrlimit(RLIMIT_AS, &before);
    return refused && told && !ca_block_is_none(ca_source_obtain(source, kMiB, 1));
  }));
}

TEST(RefusalTest, OvercommitRefusalWhenMemoryIsOpenedUndoesTheReservation) {
  EXPECT_TRUE(InChild([] {
    ca_memory_map map;
    ca_memory_map_settings settings = {};
    settings.guard_before = settings.guard_after = 1;
    ca_memory_map_init(&map, &settings);
    if (!Forbid(SYS_mprotect, ENOMEM)) return false;
    for (int i = 0; i < 1000; ++i) {  // 1000 x 1 TiB: more than the address space if not undone.
      const ca_block range = ca_source_obtain(ca_memory_map_source(&map), std::size_t{1} << 40, 1);
      if (!ca_block_is_none(range)) return false;
    }
    settings.backing = CA_MEMORY_MAP_INACCESSIBLE;
    ca_memory_map_init(&map, &settings);
    const ca_block range = ca_source_obtain(ca_memory_map_source(&map), std::size_t{1} << 40, 1);
    return !ca_block_is_none(range) && !ca_memory_map_commit(&map, range.ptr, 1);
  }));
}

TEST(NodeSetTest, ReadsListsAndNothingElse) {
  ca_node_set set = {};
  ASSERT_TRUE(ca_node_set_parse(&set, "0,2-4,1023"));
  EXPECT_EQ(ca_node_set_count(&set), 5U);
  EXPECT_TRUE(ca_node_set_has(&set, 4));
  EXPECT_FALSE(ca_node_set_has(&set, 1));
  EXPECT_TRUE(ca_node_set_has(&set, 1023));
  EXPECT_FALSE(ca_node_set_has(&set, 1024));
  for (const char *wrong :
       {"", ",", "1,", "-1", "1-", "4-2", "1024", "99999999999999999999", "a", "1 "}) {
    EXPECT_FALSE(ca_node_set_parse(&set, wrong)) << wrong;
    EXPECT_EQ(ca_node_set_count(&set), 5U) << "unchanged";
  }
}

TEST(ThreadsTest, OneSourceServesManyThreads) {
  ca_memory_map map;
  ca_memory_map_settings settings = {};
  settings.guard_after = 1;
  settings.hint = reinterpret_cast<void *>(1);  // Always missed: every thread writes the report.
  ca_memory_map_init(&map, &settings);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&map] {
      for (int round = 0; round < 200; ++round) {
        const ca_block range = ca_source_obtain(ca_memory_map_source(&map), 10000, 1 << 16);
        ASSERT_FALSE(ca_block_is_none(range));
        std::memset(range.ptr, 1, range.size);
        ca_source_release(ca_memory_map_source(&map), range);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(ca_memory_map_report_so_far(&map).missed, unsigned{CA_MEMORY_MAP_WISH_HINT});
}

}  // namespace
