// Refuses every system call of obtain, commit, decommit, move and release in turn, with each kind
// of settings: errno is kept, the refusal told, and nothing stays mapped that was not before.
#include "sources/memory_map/refused_calls.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>

#include "sources/memory_map/memory_map.h"

namespace {

using ca_testing::CallLog;
using ca_testing::CallPlan;
using ca_testing::Ranges;

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t Page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

struct Case {
  const char *name;
  void (*wish)(ca_memory_map_settings *);
  std::size_t size;
  std::size_t align;
  bool pretend_huge_pages;
};

void None(ca_memory_map_settings *) {}
void Guards(ca_memory_map_settings *settings) {
  settings->guard_before = Page();
  settings->guard_after = 2 * Page();
}
void Huge2MiB(ca_memory_map_settings *settings) { settings->huge_pages = CA_MEMORY_MAP_HUGE_2_MIB; }
void Huge2MiBGuarded(ca_memory_map_settings *settings) {
  Guards(settings);
  Huge2MiB(settings);
}
void Huge1GiB(ca_memory_map_settings *settings) { settings->huge_pages = CA_MEMORY_MAP_HUGE_1_GIB; }
void Everything(ca_memory_map_settings *settings) {
  Guards(settings);
  settings->huge_pages = CA_MEMORY_MAP_HUGE_TRANSPARENT;
  settings->policy = CA_MEMORY_MAP_BIND;
  settings->backing = CA_MEMORY_MAP_NEVER_OVERCOMMIT;
  settings->prefault = settings->lock = true;
  settings->name = "refused";
}

const Case kCases[] = {
    {"plain", None, kMiB, 1, false},
    {"aligned", None, kMiB, 8 * kMiB, false},
    {"guards", Guards, kMiB, 1, false},
    {"guards_aligned", Guards, kMiB, 8 * kMiB, false},
    {"reserved", [](ca_memory_map_settings *s) { s->backing = CA_MEMORY_MAP_RESERVED; }, kMiB, 1,
     false},
    {"inaccessible",
     [](ca_memory_map_settings *s) {
       s->backing = CA_MEMORY_MAP_INACCESSIBLE;
       s->prefault = true;
     },
     kMiB, 8 * kMiB, false},
    {"never_overcommit",
     [](ca_memory_map_settings *s) { s->backing = CA_MEMORY_MAP_NEVER_OVERCOMMIT; }, kMiB, 1,
     false},
    {"unspecified", [](ca_memory_map_settings *s) { s->contents_unspecified = true; }, kMiB, 1,
     false},
    {"prefault", [](ca_memory_map_settings *s) { s->prefault = true; }, kMiB, 1, false},
    {"lock", [](ca_memory_map_settings *s) { s->lock = true; }, kMiB / 8, 1, false},
    {"hint", [](ca_memory_map_settings *s) { s->hint = reinterpret_cast<void *>(1); }, kMiB, 1,
     false},
    {"interleave", [](ca_memory_map_settings *s) { s->policy = CA_MEMORY_MAP_INTERLEAVE; }, kMiB, 1,
     false},
    {"local", [](ca_memory_map_settings *s) { s->policy = CA_MEMORY_MAP_LOCAL; }, kMiB, 1, false},
    {"transparent",
     [](ca_memory_map_settings *s) { s->huge_pages = CA_MEMORY_MAP_HUGE_TRANSPARENT; }, 5 * kMiB, 1,
     false},
    {"huge_never", [](ca_memory_map_settings *s) { s->huge_pages = CA_MEMORY_MAP_HUGE_NEVER; },
     kMiB, 1, false},
    {"explicit", Huge2MiB, 4 * kMiB, 1, false},
    {"explicit_guarded", Huge2MiBGuarded, 4 * kMiB, 8 * kMiB, false},
    {"explicit_1_gib", Huge1GiB, 4 * kMiB, 1, false},
    {"granted", Huge2MiB, 4 * kMiB, 1, true},
    {"granted_guarded", Huge2MiBGuarded, 4 * kMiB, 8 * kMiB, true},
    {"granted_1_gib",
     [](ca_memory_map_settings *s) {
       Huge1GiB(s);
       Guards(s);
     },
     4 * kMiB, 1, true},
    {"everything", Everything, 4 * kMiB, 8 * kMiB, false},
};

struct Outcome {
  bool served;
  bool intact;      // What was written is still there at the end.
  bool kept_errno;  // By every call.
  int error;        // Of obtain's report.
  CallLog calls;
  Ranges added;  // Still mapped after release.
  Ranges lost;   // Not mapped any more.
};

bool UseRange(ca_memory_map *map, ca_block range, std::size_t size) {
  auto *bytes = static_cast<unsigned char *>(range.ptr);
  const bool inaccessible = map->settings.backing == CA_MEMORY_MAP_INACCESSIBLE;
  if (inaccessible && !ca_memory_map_commit(map, range.ptr, size)) return true;
  bytes[0] = 7;
  bytes[size / 2] = 8;
  ca_memory_map_decommit(map, bytes + size / 2, size / 2);
  ca_memory_map_report report;
  ca_memory_map_move(map, range.ptr, size, &report);
  return bytes[0] == 7;
}

Outcome RunOnce(const Case &one, ca_memory_map_effort effort, CallPlan plan) {
  ca_memory_map_settings settings = {};
  one.wish(&settings);
  settings.effort = effort;
  plan.error = EPERM;  // Which the kernel answers to none of them here.
  plan.pretend_huge_pages = one.pretend_huge_pages;
  Outcome outcome = {};
  ca_memory_map map;
  ca_memory_map_init(&map, &settings);
  const Ranges before = ca_testing::MappedRanges();
  ca_memory_map_report report;
  ca_testing::ArmCalls(plan);
  errno = 1234;
  const ca_block range = ca_memory_map_obtain(&map, one.size, one.align, &report);
  outcome.served = !ca_block_is_none(range);
  outcome.intact = true;
  if (outcome.served) {
    outcome.intact = UseRange(&map, range, one.size);
    ca_source_release(ca_memory_map_source(&map), range);
  }
  outcome.kept_errno = errno == 1234;
  outcome.calls = ca_testing::DisarmCalls();
  outcome.error = report.error;
  const Ranges after = ca_testing::MappedRanges();
  outcome.added = ca_testing::Added(before, after);
  outcome.lost = ca_testing::Added(after, before);
  return outcome;
}

class RefusedCallsTest : public testing::TestWithParam<Case> {
 protected:
  // The first look may load what the C++ library wants.
  void SetUp() override { ca_testing::MappedRanges(); }

