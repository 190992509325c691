/* adaptors/coroutine_frame/coroutine_frame.h - a C++20 coroutine's frame in a chosen allocator.
 *
 * Idea        a promise type that derives from ca::coroutine_frame<> puts the coroutine's frame into
 *             the allocator that follows std::allocator_arg in the coroutine's parameters, first or
 *             (where a lambda or a member function is the coroutine) after its object:
 *
 *               struct task { struct promise_type : ca::coroutine_frame<> { ... }; ... };
 *               task serve(std::allocator_arg_t, ca_allocator *allocator, request r);
 *
 *             A coroutine without these parameters uses the allocator that kDefault() returns when
 *             the coroutine is called; without a kDefault it doesn't compile.
 * Cost        the allocator's own, and one pointer written and read.
 * Overhead    8 bytes a frame: the allocator, behind the frame, for the deallocation.
 * Alignment   that of operator new (16). C++20 has no means to ask for more.
 * Errors      if the allocator refuses, std::bad_alloc comes out of the call of the coroutine. With
 *             ca::out_of_memory::returns the promise type has to define
 *             get_return_object_on_allocation_failure(), and its result is what the call returns.
 * Elision     a compiler may place a frame inside its caller's, and then asks no allocator.
 * Ownership   the allocator must outlive the coroutine's frame.
 * Threads     a frame may be destroyed on another thread than it was made on if the allocator
 *             can deallocate there.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_COROUTINE_FRAME_COROUTINE_FRAME_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_COROUTINE_FRAME_COROUTINE_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "adaptors/bad_alloc/bad_alloc.h"
#include "allocators/allocator.h"

namespace ca {

/* What the call of a coroutine does that gets no frame. */
enum class out_of_memory { throws, returns };

/* Returns the allocator for a frame that names none. Not null. */
using default_allocator = ca_allocator *(*)();

/* A frame and, behind it, the allocator that takes it back. */
struct frame_and_allocator {
  static constexpr std::size_t align = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

  /* Returns NULL iff the allocator refuses. */
  static void *allocate(std::size_t size, ca_allocator *allocator) noexcept {
    const ca_block block = ca_allocate(allocator, size + sizeof allocator, align);
    if (CA_UNLIKELY(ca_block_is_none(block))) return nullptr;
    std::memcpy(static_cast<char *>(block.ptr) + size, &allocator, sizeof allocator);
    return block.ptr;
  }

  static void *allocate_or_throw(std::size_t size, ca_allocator *allocator) {
    void *const frame = allocate(size, allocator);
    if (CA_UNLIKELY(frame == nullptr)) throw_bad_alloc();
    return frame;
  }

  /* Inline, or gcc 12 takes an operator new that is a template for another class's
   * (-Wmismatched-new-delete), in the user's code where nothing can be done about it. */
  __attribute__((always_inline)) static inline void operator delete(void *frame,
                                                                    std::size_t size) noexcept {
    ca_allocator *allocator;
    std::memcpy(&allocator, static_cast<char *>(frame) + size, sizeof allocator);
    ca_deallocate(allocator, frame, size + sizeof allocator, align);
  }
};

/* Not a comparison: with UBSan, gcc 12 takes that of a function's address for no constant. */
template <default_allocator kDefault>
inline constexpr bool is_default = true;
template <>
inline constexpr bool is_default<nullptr> = false;

/* The compiler hands the frame's size and the coroutine's parameters to operator new. */
template <out_of_memory kOutOfMemory = out_of_memory::throws, default_allocator kDefault = nullptr>
class coroutine_frame : private frame_and_allocator {
 public:
  template <typename... Rest>
  static void *operator new(std::size_t size, std::allocator_arg_t, ca_allocator *allocator,
                            const Rest &...) {
    return allocate_or_throw(size, allocator);
  }
  template <typename Object, typename... Rest>
  static void *operator new(std::size_t size, const Object &, std::allocator_arg_t,
                            ca_allocator *allocator, const Rest &...) {
    return allocate_or_throw(size, allocator);
  }
  static void *operator new(std::size_t size) {
    static_assert(is_default<kDefault>,
                  "the coroutine names no allocator, and there is no default");
    return allocate_or_throw(size, kDefault());
  }
  using frame_and_allocator::operator delete;
};

/* The same with noexcept, by which the compiler knows that the result may be null. (One class with
 * a conditional noexcept is refused by clang 14, which looks before it has instantiated it.) */
template <default_allocator kDefault>
class coroutine_frame<out_of_memory::returns, kDefault> : private frame_and_allocator {
 public:
  template <typename... Rest>
  static void *operator new(std::size_t size, std::allocator_arg_t, ca_allocator *allocator,
                            const Rest &...) noexcept {
    return allocate(size, allocator);
  }
  template <typename Object, typename... Rest>
  static void *operator new(std::size_t size, const Object &, std::allocator_arg_t,
                            ca_allocator *allocator, const Rest &...) noexcept {
    return allocate(size, allocator);
  }
  static void *operator new(std::size_t size) noexcept {
    static_assert(is_default<kDefault>,
                  "the coroutine names no allocator, and there is no default");
    return allocate(size, kDefault());
  }
  using frame_and_allocator::operator delete;
};

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_COROUTINE_FRAME_COROUTINE_FRAME_H_
