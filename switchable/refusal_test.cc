// Every request to the source refused in turn: in a program of its own, as the contexts' slots are
// reserved once in a process.
#include <gtest/gtest.h>

#include "sources/failing/failing.h"
#include "sources/memory_map/memory_map.h"
#include "switchable/switchable.h"

namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

TEST(RefusalTest, EveryRefusalIsAnswerAndLeavesNothingBehindUntilOneIsServed) {
  const ca_memory_map_settings reserved = {CA_MEMORY_MAP_RESERVED};
  static ca_memory_map map;
  static ca_failing failing;
  ca_memory_map_init(&map, &reserved);
  ca_contexts_settings settings = {};
  settings.classes[0] = {kMebibyte / 16, 64, 0};
  settings.classes[1] = {kMebibyte, 16, 0};
  settings.source = ca_failing_source(&failing);
  bool done = false;
  std::size_t refusals = 0;
  for (std::size_t number = 1; !done; ++number) {
    ASSERT_LT(number, 100U);
    ca_failing_settings plan = {};
    plan.refuse_from = number;
    ca_failing_init(&failing, ca_memory_map_source(&map), &plan);
    done = ca_contexts_init(&settings);
    if (!done) {
      EXPECT_EQ(ca_failing_ranges_out(&failing), 0U) << "refused from number " << number;
      EXPECT_TRUE(ca_failing_check(&failing));
      refusals++;
    }
  }
  EXPECT_GE(refusals, 4U) << "two classes, each with slots and records";
  EXPECT_FALSE(ca_contexts_init(&settings)) << "done";

  // From here on the source refuses everything, and nobody needs it.
  ca_context contexts[16];
  for (ca_context &context : contexts) {
    const ca_context_settings one = {kMebibyte / 2, "large"};
    context = ca_context_create(&one);
    ASSERT_FALSE(ca_context_is_none(context));
    ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    EXPECT_FALSE(ca_block_is_none(ca_switchable_allocate(1000, 16)));
    ca_context_swap_out();
  }
  const ca_context_settings one = {kMebibyte / 2, "one too many"};
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&one)));
  EXPECT_EQ(ca_context_destroy(contexts[3]), CA_CONTEXT_DONE);
  contexts[3] = ca_context_create(&one);
  EXPECT_FALSE(ca_context_is_none(contexts[3])) << "recovers";
  for (const ca_context context : contexts) EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(RefusalTest, SettingsOutOfRangeAreRefused) {
  const ca_contexts_settings wrong[] = {
      {{{3 * 4096, 10, 0}}, nullptr},                     // Not a power of two.
      {{{2048, 10, 0}}, nullptr},                         // Below a page.
      {{{65536, 0, 0}}, nullptr},                         // No slots.
      {{{65536, 10, 0}, {65536, 10, 0}}, nullptr},        // Not rising.
      {{{65536, 10, 0}, {}, {1 << 20, 10, 0}}, nullptr},  // A gap.
  };
  for (const ca_contexts_settings &settings : wrong) EXPECT_FALSE(ca_contexts_init(&settings));
}

}  // namespace