  static void Expect(const Outcome &outcome, bool served_undisturbed) {
    EXPECT_TRUE(outcome.kept_errno);
    EXPECT_TRUE(outcome.intact);
    EXPECT_EQ(outcome.lost, Ranges()) << "somebody else's mapping went";
    if (!outcome.served && served_undisturbed) {
      EXPECT_EQ(outcome.error, EPERM);
    }
    if (outcome.calls.refused_munmap) {
      EXPECT_EQ(ca_testing::ResidentBytes(outcome.added), 0U) << "more than addresses is lost";
      ca_testing::Unmap(outcome.added);
    } else {
      EXPECT_EQ(outcome.added, Ranges()) << "leaked";
      EXPECT_EQ(outcome.calls.mapped, 0U) << "unmapped what was not mapped";
    }
  }
};

TEST_P(RefusedCallsTest, LeaveNothingBehind) {
  for (const auto effort : {CA_MEMORY_MAP_BEST_EFFORT, CA_MEMORY_MAP_STRICT}) {
    const Outcome undisturbed = RunOnce(GetParam(), effort, CallPlan());
    Expect(undisturbed, false);
    EXPECT_TRUE(undisturbed.served || effort == CA_MEMORY_MAP_STRICT);
    for (std::size_t number = 1; number <= undisturbed.calls.count; ++number) {
      CallPlan plan;
      plan.refuse_nth = number;
      const Outcome outcome = RunOnce(GetParam(), effort, plan);
      SCOPED_TRACE("refused " + outcome.calls.refused + ", call " + std::to_string(number));
      Expect(outcome, undisturbed.served);
      plan.refuse_nth = 0;
      plan.refuse_from = number;
      Expect(RunOnce(GetParam(), effort, plan), undisturbed.served);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, RefusedCallsTest, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case> &info) {
                           return std::string(info.param.name);
                         });

// With an alignment beyond the page the range lies in a larger reservation, of which the first call
// makes the whole and the second gives back a part: on refusal all of it goes.
TEST(RefusedTrimTest, RefusesTheRangeAndLeavesNoAddresses) {
  const Case aligned = {"aligned", None, kMiB, 8 * kMiB, false};
  CallPlan plan;
  plan.refuse_nth = 2;
  const Outcome outcome = RunOnce(aligned, CA_MEMORY_MAP_BEST_EFFORT, plan);
  EXPECT_EQ(outcome.calls.refused, "munmap");
  EXPECT_FALSE(outcome.served);
  EXPECT_EQ(outcome.error, EPERM);
  EXPECT_EQ(outcome.added, Ranges());
  EXPECT_EQ(outcome.lost, Ranges());
}

TEST(ImpossibleTest, IsRefusedBeforeTheKernelIsAsked) {
  for (const std::size_t guard : {std::size_t{0}, Page()}) {
    ca_memory_map_settings settings = {};
    settings.guard_before = settings.guard_after = guard;
    ca_memory_map map;
    ca_memory_map_init(&map, &settings);
    ca_memory_map_report report;
    ca_testing::ArmCalls(CallPlan());
    const ca_block range =
        ca_memory_map_obtain(&map, SIZE_MAX - 2 * Page(), std::size_t{1} << 30, &report);
    EXPECT_EQ(ca_testing::DisarmCalls().count, 0U);
    EXPECT_TRUE(ca_block_is_none(range));
    EXPECT_EQ(report.error, ENOMEM);
  }
}

}  // namespace
