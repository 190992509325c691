// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/limiting/limiting.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

// Less than the allocator has, and enough for the suite's blocks where each takes a page.
struct Limit {
  operator std::size_t() const { return CurrentAllocator().capacity == 0 ? 4 << 20 : 280000; }
};

template <typename Inner>
struct LimitingForgetting : AdaptorFixture<Inner> {
  LimitingForgetting() {
    ca_limiting_init(&adaptor, this->inner.get(), CA_SIZES_FORGOTTEN, Limit(), nullptr);
  }
  ca_allocator *get() { return ca_limiting_allocator(&adaptor); }
  static constexpr Limit kCapacity = {};
  ca_limiting adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(LimitingForgetting, AllocatorConformance,
                               LimitingForgetting<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(LimitingForgetting, Refusal, LimitingForgetting<Refusing>);

template <typename Inner>
struct LimitingRecording : AdaptorFixture<Inner> {
  LimitingRecording() {
    ca_limiting_init(&adaptor, this->inner.get(), CA_SIZES_RECORDED, Limit(), nullptr);
  }
  ca_allocator *get() { return ca_limiting_allocator(&adaptor); }
  static constexpr Limit kCapacity = {};
  ca_limiting adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(LimitingRecording, AllocatorConformance,
                               LimitingRecording<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(LimitingRecording, Refusal, LimitingRecording<Refusing>);

}  // namespace ca_testing
