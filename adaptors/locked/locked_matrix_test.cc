// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/locked/locked.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Locked : AdaptorFixture<Inner> {
  ~Locked() { ca_locked_destroy(&adaptor); }
  Locked() { ca_locked_init(&adaptor, this->inner.get()); }
  ca_allocator *get() { return ca_locked_allocator(&adaptor); }
  ca_locked adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Locked, AllocatorConformance, Locked<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Locked, Refusal, Locked<Refusing>);

}  // namespace ca_testing
