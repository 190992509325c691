// What counting adds to a call. Run: bazel run -c opt //adaptors/tracking:tracking_bench
#include "adaptors/tracking/tracking.h"

#include "adaptors/testing/added_cost.h"

namespace {

void AddedCost(benchmark::State &state, ca_sizes sizes) {
  ca_testing::BenchBump inner(sizes);
  ca_tracking tracking;
  ca_tracking_init(&tracking, inner.get(), sizes);
  ca_testing::ReportAddedCost(state, inner.get(), ca_tracking_allocator(&tracking));
}
BENCHMARK_CAPTURE(AddedCost, forgotten, CA_SIZES_FORGOTTEN)->Name("BM_AddedCost/forgotten");
BENCHMARK_CAPTURE(AddedCost, recorded, CA_SIZES_RECORDED)->Name("BM_AddedCost/recorded");

}  // namespace
