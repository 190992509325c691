// What the hooks add to calls of the allocator behind them. Without zlib.
// Run: bazel run -c opt //adaptors/for_zlib:for_zlib_bench
#include "adaptors/for_zlib/for_zlib.h"

#include "adaptors/testing/hook_cost.h"
#include "adaptors/to_malloc/to_malloc.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_RECORDED);
  ca_to_malloc family;
  ca_to_malloc_init(&family, inner.get());
  ca_to_malloc *const opaque = ca_testing::Opaque(&family);
  auto *const allocate = ca_testing::Opaque(ca_for_zlib_allocate);
  auto *const deallocate = ca_testing::Opaque(ca_for_zlib_free);
  ca_testing::ReportHookCost(
      state, inner.get(), [=](unsigned size) { return allocate(opaque, 1, size); },
      [=](void *ptr) { deallocate(opaque, ptr); });
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
