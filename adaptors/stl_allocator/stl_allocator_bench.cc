// What the adaptor adds to a call of the allocator.
// Run: bazel run -c opt //adaptors/stl_allocator:stl_allocator_bench
#include <benchmark/benchmark.h>

#include "adaptors/stl_allocator/stl_allocator.h"
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
  std::size_t n = 8;
  for (auto _ : state) {
    benchmark::DoNotOptimize(n);
    void *ptr = ca_allocate(allocator, n * 8, 8).ptr;
    benchmark::DoNotOptimize(ptr);
    ca_deallocate(allocator, ptr, n * 8, 8);
  }
}
BENCHMARK(BM_PairThroughAllocator);

void BM_PairThroughStlAllocator(benchmark::State &state) {
  Region region;
  ca_allocator *allocator = ca_bump_allocator(&region.bump);
  benchmark::DoNotOptimize(allocator);
  ca::stl_allocator<double> adaptor(allocator);
  std::size_t n = 8;
  for (auto _ : state) {
    benchmark::DoNotOptimize(n);
    double *ptr = adaptor.allocate(n);
    benchmark::DoNotOptimize(ptr);
    adaptor.deallocate(ptr, n);
  }
}
BENCHMARK(BM_PairThroughStlAllocator);

}  // namespace
