/* switchable/coroutine/cxx20.h - C++20 coroutines that carry their memory.
 *
 *   struct task { struct promise_type : ca::carried { using carried::carried; ... }; ... };
 *   task serve(ca_context context, request r);   runs in that context, whoever resumes it
 *   task look_up(key k);                         in the one that is swapped in when it is called
 *
 * Idea        such a coroutine runs on the stack of who resumes it. So a promise type that derives
 *             from ca::carried swaps in where the body begins and where it goes on after a co_await,
 *             and back where it goes to sleep and at its end. Whoever resumes it (an executor, a
 *             callback, another coroutine by symmetric transfer) needs to know nothing.
 * Cost        coroutine.h's enter and exit for each sleep; none for an await that is ready.
 * Overhead    sizeof(ca::carried) in the frame.
 * Errors      where the coroutine's context is gone, or held elsewhere, ca::context_refused is thrown
 *             out of the co_await (or goes to unhandled_exception() before the body begins), and the
 *             coroutine goes on with what its resumer has current.
 * The frame   is allocated before any of this: adaptors/coroutine_frame chooses whose memory.
 * co_yield    is not seen by a promise: yield_value() has to return sleep(std::suspend_always()), or
 *             whatever it would return else in the place of the last.
 * Ownership   the context is the caller's, and must outlive the coroutine's last sleep.
 * Threads     a sleeping coroutine may be resumed by any thread.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_CXX20_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_CXX20_H_

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "switchable/coroutine/coroutine.h"

namespace ca {

class context_refused : public std::exception {
 public:
  explicit context_refused(ca_context_result result) : result_(result) {}
  const char *what() const noexcept override { return "the coroutine's context is gone or held"; }
  ca_context_result result() const { return result_; }

 private:
  ca_context_result result_;
};

/* Whose co_await an awaitable needs: its own, a free one, or none. */
template <typename Awaitable>
decltype(auto) awaiter_of(Awaitable &&awaitable) {
  if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
    return std::forward<Awaitable>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<Awaitable>(awaitable)); }) {
    return operator co_await(std::forward<Awaitable>(awaitable));
  } else {
    return std::forward<Awaitable>(awaitable);
  }
}

class carried {
  template <typename Awaiter>
  struct first_awaiter {
    carried *promise;
    Awaiter awaiter;

    bool await_ready() { return awaiter.await_ready(); }
    template <typename Promise>
    auto await_suspend(std::coroutine_handle<Promise> handle) {
      return awaiter.await_suspend(handle);
    }
    void await_resume() {
      promise->enter_or_throw();
      awaiter.await_resume();
    }
  };

  template <typename Awaiter>
  struct sleep_awaiter {
    carried *promise;
    Awaiter awaiter;
    bool asleep = false;

    bool await_ready() { return awaiter.await_ready(); }
    /* Swaps out first: by the time that the awaiter returns, the coroutine may run elsewhere, or be no
     * more. */
    template <typename Promise>
    auto await_suspend(std::coroutine_handle<Promise> handle) {
      promise->exit();
      asleep = true;
      try {
        return awaiter.await_suspend(handle);
      } catch (...) { /* It doesn't sleep then. */
        (void)promise->enter();
        throw;
      }
    }
    decltype(auto) await_resume() {
      if (asleep) promise->enter_or_throw();
      return awaiter.await_resume();
    }
  };

 public:
  /* From the coroutine's parameters: the first ca_context among them, if any. */
  template <typename... Parameters>
  explicit carried(const Parameters &...parameters) {
    const ca_coroutine_settings settings = {{nullptr, 0}, CA_CARRY_NOTHING, nullptr, 0};
    ca_coroutine_init(&record_, &settings);
    record_.memory = ca_switchable_save();
    bool found = false;
    (take(parameters, &found), ...);
  }
  carried(const carried &) = delete;
  carried &operator=(const carried &) = delete;

  /* errno goes along from now on, to begin with 0. For get_return_object(). */
  void carry_errno() { record_.carries = CA_CARRY_ERRNO; }

  /* For promise types that have initial_suspend(), yield_value(), final_suspend() of their own: each
   * returns one of these three, of what it would return else. */
  template <typename Awaiter>
  auto first(Awaiter awaiter) {
    return first_awaiter<Awaiter>{this, std::move(awaiter)};
  }
  template <typename Awaitable>
  auto sleep(Awaitable &&awaitable) {
    using awaiter = decltype(awaiter_of(std::forward<Awaitable>(awaitable)));
    /* One that is there already is used in its place; one made for the occasion is kept. */
    return sleep_awaiter<std::conditional_t<std::is_lvalue_reference_v<awaiter>, awaiter,
                                            std::remove_reference_t<awaiter>>>{
        this, awaiter_of(std::forward<Awaitable>(awaitable))};
  }
  template <typename Awaiter>
  Awaiter last(Awaiter awaiter) noexcept {
    exit();
    return awaiter;
  }

  template <typename Awaitable>
  auto await_transform(Awaitable &&awaitable) {
    return sleep(std::forward<Awaitable>(awaitable));
  }
  auto initial_suspend() { return first(std::suspend_always()); }
  auto final_suspend() noexcept { return last(std::suspend_always()); }

 private:
  template <typename Parameter>
  void take(const Parameter &parameter, bool *found) {
    if constexpr (std::is_same_v<Parameter, ca_context>) {
      if (*found || ca_context_is_none(parameter)) return;
      record_.memory = {parameter, CA_CURRENT_COROUTINE};
      *found = true;
    }
  }
  ca_context_result enter() noexcept {
    const ca_context_result result = ca_coroutine_enter(&record_, &outside_);
    inside_ = result == CA_CONTEXT_DONE;
    return result;
  }
  void enter_or_throw() {
    const ca_context_result result = enter();
    if (result != CA_CONTEXT_DONE) throw context_refused(result);
  }
  void exit() noexcept {
    if (inside_) (void)ca_coroutine_exit(&record_, &outside_);
    inside_ = false;
  }

  ca_coroutine record_;
  ca_coroutine outside_{};
  bool inside_ = false;
};

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_CXX20_H_
