// The conformance suite and refusals for this adaptor over every allocator.
#include <cstdio>

#include "adaptors/logging/logging.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/testing/refusal.h"
#include "allocators/testing/allocator_conformance.h"

namespace ca_testing {

template <typename Inner>
struct Logging : AdaptorFixture<Inner> {
  Logging() {
    EXPECT_TRUE(
        ca_logging_init_alone(&adaptor, this->inner.get(), fileno(file), table, sizeof table, 0));
  }
  ~Logging() {
    EXPECT_TRUE(ca_logging_finish(&adaptor));
    std::fclose(file);
  }
  ca_allocator *get() { return ca_logging_allocator(&adaptor); }
  std::FILE *file = std::tmpfile();
  alignas(16) char table[1 << 14];
  ca_logging adaptor;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Logging, AllocatorConformance, Logging<CurrentFixture>);
INSTANTIATE_TYPED_TEST_SUITE_P(Logging, Refusal, Logging<Refusing>);

}  // namespace ca_testing
