// What the adaptor adds to a call of the allocator.
// Run: bazel run -c opt //adaptors/to_memory_resource:to_memory_resource_bench
#include "adaptors/to_memory_resource/to_memory_resource.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca::to_memory_resource adaptor(inner.get());
  ca_allocator *direct = ca_testing::Opaque(inner.get());
  std::pmr::memory_resource *through = &adaptor;
  through = ca_testing::Opaque(through);
  ca_testing::ReportAddedCost(
      state, [=] { ca_testing::AllocateAndDeallocate(direct, 64); },
      [=] {
        void *ptr = through->allocate(64, CA_ALIGN_DEFAULT);
        benchmark::DoNotOptimize(ptr);
        through->deallocate(ptr, 64, CA_ALIGN_DEFAULT);
      });
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

// The yardstick: what the standard library's own resource over a buffer takes for a pair.
void BM_PairThroughMonotonicBufferResource(benchmark::State &state) {
  alignas(64) static char memory[1 << 20];
  std::pmr::monotonic_buffer_resource monotonic(memory, sizeof memory,
                                                std::pmr::null_memory_resource());
  std::pmr::memory_resource *resource = &monotonic;
  benchmark::DoNotOptimize(resource);
  std::size_t left = sizeof memory / 64;
  for (auto _ : state) {
    if (left-- == 0) {
      monotonic.release();
      left = sizeof memory / 64 - 1;
    }
    void *ptr = resource->allocate(64, 16);
    benchmark::DoNotOptimize(ptr);
    resource->deallocate(ptr, 64, 16);
  }
}
BENCHMARK(BM_PairThroughMonotonicBufferResource);

}  // namespace
