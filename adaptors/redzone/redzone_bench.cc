// What passing through adds to a call in the way of zones. Run: bazel run -c opt //adaptors/redzone:redzone_bench
#include "adaptors/redzone/redzone.h"

#include "adaptors/testing/added_cost.h"

namespace {

void BM_AddedCost(benchmark::State &state) {
  ca_testing::BenchBump inner(CA_SIZES_FORGOTTEN);
  ca_redzone redzone;
  ca_redzone_init(&redzone, inner.get());
  ca_allocator *direct = inner.get();
  ca_allocator *through = ca_redzone_allocator(&redzone);
  auto size = static_cast<std::size_t>(state.range(0));
  benchmark::DoNotOptimize(direct);
  benchmark::DoNotOptimize(through);
  benchmark::DoNotOptimize(size);
  ca_testing::ReportAddedCost(
      state,
      [=] {
        const ca_block block = ca_allocate(direct, size, CA_ALIGN_DEFAULT);
        benchmark::DoNotOptimize(block.ptr);
        ca_deallocate(direct, block.ptr, size, CA_ALIGN_DEFAULT);
      },
      [=] { ca_testing::AllocateAndDeallocate(through, size); });
}
BENCHMARK(BM_AddedCost)->Arg(64)->Arg(1024);

}  // namespace
