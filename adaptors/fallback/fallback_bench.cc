// What choosing a side adds to a call, beside a direct call of that side.
// Run: bazel run -c opt //adaptors/fallback:fallback_bench
#include "adaptors/fallback/fallback.h"

#include "adaptors/testing/added_cost.h"

namespace {

void BM_AddedCost(benchmark::State &state) {
  ca_testing::BenchBump first(CA_SIZES_FORGOTTEN), second(CA_SIZES_FORGOTTEN);
  ca_fallback fallback;
  if (!ca_fallback_init(&fallback, first.get(), second.get())) return;
  ca_testing::ReportAddedCost(state, first.get(), ca_fallback_allocator(&fallback));
}
BENCHMARK(BM_AddedCost);

// The second side serves.
void BM_AddedCostOfTheSecond(benchmark::State &state) {
  ca_testing::BenchBump first(CA_SIZES_FORGOTTEN), second(CA_SIZES_FORGOTTEN);
  ca_fallback fallback;
  if (!ca_fallback_init(&fallback, first.get(), second.get())) return;
  while (!ca_block_is_none(ca_allocate(first.get(), 64, 16))) {
  }
  ca_testing::ReportAddedCost(state, second.get(), ca_fallback_allocator(&fallback));
}
BENCHMARK(BM_AddedCostOfTheSecond);

}  // namespace
