// The conformance suite and refusals for this adaptor over every allocator.
#include "adaptors/retry/retry.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Retry : AdaptorFixture<Inner> {
  Retry() { ca_retry_init(&adaptor, this->inner.get(), nullptr, nullptr); }
  ca_allocator *get() { return ca_retry_allocator(&adaptor); }
  ca_retry adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Retry, AllocatorConformance, Retry<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Retry, Refusal, Retry<Refusing>);

// Asks each refused request once more.
bool Once(void *, std::size_t, std::size_t, std::size_t attempt) { return attempt == 1; }

template <typename Inner>
struct RetryOnce : AdaptorFixture<Inner> {
  RetryOnce() { ca_retry_init(&adaptor, this->inner.get(), Once, nullptr); }
  ca_allocator *get() { return ca_retry_allocator(&adaptor); }
  ca_retry adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(RetryOnce, AllocatorConformance, RetryOnce<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(RetryOnce, Refusal, RetryOnce<Refusing>);

}  // namespace ca_testing
