// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/limiting/limiting.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct LimitingForgetting : AdaptorFixture<Inner> {
  LimitingForgetting() {
    ca_limiting_init(&adaptor, this->inner.get(), CA_SIZES_FORGOTTEN, kLimit, nullptr);
  }
  ca_allocator *get() { return ca_limiting_allocator(&adaptor); }
  static constexpr std::size_t kLimit = 400000;
  static constexpr std::size_t kCapacity = kLimit;
  ca_limiting adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(LimitingForgetting, AllocatorConformance,
                               OverEveryAllocator<LimitingForgetting>, AllocatorName);
INSTANTIATE_TYPED_TEST_SUITE_P(LimitingForgetting, Refusal,
                               OverEveryRefusingAllocator<LimitingForgetting>, AllocatorName);

template <typename Inner>
struct LimitingRecording : AdaptorFixture<Inner> {
  LimitingRecording() {
    ca_limiting_init(&adaptor, this->inner.get(), CA_SIZES_RECORDED, kLimit, nullptr);
  }
  ca_allocator *get() { return ca_limiting_allocator(&adaptor); }
  static constexpr std::size_t kLimit = 400000;
  static constexpr std::size_t kCapacity = kLimit;
  ca_limiting adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(LimitingRecording, AllocatorConformance,
                               OverEveryAllocator<LimitingRecording>, AllocatorName);
INSTANTIATE_TYPED_TEST_SUITE_P(LimitingRecording, Refusal,
                               OverEveryRefusingAllocator<LimitingRecording>, AllocatorName);

}  // namespace ca_testing
