/* adaptors/unique_ptr/unique_ptr.h - std::unique_ptr over an allocator.
 *
 * Idea        ca::make_unique<T>(allocator, arguments...) is std::make_unique in a chosen
 *             allocator; the deleter destroys the object and gives its block back with the right
 *             size and alignment. Arrays too: ca::make_unique<T[]>(allocator, n).
 * Cost        the allocator's own and the constructors'.
 * Overhead    the pointer holds 8 bytes for the allocator; 24 where T has a virtual destructor, as
 *             the object may then be of a derived class, of which size and alignment are needed; 16
 *             for an array.
 * Alignment   alignof(T), also an extended one.
 * Errors      make_unique: std::bad_alloc iff the allocator refuses, std::bad_array_new_length iff
 *             the elements exceed PTRDIFF_MAX bytes (what -fno-exceptions makes of them:
 *             adaptors/bad_alloc). try_make_unique: an empty pointer in both cases. When a
 *             constructor throws, what was made is destroyed, the block given back, and it throws
 *             on.
 * Conversion  unique_ptr<Derived> to unique_ptr<Base> iff Base has a virtual destructor: without,
 *             nobody could find the block again, so it doesn't compile. T must be complete wherever
 *             the pointer's type is named.
 * Ownership   the allocator must outlive the pointers.
 * Threads     as the allocator.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_UNIQUE_PTR_UNIQUE_PTR_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_UNIQUE_PTR_UNIQUE_PTR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "adaptors/bad_alloc/bad_alloc.h"
#include "allocators/allocator.h"

namespace ca {

template <typename T>
inline constexpr bool may_be_derived = std::has_virtual_destructor_v<T> && !std::is_final_v<T>;

/* For objects whose class is known: nothing to remember but the allocator. A default-made deleter
 * is only for pointers that hold nothing. */
template <typename T, bool = may_be_derived<T>>
class deleter {
 public:
  deleter() noexcept = default;
  explicit deleter(ca_allocator *allocator) noexcept : allocator_(allocator) {}
  /* To const. */
  template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T>>>
  deleter(const deleter<U> &other) noexcept : allocator_(other.allocator()) {}

  void operator()(T *object) const noexcept {
    object->~T();
    ca_deallocate(allocator_, const_cast<std::remove_cv_t<T> *>(object), sizeof(T), alignof(T));
  }

  ca_allocator *allocator() const noexcept { return allocator_; }
  static constexpr std::size_t size() noexcept { return sizeof(T); }
  static constexpr std::size_t align() noexcept { return alignof(T); }

 private:
  ca_allocator *allocator_ = nullptr;
};

/* For objects that may be of a class derived from T. */
template <typename T>
class deleter<T, true> {
 public:
  deleter() noexcept = default;
  explicit deleter(ca_allocator *allocator) noexcept
      : allocator_(allocator), size_(sizeof(T)), align_(alignof(T)) {}
  /* From a derived class, and to const. */
  template <typename U, typename = std::enable_if_t<std::is_convertible_v<U *, T *>>>
  deleter(const deleter<U> &other) noexcept
      : allocator_(other.allocator()), size_(other.size()), align_(other.align()) {}

  void operator()(T *object) const noexcept {
    /* A base may lie anywhere in the object; the block begins where the whole object does. */
    void *const whole = dynamic_cast<void *>(const_cast<std::remove_cv_t<T> *>(object));
    object->~T();
    ca_deallocate(allocator_, whole, size_, align_);
  }

  ca_allocator *allocator() const noexcept { return allocator_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t align() const noexcept { return align_; }

 private:
  ca_allocator *allocator_ = nullptr;
  std::size_t size_ = 0;
  std::size_t align_ = 1;
};

/* For arrays: destroys the elements from the last to the first. */
template <typename T>
class deleter<T[], false> {
 public:
  deleter() noexcept = default;
  deleter(ca_allocator *allocator, std::size_t count) noexcept
      : allocator_(allocator), count_(count) {}
  template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T>>>
  deleter(const deleter<U[]> &other) noexcept
      : allocator_(other.allocator()), count_(other.count()) {}

