// Coroutines of <ucontext.h>: what each of them has to find again after a switch, on whichever thread.
#include "switchable/coroutine/ucontext.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "switchable/coroutine/testing.h"

namespace {

using ca_testing::IsOf;
using ca_testing::OnAnotherThread;
using ca_testing::ReadErrno;
using ca_testing::Recurse;
using ca_testing::Stack;

// One coroutine, its context, and the place that it was last resumed from.
class Coroutine {
 public:
  using Work = void (*)(Coroutine *);

  explicit Coroutine(Work work, unsigned carries = CA_CARRY_ALL, void *stack = nullptr)
      : work_(work), carries_(carries), context_(ca_context_create(nullptr)) {
    const ca_coroutine_settings settings = {context_, carries,
                                            stack == nullptr ? stack_.data() : stack, Stack::kSize};
    ca_ucontext_init(&self_, &settings, Body, this);
  }
  ~Coroutine() {
    ca_ucontext_destroy(&self_);
    (void)ca_context_destroy(context_);
  }
  ca_context_result Resume() {
    ca_ucontext here;
    ca_ucontext_init_here(&here, carries_);
    resumer_ = &here;
    const ca_context_result result = ca_ucontext_switch(&here, &self_);
    ca_ucontext_destroy(&here);
    return result;
  }
  ca_context_result Sleep() { return ca_ucontext_switch(&self_, resumer_); }
  ca_context context() const { return context_; }
  ca_coroutine *record() { return &self_.coroutine; }
  bool ended = false;
  int seen = 0;
  Coroutine *next = nullptr;

 private:
  static ca_ucontext *Body(void *argument) {
    auto *const self = static_cast<Coroutine *>(argument);
    self->work_(self);
    self->ended = true;
    return self->resumer_;
  }
  Work work_;
  unsigned carries_;
  Stack stack_;
  ca_context context_;
  ca_ucontext self_;
  ca_ucontext *resumer_ = nullptr;
};

TEST(UcontextTest, EachIsServedByItsOwnContextAndAllComeToTheirEnds) {
  const auto work = [](Coroutine *self) {
    for (int i = 0; i < 3; ++i) {
      const ca_block block = ca_switchable_allocate(100, 16);
      self->seen += IsOf(self->context(), block.ptr);
      EXPECT_EQ(self->Sleep(), CA_CONTEXT_DONE);
      ca_switchable_deallocate(block.ptr);
    }
  };
  Coroutine a(work);
  Coroutine b(work);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(a.Resume(), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    EXPECT_EQ(b.Resume(), CA_CONTEXT_DONE);
  }
  EXPECT_TRUE(a.ended && b.ended);
  EXPECT_EQ(a.seen, 3);
  EXPECT_EQ(b.seen, 3);
  EXPECT_EQ(ca_context_count(a.context()).deallocations, 3u);
}

TEST(UcontextTest, WhatIsCurrentGoesAlong) {
  Coroutine one([](Coroutine *self) {
    ca_switchable_use(CA_CURRENT_GLOBAL);
    (void)self->Sleep();
    self->seen = ca_switchable_current() == CA_CURRENT_GLOBAL;
    ca_switchable_use(CA_CURRENT_COROUTINE);
  });
  Coroutine other([](Coroutine *self) { self->seen = ca_switchable_current(); });
  one.Resume();
  other.Resume();
  EXPECT_EQ(other.seen, CA_CURRENT_COROUTINE);
  one.Resume();
  EXPECT_EQ(one.seen, 1);
}

TEST(UcontextTest, ErrnoIsEachOnesOwnOnRequest) {
  const auto work = [](Coroutine *self) {
    self->seen = ReadErrno();
    errno = EDOM;
    (void)self->Sleep();
    self->seen = ReadErrno();
  };
  Coroutine with(work);
  Coroutine without(work, CA_CARRY_ALL & ~CA_CARRY_ERRNO);
  errno = ERANGE;
  with.Resume();
  EXPECT_EQ(ReadErrno(), ERANGE);
  EXPECT_EQ(with.seen, 0);
  without.Resume();
  EXPECT_EQ(without.seen, ERANGE);
  EXPECT_EQ(ReadErrno(), EDOM);
  OnAnotherThread([&] {
    errno = ENOENT;
    with.Resume();
    EXPECT_EQ(ReadErrno(), ENOENT);
  });
  EXPECT_EQ(with.seen, EDOM);
}

// The thread that began the coroutine is gone, and with it AddressSanitizer's fake stack of that thread.
TEST(UcontextTest, LocalVariablesOutliveTheThreadTheyWereMadeOn) {
  Coroutine one([](Coroutine *self) {
    char local[200];
    std::memset(local, 7, sizeof local);
    ca_testing::Touch(local);
    for (int i = 0; i < 4; ++i) {
      (void)self->Sleep();
      self->seen += local[3 * i] + local[199];
    }
  });
  for (int i = 0; i < 5; ++i) OnAnotherThread([&] { EXPECT_EQ(one.Resume(), CA_CONTEXT_DONE); });
  EXPECT_EQ(one.seen, 4 * 14);
  EXPECT_TRUE(one.ended);
}

TEST(UcontextTest, AnExceptionIsCaughtOnTheCoroutinesStack) {
  Coroutine one([](Coroutine *self) {
    for (int i = 0; i < 3; ++i) {
      char kept[64] = "kept";
      ca_testing::Touch(kept);
      try {
        Recurse(20, [self] {
          if (!self->ended) throw std::runtime_error("thrown");
        });
      } catch (const std::runtime_error &) {
        self->seen += std::strcmp(kept, "kept") == 0;
      }
      (void)self->Sleep();
    }
  });
  for (int i = 0; i < 4; ++i) OnAnotherThread([&] { one.Resume(); });
  EXPECT_EQ(one.seen, 3);
}

// What the tools keep for each stack must not be left behind: neither the calls that a sleeping
// coroutine is in (ThreadSanitizer keeps 65,536 for a thread), nor its fake stack (11 MiB).
TEST(UcontextTest, CoroutinesMayBeAbandonedInTheMiddleOfTheirCalls) {
  const std::size_t before = ca_testing::AddressSpace();
  for (int i = 0; i < 400; ++i) {
    Coroutine one([](Coroutine *self) { Recurse(200, [self] { (void)self->Sleep(); }); });
    EXPECT_EQ(one.Resume(), CA_CONTEXT_DONE);
  }
  EXPECT_LT(ca_testing::AddressSpace() - before, std::size_t{1} << 30);
}

TEST(UcontextTest, ManySwitchesLeaveNothingBehind) {
  Coroutine one([](Coroutine *self) {
    for (;;) (void)self->Sleep();
  });
  for (int i = 0; i < 70000 / ca_testing::SlowBy(); ++i) one.Resume();
  EXPECT_FALSE(one.ended);
}

// Without the stacks' ids Valgrind takes a switch to a stack nearby for a very large local variable, and
// what lies between the two for unused.
TEST(UcontextTest, StacksNextToEachOtherKeepTheirContents) {
  const auto work = [](Coroutine *self) {
    char kept[512];
    std::memset(kept, 3, sizeof kept);
    ca_testing::Touch(kept);
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(self->next == nullptr ? self->Sleep() : self->next->Resume(), CA_CONTEXT_DONE);
      for (char one : kept) self->seen += one == 3;
    }
  };
  for (const int first : {0, 1}) {  // Down and up.
    Stack both(2 * Stack::kSize);
    char *const low = static_cast<char *>(both.data());
    Coroutine one(work, CA_CARRY_ALL, low + first * Stack::kSize);
    Coroutine two(work, CA_CARRY_ALL, low + (1 - first) * Stack::kSize);
    one.next = &two;
    EXPECT_EQ(one.Resume(), CA_CONTEXT_DONE);
    EXPECT_TRUE(one.ended);
    EXPECT_EQ(one.seen, 4 * 512);
    EXPECT_EQ(two.seen, 3 * 512);
  }
}

