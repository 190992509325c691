// What the plan adds to a call. Run: bazel run -c opt //adaptors/failing:failing_bench
#include "adaptors/failing/failing.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_failing_plan plan = {};
  ca_failing failing;
  ca_failing_init(&failing, inner.get(), &plan);
  ca_testing::ReportAddedCost(state, inner.get(), ca_failing_allocator(&failing));
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
