/* adaptors/from_memory_resource/from_memory_resource.h - a std::pmr::memory_resource as an
 * allocator.
 *
 * Idea        any memory_resource behind everything here that takes an allocator. Sizes are rounded
 *             up to a multiple of the alignment, as they are for every C++ object: the rest is the
 *             caller's excess, and whichever fitting size a caller names later, the resource is
 *             told exactly what it was asked for, as the standard demands, though nothing is stored
 *             beside a block.
 * Cost        the resource's own, one virtual call, and errno saved and put back.
 * Overhead    none per block but the rounding.
 * Alignment   the resource's. A misaligned block (libstdc++ 12 returns some from its pools, for
 *             sizes that are no such multiples) goes back and counts as a refusal.
 * Errors      allocate: none iff the resource throws (whatever it throws), returns a misaligned
 *             block, or size and alignment together exceed PTRDIFF_MAX, which it isn't asked at
 *             all. (It can't return null: the compiler may take that for granted.) grow and shrink:
 *             none unless the rounded size stays the same, for a memory_resource can't resize;
 *             ca_reallocate() copies. A resource that throws on deallocate, against the standard,
 *             is reported by name. The cancellation of a thread inside the resource goes on.
 * Ownership   the resource must outlive the allocator.
 * Threads     as the resource.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FROM_MEMORY_RESOURCE_FROM_MEMORY_RESOURCE_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FROM_MEMORY_RESOURCE_FROM_MEMORY_RESOURCE_H_

#include <cxxabi.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory_resource>

#include "allocators/allocator.h"

#if !defined(__cpp_exceptions)
#error "a memory_resource refuses by throwing: from_memory_resource needs exceptions"
#endif

namespace ca {

class from_memory_resource {
 public:
  explicit from_memory_resource(std::pmr::memory_resource *resource) noexcept
      : base_{&ops}, resource_(resource) {
    CA_ASSERT(resource != nullptr);
  }

  /* Stays where it is: its address is the allocator. */
  from_memory_resource(const from_memory_resource &) = delete;
  from_memory_resource &operator=(const from_memory_resource &) = delete;

  /* The allocator interface; valid as long as this object is. */
  ca_allocator *allocator() noexcept { return &base_; }
  std::pmr::memory_resource *resource() const noexcept { return resource_; }

 private:
  static std::pmr::memory_resource *resource_of(ca_allocator *base) {
    return reinterpret_cast<from_memory_resource *>(base)->resource_;
  }

  /* A forced unwinding is caught as a reference to nothing, which it is no error to rethrow. */
#define CA_CATCHES_FORCED_UNWIND __attribute__((no_sanitize("undefined")))

  CA_CATCHES_FORCED_UNWIND
  static void *ask(std::pmr::memory_resource *resource, std::size_t size, std::size_t align) {
    try {
      return resource->allocate(size, align);
#if defined(__GLIBCXX__)
    } catch (abi::__forced_unwind &) { /* pthread_cancel(): the thread ends, whoever catches. */
      throw;
#endif
    } catch (...) {
      return nullptr;
    }
  }

  CA_CATCHES_FORCED_UNWIND
  static void give_back(std::pmr::memory_resource *resource, void *ptr, std::size_t size,
                        std::size_t align) {
    try {
      resource->deallocate(ptr, size, align);
#if defined(__GLIBCXX__)
    } catch (abi::__forced_unwind &) {
      throw;
#endif
    } catch (...) {
      ca_panic_misuse("deallocate", ptr, "the memory_resource threw");
    }
  }

#undef CA_CATCHES_FORCED_UNWIND

  static ca_block op_allocate(ca_allocator *base, std::size_t size, std::size_t align) {
    if (CA_UNLIKELY(align > PTRDIFF_MAX || size > PTRDIFF_MAX - align)) return ca_block_none();
    const std::size_t rounded = ca_round_up(size, align);
    const int saved = errno;
    void *ptr = ask(resource_of(base), rounded, align);
    if (CA_UNLIKELY(!ca_is_aligned(ptr, align))) {
      give_back(resource_of(base), ptr, rounded, align);
      ptr = nullptr;
    }
    errno = saved;
    return ca_block_make(ptr, ptr == nullptr ? 0 : rounded);
  }

  static void op_deallocate(ca_allocator *base, void *ptr, std::size_t size, std::size_t align) {
    const int saved = errno;
    give_back(resource_of(base), ptr, ca_round_up(size, align), align);
    errno = saved;
  }

  static ca_block op_resize(ca_allocator *, void *ptr, std::size_t size, std::size_t new_size,
                            std::size_t align, ca_move) {
    const std::size_t rounded = ca_round_up(size, align);
    return ca_round_up(new_size, align) == rounded ? ca_block_make(ptr, rounded) : ca_block_none();
  }

  static constexpr ca_allocator_ops ops = {op_allocate, op_deallocate, op_resize,
                                           op_resize,   nullptr,       nullptr,
                                           nullptr,     nullptr,       "std::pmr::memory_resource",
                                           nullptr,     nullptr,       nullptr};

  ca_allocator base_; /* First. */
  std::pmr::memory_resource *resource_;
};

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_FROM_MEMORY_RESOURCE_FROM_MEMORY_RESOURCE_H_