ca_ucontext *from_to[2];
void Jump(void *argument) {
  auto *const *const two = static_cast<ca_ucontext **>(argument);
  (void)swapcontext(&two[0]->registers, &two[1]->registers);
}
ca_context_result SwitchByJump(ca_ucontext *from, ca_ucontext *to) {
  from_to[0] = from;
  from_to[1] = to;
  return ca_coroutine_switch(&from->coroutine, &to->coroutine, Jump, from_to);
}

TEST(UcontextTest, TheOneCallSwitchesByAnyJump) {
  static ca_ucontext here;
  static ca_ucontext one;
  static int turns;
  Stack stack;
  const ca_coroutine_settings settings = {{nullptr, 0}, CA_CARRY_ALL, stack.data(), stack.size()};
  ca_ucontext_init_here(&here, CA_CARRY_ALL);
  ca_ucontext_init(
      &one, &settings,
      [](void *) -> ca_ucontext * {
        for (;; ++turns) EXPECT_EQ(SwitchByJump(&one, &here), CA_CONTEXT_DONE);
      },
      nullptr);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(SwitchByJump(&here, &one), CA_CONTEXT_DONE);
  EXPECT_EQ(turns, 4);
  ca_ucontext_destroy(&one);
}

TEST(UcontextTest, ARefusedSwitchChangesNothing) {
  Coroutine one([](Coroutine *self) { (void)self->Sleep(); });
  errno = ERANGE;
  ASSERT_EQ(ca_context_swap_in(one.context()), CA_CONTEXT_DONE);
  OnAnotherThread([&] { EXPECT_EQ(one.Resume(), CA_CONTEXT_HELD); });
  ca_context_swap_out();
  EXPECT_EQ(one.Resume(), CA_CONTEXT_DONE);
  ASSERT_EQ(ca_context_destroy(one.context()), CA_CONTEXT_DONE);
  EXPECT_EQ(one.Resume(), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  EXPECT_EQ(ReadErrno(), ERANGE);
  EXPECT_FALSE(one.ended);
}

TEST(UcontextTest, ACoroutineMayResumeAnother) {
  static Coroutine *inner;
  Coroutine two([](Coroutine *self) {
    const ca_block block = ca_switchable_allocate(10, 16);
    self->seen = IsOf(self->context(), block.ptr);
    (void)self->Sleep();
  });
  inner = &two;
  Coroutine one([](Coroutine *self) {
    char local[100] = "mine";
    ca_testing::Touch(local);
    EXPECT_EQ(inner->Resume(), CA_CONTEXT_DONE);
    const ca_block block = ca_switchable_allocate(10, 16);
    self->seen = IsOf(self->context(), block.ptr) && std::strcmp(local, "mine") == 0;
    EXPECT_EQ(inner->Resume(), CA_CONTEXT_DONE);
  });
  EXPECT_EQ(one.Resume(), CA_CONTEXT_DONE);
  EXPECT_EQ(one.seen, 1);
  EXPECT_EQ(two.seen, 1);
  EXPECT_TRUE(one.ended && two.ended);
}

}  // namespace
