// What a look at the alignment adds to a call. Run: bazel run -c opt
// //adaptors/aligned:aligned_bench
#include "adaptors/aligned/aligned.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_aligned aligned;
  ca_aligned_init(&aligned, inner.get(), 16, 0);
  ca_testing::ReportAddedCost(state, inner.get(), ca_aligned_allocator(&aligned));
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
