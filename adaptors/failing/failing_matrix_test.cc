// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/failing/failing.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Failing : AdaptorFixture<Inner> {
  Failing() { ca_failing_init(&adaptor, this->inner.get(), &plan); }
  ca_allocator *get() { return ca_failing_allocator(&adaptor); }
  ca_failing_plan plan = {};
  ca_failing adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Failing, AllocatorConformance, Failing<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Failing, Refusal, Failing<Refusing>);

}  // namespace ca_testing
