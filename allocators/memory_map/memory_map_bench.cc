#include <benchmark/benchmark.h>

#include "allocators/memory_map/memory_map.h"

namespace {

void BM_PairThroughOps(benchmark::State &state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  ca_memory_map_allocator map;
  ca_memory_map_allocator_init(&map, nullptr);
  ca_allocator *allocator = ca_memory_map_allocator_allocator(&map);
  for (auto _ : state) {
    const ca_block block = ca_allocate(allocator, size, 16);
    benchmark::DoNotOptimize(block.ptr);
    ca_deallocate(allocator, block.ptr, size, 16);
  }
}
BENCHMARK(BM_PairThroughOps)->Arg(4096)->Arg(1 << 24);

// Doubles a written block by moving its page tables.
void BM_GrowWritten(benchmark::State &state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  ca_memory_map_allocator map;
  ca_memory_map_allocator_init(&map, nullptr);
  ca_allocator *allocator = ca_memory_map_allocator_allocator(&map);
  for (auto _ : state) {
    state.PauseTiming();
    ca_block block = ca_allocate(allocator, size, 16);
    for (std::size_t i = 0; i < size; i += 4096) static_cast<char *>(block.ptr)[i] = 1;
    state.ResumeTiming();
    block = ca_grow(allocator, block.ptr, size, 2 * size, 16, CA_MOVE_ALLOWED);
    benchmark::DoNotOptimize(block.ptr);
    state.PauseTiming();
    ca_deallocate(allocator, block.ptr, 2 * size, 16);
    state.ResumeTiming();
  }
}
BENCHMARK(BM_GrowWritten)->Arg(1 << 16)->Arg(1 << 22);

}  // namespace
