// Contexts that are biased to the thread which always holds them, and what takes that away.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstring>
#include <functional>
#include <future>
#include <thread>
#include <utility>

#include "switchable/switchable.h"
#include "switchable/testing.h"

extern "C" {
#include "switchable/bias.h"
}

// What is called instead of membarrier, in the middle of a revocation; NULL: nothing.
static long (*g_membarrier)();
static std::atomic<int> g_fences;

// In the place of libc's, for all of the process.
extern "C" long syscall(long number, ...) noexcept {
  using Function = long(long, ...);
  static Function *const next = reinterpret_cast<Function *>(dlsym(RTLD_NEXT, "syscall"));
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (long &argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_membarrier) {
    ++g_fences;
    if (g_membarrier != nullptr) return g_membarrier();
  }
  return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
              arguments[5]);
}

namespace {

using ca_testing::OnAnotherThread;

constexpr int kParksACredit = 4096;

std::uintptr_t Holder(ca_context context) {
  return __atomic_load_n(&context.header->holder, __ATOMIC_RELAXED);
}
bool IsBiased(ca_context context) { return ca_is_biased(Holder(context)); }

void SwapInAndOut(ca_context context, int times = 1) {
  for (int i = 0; i < times; ++i) {
    ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    const ca_context same = ca_context_swap_out();
    ASSERT_EQ(same.header, context.header);
    ASSERT_EQ(same.generation, context.generation);
  }
}

ca_context CreateBiased(const ca_context_settings *settings = nullptr) {
  const ca_context context = ca_context_create(settings);
  SwapInAndOut(context, 2);
  EXPECT_TRUE(IsBiased(context));
  return context;
}

// Another thread, which does what it is told and lives on.
class Other {
 public:
  Other() : thread_([this] { Work(); }) {}
  ~Other() {
    Do(nullptr);
    thread_.join();
  }
  void Do(std::function<void()> call) {
    std::promise<void> done;
    next_.set_value({std::move(call), &done});
    done.get_future().wait();
  }

