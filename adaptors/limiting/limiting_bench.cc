// What a budget adds to a call. Run: bazel run -c opt //adaptors/limiting:limiting_bench
#include "adaptors/limiting/limiting.h"

#include "adaptors/testing/added_cost.h"

namespace {

void AddedCost(benchmark::State &state, ca_sizes sizes) {
  ca_testing::BenchBump inner(sizes);
  ca_limiting limiting;
  ca_limiting_init(&limiting, inner.get(), sizes, 1000, nullptr);
  ca_testing::ReportAddedCost(state, inner.get(), ca_limiting_allocator(&limiting));
}
BENCHMARK_CAPTURE(AddedCost, forgotten, CA_SIZES_FORGOTTEN)->Name("BM_AddedCost/forgotten");
BENCHMARK_CAPTURE(AddedCost, recorded, CA_SIZES_RECORDED)->Name("BM_AddedCost/recorded");

void BM_AddedCostOfLevels(benchmark::State &state) {
  ca_testing::BenchBump inner(CA_SIZES_FORGOTTEN);
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
BENCHMARK(BM_AddedCostOfLevels)->Arg(1)->Arg(3);

}  // namespace
