/* switchable/coroutine/guards.h - C++: for a scope, something else serves malloc; then what did before.
 *
 * Idea        each guard changes what serves when it is made and puts it back when it is left, by
 *             whatever way a scope is left. The scope may be left on another thread than it was
 *             begun on, if the coroutine around it moved there by a switch that carries its state.
 * Cost        of the calls of switchable.h, in the constructor and in the destructor.
 * Errors      a constructor can't return one: ask the guard. One that could not do its part has
 *             changed nothing, and its destructor does nothing. What was before may itself be gone
 *             when a destructor comes back to it: then what is current stays.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_GUARDS_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_GUARDS_H_

#include "switchable/coroutine/coroutine.h"
#include "switchable/switchable.h"

namespace ca {

/* Something that must not be done twice. */
class scope_guard {
 public:
  scope_guard() = default;
  scope_guard(const scope_guard &) = delete;
  scope_guard &operator=(const scope_guard &) = delete;
};

/* One of the three is current:
 *
 *   const ca::current_guard global(CA_CURRENT_GLOBAL);
 *   cache.insert(...);  // Outlives the request.
 */
class current_guard : scope_guard {
 public:
  explicit current_guard(ca_current current)
      : previous_(ca_switchable_current()), done_(ca_switchable_use(current)) {}
  ~current_guard() {
    if (done_) ca_switchable_use(previous_);
  }
  /* Whether this thread had such. */
  explicit operator bool() const { return done_; }

 private:
  ca_current previous_;
  bool done_;
};

/* Another state serves: a context in the place of the one that is swapped in, if any. */
class context_guard : scope_guard {
 public:
  explicit context_guard(ca_context context)
      : context_guard(ca_switchable_state{context, CA_CURRENT_COROUTINE}) {}
  explicit context_guard(ca_switchable_state state)
      : result_(ca_switchable_replace(state, &previous_)) {}
  ~context_guard() {
    if (result_ == CA_CONTEXT_DONE) (void)ca_switchable_restore(previous_);
  }
  ca_context_result result() const { return result_; }
  explicit operator bool() const { return result_ == CA_CONTEXT_DONE; }

 private:
  ca_switchable_state previous_{};
  ca_context_result result_;
};

/* Nothing is swapped in and the global allocator serves: around a call by which others run on this
 * thread, and which may come back on another, if it knows nothing of contexts:
 *
 *   {
 *     ca::away_guard away;
 *     some_library_yield();
 *   }  // Here the coroutine has its context again.
 */
class away_guard : scope_guard {
 public:
  away_guard() { (void)ca_switchable_replace({{nullptr, 0}, CA_CURRENT_GLOBAL}, &previous_); }
  ~away_guard() { (void)come_back(); }
  /* As the destructor, but says whether it worked. Once is enough. */
  ca_context_result come_back() {
    const ca_context_result result =
        away_ ? ca_switchable_restore(previous_) : ca_context_result{CA_CONTEXT_DONE};
    away_ = away_ && result != CA_CONTEXT_DONE;
    return result;
  }

 private:
  ca_switchable_state previous_{};
  bool away_ = true;
};

/* What a coroutine without a stack of its own has serves, and is kept for its next turn. */
class coroutine_guard : scope_guard {
 public:
  explicit coroutine_guard(ca_coroutine *coroutine)
      : coroutine_(coroutine), result_(ca_coroutine_enter(coroutine, &outside_)) {}
  ~coroutine_guard() {
    if (result_ == CA_CONTEXT_DONE) (void)ca_coroutine_exit(coroutine_, &outside_);
  }
  ca_context_result result() const { return result_; }
  explicit operator bool() const { return result_ == CA_CONTEXT_DONE; }

 private:
  ca_coroutine *coroutine_;
  ca_coroutine outside_{};
  ca_context_result result_;
};

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_GUARDS_H_
