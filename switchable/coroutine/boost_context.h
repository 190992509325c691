/* switchable/coroutine/boost_context.h - boost::context::fiber that carries its memory.
 *
 *   ca::boost_fiber one(context, CA_CARRY_ERRNO, boost::context::fixedsize_stack(),
 *                       [](auto &self) {
 *                         ... malloc() ...   from the context
 *                         self.suspend();
 *                       });
 *   one.resume();   until it suspends or has come to its end
 *
 * Idea        a ca_coroutine (see coroutine.h) beside the library's own object, which does the
 *             switch. Stacks come from any of the library's stack allocators, or one like them.
 * Cost        the library's and coroutine.h's.
 * Errors      resume() and suspend() are refused as ca_coroutine_leave() is, and have then changed
 *             nothing. The body must not throw.
 * Unwinding   the destructor of a fiber that is suspended unwinds its stack, as the library does: with
 *             its own context swapped in, or if that is gone with what is current there.
 * Ownership   the stack is the object's, the context is the caller's.
 * Threads     a suspended fiber may be resumed, or destroyed, by any thread, one at a time.
 * Tested      with Boost 1.74.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_BOOST_CONTEXT_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_BOOST_CONTEXT_H_

#include <boost/context/fiber.hpp>
#include <boost/context/preallocated.hpp>
#include <memory>
#include <utility>

#include "switchable/coroutine/coroutine.h"

namespace ca {

/* ThreadSanitizer sees calls: each is to end on the stack, by its idea, that it was made on. The
 * library's own functions are compiled with the user's code, and it is told of a switch before
 * them. So all switches go by the same function, and an end is told by who was resumed by it. */
template <class StackAllocator>
class boost_fiber {
 public:
  /* body(boost_fiber &self) runs in the fiber. Throws what the stack allocator throws. */
  template <class Body>
  boost_fiber(ca_context context, unsigned carries, StackAllocator stacks, Body body)
      : stacks_(std::move(stacks)), stack_(stacks_.allocate()) {
    const ca_coroutine_settings settings = {
        context, carries, static_cast<char *>(stack_.sp) - stack_.size, stack_.size};
    ca_coroutine_init(&record_, &settings);
    ca_coroutine here;
    ca_coroutine_init_here(&here, carries);
    ca_coroutine_tell_leave(&here, &record_, &here.fake_stack);
    create(std::move(body)); /* Goes there and back, up to where the body would begin. */
    ca_coroutine_tell_arrive(&record_);
    ca_coroutine_tell_leave(&record_, &here, &record_.fake_stack);
    ca_coroutine_tell_arrive(&here);
  }
  boost_fiber(const boost_fiber &) = delete;
  boost_fiber &operator=(const boost_fiber &) = delete;
  ~boost_fiber() {
    if (!has_ended()) unwind();
    ca_coroutine_destroy(&record_);
    stacks_.deallocate(stack_);
  }

  /* Runs it, from anywhere but itself, until it suspends or has come to its end. Requires that it
   * has not. */
  ca_context_result resume() {
    ca_coroutine here;
    ca_coroutine_init_here(&here, record_.carries);
    resumer_ = &here;
    ca_context_result result = ca_coroutine_leave(&here, &record_);
    if (result != CA_CONTEXT_DONE) return result;
    begun_ = true;
    hop();
    if (has_ended()) {
      (void)ca_coroutine_exit(&record_, &here);
      ca_coroutine_tell_leave(&record_, &here, nullptr);
    }
    ca_coroutine_arrive(&here);
    return CA_CONTEXT_DONE;
  }

  /* Back to who resumed it. To be called in the fiber. Refused if the resumer's context is gone. */
  ca_context_result suspend() {
    const ca_context_result result = ca_coroutine_leave(&record_, resumer_);
    if (result != CA_CONTEXT_DONE) return result;
    try {
      hop();
    } catch (...) { /* boost::context::detail::forced_unwind, of the destructor. */
      ca_coroutine_arrive(&record_);
      throw;
    }
    ca_coroutine_arrive(&record_);
    return CA_CONTEXT_DONE;
  }

  bool has_ended() const { return ended_; }

 private:
  /* The stack outlives the library's object on it. */
  struct keeping_stack_allocator {
    void deallocate(boost::context::stack_context &) noexcept {}
  };
  struct end_mark {
    boost_fiber *of;
    ~end_mark() { of->ended_ = true; }
  };

  template <class Body>
  __attribute__((noinline)) void create(Body body) {
    other_ = boost::context::fiber(
        std::allocator_arg, boost::context::preallocated(stack_.sp, stack_.size, stack_),
        keeping_stack_allocator(),
        [this, body = std::move(body)](boost::context::fiber &&resumer) mutable {
          const end_mark mark{this};
          other_ = std::move(resumer);
          ca_coroutine_arrive(&record_);
          body(*this);
          return std::move(other_);
        });
  }

  __attribute__((noinline)) void hop() { other_ = std::move(other_).resume(); }

  __attribute__((noinline)) void drop() { const boost::context::fiber last = std::move(other_); }

  void unwind() {
    ca_coroutine here;
    ca_coroutine_init_here(&here, record_.carries);
    const bool has_memory = begun_ && ca_coroutine_carry(&here, &record_) == CA_CONTEXT_DONE;
    ca_coroutine_tell_leave(&here, &record_, &here.fake_stack);
    drop();
    if (has_memory) (void)ca_coroutine_exit(&record_, &here);
    if (!begun_) ca_coroutine_tell_arrive(&record_);
    ca_coroutine_tell_leave(&record_, &here, nullptr);
    ca_coroutine_tell_arrive(&here);
  }

  StackAllocator stacks_;
  boost::context::stack_context stack_;
  ca_coroutine record_;
  ca_coroutine *resumer_ = nullptr; /* While it runs. */
  boost::context::fiber other_; /* The fiber while it sleeps, and while it runs who resumed it. */
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_BOOST_CONTEXT_H_
