// Every allocator that the adaptors are tested over, and the matrix of the two.
//
// To add an allocator: a line in the list of allocators.cc. To put an adaptor through the matrix:
//
//   struct Tracking : AdaptorFixture<> {
//     Tracking() { ca_tracking_init(&tracking, inner.get()); }
//     ca_allocator *get() { return ca_tracking_allocator(&tracking); }
//     ca_tracking tracking;
//   };
//
// One type for all allocators, so that a suite is compiled once for each adaptor: which allocator it
// is, is chosen while the program runs. The program runs each of its tests once for each allocator;
// `--allocator=NAME` runs them over that one alone.
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ALLOCATORS_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ALLOCATORS_H_

#include <cstddef>
#include <memory>

#include "allocators/allocator.h"

namespace ca_testing {

// An allocator of whatever kind, over memory of its own; ends with everything given back.
class AnyAllocator {
 public:
  virtual ~AnyAllocator() = default;
  virtual ca_allocator *get() = 0;
};

struct AllocatorTraits {
  const char *name;
  std::unique_ptr<AnyAllocator> (*make)();
  bool reclaims;         // A freed block serves again.
  std::size_t capacity;  // Bytes at most; 0: the machine's.
};

// The one of the list that this run of the tests is about.
const AllocatorTraits &CurrentAllocator();

// Converts to the current allocator's trait wherever a suite reads its fixture's.
struct CurrentCapacity {
  std::size_t times;
  operator std::size_t() const { return times * CurrentAllocator().capacity; }
};
struct CurrentReclaims {
  operator bool() const { return CurrentAllocator().reclaims; }
};

// The current allocator; or, where that has no owns(), trees that record sizes iff it does.
std::unique_ptr<AnyAllocator> MakeOneThatTells();

// The current allocator as a fixture. Of a pair of them one must tell what it owns.
struct CurrentFixture {
  explicit CurrentFixture(bool tells = false)
      : allocator(tells ? MakeOneThatTells() : CurrentAllocator().make()) {}
  ca_allocator *get() { return allocator->get(); }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr CurrentCapacity kCapacity = {1};
  static constexpr CurrentReclaims kReclaims = {};
  std::unique_ptr<AnyAllocator> allocator;
};

// What an adaptor around one allocator inherits from it.
template <typename Inner = CurrentFixture>
struct AdaptorFixture {
  explicit AdaptorFixture(bool tells = false) : inner(tells) {}
  static constexpr std::size_t kMaxAlign = Inner::kMaxAlign;
  static constexpr auto kCapacity = Inner::kCapacity;
  static constexpr auto kReclaims = Inner::kReclaims;
  static constexpr unsigned kSeeds = 2;  // Over each allocator.
  Inner inner;
};

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ALLOCATORS_H_