  void operator()(T *elements) const noexcept {
    for (std::size_t i = count_; i > 0; --i) elements[i - 1].~T();
    ca_deallocate(allocator_, const_cast<std::remove_cv_t<T> *>(elements), bytes_of(count_),
                  alignof(T));
  }

  ca_allocator *allocator() const noexcept { return allocator_; }
  std::size_t count() const noexcept { return count_; }

  static constexpr std::size_t max_count = PTRDIFF_MAX / sizeof(T);
  /* An array of none still has an address of its own. */
  static constexpr std::size_t bytes_of(std::size_t count) noexcept {
    return (count == 0 ? 1 : count) * sizeof(T);
  }

 private:
  ca_allocator *allocator_ = nullptr;
  std::size_t count_ = 0;
};

template <typename T>
using unique_ptr = std::unique_ptr<T, deleter<T>>;

/* Gives a block back unless a constructor got through. */
class unfinished_block {
 public:
  unfinished_block(ca_allocator *allocator, std::size_t size, std::size_t align) noexcept
      : allocator_(allocator),
        size_(size),
        align_(align),
        ptr_(ca_allocate(allocator, size, align).ptr) {}
  unfinished_block(const unfinished_block &) = delete;
  unfinished_block &operator=(const unfinished_block &) = delete;
  ~unfinished_block() {
    if (ptr_ != nullptr) ca_deallocate(allocator_, ptr_, size_, align_);
  }

  void *get() const noexcept { return ptr_; }
  void finish() noexcept { ptr_ = nullptr; }

 private:
  ca_allocator *allocator_;
  std::size_t size_;
  std::size_t align_;
  void *ptr_;
};

/* Makes a T in allocator from the arguments. Returns an empty pointer iff the allocator refuses. */
template <typename T, typename... Arguments>
std::enable_if_t<!std::is_array_v<T>, unique_ptr<T>> try_make_unique(ca_allocator *allocator,
                                                                     Arguments &&...arguments) {
  unfinished_block block(allocator, sizeof(T), alignof(T));
  if (CA_UNLIKELY(block.get() == nullptr)) return {};
  unique_ptr<T> made(::new (block.get()) T(std::forward<Arguments>(arguments)...),
                     deleter<T>(allocator));
  block.finish();
  return made;
}

/* Makes an array of `count` value-initialised elements. Returns an empty pointer iff the allocator
 * refuses, or their bytes exceed PTRDIFF_MAX. */
template <typename T>
std::enable_if_t<std::is_array_v<T> && std::extent_v<T> == 0, unique_ptr<T>> try_make_unique(
    ca_allocator *allocator, std::size_t count) {
  using element = std::remove_extent_t<T>;
  using array_deleter = deleter<T>;
  if (CA_UNLIKELY(count > array_deleter::max_count)) return {};
  unfinished_block block(allocator, array_deleter::bytes_of(count), alignof(element));
  if (CA_UNLIKELY(block.get() == nullptr)) return {};
  auto *const elements = static_cast<element *>(block.get());
  std::uninitialized_value_construct_n(elements, count);
  block.finish();
  return unique_ptr<T>(elements, array_deleter(allocator, count));
}

/* As try_make_unique(), but throws std::bad_alloc instead of returning an empty pointer. */
template <typename T, typename... Arguments>
std::enable_if_t<!std::is_array_v<T>, unique_ptr<T>> make_unique(ca_allocator *allocator,
                                                                 Arguments &&...arguments) {
  unique_ptr<T> made = try_make_unique<T>(allocator, std::forward<Arguments>(arguments)...);
  if (CA_UNLIKELY(made == nullptr)) throw_bad_alloc();
  return made;
}

/* As try_make_unique(), but throws std::bad_alloc or std::bad_array_new_length. */
template <typename T>
std::enable_if_t<std::is_array_v<T> && std::extent_v<T> == 0, unique_ptr<T>> make_unique(
    ca_allocator *allocator, std::size_t count) {
  if (CA_UNLIKELY(count > deleter<T>::max_count)) throw_bad_array_new_length();
  unique_ptr<T> made = try_make_unique<T>(allocator, count);
  if (CA_UNLIKELY(made == nullptr)) throw_bad_alloc();
  return made;
}

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_UNIQUE_PTR_UNIQUE_PTR_H_
