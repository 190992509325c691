// The conformance suite and refusals for this adaptor over every allocator, twice.
#include "adaptors/segregate/segregate.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Segregate : AdaptorFixture<Inner> {
  Segregate() { EXPECT_TRUE(ca_segregate_init(&adaptor, this->inner.get(), second.get(), 200)); }
  ca_allocator *get() { return ca_segregate_allocator(&adaptor); }
  static constexpr CurrentCapacity kCapacity = {2};
  Inner second{true};
  ca_segregate adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Segregate, AllocatorConformance, Segregate<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Segregate, Refusal, Segregate<Refusing>);

}  // namespace ca_testing
