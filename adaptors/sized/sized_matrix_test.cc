// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/sized/sized.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Sized : AdaptorFixture<Inner> {
  Sized() { ca_sized_init(&adaptor, this->inner.get()); }
  ca_allocator *get() { return ca_sized_allocator(&adaptor); }
  ca_sized adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Sized, AllocatorConformance, Sized<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Sized, Refusal, Sized<Refusing>);

}  // namespace ca_testing
