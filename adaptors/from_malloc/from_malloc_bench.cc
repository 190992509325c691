// What the interface adds to libc's malloc and free: without and with the usable size, which costs
// a call. Run: bazel run -c opt //adaptors/from_malloc:from_malloc_bench
#include "adaptors/from_malloc/from_malloc.h"

#include <cstdlib>

#include "adaptors/testing/added_cost.h"

namespace {

void AddedCost(benchmark::State &state, bool usable) {
  ca_malloc_family family = *ca_malloc_family_of_libc();
  if (!usable) family.usable_size = nullptr;
  ca_from_malloc it;
  if (!ca_from_malloc_init(&it, &family)) return;
  ca_allocator *through = ca_from_malloc_allocator(&it);
  benchmark::DoNotOptimize(through);
  ca_testing::ReportAddedCost(
      state,
      [] {
        void *ptr = std::malloc(64);
        benchmark::DoNotOptimize(ptr);
        std::free(ptr);
      },
      [=] { ca_testing::AllocateAndDeallocate(through, 64); });
}
BENCHMARK_CAPTURE(AddedCost, plain, false)->Name("BM_AddedCost/plain");
BENCHMARK_CAPTURE(AddedCost, usable, true)->Name("BM_AddedCost/with_usable_size");

}  // namespace
