#include "switchable/switchable.h"
#include "switchable/testing.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <setjmp.h>
#include <ucontext.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "allocators/bump/recorded.h"
#include "allocators/testing/allocator_conformance.h"

namespace {

using ca_testing::OnAnotherThread;

ca_context Create(std::size_t budget = 0) {
  const ca_context_settings settings = {budget, "test"};
  return ca_context_create(&settings);
}

bool IsOf(ca_context context, const void *ptr) {
  // Slots are aligned to their size, and the header stands first.
  return reinterpret_cast<std::uintptr_t>(ptr) - reinterpret_cast<std::uintptr_t>(context.header) <
         (std::uintptr_t{64} << 10);
}

bool RunUnder(ca_current current, const std::function<void()> &body) {
  return ca_switchable_run(
      current, [](void *argument) { (*static_cast<const std::function<void()> *>(argument))(); },
      const_cast<std::function<void()> *>(&body));
}

// A context swapped in for the time of a test.
class SwitchableTest : public testing::Test {
 protected:
  SwitchableTest() : context_(Create(32 << 10)) {
    EXPECT_FALSE(ca_context_is_none(context_));
    EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  }
  ~SwitchableTest() override {
    ca_context_swap_out();
    EXPECT_TRUE(ca_context_check(context_));
    EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  }

  void *Allocate(std::size_t size = 40) { return ca_switchable_allocate(size, 16).ptr; }

  ca_context context_;
};

// The front end as an allocator: under a context, under the thread's heap, under the global one.

struct UnderContext {
  UnderContext() : context(Create(kCapacity)) { ca_context_swap_in(context); }
  ~UnderContext() {
    ca_context_swap_out();
    EXPECT_TRUE(ca_context_check(context));
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  }
  ca_allocator *get() { return ca_switchable_allocator(); }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 900 << 10;
  static constexpr bool kReclaims = false;
  ca_context context;
};

struct UnderThread {
  UnderThread() {
    EXPECT_TRUE(ca_switchable_thread_init(nullptr));
    EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
  }
  ~UnderThread() { ca_switchable_thread_release(); }
  ca_allocator *get() { return ca_switchable_allocator(); }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 0;  // What the heap can't serve the global one does.
  static constexpr bool kReclaims = true;
};

struct UnderGlobal {
  ca_allocator *get() { return ca_switchable_allocator(); }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 0;
  static constexpr bool kReclaims = true;
};

// The suite's random test makes a fixture inside a fixture; one context at a time is enough here.
template <typename Fixture>
struct Shared {
  Shared() {
    if (depth++ == 0) fixture = new Fixture;
  }
  ~Shared() {
    if (--depth == 0) delete fixture;
  }
  ca_allocator *get() { return fixture->get(); }
  static constexpr std::size_t kMaxAlign = Fixture::kMaxAlign;
  static constexpr std::size_t kCapacity = Fixture::kCapacity;
  static constexpr bool kReclaims = Fixture::kReclaims;
  static inline int depth = 0;
  static inline Fixture *fixture = nullptr;
};

INSTANTIATE_TYPED_TEST_SUITE_P(UnderContext, AllocatorConformance, Shared<UnderContext>);
INSTANTIATE_TYPED_TEST_SUITE_P(UnderThread, AllocatorConformance, Shared<UnderThread>);
INSTANTIATE_TYPED_TEST_SUITE_P(UnderGlobal, AllocatorConformance, UnderGlobal);

// What is current.

TEST(CurrentTest, IsGlobalAtFirst) {
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  OnAnotherThread([] { EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL); });
}

TEST(CurrentTest, WhatThereIsNotCannotBeUsed) {
  EXPECT_FALSE(ca_switchable_use(CA_CURRENT_THREAD));
  EXPECT_FALSE(ca_switchable_use(CA_CURRENT_COROUTINE));
  EXPECT_TRUE(ca_switchable_use(CA_CURRENT_GLOBAL));
  bool ran = false;
  EXPECT_FALSE(RunUnder(CA_CURRENT_THREAD, [&ran] { ran = true; }));
  EXPECT_FALSE(ran);
}

TEST_F(SwitchableTest, ServesFromTheContextThatIsSwappedIn) {
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
  void *ptr = Allocate();
  EXPECT_TRUE(IsOf(context_, ptr));
  ca_context_swap_out();
  void *global = Allocate();
  EXPECT_FALSE(IsOf(context_, global));
  EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  ca_switchable_deallocate(global);  // By its owner, whoever is current.
  ca_switchable_deallocate(ptr);
  EXPECT_EQ(ca_context_count(context_).deallocations, 1U);
}

