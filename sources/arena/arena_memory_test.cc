// What an arena costs, and what it does under a limit.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/align.h"
#include "sources/arena/arena_fixture.h"

namespace {

// By the page tables: the process' own count lags by what each CPU has not yet added to it.
std::size_t ResidentBytes(const void *ptr, std::size_t size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages(ca_round_up(size, page) / page);
  EXPECT_EQ(mincore(const_cast<void *>(ptr), size, pages.data()), 0);
  std::size_t count = 0;
  for (const unsigned char flags : pages) count += flags & 1;
  return count * page;
}

// Where the system prefers huge pages, one touch would bring more than is looked for.
void ForbidHugePages(ca_block range) { madvise(range.ptr, range.size, MADV_NOHUGEPAGE); }

TEST_F(ArenaTest, AMillionSlotsCostNothingUntilUsed) {
  constexpr std::size_t kSlots = 1000000;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  Init(kSlots);
  ForbidHugePages(arena_.records);
  EXPECT_LE(arena_.records.size, 16 * kSlots + page);
  EXPECT_EQ(ResidentBytes(arena_.records.ptr, arena_.records.size), 0U);
  for (int i = 0; i < 10; ++i) ASSERT_NE(Obtain(), nullptr);
  EXPECT_LE(ResidentBytes(arena_.records.ptr, arena_.records.size), 2 * page)
      << "owners and places of the slots used";
  EXPECT_EQ(ResidentBytes(arena_.range.ptr, 20 * kSlot), 0U)
      << "a slot handed out is not touched either";
  void *last = reinterpret_cast<void *>(arena_.begin + (kSlots - 1) * kSlot);
  EXPECT_TRUE(ca_arena_owns(&arena_, last));
  EXPECT_EQ(ca_arena_owner(&arena_, last), nullptr);
}

TEST_F(ArenaTest, ABurstLeavesOnlyThePagesOfRetainedSlots) {
  constexpr std::size_t kSlots = 200;
  constexpr std::size_t kRetained = 4;
  Init(kSlots, kRetained);
  ForbidHugePages(arena_.range);
  const auto resident = [&] { return ResidentBytes(arena_.range.ptr, kSlots * kSlot); };
  for (int burst = 0; burst < 3; ++burst) {
    std::vector<void *> slots;
    while (void *slot = Obtain()) {
      std::memset(slot, 1, kSlot);
      slots.push_back(slot);
    }
    ASSERT_EQ(slots.size(), kSlots);
    EXPECT_EQ(resident(), kSlots * kSlot);
    for (void *slot : slots) ca_arena_release(&arena_, slot);
    EXPECT_EQ(resident(), kRetained * kSlot);
  }
}

// In a process of its own: exits with 0 if an arena beyond the limit is refused and a small one
// not.
[[noreturn]] void InitUnderALimit(Mappings *mappings) {
  std::size_t all = 0;
  std::FILE *file = std::fopen("/proc/self/statm", "r");
  if (std::fscanf(file, "%zu", &all) != 1) _exit(1);
  rlimit limit = {};
  limit.rlim_cur = limit.rlim_max =
      all * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + (std::size_t{64} << 20);
  if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
  ca_arena arena;
  ca_arena_settings settings = {};
  settings.slot_size = kSlot;
  settings.slots = 1000000;
  if (ca_arena_init(&arena, mappings->get(), &settings)) _exit(3);
  if (mappings->out != 0 || ca_arena_obtain(&arena) != nullptr) _exit(4);
  settings.slots = 100;
  if (!ca_arena_init(&arena, mappings->get(), &settings)) _exit(5);
  for (int i = 0; i < 100; ++i) {
    auto *slot = static_cast<char *>(ca_arena_obtain(&arena));
    if (slot == nullptr) _exit(6);
    slot[0] = 1;
  }
  ca_arena_destroy(&arena);
  _exit(mappings->out == 0 ? 0 : 7);
}

using ArenaDeathTest = ArenaTest;

TEST_F(ArenaDeathTest, ALimitOfTheAddressSpaceRefusesAndASmallerArenaFits) {
  EXPECT_EXIT(InitUnderALimit(&mappings_), testing::ExitedWithCode(0), "");
}

}  // namespace
