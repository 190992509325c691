// C++20 coroutines: who serves them, whoever resumes them, on whichever thread.
#include "switchable/coroutine/cxx20.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "adaptors/coroutine_frame/coroutine_frame.h"
#include "switchable/coroutine/testing.h"

namespace {

using ca_testing::IsOf;
using ca_testing::OnAnotherThread;
using ca_testing::ReadErrno;

// Begins when it is first resumed or awaited; awaited, it resumes who awaits it at its end.
template <bool kCarriesErrno>
struct BasicTask {
  struct promise_type : ca::carried,
                        ca::coroutine_frame<ca::out_of_memory::throws, ca_switchable_allocator> {
    using ca::carried::carried;
    BasicTask get_return_object() {
      if (kCarriesErrno) carry_errno();
      return BasicTask{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    struct resume_awaiting {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
        return self.promise().awaiting;
      }
      void await_resume() noexcept {}
    };
    auto final_suspend() noexcept { return last(resume_awaiting()); }
    auto yield_value(int value) {
      yielded = value;
      return sleep(std::suspend_always());
    }
    void return_void() {}
    void unhandled_exception() { failure = std::current_exception(); }

    std::coroutine_handle<> awaiting = std::noop_coroutine();
    std::exception_ptr failure;
    int yielded = 0;
  };

  explicit BasicTask(std::coroutine_handle<promise_type> h) : handle(h) {}
  BasicTask(BasicTask &&other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~BasicTask() {
    if (handle) handle.destroy();
  }
  void Resume() { handle.resume(); }
  auto operator co_await() {
    struct awaiter {
      std::coroutine_handle<promise_type> task;
      bool await_ready() { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> who) {
        task.promise().awaiting = who;
        return task;
      }
      void await_resume() {
        if (task.promise().failure) std::rethrow_exception(task.promise().failure);
      }
    };
    return awaiter{handle};
  }
  std::coroutine_handle<promise_type> handle;
};
using Task = BasicTask<true>;
using PlainTask = BasicTask<false>;

class Cxx20Test : public testing::Test {
 protected:
  ~Cxx20Test() override {
    EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
    (void)ca_context_destroy(context_);
    (void)ca_context_destroy(other_);
  }
  ca_context context_ = ca_context_create(nullptr);
  ca_context other_ = ca_context_create(nullptr);
};

bool ServedBy(ca_context context) {
  const ca_block block = ca_switchable_allocate(32, 16);
  const bool yes = IsOf(context, block.ptr);
  ca_switchable_deallocate(block.ptr);
  return yes;
}

Task Steps(ca_context context, int *own) {
  *own += ServedBy(context);
  co_await std::suspend_always();
  *own += ServedBy(context);
  co_yield 7;
  *own += ServedBy(context);
  ca_switchable_use(CA_CURRENT_GLOBAL);
  co_await std::suspend_always();
  *own += ca_switchable_current() == CA_CURRENT_GLOBAL;
}

TEST_F(Cxx20Test, RunsInItsContextAndNobodyElseDoes) {
  int own = 0;
  int other = 0;
  const Task one = Steps(context_, &own);
  Task two = Steps(other_, &other);
  EXPECT_EQ(own, 0);  // Not begun.
  for (int i = 0; i < 4; ++i) {
    one.handle.resume();
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    two.Resume();
    if (i == 1) {
      EXPECT_EQ(one.handle.promise().yielded, 7);
    }
  }
  EXPECT_TRUE(one.handle.done() && two.handle.done());
  EXPECT_EQ(own, 4);
  EXPECT_EQ(other, 4);
}

TEST_F(Cxx20Test, MayBeResumedByAnyThread) {
  int own = 0;
  Task one = Steps(context_, &own);
  for (int i = 0; i < 4; ++i) OnAnotherThread([&] { one.Resume(); });
  EXPECT_EQ(own, 4);
}

template <typename AnyTask>
AnyTask SetsErrno(ca_context, int *seen) {
  errno = EDOM;
  co_await std::suspend_always();
  *seen = ReadErrno();
}

TEST_F(Cxx20Test, ErrnoIsItsOwnOnRequest) {
  int seen[2] = {};
  Task with = SetsErrno<Task>(context_, &seen[0]);
  PlainTask without = SetsErrno<PlainTask>(other_, &seen[1]);
  errno = ERANGE;
  with.Resume();
  EXPECT_EQ(ReadErrno(), ERANGE);
  without.Resume();
  EXPECT_EQ(ReadErrno(), EDOM);
  errno = ENOENT;
  OnAnotherThread([&] {
    errno = ENOSPC;
    with.Resume();
    EXPECT_EQ(ReadErrno(), ENOSPC);
    without.Resume();
  });
  EXPECT_EQ(seen[0], EDOM);
  EXPECT_EQ(seen[1], ENOSPC);
}

Task Inherits(ca_context expected, int *own) {
  *own += ServedBy(expected);
  co_await std::suspend_always();
  *own += ServedBy(expected);
}

Task Awaits(ca_context context, ca_context inner, int *own) {
  co_await Inherits(context, own);  // Names no context: this one's.
  *own += ServedBy(context);
  co_await Steps(inner, own);
  *own += ServedBy(context);
}

TEST_F(Cxx20Test, OneThatAwaitsAnotherIsBackInItsOwn) {
  int own = 0;
  Task one = Awaits(context_, other_, &own);
  one.Resume();  // Up to the first sleep of the inner one, which nobody ends.
  EXPECT_EQ(own, 1);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
}

// Sleeps until it is woken, by whom and where that may be.
struct Gate {
  std::coroutine_handle<> sleeper;
  bool open = false;
  bool await_ready() const { return open; }
  bool await_suspend(std::coroutine_handle<> who) {
    sleeper = who;
    return !open;
  }
  int await_resume() const { return 5; }
};

Task Inner(Gate *gate, ca_context expected, int *own) {
  *own += ServedBy(expected);
  *own += co_await *gate == 5;
  *own += ServedBy(expected);
}

Task Outer(ca_context context, ca_context inner, Gate *gate, int *own) {
  co_await Inner(gate, context, own);
  *own += ServedBy(context);
  struct {
    Task operator()(ca_context named, int *counted) const {
      *counted += ServedBy(named);
      co_return;
    }
  } lambda;
  co_await lambda(inner, own);
  *own += ServedBy(context);
}

TEST_F(Cxx20Test, AChainOfThemGoesOnWhereverItIsWoken) {
  int own = 0;
  Gate gate;
  Task one = Outer(context_, other_, &gate, &own);
  one.Resume();
  EXPECT_EQ(own, 1);
  EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
  OnAnotherThread([&] {
    gate.sleeper.resume();
    EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
  });
  EXPECT_TRUE(one.handle.done());
  EXPECT_EQ(own, 6);
}

TEST_F(Cxx20Test, AnAwaitThatIsReadySwitchesNothing) {
  int own = 0;
  Gate gate;
  gate.open = true;
  Task one = Outer(context_, other_, &gate, &own);
  one.Resume();
  EXPECT_TRUE(one.handle.done());
  EXPECT_EQ(own, 6);
}

struct SaysNoOrThrows {
  bool throws;
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<>) {
    if (throws) throw std::runtime_error("not asleep");
    return false;
  }
  void await_resume() const {}
};

Task StaysAwake(ca_context context, int *own) {
  co_await SaysNoOrThrows{false};
  *own += ServedBy(context);
  try {
    co_await SaysNoOrThrows{true};
  } catch (const std::runtime_error &) {
    *own += ServedBy(context);
  }
}

TEST_F(Cxx20Test, OneThatDoesNotFallAsleepAfterAllIsBackInItsOwn) {
  int own = 0;
  Task one = StaysAwake(context_, &own);
  one.Resume();
  EXPECT_TRUE(one.handle.done());
  EXPECT_EQ(own, 2);
}

Task Catches(ca_context, ca_context_result *result) {
  try {
    co_await std::suspend_always();
  } catch (const ca::context_refused &refused) {
    *result = refused.result();
  }
}

TEST_F(Cxx20Test, ARefusedContextIsAnExceptionInTheCoroutine) {
  ca_context_result result = CA_CONTEXT_DONE;
  Task one = Catches(context_, &result);
  one.Resume();
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  OnAnotherThread([&] { one.Resume(); });
  EXPECT_EQ(result, CA_CONTEXT_HELD);
  EXPECT_TRUE(one.handle.done());
  ca_context_swap_out();
  ASSERT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
  Task late = Catches(context_, &result);  // Never begins.
  late.Resume();
  EXPECT_TRUE(late.handle.done());
  EXPECT_THROW(std::rethrow_exception(late.handle.promise().failure), ca::context_refused);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
}

TEST_F(Cxx20Test, ItMayBeDestroyedAsleepByAnyone) {
  int own = 0;
  auto one = std::make_unique<Task>(Steps(context_, &own));
  one->Resume();
  OnAnotherThread([&] { one.reset(); });
  EXPECT_EQ(own, 1);
  EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
}

}  // namespace
