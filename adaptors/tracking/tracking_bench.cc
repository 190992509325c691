// What counting adds to a call. Run: bazel run -c opt //adaptors/tracking:tracking_bench
#include "adaptors/tracking/tracking.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner, ca_sizes kSizes>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(kSizes);
  ca_tracking tracking;
  ca_tracking_init(&tracking, inner.get(), kSizes);
  ca_testing::ReportAddedCost(state, inner.get(), ca_tracking_allocator(&tracking));
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump, CA_SIZES_FORGOTTEN);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump, CA_SIZES_RECORDED);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees, CA_SIZES_FORGOTTEN);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees, CA_SIZES_RECORDED);

}  // namespace
