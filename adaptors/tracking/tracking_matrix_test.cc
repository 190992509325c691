// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "adaptors/tracking/tracking.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct TrackingForgetting : AdaptorFixture<Inner> {
  TrackingForgetting() { ca_tracking_init(&adaptor, this->inner.get(), CA_SIZES_FORGOTTEN); }
  ca_allocator *get() { return ca_tracking_allocator(&adaptor); }
  ca_tracking adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(TrackingForgetting, AllocatorConformance,
                               TrackingForgetting<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(TrackingForgetting, Refusal, TrackingForgetting<Refusing>);

template <typename Inner>
struct TrackingRecording : AdaptorFixture<Inner> {
  TrackingRecording() { ca_tracking_init(&adaptor, this->inner.get(), CA_SIZES_RECORDED); }
  ca_allocator *get() { return ca_tracking_allocator(&adaptor); }
  ca_tracking adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(TrackingRecording, AllocatorConformance,
                               TrackingRecording<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(TrackingRecording, Refusal, TrackingRecording<Refusing>);

}  // namespace ca_testing
