// An arena over memory maps whose every system call is refused in turn.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "sources/arena/arena.h"
#include "sources/failing/refuse_in_turn.h"
#include "sources/memory_map/memory_map.h"
#include "sources/memory_map/refused_calls.h"

namespace {

constexpr std::size_t kSlot = 65536;

// Uses each call of an arena; a refusal is one, and changes nothing.
testing::AssertionResult UseArena(ca_source *source) {
  ca_arena arena;
  ca_arena_settings settings = {};
  settings.slot_size = kSlot;
  settings.slots = 8;
  settings.retained = 1;
  if (ca_arena_init(&arena, source, &settings)) {
    unsigned char *slots[3];
    for (unsigned char *&slot : slots) {
      slot = static_cast<unsigned char *>(ca_arena_obtain(&arena));
      if (slot == nullptr) return testing::AssertionFailure() << "slots need no further memory";
      slot[0] = 1;
    }
    ca_arena_release(&arena, slots[0]);
    ca_arena_release(&arena, slots[1]);
    ca_arena_trim(&arena, 0);
    const ca_arena_counts counts = ca_arena_count(&arena);
    if (!ca_arena_check(&arena) || counts.resident + counts.decommitted != 2) {
      return testing::AssertionFailure() << "a slot is lost";
    }
    if (slots[2][0] != 1) return testing::AssertionFailure() << "a slot that is out has changed";
  }
  ca_arena_destroy(&arena);
  ca_arena_destroy(&arena);
  return testing::AssertionSuccess();
}

TEST(ArenaRefusalTest, EachRequestOfTheSourceInTurn) {
  ca_memory_map map;
  ca_memory_map_init(&map, nullptr);
  EXPECT_EQ(ca_testing::RefuseInTurn(ca_memory_map_source(&map), UseArena), 2U);
}

void ExpectNothingLeft(const ca_testing::Ranges &before, const ca_testing::CallLog &calls) {
  const ca_testing::Ranges after = ca_testing::MappedRanges();
  const ca_testing::Ranges added = ca_testing::Added(before, after);
  EXPECT_EQ(ca_testing::Added(after, before), ca_testing::Ranges());
  if (calls.refused_munmap) {
    EXPECT_EQ(ca_testing::ResidentBytes(added), 0U) << "more than addresses is lost";
    ca_testing::Unmap(added);
  } else {
    EXPECT_EQ(added, ca_testing::Ranges()) << "leaked";
  }
}

std::size_t RunWithRefusals(const ca_testing::CallPlan &plan) {
  ca_memory_map_settings settings = {};
  settings.backing = CA_MEMORY_MAP_RESERVED;
  ca_memory_map map;
  ca_memory_map_init(&map, &settings);
  const ca_testing::Ranges before = ca_testing::MappedRanges();
  ca_testing::ArmCalls(plan);
  errno = 1234;
  const testing::AssertionResult went_well = UseArena(ca_memory_map_source(&map));
  EXPECT_EQ(errno, 1234);
  const ca_testing::CallLog calls = ca_testing::DisarmCalls();
  SCOPED_TRACE("refused " + calls.refused);
  EXPECT_TRUE(went_well);
  ExpectNothingLeft(before, calls);
  return calls.count;
}

TEST(ArenaRefusalTest, EachSystemCallInTurn) {
  ca_testing::MappedRanges();  // The first look may load what the C++ library wants.
  const std::size_t count = RunWithRefusals({});
  EXPECT_GE(count, 6U) << "two mappings, one of them trimmed, two decommits, two unmappings";
  for (std::size_t number = 1; number <= count; ++number) {
    ca_testing::CallPlan plan;
    plan.refuse_nth = number;
    RunWithRefusals(plan);
    plan.refuse_nth = 0;
    plan.refuse_from = number;
    RunWithRefusals(plan);
  }
}

}  // namespace
