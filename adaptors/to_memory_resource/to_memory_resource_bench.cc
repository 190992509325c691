// What the adaptor adds to a call of the allocator.
// Run: bazel run -c opt //adaptors/to_memory_resource:to_memory_resource_bench
#include <benchmark/benchmark.h>

#include "adaptors/to_memory_resource/to_memory_resource.h"
#include "allocators/bump/bump.h"

namespace {

struct Region {
  Region() { ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN); }
  alignas(64) char memory[4096];
  ca_bump bump;
};

void BM_PairThroughAllocator(benchmark::State &state) {
  Region region;
  ca_allocator *allocator = ca_bump_allocator(&region.bump);
  benchmark::DoNotOptimize(allocator);
  for (auto _ : state) {
    void *ptr = ca_allocate(allocator, 64, 16).ptr;
    benchmark::DoNotOptimize(ptr);
    ca_deallocate(allocator, ptr, 64, 16);
  }
}
BENCHMARK(BM_PairThroughAllocator);

void BM_PairThroughMemoryResource(benchmark::State &state) {
  Region region;
  ca::to_memory_resource adaptor(ca_bump_allocator(&region.bump));
  std::pmr::memory_resource *resource = &adaptor;
  benchmark::DoNotOptimize(resource);
  for (auto _ : state) {
    void *ptr = resource->allocate(64, 16);
    benchmark::DoNotOptimize(ptr);
    resource->deallocate(ptr, 64, 16);
  }
}
BENCHMARK(BM_PairThroughMemoryResource);

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
