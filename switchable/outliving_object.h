/* switchable/outliving_object.h - a C++ object that outlives the request that makes it.
 *
 * Idea        ca::make_outliving<T>(arguments...) makes a T in memory of the global allocator and
 *             with the global allocator current, so that what T's constructor allocates is global
 *             too: all of a std::map of strings outlives the context in which it was made. T is
 *             destroyed the same way, by whomever, on whichever thread.
 * No leaks of a context's memory into it
 *             the arguments are passed on as lvalues, so that T copies what they hold and never
 *             takes over a buffer of the context; the object can be read by * and ->, and is
 *             changed by change(), during which the global allocator is current.
 * Cost        a block for the object; for each making, change, clone and destruction one
 *             ca_switchable_run().
 * Overhead    a pointer.
 * Errors      std::bad_alloc iff the global allocator refuses, and what T throws: what was current
 *             is so again, and nothing is lost. What T throws is itself made under the global
 *             allocator.
 * Move        takes the object over, without touching it; the source is then empty.
 * Threads     as T.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_OUTLIVING_OBJECT_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_OUTLIVING_OBJECT_H_

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "adaptors/bad_alloc/bad_alloc.h"
#include "base/check.h"
#include "switchable/outliving.h"
#include "switchable/switchable.h"

namespace ca {

/* Runs body() with the global allocator current; however it is left, what was current is so again,
 * as ca_switchable_run() says. */
template <typename Body>
void run_globally(Body &&body) {
  using body_type = std::remove_reference_t<Body>;
  const auto run = [](void *argument) { (*static_cast<body_type *>(argument))(); };
  (void)ca_switchable_run(CA_CURRENT_GLOBAL, run,
                          const_cast<void *>(static_cast<const void *>(std::addressof(body))));
}

template <typename T>
class outliving {
 public:
  using element_type = T;

  outliving() noexcept = default; /* Empty. */
  outliving(outliving &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  outliving &operator=(outliving &&other) noexcept {
    outliving(std::move(other)).swap(*this);
    return *this;
  }
  outliving(const outliving &) = delete; /* See clone(). */
  outliving &operator=(const outliving &) = delete;
  ~outliving() { reset(); }

  /* Another one, with a copy of the object; empty if this is. */
  outliving clone() const {
    outliving copy;
    if (object_ != nullptr) copy.emplace(*object_);
    return copy;
  }

  /* Destroys the object. */
  void reset() noexcept {
    T *const object = std::exchange(object_, nullptr);
    if (object == nullptr) return;
    run_globally([object] { object->~T(); });
    ca_outliving_free(object);
  }

  /* Makes a new object, and then destroys the old one: if T's constructor throws, that is still
   * there. */
  template <typename... Arguments>
  void emplace(Arguments &&...arguments) {
    std::unique_ptr<void, freeing> block(ca_outliving_allocate(sizeof(T), alignof(T)).ptr);
    if (CA_UNLIKELY(block == nullptr)) throw_bad_alloc();
    T *made = nullptr;
    run_globally([&] { made = ::new (block.get()) T(arguments...); });
    (void)block.release();
    reset();
    object_ = made;
  }

  /* Calls change(T &) with the global allocator current. Requires that there is an object. */
  template <typename Change>
  void change(Change &&change) {
    CA_ASSERT(object_ != nullptr);
    run_globally([this, &change] { change(*object_); });
  }

  const T &operator*() const noexcept {
    CA_ASSERT(object_ != nullptr);
    return *object_;
  }
  const T *operator->() const noexcept { return &**this; }
  const T *get() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

  void swap(outliving &other) noexcept { std::swap(object_, other.object_); }
  friend void swap(outliving &left, outliving &right) noexcept { left.swap(right); }

  /* Objects are compared; what is empty equals what is empty, and comes first. */
  friend bool operator==(const outliving &left, const outliving &right) {
    if (!left || !right) return !left && !right;
    return *left == *right;
  }
  friend bool operator<(const outliving &left, const outliving &right) {
    if (!left || !right) return !left && right;
    return *left < *right;
  }
  friend bool operator!=(const outliving &left, const outliving &right) { return !(left == right); }
  friend bool operator>(const outliving &left, const outliving &right) { return right < left; }
  friend bool operator<=(const outliving &left, const outliving &right) { return !(right < left); }
  friend bool operator>=(const outliving &left, const outliving &right) { return !(left < right); }

 private:
  struct freeing {
    void operator()(void *block) const noexcept { ca_outliving_free(block); }
  };

  T *object_ = nullptr;
};

/* Makes a T from the arguments, which it copies. */
template <typename T, typename... Arguments>
outliving<T> make_outliving(Arguments &&...arguments) {
  outliving<T> made;
  made.emplace(arguments...);
  return made;
}

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_SWITCHABLE_OUTLIVING_OBJECT_H_
