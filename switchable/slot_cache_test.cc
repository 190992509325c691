// The slot that a thread keeps for its next context: in a program of its own, as the contexts' slots are
// reserved once in a process, and here there are few.
#include <gtest/gtest.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "switchable/testing.h"

extern "C" {
#include "switchable/bias.h"
#include "switchable/slot_cache.h"
}

namespace {

using ca_testing::OnAnotherThread;
using ca_testing::SlotsOut;

constexpr std::size_t kSmall = std::size_t{16} << 10;
constexpr std::size_t kLarge = std::size_t{128} << 10;
constexpr std::size_t kSlots = 3;

class Slots : public testing::Environment {
 public:
  void SetUp() override {
    ca_contexts_settings settings = {};
    settings.classes[0] = {kSmall, kSlots, 1};
    settings.classes[1] = {kLarge, kSlots, 1};
    ASSERT_TRUE(ca_contexts_init(&settings));
  }
};
[[maybe_unused]] testing::Environment *const g_slots = testing::AddGlobalTestEnvironment(new Slots);

ca_context Create(std::size_t slot_size) {
  ca_context_settings settings = {};
  settings.budget = slot_size / 2;
  return ca_context_create(&settings);
}

bool IsIn(ca_context context, std::size_t slot_size) {
  return !ca_context_is_none(context) && ca_context_count(context).slot_size == slot_size;
}

void End(ca_context context) { EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE); }

// How many slots of the small class can be had, whoever kept one.
std::size_t SmallSlotsToHave() {
  std::vector<ca_context> contexts;
  std::size_t count = 0;
  for (ca_context one = Create(kSmall); !ca_context_is_none(one); one = Create(kSmall)) {
    count += IsIn(one, kSmall);
    contexts.push_back(one);
  }
  for (const ca_context one : contexts) End(one);
  return count;
}

// A thread that does what it is told while the test looks, and lives on.
class Worker {
 public:
  Worker() {
    sem_init(&go_, 0, 0);
    sem_init(&done_, 0, 0);
    thread_ = std::thread([this] {
      for (Wait(&go_); work_ != nullptr; Wait(&go_)) {
        work_();
        sem_post(&done_);
      }
    });
  }
  ~Worker() {
    work_ = nullptr;
    sem_post(&go_);
    thread_.join();
  }
  void Do(std::function<void()> work) {
    work_ = std::move(work);
    sem_post(&go_);
    Wait(&done_);
  }

 private:
  static void Wait(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0) {
    }
  }
  std::function<void()> work_;
  sem_t go_;
  sem_t done_;
  std::thread thread_;
};

class SlotCacheTest : public testing::Test {
 protected:
  ~SlotCacheTest() override {
    EXPECT_EQ(SlotsOut(), 0U);
    (void)ca_contexts_trim();
    EXPECT_EQ(ca_slot_caches_count(0), 0U);
  }
};

TEST_F(SlotCacheTest, TheNextContextOfTheThreadGetsTheSlot) {
  const ca_context first = Create(kSmall);
  const ca_context second = Create(kSmall);
  ca_context_header *const slot = first.header;
  End(first);
  EXPECT_EQ(ca_slot_caches_count(0), 1U);
  End(second);  // There is room for one.
  EXPECT_EQ(ca_slot_caches_count(0), 1U);
  const ca_context third = Create(kSmall);
  EXPECT_EQ(third.header, slot);
  EXPECT_EQ(ca_slot_caches_count(0), 0U);
  End(third);
}

TEST_F(SlotCacheTest, AContextInItsOwnSlotIsBiasedFromTheStartAndOthersAreNot) {
  if (ca_thread_state_get()->mark == 0) GTEST_SKIP() << "nothing is biased here";
  End(Create(kSmall));
  const ca_context own = Create(kSmall);
  const ca_context other = Create(kSmall);
  EXPECT_EQ(own.header->holder, ca_biased_to(own.generation, ca_thread_state_get()->mark));
  EXPECT_EQ(other.header->holder, ca_parked(other.generation));
  EXPECT_TRUE(ca_context_check(own));
  // Who has another swapped in, by bias too, ends it all the same.
  End(other);
  EXPECT_EQ(ca_context_swap_in(own), CA_CONTEXT_DONE);
  const ca_context next = Create(kSmall);
  EXPECT_TRUE(ca_is_biased(next.header->holder));
  End(next);
  EXPECT_EQ(ca_context_destroy(own), CA_CONTEXT_HELD);
  EXPECT_TRUE(ca_context_check(own));
  (void)ca_context_swap_out();
  End(own);
  EXPECT_EQ(ca_context_destroy(own), CA_CONTEXT_GONE);
}