TEST_F(SwitchableTest, AParkedContextRemembersWhatWasCurrentInIt) {
  EXPECT_TRUE(ca_switchable_use(CA_CURRENT_GLOBAL));
  ca_context_swap_out();
  EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  EXPECT_TRUE(ca_switchable_use(CA_CURRENT_COROUTINE));
}

TEST_F(SwitchableTest, SaveReplaceAndRestoreCarryBoth) {
  const ca_context other = Create();
  ca_switchable_state before;
  EXPECT_EQ(ca_switchable_replace({other, CA_CURRENT_COROUTINE}, &before), CA_CONTEXT_DONE);
  EXPECT_EQ(before.coroutine.header, context_.header);
  EXPECT_EQ(before.current, CA_CURRENT_COROUTINE);
  EXPECT_TRUE(IsOf(other, Allocate()));
  EXPECT_EQ(ca_switchable_replace({{nullptr, 0}, CA_CURRENT_GLOBAL}, nullptr), CA_CONTEXT_DONE);
  EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
  EXPECT_EQ(ca_switchable_restore(before), CA_CONTEXT_DONE);
  EXPECT_TRUE(IsOf(context_, Allocate()));
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
}

TEST_F(SwitchableTest, AReplaceThatIsRefusedChangesNothing) {
  const ca_context gone = Create();
  EXPECT_EQ(ca_context_destroy(gone), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_switchable_replace({gone, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_switchable_replace({context_, CA_CURRENT_THREAD}, nullptr), CA_CONTEXT_GONE);
  const ca_context held = Create();
  OnAnotherThread([&] {
    EXPECT_EQ(ca_context_swap_in(held), CA_CONTEXT_DONE);
    std::thread([&] {
      EXPECT_EQ(ca_switchable_replace({held, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_HELD);
      EXPECT_EQ(ca_context_swap_in(held), CA_CONTEXT_HELD);
      EXPECT_EQ(ca_context_destroy(held), CA_CONTEXT_HELD);
      EXPECT_EQ(ca_context_reset(held), CA_CONTEXT_HELD);
    }).join();
    ca_context_swap_out();
  });
  EXPECT_EQ(ca_context_destroy(held), CA_CONTEXT_DONE);
  EXPECT_TRUE(IsOf(context_, Allocate()));
}

TEST_F(SwitchableTest, NobodyGetsTheContextMeanwhileWhereAReplaceIsRefused) {
  const ca_context held = Create();
  std::atomic<bool> ready = false;
  std::atomic<bool> done = false;
  std::atomic<int> got = 0;
  std::thread holder([&] {
    EXPECT_EQ(ca_context_swap_in(held), CA_CONTEXT_DONE);
    for (ready = true; !done;) std::this_thread::yield();
    ca_context_swap_out();
  });
  std::thread rival([&] {
    while (!done) {
      if (ca_context_swap_in(context_) == CA_CONTEXT_DONE) {
        got++;
        ca_context_swap_out();
      }
    }
  });
  while (!ready) std::this_thread::yield();
  int changed = 0;
  for (int i = 0; i < 20000 && changed == 0; ++i) {
    EXPECT_EQ(ca_switchable_replace({held, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_HELD);
    changed += ca_switchable_save().coroutine.header != context_.header;
  }
  EXPECT_EQ(changed, 0);
  EXPECT_EQ(got, 0);
  done = true;
  holder.join();
  rival.join();
  EXPECT_TRUE(IsOf(context_, Allocate()));
  EXPECT_EQ(ca_context_destroy(held), CA_CONTEXT_DONE);
}

// Callbacks.

TEST_F(SwitchableTest, ACallbackRunsUnderWhatItAsksAndGivesItBack) {
  EXPECT_TRUE(ca_switchable_thread_init(nullptr));
  EXPECT_TRUE(RunUnder(CA_CURRENT_GLOBAL, [this] {
    void *ptr = Allocate();
    EXPECT_FALSE(IsOf(context_, ptr));
    ca_switchable_deallocate(ptr);
    EXPECT_TRUE(RunUnder(CA_CURRENT_THREAD, [] {
      EXPECT_EQ(ca_switchable_current(), CA_CURRENT_THREAD);
      EXPECT_TRUE(RunUnder(CA_CURRENT_COROUTINE,
                           [] { EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE); }));
      EXPECT_EQ(ca_switchable_current(), CA_CURRENT_THREAD);
    }));
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  }));
  EXPECT_TRUE(IsOf(context_, Allocate()));
  ca_switchable_thread_release();
}

TEST_F(SwitchableTest, ACallbackLeftByAnExceptionGivesBack) {
  EXPECT_THROW(
      RunUnder(CA_CURRENT_GLOBAL,
               [] { RunUnder(CA_CURRENT_COROUTINE, [] { throw std::runtime_error("left"); }); }),
      std::runtime_error);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
}

TEST_F(SwitchableTest, ACallbackLeftByLongjmpGivesBack) {
  static jmp_buf target;
  volatile int jumps = 0;
  if (setjmp(target) == 0) {
    ca_switchable_run(
        CA_CURRENT_GLOBAL,
        [](void *) {
          ca_switchable_run(
              CA_CURRENT_COROUTINE, [](void *) { longjmp(target, 1); }, nullptr);
        },
        nullptr);
  } else {
    jumps = jumps + 1;
  }
  EXPECT_EQ(jumps, 1);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
}

TEST_F(SwitchableTest, ALongjmpWithinACallbackLeavesItAlone) {
  static jmp_buf target;
  EXPECT_TRUE(ca_switchable_run(
      CA_CURRENT_GLOBAL,
      [](void *) {
        if (setjmp(target) == 0) longjmp(target, 1);
        EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
      },
      nullptr));
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
}

TEST_F(SwitchableTest, WhatALongjmpCannotGiveBackARestoreDoes) {
  static jmp_buf target;
  static ca_context self;
  self = context_;
  const ca_switchable_state saved = ca_switchable_save();
  if (setjmp(target) == 0) {
    ca_switchable_run(
        CA_CURRENT_GLOBAL,
        [](void *) {
          ca_context_swap_out();  // As if the coroutine had slept meanwhile.
          ca_context_swap_in(self);
          longjmp(target, 1);
        },
        nullptr);
  }
  EXPECT_EQ(ca_switchable_restore(saved), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
}

TEST_F(SwitchableTest, AReplaceWithinACallbackParksLikeASwap) {
  static jmp_buf target;
  static ca_switchable_state self;
  static ca_context other;
  self = ca_switchable_save();
  other = Create();
  if (setjmp(target) == 0) {
    ca_switchable_run(
        CA_CURRENT_GLOBAL,
        [](void *) {
          void *const freed = ca_switchable_allocate(100, 16).ptr;
          EXPECT_EQ(ca_switchable_replace({other, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_DONE);
          ca_switchable_deallocate(freed);
          EXPECT_EQ(ca_switchable_restore({self.coroutine, CA_CURRENT_GLOBAL}), CA_CONTEXT_DONE);
          longjmp(target, 1);
        },
        nullptr);
  }
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL) << "it may be another thread's list by now";
  EXPECT_EQ(ca_switchable_restore(self), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
}

TEST_F(SwitchableTest, AReplaceTakesInWhatOthersFreed) {
  void *const block = Allocate();
  const ca_context other = Create();
  EXPECT_EQ(ca_switchable_replace({other, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_DONE);
  ca_switchable_deallocate(block);
  EXPECT_EQ(ca_context_count(context_).taken_in, 0U);
  EXPECT_EQ(ca_switchable_replace({context_, CA_CURRENT_COROUTINE}, nullptr), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_count(context_).taken_in, 1U);
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
}

TEST(CallbackTest, PthreadExitOutOfACallbackIsClean) {
  static std::atomic<int> done{0};
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, nullptr,
                [](void *) -> void * {
                  ca_context context = Create();
                  ca_context_swap_in(context);
                  ca_switchable_run(
                      CA_CURRENT_GLOBAL, [](void *) { done = 1, pthread_exit(nullptr); }, nullptr);
                  done = 2;
                  return nullptr;
                },
                nullptr),
            0);
  pthread_join(thread, nullptr);
  EXPECT_EQ(done, 1);
}

// A coroutine that sleeps inside a callback and wakes on another thread.
TEST(CallbackTest, ACallbackThatEndsOnAnotherThreadGivesBackThere) {
  static ucontext_t scheduler, coroutine;
  static ca_context context;
  static std::vector<char> stack(256 << 10);
  static bool finished;
  context = Create();
  finished = false;
  getcontext(&coroutine);
  coroutine.uc_stack.ss_sp = stack.data();
  coroutine.uc_stack.ss_size = stack.size();
  makecontext(&coroutine, reinterpret_cast<void (*)()>(+[] {
    ca_switchable_run(
        CA_CURRENT_GLOBAL, [](void *) { swapcontext(&coroutine, &scheduler); }, nullptr);
    finished = ca_switchable_current() == CA_CURRENT_COROUTINE;
    swapcontext(&coroutine, &scheduler);
  }),
              0);
  const auto resume = [] {
    EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    swapcontext(&scheduler, &coroutine);
    ca_context_swap_out();
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  };
  resume();
  EXPECT_FALSE(finished);
  // Another coroutine's longjmp on this thread must not undo the sleeping one's callback.
  static jmp_buf target;
  if (setjmp(target) == 0)
    ca_switchable_run(
        CA_CURRENT_GLOBAL, [](void *) { longjmp(target, 1); }, nullptr);
  OnAnotherThread(resume);
  EXPECT_TRUE(finished);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// A callback that sleeps is not on its thread's list any more: also not for a longjmp() that abandons
// the very frame in which the coroutine's stack lies, which is where glibc looks.
struct Sleeper {
  ucontext_t scheduler, coroutine;
  ca_context context;
  ca_current serves;  // In the callback.
  jmp_buf target;
};
Sleeper sleeper;

__attribute__((noinline)) void SleepInACallbackAndJump() {
  alignas(16) char stack[128 << 10];
  getcontext(&sleeper.coroutine);
  sleeper.coroutine.uc_stack.ss_sp = stack;
  sleeper.coroutine.uc_stack.ss_size = sizeof stack;
  makecontext(&sleeper.coroutine, reinterpret_cast<void (*)()>(+[] {
    ca_switchable_run(
        sleeper.serves, [](void *) { swapcontext(&sleeper.coroutine, &sleeper.scheduler); },
        nullptr);
  }),
              0);
  EXPECT_EQ(ca_context_swap_in(sleeper.context), CA_CONTEXT_DONE);
  swapcontext(&sleeper.scheduler, &sleeper.coroutine);
  ca_context_swap_out();
  longjmp(sleeper.target, 1);
}

TEST(CallbackTest, ALongjmpOnTheThreadThatASleepingCallbackLeftDoesNotUndoIt) {
  for (const ca_current serves : {CA_CURRENT_GLOBAL, CA_CURRENT_COROUTINE}) {
    sleeper.serves = serves;
    sleeper.context = Create();
    OnAnotherThread([] {
      EXPECT_TRUE(ca_switchable_thread_init(nullptr));
      EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
      if (setjmp(sleeper.target) == 0) SleepInACallbackAndJump();
      EXPECT_EQ(ca_switchable_current(), CA_CURRENT_THREAD);
    });
    EXPECT_EQ(ca_context_destroy(sleeper.context), CA_CONTEXT_DONE);
  }
}

TEST(CallbackTest, OneThatSwapsAContextInAndOutIsStillGivenBackByLongjmp) {
  static jmp_buf target;
  static ca_context context;
  context = Create();
  OnAnotherThread([] {
    EXPECT_TRUE(ca_switchable_thread_init(nullptr));
    EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    if (setjmp(target) == 0) {
      ca_switchable_run(
          CA_CURRENT_GLOBAL,
          [](void *) {
            ca_context_swap_in(context);
            ca_context_swap_out();
            longjmp(target, 1);
          },
          nullptr);
    }
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_THREAD);
  });
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(CallbackTest, OneWhoseContextIsResetIsGivenBackByLongjmpWhateverItsCleanUpSwapsIn) {
  static jmp_buf target;
  static ca_context context, other;
  context = Create();
  other = Create();
  ca_context_cleanup cleanup = {[](void *) {
                                  EXPECT_EQ(ca_context_swap_in(other), CA_CONTEXT_DONE);
                                  ca_context_swap_out();
                                  return true;
                                },
                                nullptr, nullptr};
  EXPECT_EQ(ca_context_add_cleanup(context, &cleanup), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  if (setjmp(target) == 0) {
    ca_switchable_run(
        CA_CURRENT_GLOBAL,
        [](void *) {
          EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE);
          longjmp(target, 1);
        },
        nullptr);
  }
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// The thread's own heap.

TEST(ThreadHeapTest, ServesAndEndsWithItsThread) {
  OnAnotherThread([] {
    ca_switchable_thread_release();  // Without one: nothing.
    EXPECT_TRUE(ca_switchable_thread_init(nullptr));
    EXPECT_FALSE(ca_switchable_thread_init(nullptr)) << "it has one";
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL) << "having one doesn't make it current";
    EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    void *ptr = ca_switchable_allocate(100, 16).ptr;
    ASSERT_NE(ptr, nullptr);
    ca_switchable_deallocate(ptr);
    ca_switchable_thread_release();
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    EXPECT_TRUE(ca_switchable_thread_init(nullptr));
  });
}

TEST(ThreadHeapTest, WhatItCannotServeComesFromTheGlobalAllocator) {
  OnAnotherThread([] {
    const ca_context_settings settings = {4096, "small"};
    EXPECT_TRUE(ca_switchable_thread_init(&settings));
    EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    const ca_block small = ca_switchable_allocate(100, 16);
    std::memset(small.ptr, 4, 100);
    const ca_block large = ca_switchable_allocate(10000, 16);
    ASSERT_FALSE(ca_block_is_none(large));
    const ca_block grown = ca_switchable_reallocate(small.ptr, 20000, 16);
    ASSERT_FALSE(ca_block_is_none(grown));
    EXPECT_EQ(static_cast<char *>(grown.ptr)[99], 4);
    ca_switchable_deallocate(large.ptr);
    ca_switchable_deallocate(grown.ptr);
  });
}

TEST(ThreadHeapTest, BlocksOutliveTheThreadUntilTheLastIsFreed) {
  void *blocks[3];
  OnAnotherThread([&blocks] {
    ca_switchable_thread_init(nullptr);
    ca_switchable_use(CA_CURRENT_THREAD);
    for (void *&block : blocks) {
      block = ca_switchable_allocate(64, 16).ptr;
      std::memset(block, 7, 64);
    }
  });
  for (void *block : blocks) {
    EXPECT_EQ(static_cast<char *>(block)[63], 7);
    ca_switchable_deallocate(block);
  }
}

TEST(ThreadHeapTest, AContextEnteredFromTheHeapLeavesToIt) {
  OnAnotherThread([] {
    ca_switchable_thread_init(nullptr);
    ca_switchable_use(CA_CURRENT_THREAD);
    const ca_context context = Create();
    ca_context_swap_in(context);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
    ca_context_swap_out();
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_THREAD);
    ca_context_swap_in(context);
    ca_switchable_thread_release();
    ca_context_swap_out();
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  });
}

TEST(ThreadHeapTest, AContextStillSwappedInIsParkedWhenItsThreadEnds) {
  const ca_context context = Create();
  OnAnotherThread([context] { EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE); });
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// Freed and resized from anywhere.

TEST_F(SwitchableTest, ABlockFreedWhileItsOwnerIsParkedComesBackToIt) {
  void *ptr = Allocate();
  ca_context_swap_out();
  ca_switchable_deallocate(ptr);
  EXPECT_EQ(ca_context_count(context_).deallocations, 0U) << "not before it runs";
  EXPECT_TRUE(ca_context_check(context_));
  EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_count(context_).deallocations, 1U);
  EXPECT_EQ(ca_context_count(context_).taken_in, 1U);
}

TEST_F(SwitchableTest, BlocksFreedByAnotherThreadAreTakenInBeforeARefusal) {
  void *newest = nullptr;
  for (void *ptr; (ptr = Allocate(1000)) != nullptr;) newest = ptr;
  EXPECT_EQ(Allocate(1000), nullptr);
  OnAnotherThread([newest] { ca_switchable_deallocate(newest); });
  EXPECT_NE(Allocate(1000), nullptr);
  EXPECT_EQ(ca_context_count(context_).taken_in, 1U);
}

TEST_F(SwitchableTest, ReallocatingAParkedContextsBlockKeepsItsOwner) {
  void *ptr = Allocate(40);
  std::memset(ptr, 5, 40);
  ca_context_swap_out();
  const ca_context other = Create();
  EXPECT_EQ(ca_context_swap_in(other), CA_CONTEXT_DONE);
  const ca_block grown = ca_switchable_reallocate(ptr, 5000, 16);
  EXPECT_TRUE(IsOf(context_, grown.ptr));
  EXPECT_EQ(static_cast<char *>(grown.ptr)[39], 5);
  EXPECT_GE(ca_switchable_usable_size(grown.ptr), 5000U);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
}

TEST_F(SwitchableTest, ABlockThatMovesIsCountedAsOneMoreAndOneLess) {
  void *const first = Allocate(100);
  Allocate(100);
  EXPECT_NE(ca_switchable_reallocate(first, 1000, 16).ptr, first);
  EXPECT_EQ(ca_context_count(context_).allocations, 3U);
  EXPECT_EQ(ca_context_count(context_).deallocations, 1U);
}

TEST_F(SwitchableTest, ReallocatingAnotherThreadsBlockMovesItToTheGlobalAllocator) {
  void *ptr = Allocate(40);
  std::memset(ptr, 5, 40);
  ca_block moved = {};
  OnAnotherThread([&] {
    const ca_context other = Create();
    EXPECT_EQ(ca_context_swap_in(other), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_switchable_reallocate(ptr, 30, 16).ptr, ptr) << "what fits stays";
    moved = ca_switchable_reallocate(ptr, 5000, 16);
    EXPECT_FALSE(IsOf(other, moved.ptr));
    EXPECT_FALSE(IsOf(context_, moved.ptr));
    ca_context_swap_out();
    EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
  });
  EXPECT_EQ(static_cast<char *>(moved.ptr)[39], 5);
  ca_switchable_deallocate(moved.ptr);
}

TEST_F(SwitchableTest, GlobalBlocksStayGlobalWhoeverIsCurrent) {
  ca_block block = {};
  RunUnder(CA_CURRENT_GLOBAL, [&block] { block = ca_switchable_allocate(40, 16); });
  block = ca_switchable_reallocate(block.ptr, 4000, 16);
  EXPECT_FALSE(IsOf(context_, block.ptr));
  block = ca_switchable_reallocate(block.ptr, 8000, 1024);
  EXPECT_TRUE(ca_is_aligned(block.ptr, 1024));
  ca_switchable_deallocate(block.ptr);
  ca_switchable_deallocate(nullptr);
}

TEST(ForeignTest, ThreadsFreeIntoARunningContextAndNothingIsLost) {
  constexpr int kThreads = 4;
  constexpr int kBlocks = 2000;
  const ca_context context = Create();
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  std::vector<void *> blocks[kThreads];
  ca_switchable_use(CA_CURRENT_COROUTINE);
  for (auto &mine : blocks) {
    RunUnder(CA_CURRENT_GLOBAL, [&mine] { mine.reserve(kBlocks); });
    for (int i = 0; i < kBlocks; ++i) mine.push_back(ca_switchable_allocate(24, 16).ptr);
  }
  ca_switchable_use(CA_CURRENT_GLOBAL);
  std::vector<std::thread> threads;
  for (auto &mine : blocks) {
    threads.emplace_back([&mine] {
      for (void *block : mine) ca_switchable_deallocate(block);
    });
  }
  // Meanwhile the owner allocates, and so takes in when it runs out.
  ca_switchable_use(CA_CURRENT_COROUTINE);
  for (int i = 0; i < kBlocks; ++i) ca_switchable_deallocate(ca_switchable_allocate(64, 16).ptr);
  ca_switchable_use(CA_CURRENT_GLOBAL);
  for (std::thread &thread : threads) thread.join();
  ca_context_swap_out();
  ca_context_swap_in(context);
  const ca_context_counts counts = ca_context_count(context);
  EXPECT_EQ(counts.allocations, counts.deallocations);
  EXPECT_EQ(counts.taken_in, static_cast<unsigned>(kThreads * kBlocks));
  ca_context_swap_out();
  EXPECT_TRUE(ca_context_check(context));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(ForeignTest, ThreadsFreeIntoAHeapWhileItsThreadEnds) {
  constexpr int kRounds = 50;
  constexpr int kBlocks = 200;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<void *> blocks(2 * kBlocks);
    std::atomic<bool> filled{false};
    std::thread owner([&] {
      ca_switchable_thread_init(nullptr);
      ca_switchable_use(CA_CURRENT_THREAD);
      for (void *&block : blocks) block = ca_switchable_allocate(24, 16).ptr;
      filled.store(true, std::memory_order_release);
    });
    const auto free_half = [&](int half) {
      while (!filled.load(std::memory_order_acquire)) std::this_thread::yield();
      for (int i = 0; i < kBlocks; ++i) ca_switchable_deallocate(blocks[half * kBlocks + i]);
    };
    std::thread first(free_half, 0);
    std::thread second(free_half, 1);
    owner.join();
    first.join();
    second.join();
  }
}

// Contexts.

TEST(ContextTest, AreMadeResetAndDestroyed) {
  const ca_context context = Create(10000);
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  for (int i = 0; i < 20; ++i) ca_switchable_allocate(100, 16);
  ca_context_counts counts = ca_context_count(context);
  EXPECT_EQ(counts.allocations, 20U);
  EXPECT_GE(counts.used, 2000U);
  EXPECT_EQ(counts.budget, 10000U);
  EXPECT_STREQ(counts.name, "test");
  EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE) << "the one running here, too";
  EXPECT_EQ(ca_context_count(context).used, 0U);
  EXPECT_EQ(ca_context_count(context).allocations, 0U);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_HELD) << "not the ground one stands on";
  ca_context_swap_out();
  EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(ContextTest, AHandleOfADestroyedOneIsRefused) {
  const ca_context context = Create();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_GONE);
    EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_GONE);
    EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_GONE);
    EXPECT_EQ(ca_context_count(context).budget, 0U);
    EXPECT_FALSE(ca_context_check(context));
    if (i == 0) {
      const ca_context next = Create();
      EXPECT_EQ(next.header, context.header) << "the same slot: told apart by generation";
      EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_GONE);
      EXPECT_EQ(ca_context_destroy(next), CA_CONTEXT_DONE);
    }
  }
}

TEST(ContextTest, NoContextIsRefusedEverywhere) {
  const ca_context none = {nullptr, 0};
  EXPECT_EQ(ca_context_swap_in(none), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_context_destroy(none), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_context_reset(none), CA_CONTEXT_GONE);
  EXPECT_FALSE(ca_context_check(none));
  EXPECT_TRUE(ca_context_is_none(ca_context_swap_out()));
}

TEST(ContextTest, OnlyOneIsSwappedInAtATime) {
  const ca_context first = Create();
  const ca_context second = Create();
  EXPECT_EQ(ca_context_swap_in(first), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_swap_in(first), CA_CONTEXT_HELD);
  EXPECT_EQ(ca_context_swap_in(second), CA_CONTEXT_OCCUPIED);
  EXPECT_EQ(ca_context_swap_out().header, first.header);
  EXPECT_EQ(ca_context_destroy(first), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(second), CA_CONTEXT_DONE);
}

TEST(ContextTest, ABudgetBoundsItAndNobodyElse) {
  const ca_context poor = Create(4096);
  const ca_context rich = Create();
  ca_context_swap_in(poor);
  EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(5000, 16)));
  EXPECT_FALSE(ca_block_is_none(ca_switchable_allocate(3000, 16)));
  EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(3000, 16)));
  EXPECT_FALSE(ca_block_is_none(ca_switchable_allocate(500, 16))) << "the next smaller still";
  EXPECT_EQ(ca_context_count(poor).refusals, 2U);
  EXPECT_LE(ca_context_count(poor).used, 4096U);
  ca_context_swap_out();
  ca_context_swap_in(rich);
  EXPECT_FALSE(ca_block_is_none(ca_switchable_allocate(5000, 16)));
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(poor), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(rich), CA_CONTEXT_DONE);
}

