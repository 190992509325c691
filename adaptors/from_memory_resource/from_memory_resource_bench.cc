// What the adaptor adds to a call of the resource.
// Run: bazel run -c opt //adaptors/from_memory_resource:from_memory_resource_bench
#include <benchmark/benchmark.h>

#include "adaptors/from_memory_resource/from_memory_resource.h"

namespace {

// The cheapest resource there can be: what is left is the way to it.
class OneBlock : public std::pmr::memory_resource {
  void *do_allocate(std::size_t, std::size_t) override { return block_; }
  void do_deallocate(void *, std::size_t, std::size_t) override {}
  bool do_is_equal(const memory_resource &other) const noexcept override { return this == &other; }
  alignas(64) char block_[64];
};

void BM_PairThroughMemoryResource(benchmark::State &state) {
  OneBlock one;
  std::pmr::memory_resource *resource = &one;
  benchmark::DoNotOptimize(resource);
  for (auto _ : state) {
    void *ptr = resource->allocate(64, 16);
    benchmark::DoNotOptimize(ptr);
    resource->deallocate(ptr, 64, 16);
  }
}
BENCHMARK(BM_PairThroughMemoryResource);

void BM_PairThroughAllocator(benchmark::State &state) {
  OneBlock one;
  ca::from_memory_resource adaptor(&one);
  ca_allocator *allocator = adaptor.allocator();
  benchmark::DoNotOptimize(allocator);
  for (auto _ : state) {
    void *ptr = ca_allocate(allocator, 64, 16).ptr;
    benchmark::DoNotOptimize(ptr);
    ca_deallocate(allocator, ptr, 64, 16);
  }
}
BENCHMARK(BM_PairThroughAllocator);

}  // namespace
