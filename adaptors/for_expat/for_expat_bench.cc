// What the hooks add to calls of the allocator behind them. Without Expat.
// Run: bazel run -c opt //adaptors/for_expat:for_expat_bench
#include "adaptors/for_expat/for_expat.h"

#include "adaptors/testing/hook_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_RECORDED);
  if (!ca_for_expat_init(inner.get())) return;
  auto *const allocate = ca_testing::Opaque(ca_for_expat_malloc);
  auto *const deallocate = ca_testing::Opaque(ca_for_expat_free);
  ca_testing::ReportHookCost(state, inner.get(), allocate, deallocate);
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
