// What the hooks add to calls of the allocator behind them. Without SQLite.
// Run: bazel run -c opt //adaptors/for_sqlite:for_sqlite_bench
#include "adaptors/for_sqlite/for_sqlite.h"

#include "adaptors/testing/hook_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_RECORDED);
  if (ca_for_sqlite_init(inner.get()) != 0) return;
  auto *const allocate = ca_testing::Opaque(ca_for_sqlite_malloc);
  auto *const deallocate = ca_testing::Opaque(ca_for_sqlite_free);
  ca_testing::ReportHookCost(state, inner.get(), allocate, deallocate);
  ca_for_sqlite_shutdown(inner.get());
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
