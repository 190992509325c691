// What the hooks add to calls of the allocator behind them. Without libxml2.
// Run: bazel run -c opt //adaptors/for_libxml2:for_libxml2_bench
#include "adaptors/for_libxml2/for_libxml2.h"

#include "adaptors/testing/hook_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_RECORDED);
  if (!ca_for_libxml2_init(inner.get())) return;
  auto *const allocate = ca_testing::Opaque(ca_for_libxml2_malloc);
  auto *const deallocate = ca_testing::Opaque(ca_for_libxml2_free);
  ca_testing::ReportHookCost(state, inner.get(), allocate, deallocate);
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
