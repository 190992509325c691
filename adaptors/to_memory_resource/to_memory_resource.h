/* adaptors/to_memory_resource/to_memory_resource.h - an allocator as a std::pmr::memory_resource.
 *
 * Idea        std::pmr containers, and any code that takes a memory_resource, in a given allocator.
 * Cost        the allocator's own, one virtual call and one compare.
 * Overhead    none per block.
 * Alignment   the allocator's; a larger one is refused as it refuses it.
 * Errors      std::bad_alloc iff the allocator refuses (what -fno-exceptions makes of it:
 *             adaptors/bad_alloc). A request of 0 bytes is one of 1 byte, as in the standard's own
 *             resources.
 * Equality    two are equal iff they stand for the same allocator, so that what one allocated the
 *             other deallocates. Built with -fno-rtti a resource is equal to itself alone, which
 *             the standard allows: containers then copy where they could have moved.
 * Ownership   the allocator must outlive the resource, and the resource what was allocated by it.
 * Threads     as the allocator.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TO_MEMORY_RESOURCE_TO_MEMORY_RESOURCE_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TO_MEMORY_RESOURCE_TO_MEMORY_RESOURCE_H_

#include <cstddef>
#include <memory_resource>

#include "adaptors/bad_alloc/bad_alloc.h"
#include "allocators/allocator.h"

namespace ca {

class to_memory_resource final : public std::pmr::memory_resource {
 public:
  /* Requires an allocator. Implicit conversions would hide whose memory a container uses. */
  explicit to_memory_resource(ca_allocator *allocator) noexcept : allocator_(allocator) {
    CA_ASSERT(allocator != nullptr);
  }

  ca_allocator *allocator() const noexcept { return allocator_; }

 private:
  static std::size_t at_least_one(std::size_t bytes) { return bytes + (bytes == 0); }

  void *do_allocate(std::size_t bytes, std::size_t align) override {
    const ca_block block = ca_allocate(allocator_, at_least_one(bytes), align);
    if (CA_UNLIKELY(ca_block_is_none(block))) throw_bad_alloc();
    return block.ptr;
  }

  void do_deallocate(void *ptr, std::size_t bytes, std::size_t align) override {
    ca_deallocate(allocator_, ptr, at_least_one(bytes), align);
  }

  bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
#if defined(__cpp_rtti)
    const auto *const same_kind = dynamic_cast<const to_memory_resource *>(&other);
    return same_kind != nullptr && same_kind->allocator_ == allocator_;
#else
    return this == &other;
#endif
  }

  ca_allocator *allocator_;
};

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TO_MEMORY_RESOURCE_TO_MEMORY_RESOURCE_H_
