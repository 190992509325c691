// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "adaptors/zeroed/zeroed.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Zeroed : AdaptorFixture<Inner> {
  Zeroed() { ca_zeroed_init(&adaptor, this->inner.get()); }
  ca_allocator *get() { return ca_zeroed_allocator(&adaptor); }
  ca_zeroed adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Zeroed, AllocatorConformance, Zeroed<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Zeroed, Refusal, Zeroed<Refusing>);

}  // namespace ca_testing