TEST(ContextTest, ABudgetThatNoSlotHoldsIsRefusedAndZeroStandsForAMebibyte) {
  EXPECT_TRUE(ca_context_is_none(Create(SIZE_MAX)));
  EXPECT_TRUE(ca_context_is_none(Create(std::size_t{65} << 20)));
  const ca_context zero = Create(0);
  EXPECT_GT(ca_context_count(zero).budget, std::size_t{1000} << 10);
  EXPECT_EQ(ca_context_destroy(zero), CA_CONTEXT_DONE);
  const ca_context plain = ca_context_create(nullptr);
  EXPECT_STREQ(ca_context_count(plain).name, "");
  EXPECT_EQ(ca_context_destroy(plain), CA_CONTEXT_DONE);
}

TEST(ContextTest, LongNamesAreCut) {
  const ca_context_settings settings = {0, "a name of more than twenty-three characters"};
  const ca_context context = ca_context_create(&settings);
  EXPECT_EQ(std::string(ca_context_count(context).name), std::string(settings.name, 23));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(ContextTest, ManyLiveAtOnceEachWithItsOwnBlock) {
  constexpr std::size_t kMany = 20000;
  std::vector<ca_context> contexts;
  std::vector<unsigned char *> blocks;
  for (std::size_t i = 0; i < kMany; ++i) {
    contexts.push_back(Create(1000));
    ASSERT_EQ(ca_context_swap_in(contexts.back()), CA_CONTEXT_DONE);
    auto *block = static_cast<unsigned char *>(ca_switchable_allocate(64, 16).ptr);
    ca_context_swap_out();
    std::memset(block, static_cast<int>(i % 251), 64);
    blocks.push_back(block);
  }
  for (std::size_t i = 0; i < kMany; ++i) {
    ASSERT_EQ(blocks[i][0], i % 251);
    ASSERT_EQ(blocks[i][63], i % 251);
    ASSERT_EQ(ca_context_destroy(contexts[i]), CA_CONTEXT_DONE);
  }
  ca_contexts_trim();
}

TEST(ContextTest, MigratesFromThreadToThread) {
  ca_context context = {};
  void *ptr = nullptr;
  OnAnotherThread([&] { context = Create(); });
  OnAnotherThread([&] {
    EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    ptr = ca_switchable_allocate(100, 16).ptr;
    ca_context_swap_out();
  });
  OnAnotherThread([&] {
    EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    ca_switchable_deallocate(ptr);
    EXPECT_EQ(ca_context_count(context).taken_in, 0U) << "its holder frees directly";
    ca_context_swap_out();
  });
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(ContextTest, SettingsOutOfRangeAreRefusedAndInitIsOnce) {
  ca_context_destroy(Create());  // Makes the default slots, if nobody has yet.
  ca_contexts_settings settings = {};
  EXPECT_FALSE(ca_contexts_init(&settings)) << "done before";
}

TEST(ContextTest, CheckFindsDamage) {
  const ca_context context = Create();
  auto *words = reinterpret_cast<std::uint64_t *>(context.header);
  EXPECT_TRUE(ca_context_check(context));
  const std::uint64_t saved = words[5];
  words[5] = saved + 1;  // deallocations > allocations
  EXPECT_FALSE(ca_context_check(context));
  words[5] = saved;
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// Misuse is reported by name.

TEST(MisuseDeathTest, FreeingIntoADestroyedContextIsReported) {
  const ca_context context = Create();
  ca_context_swap_in(context);
  void *ptr = ca_switchable_allocate(100, 16).ptr;
  ca_context_swap_out();
  ca_context_destroy(context);
  EXPECT_DEATH(ca_switchable_deallocate(ptr),
               "deallocate\\(0x[0-9a-f]+\\): its context was destroyed");
  EXPECT_DEATH(ca_switchable_reallocate(ptr, 1, 16), "reallocate.*its context was destroyed");
  EXPECT_DEATH(ca_switchable_usable_size(ptr), "usable_size.*its context was destroyed");
}

TEST(MisuseDeathTest, FreeingWhatIsNoBlockIsReported) {
  const ca_context context = Create();
  ca_context_swap_in(context);
  char *ptr = static_cast<char *>(ca_switchable_allocate(100, 16).ptr);
  EXPECT_DEATH(ca_switchable_deallocate(ptr + 16), "not a block");
  EXPECT_DEATH(ca_switchable_deallocate(context.header), "a context's header");
  ca_switchable_deallocate(ptr);
  EXPECT_DEATH(ca_switchable_deallocate(ptr), "double free");
  ca_context_swap_out();
  EXPECT_DEATH(ca_switchable_deallocate(ptr), "double free") << "also while it is parked";
  ca_context_destroy(context);
}

TEST(MisuseDeathTest, WhatLooksLikeABlockWhereNoneCanBeIsReportedWhileParked) {
  const ca_context before = Create(60000);
  ca_context_swap_in(before);
  ca_switchable_allocate(20000, 16);
  void *const stale = ca_switchable_allocate(100, 16).ptr;
  ca_context_swap_out();
  ca_context_destroy(before);
  const ca_context context = Create(1000);
  ASSERT_EQ(context.header, before.header);
  ca_context_swap_in(context);
  auto *const words = static_cast<std::uint64_t *>(ca_switchable_allocate(100, 16).ptr);
  words[0] = ca_bump_live_record(words + 1, 10);
  ca_context_swap_out();
  EXPECT_DEATH(ca_switchable_deallocate(stale), "not a block") << "beyond the budget";
  EXPECT_DEATH(ca_switchable_deallocate(words + 1), "not a block") << "not aligned";
  ca_switchable_deallocate(words);
  ca_context_destroy(context);
}

TEST(MisuseDeathTest, ABlockFreedTwiceWhileParkedIsReportedWhenItIsTakenIn) {
  const ca_context context = Create();
  ca_context_swap_in(context);
  void *ptr = ca_switchable_allocate(100, 16).ptr;
  void *other = ca_switchable_allocate(100, 16).ptr;
  ca_context_swap_out();
  ca_switchable_deallocate(ptr);
  ca_switchable_deallocate(other);
  EXPECT_DEATH(
      {
        ca_switchable_deallocate(ptr);
        ca_context_swap_in(context);
      },
      "double free");
  ca_context_destroy(context);
}

}  // namespace
