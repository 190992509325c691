// What choosing a side adds to a call, beside a direct call of that side.
// Run: bazel run -c opt //adaptors/fallback:fallback_bench
#include "adaptors/fallback/fallback.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner first(CA_SIZES_FORGOTTEN), second(CA_SIZES_FORGOTTEN);
  ca_fallback fallback;
  if (!ca_fallback_init(&fallback, first.get(), second.get())) return;
  ca_testing::ReportAddedCost(state, first.get(), ca_fallback_allocator(&fallback));
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

// The second side serves: beside a refused call of the first and a call of the second.
template <typename Inner>
void BM_AddedCostOfTheSecond(benchmark::State &state) {
  Inner first(CA_SIZES_FORGOTTEN), second(CA_SIZES_FORGOTTEN);
  ca_fallback fallback;
  if (!ca_fallback_init(&fallback, first.get(), second.get())) return;
  while (!ca_block_is_none(ca_allocate(first.get(), 64, 16))) {
  }
  ca_allocator *one = ca_testing::Opaque(first.get());
  ca_allocator *other = ca_testing::Opaque(second.get());
  ca_allocator *through = ca_testing::Opaque(ca_fallback_allocator(&fallback));
  ca_testing::ReportAddedCost(
      state,
      [=] {
        (void)ca_allocate(one, 64, CA_ALIGN_DEFAULT);  // Refused.
        ca_testing::AllocateAndDeallocate(other, 64);
      },
      [=] { ca_testing::AllocateAndDeallocate(through, 64); });
}
BENCHMARK_TEMPLATE(BM_AddedCostOfTheSecond, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCostOfTheSecond, ca_testing::BenchTrees);

}  // namespace
