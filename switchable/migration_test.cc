// Coroutines that sleep on one thread and wake on another: each is served by its own context
// wherever it runs. Built as everything else, and with --config=lto. (What //switchable/lto shows
// about addresses that are kept across a switch, a compiler can hide here by an addressing mode.)
#include <gtest/gtest.h>
#include <ucontext.h>

#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "switchable/switchable.h"

namespace {

constexpr int kCoroutines = 64;
constexpr int kThreads = 4;
constexpr int kSwitches = 2000;
constexpr std::size_t kStackSize = 128 << 10;
constexpr std::size_t kSlotSize = 1 << 20;

thread_local ucontext_t t_scheduler;

struct Coroutine {
  ucontext_t registers;
  ucontext_t *scheduler;  // Of the thread that resumed it last.
  std::vector<char> stack = std::vector<char>(kStackSize);
  ca_context context;
  int switches = 0;
  int wrong_owner = 0;
  int lost = 0;
  bool finished = false;
};

bool IsOf(const Coroutine &self, const void *ptr) {
  const auto slot = reinterpret_cast<std::uintptr_t>(self.context.header);
  return reinterpret_cast<std::uintptr_t>(ptr) - slot < kSlotSize;
}

// The waking thread is not the one that fell asleep: all in one function, so that the optimiser
// sees the allocations on both sides of the switch.
void Body(Coroutine *self) {
  unsigned char *kept[8] = {};
  for (int i = 0; i < kSwitches; ++i) {
    unsigned char *&mine = kept[i % 8];
    if (mine != nullptr) {
      self->lost += mine[0] != static_cast<unsigned char>(i - 8) || mine[99] != mine[0];
      std::free(mine);
    }
    mine = static_cast<unsigned char *>(std::malloc(100));
    self->wrong_owner += !IsOf(*self, mine);
    std::memset(mine, i, 100);
    ca_switchable_use(i % 3 == 0 ? CA_CURRENT_GLOBAL : CA_CURRENT_COROUTINE);
    swapcontext(&self->registers, self->scheduler);
    self->wrong_owner +=
        ca_switchable_current() != (i % 3 == 0 ? CA_CURRENT_GLOBAL : CA_CURRENT_COROUTINE);
    ca_switchable_use(CA_CURRENT_COROUTINE);
    void *again = std::malloc(50);
    self->wrong_owner += !IsOf(*self, again);
    std::free(again);
    self->switches++;
  }
  self->finished = true;
  swapcontext(&self->registers, self->scheduler);
}

void Enter(unsigned high, unsigned low) {
  Body(reinterpret_cast<Coroutine *>(static_cast<std::uintptr_t>(high) << 32 | low));
}

// First in, first out: with more threads than one, a coroutine seldom wakes where it slept.
class Queue {
 public:
  void Push(Coroutine *one) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ready_.push_back(one);
  }
  Coroutine *Pop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (ready_.empty()) return nullptr;
    Coroutine *one = ready_.front();
    ready_.pop_front();
    return one;
  }

 private:
  std::mutex mutex_;
  std::deque<Coroutine *> ready_;
};

void Work(Queue *queue, std::atomic<int> *unfinished) {
  while (unfinished->load() > 0) {
    Coroutine *one = queue->Pop();
    if (one == nullptr) {
      std::this_thread::yield();
      continue;
    }
    one->scheduler = &t_scheduler;
    ASSERT_EQ(ca_context_swap_in(one->context), CA_CONTEXT_DONE);
    swapcontext(&t_scheduler, &one->registers);
    ca_context_swap_out();
    ASSERT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    if (one->finished) {
      unfinished->fetch_sub(1);
    } else {
      queue->Push(one);
    }
  }
}

// On its own, since getcontext() might return twice for all that the compiler knows.
void Make(Coroutine *one) {
  one->context = ca_context_create(nullptr);
  getcontext(&one->registers);
  one->registers.uc_stack.ss_sp = one->stack.data();
  one->registers.uc_stack.ss_size = kStackSize;
  const auto address = reinterpret_cast<std::uintptr_t>(one);
  makecontext(&one->registers, reinterpret_cast<void (*)()>(Enter), 2,
              static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
}

TEST(MigrationTest, EveryCoroutineIsServedByItsOwnContextWhereverItWakes) {
  std::vector<std::unique_ptr<Coroutine>> coroutines;
  Queue queue;
  std::atomic<int> unfinished{kCoroutines};
  for (int i = 0; i < kCoroutines; ++i) {
    auto one = std::make_unique<Coroutine>();
    Make(one.get());
    queue.Push(one.get());
    coroutines.push_back(std::move(one));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(Work, &queue, &unfinished);
  for (std::thread &thread : threads) thread.join();
  for (const auto &one : coroutines) {
    EXPECT_EQ(one->switches, kSwitches);
    EXPECT_EQ(one->wrong_owner, 0);
    EXPECT_EQ(one->lost, 0);
    EXPECT_TRUE(ca_context_check(one->context));
    EXPECT_EQ(ca_context_destroy(one->context), CA_CONTEXT_DONE);  // With live blocks.
  }
}

}  // namespace
