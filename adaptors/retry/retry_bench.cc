// What being ready to ask again adds to a call. Run: bazel run -c opt //adaptors/retry:retry_bench
#include "adaptors/retry/retry.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_retry retry;
  ca_retry_init(&retry, inner.get(), nullptr, nullptr);
  ca_testing::ReportAddedCost(state, inner.get(), ca_retry_allocator(&retry));
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
