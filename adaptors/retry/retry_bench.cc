// What being ready to ask again adds to a call. Run: bazel run -c opt //adaptors/retry:retry_bench
#include "adaptors/retry/retry.h"

#include "adaptors/testing/added_cost.h"

namespace {

void BM_AddedCost(benchmark::State &state) {
  ca_testing::BenchBump inner(CA_SIZES_FORGOTTEN);
  ca_retry retry;
  ca_retry_init(&retry, inner.get(), nullptr, nullptr);
  ca_testing::ReportAddedCost(state, inner.get(), ca_retry_allocator(&retry));
}
BENCHMARK(BM_AddedCost);

}  // namespace