// Asked while a child is created: it gives up another, and comes back on what could be another thread.
bool ComeBackWithoutMark(void *other, std::size_t) {
  End(*static_cast<ca_context *>(other));
  ca_thread_state_get()->mark = 0;
  return true;
}

TEST_F(SlotCacheTest, WhatEndsUpOnAThreadWithoutAMarkIsNotBiased) {
  const std::uint16_t mark = ca_thread_state_get()->mark;
  if (mark == 0) GTEST_SKIP() << "nothing is biased here";
  ca_context other;
  ca_context_settings settings = {};
  settings.budget = kSmall / 2;
  settings.family_budget = kSmall + 100;
  settings.over_budget = CA_OVER_BUDGET_ASK;
  settings.exhausted = ComeBackWithoutMark;
  settings.exhausted_argument = &other;
  const ca_context parent = ca_context_create(&settings);
  ca_context_settings child = {};
  child.budget = kSmall / 2;
  child.parent = parent;
  other = ca_context_create(&child);
  End(Create(kSmall));
  ASSERT_EQ(ca_context_swap_in(parent), CA_CONTEXT_DONE);
  const ca_context own = ca_context_create(&child);
  EXPECT_EQ(ca_thread_state_get()->mark, 0) << "asked";
  ca_thread_state_get()->mark = mark;
  ASSERT_FALSE(ca_context_is_none(own));
  EXPECT_EQ(own.header->holder, ca_parked(own.generation));
  (void)ca_context_swap_out();
  End(parent);
}

TEST_F(SlotCacheTest, AnotherThreadEndsWhatIsBiasedFromTheStart) {
  End(Create(kSmall));
  const ca_context context = Create(kSmall);
  OnAnotherThread([&] { End(context); });
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_GONE);
}

TEST_F(SlotCacheTest, LargeSlotsAreNotKept) {
  const ca_context first = Create(kLarge);
  const ca_context second = Create(kLarge);
  End(first);
  EXPECT_EQ(ca_slot_caches_count(1), 0U);
  End(second);
}

TEST_F(SlotCacheTest, WhatOthersKeepIsTakenBeforeALargerSlot) {
  Worker workers[kSlots - 1];
  ca_context contexts[kSlots - 1];
  for (std::size_t i = 0; i < kSlots - 1; ++i) {
    workers[i].Do([&] { contexts[i] = Create(kSmall); });
  }
  for (std::size_t i = 0; i < kSlots - 1; ++i) {
    workers[i].Do([&] { End(contexts[i]); });
  }
  EXPECT_EQ(ca_slot_caches_count(0), kSlots - 1);
  EXPECT_EQ(SlotsOut(), 0U);
  EXPECT_EQ(SmallSlotsToHave(), kSlots);
}

TEST_F(SlotCacheTest, TrimTakesWhatAnyThreadKeeps) {
  Worker worker;
  worker.Do([] { End(Create(kSmall)); });
  const ca_context context = Create(kSmall);
  EXPECT_EQ(ca_slot_caches_count(0), 1U);
  EXPECT_EQ(ca_contexts_trim(), kSmall);
  EXPECT_EQ(ca_slot_caches_count(0), 0U);
  End(context);
}

TEST_F(SlotCacheTest, AThreadThatEndsKeepsNothing) {
  OnAnotherThread([] {
    End(Create(kSmall));
    EXPECT_EQ(ca_slot_caches_count(0), 1U);
  });
  EXPECT_EQ(ca_slot_caches_count(0), 0U);
}

TEST_F(SlotCacheTest, AChildOfForkTakesWhatThreadsThatItHasNotGotKept) {
  Worker worker;
  worker.Do([] { End(Create(kSmall)); });
  const pid_t child = fork();
  if (child == 0) _exit(SmallSlotsToHave() == kSlots ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// As many threads as slots, each with one at most: there is always one more to have.
TEST_F(SlotCacheTest, NobodyIsRefusedWhileASlotIsIdle) {
  constexpr int kRounds = 20000;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kSlots; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const ca_context context = Create(kSmall);
        if (!IsIn(context, kSmall)) refused++;
        if (!ca_context_is_none(context)) End(context);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(refused, 0);
}

}  // namespace
