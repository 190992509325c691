// Every allocator that the adaptors are tested over, and the matrix of the two.
//
// To add an allocator: a line in CA_EVERY_ALLOCATOR, its include, and its target in the BUILD file
// beside. To put an adaptor through the matrix:
//
//   template <typename Inner>
//   struct Tracking : AdaptorFixture<Inner> {
//     Tracking() { ca_tracking_init(&tracking, this->inner.get()); }
//     ca_allocator *get() { return ca_tracking_allocator(&tracking); }
//     ca_tracking tracking;
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Tracking, AllocatorConformance, OverEveryAllocator<Tracking>,
//                                  AllocatorName);
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ALLOCATORS_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ALLOCATORS_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "allocators/allocator.h"
#include "allocators/bump/bump.h"
#include "sources/buffer/buffer.h"

// X(name, component, how it is made of `source` and `size`, whether a freed block serves again)
#define CA_EVERY_ALLOCATOR(X)                                                            \
  X(BumpForgetting, ca_bump, ca_bump_init(&it, source, size, CA_SIZES_FORGOTTEN), false) \
  X(BumpRecording, ca_bump, ca_bump_init(&it, source, size, CA_SIZES_RECORDED), false)

namespace ca_testing {

// A buffer for one allocator; checks that destroy gives everything back.
struct RegionOfBuffer {
  static constexpr std::size_t kSize = 600000;
  RegionOfBuffer() : memory(kSize) { ca_buffer_init(&buffer, memory.data(), memory.size()); }
  ~RegionOfBuffer() { EXPECT_EQ(buffer.out, 0U) << "destroy returns the range"; }
  std::vector<char> memory;
  ca_buffer buffer;
};

#define CA_FIXTURE_(NAME, COMPONENT, INIT, RECLAIMS)           \
  struct NAME : RegionOfBuffer {                               \
    NAME() {                                                   \
      ca_source *source = ca_buffer_source(&buffer);           \
      const std::size_t size = kSize - 15;                     \
      EXPECT_TRUE(INIT);                                       \
    }                                                          \
    ~NAME() { COMPONENT##_destroy(&it); }                      \
    ca_allocator *get() { return COMPONENT##_allocator(&it); } \
    static std::string Name() { return #NAME; }                \
    static constexpr std::size_t kMaxAlign = 4096;             \
    static constexpr std::size_t kCapacity = kSize;            \
    static constexpr bool kReclaims = RECLAIMS;                \
    COMPONENT it;                                              \
  };
CA_EVERY_ALLOCATOR(CA_FIXTURE_)
#undef CA_FIXTURE_

// What an adaptor around one allocator inherits from it.
template <typename Inner>
struct AdaptorFixture {
  static std::string Name() { return Inner::Name(); }
  static constexpr std::size_t kMaxAlign = Inner::kMaxAlign;
  static constexpr std::size_t kCapacity = Inner::kCapacity;
  static constexpr bool kReclaims = Inner::kReclaims;
  Inner inner;
};

template <template <typename> class Adaptor, typename Nothing, typename... Allocator>
struct Matrix {
  using Types = testing::Types<Adaptor<Allocator>...>;
};

#define CA_NAME_(NAME, COMPONENT, INIT, RECLAIMS) , NAME
template <template <typename> class Adaptor>
using OverEveryAllocator = typename Matrix<Adaptor, void CA_EVERY_ALLOCATOR(CA_NAME_)>::Types;
#undef CA_NAME_

struct AllocatorName {
  template <typename Fixture>
  static std::string GetName(int) {
    return Fixture::Name();
  }
};

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ALLOCATORS_H_
