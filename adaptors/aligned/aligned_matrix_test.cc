// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/aligned/aligned.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct AlignedRaising : AdaptorFixture<Inner> {
  AlignedRaising() { ca_aligned_init(&adaptor, this->inner.get(), 64, 0); }
  ca_allocator *get() { return ca_aligned_allocator(&adaptor); }
  ca_aligned adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(AlignedRaising, AllocatorConformance,
                               AlignedRaising<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(AlignedRaising, Refusal, AlignedRaising<Refusing>);

template <typename Inner>
struct AlignedWithin : AdaptorFixture<Inner> {
  AlignedWithin() { ca_aligned_init(&adaptor, this->inner.get(), 0, 8); }
  ca_allocator *get() { return ca_aligned_allocator(&adaptor); }
  ca_aligned adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(AlignedWithin, AllocatorConformance, AlignedWithin<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(AlignedWithin, Refusal, AlignedWithin<Refusing>);

}  // namespace ca_testing
