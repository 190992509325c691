// What choosing a side adds to a call, beside a direct call of that side.
// Run: bazel run -c opt //adaptors/segregate:segregate_bench
#include "adaptors/segregate/segregate.h"

#include "adaptors/testing/added_cost.h"

namespace {

void BM_AddedCost(benchmark::State &state) {
  ca_testing::BenchBump first(CA_SIZES_FORGOTTEN), second(CA_SIZES_FORGOTTEN);
  ca_segregate segregate;
  if (!ca_segregate_init(&segregate, first.get(), second.get(), 1000)) return;
  ca_testing::ReportAddedCost(state, first.get(), ca_segregate_allocator(&segregate));
}
BENCHMARK(BM_AddedCost);

// The second side serves.
void BM_AddedCostOfTheSecond(benchmark::State &state) {
  ca_testing::BenchBump first(CA_SIZES_FORGOTTEN), second(CA_SIZES_FORGOTTEN);
  ca_segregate segregate;
  if (!ca_segregate_init(&segregate, first.get(), second.get(), 1000)) return;
  while (!ca_block_is_none(ca_allocate(first.get(), 64, 16))) {
  }
  ca_testing::ReportAddedCost(state, second.get(), ca_segregate_allocator(&segregate), 2000);
}
BENCHMARK(BM_AddedCostOfTheSecond);

}  // namespace
