// Many threads at one arena.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "sources/arena/arena_fixture.h"

namespace {

// Each thread stamps what it obtains and finds its stamp again: a slot has one holder at a time.
TEST_F(ArenaTest, ManyThreadsNeverHoldTheSameSlot) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 4000;
  for (const std::size_t retained : {0, 3}) {
    Init(10, retained);
    std::atomic<int> refused{0};
    std::vector<std::thread> threads;
    for (int thread = 1; thread <= kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        std::uint32_t random = static_cast<std::uint32_t>(thread);
        std::vector<int *> held;
        for (int round = 0; round < kRounds; ++round) {
          random = random * 1664525 + 1013904223;
          if ((random >> 16) % 2 == 0 && held.size() < 4) {
            int *slot = static_cast<int *>(ca_arena_obtain(&arena_));
            if (slot == nullptr) {
              ++refused;
              continue;
            }
            ASSERT_EQ(ca_arena_owner(&arena_, slot), nullptr);
            ca_arena_set_owner(&arena_, slot, &held);
            slot[0] = slot[kSlot / sizeof(int) - 1] = thread;
            held.push_back(slot);
          } else if (!held.empty()) {
            int *slot = held.front();
            held.erase(held.begin());
            ASSERT_EQ(slot[0], thread);
            ASSERT_EQ(slot[kSlot / sizeof(int) - 1], thread);
            ASSERT_EQ(ca_arena_owner(&arena_, slot), &held);
            ca_arena_release(&arena_, slot);
          }
          if (thread == 1 && retained > 0 && round % 64 == 0) {
            ca_arena_trim(&arena_, 1);
            ASSERT_LE(ca_arena_count(&arena_).resident, 3U);
          }
        }
        for (int *slot : held) ca_arena_release(&arena_, slot);
      });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_TRUE(ca_arena_check(&arena_));
    const ca_arena_counts counts = ca_arena_count(&arena_);
    EXPECT_EQ(counts.used, counts.resident + counts.decommitted);
    ca_arena_destroy(&arena_);
  }
}

// As many slots as threads: whoever asks must be served, although stacks and counter are looked at
// one after the other.
TEST_F(ArenaTest, NoThreadIsRefusedWhileASlotIsIdle) {
  constexpr int kThreads = 4;
  for (const std::size_t retained : {0, 1}) {
    Init(kThreads, retained);
    std::vector<std::thread> threads;
    std::atomic<int> refused{0};
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5000; ++round) {
          void *slot = ca_arena_obtain(&arena_);
          if (slot == nullptr) {
            ++refused;
          } else {
            ca_arena_release(&arena_, slot);
          }
        }
      });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(refused, 0);
    EXPECT_TRUE(ca_arena_check(&arena_));
    ca_arena_destroy(&arena_);
  }
}

}  // namespace