 private:
  struct Task {
    std::function<void()> call;
    std::promise<void> *done;
  };
  void Work() {
    for (;;) {
      const Task task = next_.get_future().get();
      next_ = std::promise<Task>();
      const bool last = task.call == nullptr;
      if (!last) task.call();
      task.done->set_value();
      if (last) return;
    }
  }
  std::promise<Task> next_;
  std::thread thread_;
};

class BiasTest : public testing::Test {
 protected:
  BiasTest() {
    SwapInAndOutOfNone();
    __atomic_store_n(&ca_bias_credit, 64, __ATOMIC_RELAXED);
  }
  // So that this thread is known, and biasing has begun.
  static void SwapInAndOutOfNone() {
    const ca_context context = ca_context_create(nullptr);
    SwapInAndOut(context);
    ca_context_destroy(context);
  }
};
using BiasDeathTest = testing::Test;

bool EachIsHeld(ca_context context) {
  ca_context_cleanup cleanup{[](void *) { return true; }, nullptr, nullptr};
  const auto visitor = [](void *, ca_block) { return true; };
  return ca_context_swap_in(context) == CA_CONTEXT_HELD &&
         ca_context_destroy(context) == CA_CONTEXT_HELD &&
         ca_context_reset(context) == CA_CONTEXT_HELD &&
         ca_context_walk(context, visitor, nullptr) == CA_CONTEXT_HELD &&
         ca_context_set_parent(context, {}) == CA_CONTEXT_HELD &&
         ca_context_add_cleanup(context, &cleanup) == CA_CONTEXT_HELD &&
         ca_context_remove_cleanup(context, &cleanup) == CA_CONTEXT_HELD;
}

bool EachIsGone(ca_context context) {
  const auto visitor = [](void *, ca_block) { return true; };
  return ca_context_swap_in(context) == CA_CONTEXT_GONE &&
         ca_context_destroy(context) == CA_CONTEXT_GONE &&
         ca_context_reset(context) == CA_CONTEXT_GONE &&
         ca_context_walk(context, visitor, nullptr) == CA_CONTEXT_GONE &&
         ca_context_set_parent(context, {}) == CA_CONTEXT_GONE && !ca_context_check(context);
}

TEST_F(BiasTest, AReplaceGoesFromOneToTheOtherAndBothStayBiased) {
  const ca_context one = CreateBiased();
  const ca_context other = CreateBiased();
  const ca_thread_record *const record = ca_thread_state_get()->record;
  ASSERT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE);
  const std::uintptr_t biased = Holder(one);
  ASSERT_EQ(ca_switchable_replace({other, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_DONE);
  EXPECT_EQ(Holder(one), biased);
  EXPECT_EQ(record->in, other.header);
  OnAnotherThread([&] {
    EXPECT_EQ(ca_context_swap_in(other), CA_CONTEXT_HELD);
    SwapInAndOut(one);
  });
  EXPECT_FALSE(IsBiased(one));
  ASSERT_EQ(ca_switchable_replace({one, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_DONE);
  EXPECT_TRUE(IsBiased(other));
  EXPECT_EQ(record->in, nullptr);
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, WhatIsBiasedStaysSwappedInWhereAReplaceIsRefused) {
  const ca_context own = CreateBiased();
  const ca_context held = ca_context_create(nullptr);
  ASSERT_EQ(ca_context_swap_in(own), CA_CONTEXT_DONE);
  Other other;
  other.Do([&] { EXPECT_EQ(ca_context_swap_in(held), CA_CONTEXT_DONE); });
  EXPECT_EQ(ca_switchable_replace({held, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_HELD);
  EXPECT_EQ(ca_switchable_save().coroutine.header, own.header);
  EXPECT_TRUE(ca_context_check(own));
  other.Do([&] {
    EXPECT_EQ(ca_context_destroy(own), CA_CONTEXT_HELD);
    (void)ca_context_swap_out();
  });
  (void)ca_context_swap_out();
  OnAnotherThread([&] { EXPECT_EQ(ca_context_destroy(own), CA_CONTEXT_DONE); });
  EXPECT_EQ(ca_context_destroy(held), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, ComesWithTheSecondParkInARow) {
  const ca_context context = ca_context_create(nullptr);
  SwapInAndOut(context);
  EXPECT_FALSE(IsBiased(context));
  OnAnotherThread([=] { SwapInAndOut(context); });
  SwapInAndOut(context);
  EXPECT_FALSE(IsBiased(context)) << "another was between";
  SwapInAndOut(context);
  EXPECT_TRUE(IsBiased(context));
  EXPECT_TRUE(ca_context_check(context));
  const std::uintptr_t holder = Holder(context);
  SwapInAndOut(context, 10);
  EXPECT_EQ(Holder(context), holder) << "no exchange";
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  EXPECT_EQ(Holder(context), holder);
  EXPECT_TRUE(ca_context_check(context));
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, AnotherContextInTheSlotBeginsAnew) {
  const ca_context old = CreateBiased();
  EXPECT_EQ(ca_context_destroy(old), CA_CONTEXT_DONE);
  const ca_context context = ca_context_create(nullptr);
  ASSERT_EQ(context.header, old.header);
  SwapInAndOut(context);
  EXPECT_FALSE(IsBiased(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, HeldHereItIsRefusedAsEver) {
  const ca_context context = CreateBiased();
  const ca_context other = CreateBiased();
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_HELD);
  EXPECT_EQ(ca_context_swap_in(other), CA_CONTEXT_OCCUPIED);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_HELD);
  EXPECT_EQ(ca_context_reset(other), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, AnotherThreadTakesItFromAParkedOne) {
  const ca_context context = CreateBiased();
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  char *const block = static_cast<char *>(ca_switchable_allocate(100, 16).ptr);
  std::strcpy(block, "mine");
  ca_context_swap_out();
  OnAnotherThread([=] {
    ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    EXPECT_STREQ(block, "mine");
    EXPECT_EQ(ca_context_header_of(ca_switchable_allocate(100, 16).ptr), context.header);
    ca_switchable_deallocate(block);
    EXPECT_EQ(ca_context_count(context).taken_in, 0U) << "it holds it";
    ca_context_swap_out();
    EXPECT_FALSE(IsBiased(context));
  });
  SwapInAndOut(context);
  EXPECT_FALSE(IsBiased(context)) << "it takes two again";
  SwapInAndOut(context);
  EXPECT_TRUE(IsBiased(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, AMomentsHoldTakesTwoParksToo) {
  const ca_context context = CreateBiased();
  OnAnotherThread([=] { EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE); });
  EXPECT_FALSE(IsBiased(context));
  SwapInAndOut(context);
  EXPECT_FALSE(IsBiased(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, AnotherThreadIsRefusedWhileItIsIn) {
  const ca_context context = CreateBiased();
  const int64_t credit = ca_bias_credit;
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  OnAnotherThread([=] { EXPECT_TRUE(EachIsHeld(context)); });
  EXPECT_EQ(ca_bias_credit, credit) << "that costs no fence";
  EXPECT_TRUE(IsBiased(context));
  ca_context_swap_out();
  SwapInAndOut(context);
  OnAnotherThread([=] { EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE); });
  EXPECT_TRUE(EachIsGone(context));
}

TEST_F(BiasTest, BlocksAreResizedAndAskedFromElsewhere) {
  ca_context_settings settings{};
  settings.kind = CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE;
  const ca_context context = CreateBiased(&settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  void *block = ca_switchable_allocate(100, 16).ptr;
  OnAnotherThread([=] { EXPECT_EQ(ca_switchable_usable_size(block), 0U) << "held elsewhere"; });
  ca_context_swap_out();
  OnAnotherThread([&] {
    EXPECT_GE(ca_switchable_usable_size(block), 100U);
    block = ca_switchable_reallocate(block, 5000, 16).ptr;
    EXPECT_EQ(ca_context_header_of(block), context.header) << "its owner was parked";
  });
  SwapInAndOut(context, 2);
  block = ca_switchable_reallocate(block, 9000, 16).ptr;
  EXPECT_EQ(ca_context_header_of(block), context.header);
  EXPECT_EQ(ca_context_count(context).taken_in, 0U);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, StaleHandlesAreToldByBothKindsOfThreads) {
  const ca_context stale = CreateBiased();
  EXPECT_EQ(ca_context_destroy(stale), CA_CONTEXT_DONE);
  const ca_context context = CreateBiased();
  ASSERT_EQ(context.header, stale.header);
  EXPECT_TRUE(EachIsGone(stale));
  OnAnotherThread([=] { EXPECT_TRUE(EachIsGone(stale)); });
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(stale), CA_CONTEXT_GONE);
  OnAnotherThread([=] { EXPECT_TRUE(EachIsGone(stale)); });
  ca_context_swap_out();
  EXPECT_TRUE(IsBiased(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// What is parked differs from what it is where it is biased by more than a mark, which may be 0.
TEST_F(BiasTest, AThreadWithoutAMarkHoldsNothingByBias) {
  ca_thread_state *const state = ca_thread_state_get();
  const ca_context context = ca_context_create(nullptr);
  const std::uint16_t mark = std::exchange(state->mark, std::uint16_t{0});
  EXPECT_EQ(context.generation % (1U << CA_BIAS_SHIFT), unsigned{CA_BIASED});
  for (int i = 0; i < 3; ++i) {  // Parked, and then biased.
    EXPECT_FALSE(ca_hold_by_bias(context, state));
    state->mark = mark;
    SwapInAndOut(context);
    state->mark = 0;
  }
  EXPECT_TRUE(IsBiased(context));
  state->mark = mark;
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, OutlivesItsThread) {
  ca_context context{};
  OnAnotherThread([&] { context = CreateBiased(); });
  EXPECT_TRUE(IsBiased(context));
  EXPECT_TRUE(ca_context_check(context));
  SwapInAndOut(context);
  EXPECT_FALSE(IsBiased(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, AThreadThatEndsInsideHasParkedIt) {
  ca_context context{};
  OnAnotherThread([&] {
    context = CreateBiased();
    EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  });
  EXPECT_TRUE(IsBiased(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, TheNextThreadWithTheRecordHasWhatWasBiased) {
  ca_context context{};
  OnAnotherThread([&] { context = CreateBiased(); });
  const std::uintptr_t holder = Holder(context);
  OnAnotherThread([&] {
    SwapInAndOutOfNone();
    ASSERT_EQ(ca_biased_to(context.generation, ca_thread_state_get()->mark), holder)
        << "the lowest record that is free";
    SwapInAndOut(context);
    EXPECT_EQ(Holder(context), holder);
    ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    OnAnotherThread([&] { EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_HELD); });
    ca_context_swap_out();
  });
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// While it is stepped out of, it is held by itself: nobody takes it, and `in` serves for others.
TEST_F(BiasTest, IsLeftAloneWhileItIsWalked) {
  const ca_context context = CreateBiased();
  const ca_context other = CreateBiased();
  const ca_context both[2] = {context, other};
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  void *const block = ca_switchable_allocate(100, 16).ptr;
  const auto visitor = [](void *argument, ca_block) {
    const auto *contexts = static_cast<const ca_context *>(argument);
    EXPECT_TRUE(EachIsHeld(contexts[0]));
    OnAnotherThread([&] { EXPECT_TRUE(EachIsHeld(contexts[0])); });
    EXPECT_EQ(ca_context_swap_in(contexts[1]), CA_CONTEXT_DONE);
    OnAnotherThread([&] { EXPECT_TRUE(EachIsHeld(contexts[1])); });
    return true;
  };
  EXPECT_EQ(ca_context_walk(context, visitor, const_cast<ca_context *>(both)), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_switchable_save().coroutine.header, context.header);
  OnAnotherThread([=] { EXPECT_TRUE(EachIsHeld(context)); });
  ca_switchable_deallocate(block);
  EXPECT_EQ(ca_context_count(context).taken_in, 0U) << "it is held here again";
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE) << "what was left in was parked";
  ca_context_swap_out();
  SwapInAndOut(context, 3);
  EXPECT_TRUE(IsBiased(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, AParentTakesItsChildrenWithIt) {
  Other other;
  const ca_context parent = CreateBiased();
  ca_context_settings settings{};
  settings.parent = parent;
  const ca_context mine = CreateBiased(&settings);
  ca_context others{};
  other.Do([&] { others = CreateBiased(&settings); });
  other.Do([&] { ASSERT_EQ(ca_context_swap_in(others), CA_CONTEXT_DONE); });
  EXPECT_EQ(ca_context_destroy(parent), CA_CONTEXT_HELD);
  EXPECT_EQ(ca_context_reset(parent), CA_CONTEXT_HELD);
  other.Do([] { ca_context_swap_out(); });
  SwapInAndOut(mine, 2);
  EXPECT_EQ(ca_context_reset(parent), CA_CONTEXT_DONE);
  other.Do([&] { SwapInAndOut(others, 2); });
  EXPECT_EQ(ca_context_destroy(parent), CA_CONTEXT_DONE);
  EXPECT_TRUE(EachIsGone(mine));
  EXPECT_TRUE(EachIsGone(others));
}

TEST_F(BiasTest, AParentServesWhatItsChildHasNoRoomFor) {
  const ca_context parent = CreateBiased();
  ca_context_settings settings{};
  settings.parent = parent;
  settings.budget = 1000;
  settings.over_budget = CA_OVER_BUDGET_PARENT;
  const ca_context child = CreateBiased(&settings);
  ASSERT_EQ(ca_context_swap_in(child), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_header_of(ca_switchable_allocate(5000, 16).ptr), parent.header);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(parent), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, CreditRunsOutAndComesBack) {
  __atomic_store_n(&ca_bias_credit, 1, __ATOMIC_RELAXED);
  const ca_context one = CreateBiased();
  const ca_context two = CreateBiased();
  OnAnotherThread([=] {
    SwapInAndOut(one);
    SwapInAndOut(two);
  });
  EXPECT_EQ(ca_bias_credit, -1) << "each revocation costs one";
  SwapInAndOut(one); /* The first of two. */
  SwapInAndOut(one, 2 * kParksACredit - 1);
  EXPECT_FALSE(IsBiased(one));
  EXPECT_EQ(ca_bias_credit, 0);
  SwapInAndOut(one);
  EXPECT_TRUE(IsBiased(one));
  EXPECT_EQ(ca_bias_credit, 1);
  EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(two), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_bias_credit, 1) << "this thread's own cost nothing";
}

// As if a thread had vanished at that point, which it does in a child of fork().
void LeaveARevocation(ca_context context) {
  constexpr std::uintptr_t kNumber = 1 << 20;
  const std::uintptr_t tags = CA_BIAS_TAGS;
  const std::uintptr_t mark = Holder(context) % (std::uintptr_t{1} << CA_BIAS_SHIFT) & ~tags;
  ASSERT_NE(mark, 0U);
  __atomic_store_n(&context.header->holder, kNumber << CA_BIAS_SHIFT | mark | CA_REVOKING,
                   __ATOMIC_RELEASE);
}

TEST_F(BiasTest, ItsThreadTakesItBackFromARevocation) {
  const ca_context context = CreateBiased();
  LeaveARevocation(context);
  EXPECT_TRUE(ca_context_check(context));
  SwapInAndOut(context, 3);
  LeaveARevocation(context);
  EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE);
  SwapInAndOut(context, 2);
  LeaveARevocation(context);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, AnotherGoesOnWithARevocationThatNobodyEnds) {
  const ca_context context = CreateBiased();
  LeaveARevocation(context);
  OnAnotherThread([=] { SwapInAndOut(context); });
  SwapInAndOut(context, 2);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  LeaveARevocation(context);
  OnAnotherThread([=] { EXPECT_TRUE(EachIsHeld(context)); });
  ca_context_swap_out();
  OnAnotherThread([=] { EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE); });
}

TEST_F(BiasTest, ARevocationIsOfOneContext) {
  const ca_context stale = CreateBiased();
  EXPECT_EQ(ca_context_destroy(stale), CA_CONTEXT_DONE);
  const ca_context context = CreateBiased();
  ASSERT_EQ(context.header, stale.header);
  LeaveARevocation(context);
  EXPECT_TRUE(EachIsGone(stale));
  OnAnotherThread([=] { EXPECT_TRUE(EachIsGone(stale)); });
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// The context that the middle of a revocation is about, biased to g_other.
ca_context g_context;
Other *g_other;

class RevocationTest : public BiasTest {
 protected:
  RevocationTest() {
    g_other = &other_;
    other_.Do([] { g_context = CreateBiased(); });
  }
  ~RevocationTest() override {
    g_membarrier = nullptr;
    other_.Do([] { EXPECT_EQ(ca_context_destroy(g_context), CA_CONTEXT_DONE); });
  }
  Other other_;
};

TEST_F(RevocationTest, HasAFenceInIt) {
  const int fences = g_fences;
  SwapInAndOut(g_context);
  EXPECT_EQ(g_fences, fences + 1);
}

TEST_F(RevocationTest, IsOvertakenByItsThread) {
  g_membarrier = [] {
    g_other->Do([] { EXPECT_EQ(ca_context_swap_in(g_context), CA_CONTEXT_DONE); });
    return 0L;
  };
  EXPECT_EQ(ca_context_swap_in(g_context), CA_CONTEXT_HELD);
  other_.Do([] {
    EXPECT_EQ(ca_switchable_save().coroutine.header, g_context.header);
    EXPECT_TRUE(ca_context_check(g_context));
    ca_context_swap_out();
  });
}

TEST_F(RevocationTest, IsOvertakenByItsThreadsDestroy) {
  g_membarrier = [] {
    g_other->Do([] { EXPECT_EQ(ca_context_destroy(g_context), CA_CONTEXT_DONE); });
    return 0L;
  };
  EXPECT_EQ(ca_context_reset(g_context), CA_CONTEXT_GONE);
  g_membarrier = nullptr;
  other_.Do([] { g_context = CreateBiased(); });
}

// What the thread wrote before the fence is seen after it.
TEST_F(RevocationTest, ComesToNothingIfItsThreadWasJustComingIn) {
  const std::uintptr_t holder = Holder(g_context);
  static ca_thread_record *record;
  other_.Do([] { record = ca_thread_state_get()->record; });
  g_membarrier = [] {
    __atomic_store_n(&record->in, g_context.header, __ATOMIC_RELEASE);
    return 0L;
  };
  EXPECT_EQ(ca_context_swap_in(g_context), CA_CONTEXT_HELD);
  EXPECT_EQ(Holder(g_context), holder) << "as it was";
  __atomic_store_n(&record->in, nullptr, __ATOMIC_RELEASE);
}

TEST_F(RevocationTest, IsWaitedForByAThird) {
  static std::thread third;
  static ca_context_result result;
  g_membarrier = [] {
    g_membarrier = nullptr;
    third = std::thread([] { result = ca_context_swap_in(g_context); });
    return 0L;
  };
  const ca_context_result mine = ca_context_swap_in(g_context);
  third.join(); /* It waited, or went on by itself: that is never for both. */
  EXPECT_TRUE((mine == CA_CONTEXT_DONE && result == CA_CONTEXT_HELD) ||
              (mine == CA_CONTEXT_HELD && result == CA_CONTEXT_DONE));
  ca_context_swap_out();
}

TEST_F(RevocationTest, IsFinishedByAThird) {
  g_membarrier = [] {
    g_membarrier = nullptr;
    OnAnotherThread([] { EXPECT_EQ(ca_context_reset(g_context), CA_CONTEXT_DONE); });
    return 0L;
  };
  EXPECT_EQ(ca_context_swap_in(g_context), CA_CONTEXT_HELD) << "it was, meanwhile";
}

// Who holds a context has it for itself.
class Inside {
 public:
  void Stay(int turns) {
    errors_ += inside_.exchange(true, std::memory_order_relaxed) ? 1 : 0;
    for (int i = 0; i < turns; ++i) errors_ += inside_.load(std::memory_order_relaxed) ? 0 : 1;
    inside_.store(false, std::memory_order_relaxed);
    ++number_;
  }
  long errors() const { return errors_; }
  long number() const { return number_; }

 private:
  std::atomic<bool> inside_{false};
  std::atomic<long> errors_{0};
  long number_ = 0; /* Not atomic. */
};

// One swaps it in and out as fast as it can, mostly; the others whenever it is biased.
TEST_F(BiasTest, NobodyHoldsWhatSomebodyElseHolds) {
  constexpr int kSwaps = 100000;
  constexpr int kLooks = 20;
  __atomic_store_n(&ca_bias_credit, 1 << 20, __ATOMIC_RELAXED);
  const ca_context context = ca_context_create(nullptr);
  Inside inside;
  std::atomic<bool> finished{false};
  std::atomic<long> others{0};
  const auto disturb = [&] {
    while (!finished) {
      for (int look = 0; !IsBiased(context) && look < kLooks; ++look) std::this_thread::yield();
      if (ca_context_swap_in(context) == CA_CONTEXT_DONE) {
        inside.Stay(10);
        ca_context_swap_out();
        ++others;
      }
    }
  };
  std::thread one(disturb);
  std::thread two(disturb);
  long mine = 0;
  for (int i = 0; i < kSwaps; ++i) {
    if (ca_context_swap_in(context) == CA_CONTEXT_DONE) {
      inside.Stay(i % 64 == 0 ? 1000 : 0);
      ca_context_swap_out();
      ++mine;
    }
  }
  finished = true;
  one.join();
  two.join();
  EXPECT_EQ(inside.errors(), 0);
  EXPECT_EQ(inside.number(), mine + others);
  EXPECT_TRUE(ca_context_check(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, WhoStepsOutOfItIsNotInIt) {
  const ca_context context = CreateBiased();
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  const auto visitor = [](void *, ca_block) { return true; };
  EXPECT_EQ(ca_context_walk(context, visitor, nullptr), CA_CONTEXT_DONE);
  ca_context_swap_out();
  EXPECT_TRUE(IsBiased(context)) << "at once, as its last park was here, too";
  OnAnotherThread([=] { EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE); });
}

// Its record went to others, but not what it remembers of itself.
TEST_F(BiasTest, AThreadsLastDestructorIsAnotherThread) {
  static ca_context context;
  pthread_key_t key;
  ASSERT_EQ(pthread_key_create(&key,
                               [](void *) {
                                 SwapInAndOut(context, 3);
                                 EXPECT_FALSE(IsBiased(context));
                               }),
            0); /* After the library's own, and so called after that. */
  OnAnotherThread([&] {
    context = CreateBiased();
    ASSERT_EQ(pthread_setspecific(key, &key), 0);
  });
  ASSERT_EQ(pthread_key_delete(key), 0);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(BiasTest, AChildOfForkGoesOn) {
  Other other;
  const ca_context mine = CreateBiased();
  ca_context others{};
  other.Do([&] { others = CreateBiased(); });
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) { /* The other thread isn't here, but what it parked is. */
    SwapInAndOut(mine, 2);
    SwapInAndOut(others, 3);
    const bool well = IsBiased(mine) && IsBiased(others) &&
                      ca_context_destroy(others) == CA_CONTEXT_DONE &&
                      ca_context_destroy(mine) == CA_CONTEXT_DONE;
    _exit(well && !HasFailure() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ca_context_destroy(mine), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(others), CA_CONTEXT_DONE);
}

long Refuse() {
  errno = EPERM;
  return -1;
}

void ExitAs(bool well) { _exit(well && !testing::Test::HasFailure() ? 0 : 1); }

TEST_F(BiasDeathTest, NothingIsBiasedWhereThatIsRefused) {
  GTEST_FLAG_SET(death_test_style,
                 "threadsafe"); /* A process of its own, in which it is the first. */
  const auto run = [] {
    g_membarrier = Refuse;
    const ca_context context = ca_context_create(nullptr);
    SwapInAndOut(context, 2 * kParksACredit);
    const bool biased = IsBiased(context);
    OnAnotherThread([=] { SwapInAndOut(context, 2); });
    ExitAs(!biased && errno == 0 && ca_context_destroy(context) == CA_CONTEXT_DONE);
  };
  errno = 0;
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

TEST_F(BiasDeathTest, WhatIsBiasedStaysWithItsThreadWhenThatComesToBeRefused) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    const ca_context context = CreateBiased();
    const ca_context other = CreateBiased();
    g_membarrier = Refuse;
    errno = 0;
    OnAnotherThread([=] {
      EXPECT_TRUE(EachIsHeld(context));
      EXPECT_EQ(errno, 0);
    });
    SwapInAndOut(context);
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_context_reset(other), CA_CONTEXT_DONE);
    SwapInAndOut(other, 2 * kParksACredit);
    EXPECT_FALSE(IsBiased(other)) << "no more";
    OnAnotherThread([=] { EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE); });
    ExitAs(true);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

}  // namespace
