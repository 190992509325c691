// The conformance suite and refusals for this adaptor over every allocator, twice.
#include "adaptors/fallback/fallback.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Fallback : AdaptorFixture<Inner> {
  Fallback() { EXPECT_TRUE(ca_fallback_init(&adaptor, this->inner.get(), second.get())); }
  ca_allocator *get() { return ca_fallback_allocator(&adaptor); }
  static constexpr CurrentCapacity kCapacity = {2};
  Inner second{true};
  ca_fallback adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Fallback, AllocatorConformance, Fallback<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Fallback, Refusal, Fallback<Refusing>);

}  // namespace ca_testing
