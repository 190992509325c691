// What the adaptor adds to a call of the allocator.
// Run: bazel run -c opt //adaptors/stl_allocator:stl_allocator_bench
#include "adaptors/stl_allocator/stl_allocator.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_allocator *direct = ca_testing::Opaque(inner.get());
  ca::stl_allocator<double> through(ca_testing::Opaque(inner.get()));
  std::size_t n = 8;
  benchmark::DoNotOptimize(n);
  ca_testing::ReportAddedCost(
      state,
      [=] {
        void *ptr = ca_allocate(direct, n * sizeof(double), alignof(double)).ptr;
        benchmark::DoNotOptimize(ptr);
        ca_deallocate(direct, ptr, n * sizeof(double), alignof(double));
      },
      [=]() mutable {
        double *ptr = through.allocate(n);
        benchmark::DoNotOptimize(ptr);
        through.deallocate(ptr, n);
      });
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
