// What choosing a side adds to a call, beside a direct call of that side.
// Run: bazel run -c opt //adaptors/segregate:segregate_bench
#include "adaptors/segregate/segregate.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner first(CA_SIZES_FORGOTTEN), second(CA_SIZES_FORGOTTEN);
  ca_segregate segregate;
  if (!ca_segregate_init(&segregate, first.get(), second.get(), 1000)) return;
  ca_testing::ReportAddedCost(state, first.get(), ca_segregate_allocator(&segregate));
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

// The second side serves.
template <typename Inner>
void BM_AddedCostOfTheSecond(benchmark::State &state) {
  Inner first(CA_SIZES_FORGOTTEN), second(CA_SIZES_FORGOTTEN);
  ca_segregate segregate;
  if (!ca_segregate_init(&segregate, first.get(), second.get(), 1000)) return;
  ca_testing::ReportAddedCost(state, second.get(), ca_segregate_allocator(&segregate), 2000);
}
BENCHMARK_TEMPLATE(BM_AddedCostOfTheSecond, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCostOfTheSecond, ca_testing::BenchTrees);

}  // namespace
