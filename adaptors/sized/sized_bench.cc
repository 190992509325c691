// What the record adds to a call. Run: bazel run -c opt //adaptors/sized:sized_bench
#include "adaptors/sized/sized.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_sized sized;
  ca_sized_init(&sized, inner.get());
  ca_testing::ReportAddedCost(state, inner.get(), ca_sized_allocator(&sized));
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
