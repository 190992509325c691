// Slots made present ahead: in a program of its own, as the contexts' slots are reserved once in a
// process.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <vector>

#include "sources/memory_map/presence.h"
#include "switchable/context.h"

namespace {

constexpr std::size_t kSlotSize = std::size_t{64} << 10;
constexpr std::size_t kSlots = 8;
constexpr std::size_t kAhead = 4;

bool IsPresent(const char *slot) {
  unsigned char present = 0;
  EXPECT_EQ(mincore(const_cast<char *>(slot), 1, &present), 0);
  return (present & 1) != 0;
}

std::vector<bool> Presence(const char *first) {
  std::vector<bool> presence;
  for (std::size_t i = 0; i < kSlots; ++i) presence.push_back(IsPresent(first + i * kSlotSize));
  return presence;
}

bool KernelCan() {
  void *const page = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const ca_block range = ca_block_make(page, 1);
  const bool can = ca_pages_make_present(&range, 1);
  munmap(page, 1);
  return can;
}

TEST(AheadTest, TheFirstPagesOfTheNextSlotsAreThereAndThoseGivenBackStayAway) {
  ca_contexts_settings settings = {};
  settings.classes[0] = {kSlotSize, kSlots, 1, CA_PRESENCE_RANGES};
  EXPECT_FALSE(ca_contexts_init(&settings)) << "too many ahead";
  settings.classes[0].ahead = kAhead;
  ASSERT_TRUE(ca_contexts_init(&settings));
  const ca_context_settings one = {kSlotSize / 2, "one"};
  std::vector<ca_context> contexts = {ca_context_create(&one)};
  const char *const first = reinterpret_cast<const char *>(contexts[0].header);
  if (KernelCan()) {
    EXPECT_EQ(Presence(first),
              (std::vector<bool>{true, true, true, true, true, false, false, false}));
  }
  while (contexts.size() <= kAhead + 1) contexts.push_back(ca_context_create(&one));
  if (KernelCan()) {
    EXPECT_EQ(Presence(first), std::vector<bool>(kSlots, true)) << "the last ones are fewer";
  }
  while (contexts.size() < kSlots) contexts.push_back(ca_context_create(&one));
  EXPECT_TRUE(ca_context_is_none(ca_context_create(&one)));
  for (; !contexts.empty(); contexts.pop_back()) {
    EXPECT_EQ(ca_context_destroy(contexts.back()), CA_CONTEXT_DONE);
  }

  // The last slot is retained; the second context gets the first one, whose pages went back.
  const ca_context again[] = {ca_context_create(&one), ca_context_create(&one)};
  std::size_t present = 0;
  for (const bool is : Presence(first)) present += is ? 1 : 0;
  EXPECT_EQ(present, 2U);
  for (const ca_context context : again) EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

}  // namespace
