// What the plan adds to a call. Run: bazel run -c opt //adaptors/failing:failing_bench
#include "adaptors/failing/failing.h"

#include "adaptors/testing/added_cost.h"

namespace {

void BM_AddedCost(benchmark::State &state) {
  ca_testing::BenchBump inner(CA_SIZES_FORGOTTEN);
  ca_failing_plan plan = {};
  ca_failing failing;
  ca_failing_init(&failing, inner.get(), &plan);
  ca_testing::ReportAddedCost(state, inner.get(), ca_failing_allocator(&failing));
}
BENCHMARK(BM_AddedCost);

}  // namespace
