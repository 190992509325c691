// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/redzone/redzone.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Redzone : AdaptorFixture<Inner> {
  Redzone() { ca_redzone_init(&adaptor, this->inner.get()); }
  ca_allocator *get() { return ca_redzone_allocator(&adaptor); }
  ca_redzone adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Redzone, AllocatorConformance, Redzone<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Redzone, Refusal, Redzone<Refusing>);

}  // namespace ca_testing
