// What passing through adds to a call, beside a direct call and the clearing that the caller would
// do. Run: bazel run -c opt //adaptors/zeroed:zeroed_bench
#include "adaptors/zeroed/zeroed.h"

#include <cstring>

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_zeroed zeroed;
  ca_zeroed_init(&zeroed, inner.get());
  ca_allocator *direct = inner.get();
  ca_allocator *through = ca_zeroed_allocator(&zeroed);
  auto size = static_cast<std::size_t>(state.range(0));
  benchmark::DoNotOptimize(direct);
  benchmark::DoNotOptimize(through);
  benchmark::DoNotOptimize(size);
  ca_testing::ReportAddedCost(
      state,
      [=] {
        const ca_block block = ca_allocate(direct, size, CA_ALIGN_DEFAULT);
        if (!ca_block_is_none(block)) std::memset(block.ptr, 0, block.size);
        benchmark::DoNotOptimize(block.ptr);
        ca_deallocate(direct, block.ptr, size, CA_ALIGN_DEFAULT);
      },
      [=] { ca_testing::AllocateAndDeallocate(through, size); });
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump)->Arg(64)->Arg(1024);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees)->Arg(64)->Arg(1024);

}  // namespace
