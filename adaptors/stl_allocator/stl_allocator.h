/* adaptors/stl_allocator/stl_allocator.h - an allocator for the containers of the C++ library.
 *
 * Idea        std::vector<int, ca::stl_allocator<int>> in a given ca_allocator: one pointer per
 *             container, and no virtual call beside the allocator's own. For std::allocate_shared
 *             and anything else that takes an Allocator too.
 * Cost        the allocator's own, and a compare for the bound of n.
 * Overhead    none per block; 8 bytes per container.
 * Alignment   alignof(T), also an extended one.
 * Errors      std::bad_alloc iff the allocator refuses, std::bad_array_new_length iff n elements
 *             exceed PTRDIFF_MAX bytes (what -fno-exceptions makes of them: adaptors/bad_alloc).
 * Equality    two are equal iff they stand for the same ca_allocator. A container keeps its
 *             allocator for life: assigning to it, by copy or by move, fills its own memory, so
 *             that a long-lived container never comes to hold a coroutine's; only swap() exchanges
 *             allocators, together with the memory. A copy-constructed container uses the memory of
 *             the original, unless it is given an allocator.
 * Ownership   the ca_allocator must outlive the containers.
 * Threads     as the allocator.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_STL_ALLOCATOR_STL_ALLOCATOR_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_STL_ALLOCATOR_STL_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "adaptors/bad_alloc/bad_alloc.h"
#include "allocators/allocator.h"

namespace ca {

template <typename T>
class stl_allocator {
 public:
  using value_type = T;
  using propagate_on_container_copy_assignment = std::false_type;
  using propagate_on_container_move_assignment = std::false_type;
  using propagate_on_container_swap = std::true_type;
  using is_always_equal = std::false_type;

  /* Implicit, as that of std::pmr::polymorphic_allocator: `std::vector<T, A> v(allocator)`. */
  stl_allocator(ca_allocator *allocator) noexcept : allocator_(allocator) {
    CA_ASSERT(allocator != nullptr);
  }
  template <typename U>
  stl_allocator(const stl_allocator<U> &other) noexcept : allocator_(other.allocator()) {}

  ca_allocator *allocator() const noexcept { return allocator_; }

  /* Room for n elements. Of none at all it is as much as for one, so that each block has an address
   * of its own. */
  T *allocate(std::size_t n) {
    if (CA_UNLIKELY(n > max_count)) throw_bad_array_new_length();
    const ca_block block = ca_allocate(allocator_, bytes_of(n), alignof(T));
    if (CA_UNLIKELY(ca_block_is_none(block))) throw_bad_alloc();
    return static_cast<T *>(block.ptr);
  }

  void deallocate(T *ptr, std::size_t n) noexcept {
    ca_deallocate(allocator_, ptr, bytes_of(n), alignof(T));
  }

  template <typename U>
  friend bool operator==(const stl_allocator &left, const stl_allocator<U> &right) noexcept {
    return left.allocator() == right.allocator();
  }
  template <typename U>
  friend bool operator!=(const stl_allocator &left, const stl_allocator<U> &right) noexcept {
    return !(left == right);
  }

 private:
  static constexpr std::size_t max_count = PTRDIFF_MAX / sizeof(T);
  static std::size_t bytes_of(std::size_t n) noexcept { return (n == 0 ? 1 : n) * sizeof(T); }

  ca_allocator *allocator_;
};

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_STL_ALLOCATOR_STL_ALLOCATOR_H_
