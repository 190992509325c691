// What a budget adds to a call. Run: bazel run -c opt //adaptors/limiting:limiting_bench
#include "adaptors/limiting/limiting.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner, ca_sizes kSizes>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(kSizes);
  ca_limiting limiting;
  ca_limiting_init(&limiting, inner.get(), kSizes, 1000, nullptr);
  ca_testing::ReportAddedCost(state, inner.get(), ca_limiting_allocator(&limiting));
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump, CA_SIZES_FORGOTTEN);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump, CA_SIZES_RECORDED);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees, CA_SIZES_FORGOTTEN);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees, CA_SIZES_RECORDED);

template <typename Inner>
void BM_AddedCostOfLevels(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_budget parents[8];
  ca_budget *parent = nullptr;
  for (std::int64_t level = 0; level < state.range(0); ++level) {
    ca_budget_init(&parents[level], 1000, parent);
    parent = &parents[level];
  }
  ca_limiting limiting;
  ca_limiting_init(&limiting, inner.get(), CA_SIZES_FORGOTTEN, 1000, parent);
  ca_testing::ReportAddedCost(state, inner.get(), ca_limiting_allocator(&limiting));
}
BENCHMARK_TEMPLATE(BM_AddedCostOfLevels, ca_testing::BenchBump)->Arg(1)->Arg(3);
BENCHMARK_TEMPLATE(BM_AddedCostOfLevels, ca_testing::BenchTrees)->Arg(1)->Arg(3);

}  // namespace
