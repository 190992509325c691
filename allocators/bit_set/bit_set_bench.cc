#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "allocators/bit_set/bit_set.h"

namespace {

struct Region {
  explicit Region(std::size_t blocks, ca_sizes sizes = CA_SIZES_FORGOTTEN)
      : memory(blocks * 64 * 21 / 20 + 4096) {
    ca_bit_set_init_range(&set, ca_block_make(memory.data(), memory.size()), 64, sizes);
  }
  ~Region() { ca_bit_set_destroy(&set); }
  std::vector<char> memory;
  ca_bit_set set;
};

void BM_PairDirect(benchmark::State &state) {
  Region region(1000);
  ca_bit_set *set = &region.set;
  benchmark::DoNotOptimize(set);
  for (auto _ : state) {
    const ca_block block = ca_bit_set_allocate(set, 64, 16);
    benchmark::DoNotOptimize(block.ptr);
    ca_bit_set_deallocate(set, block.ptr, 64);
  }
}
BENCHMARK(BM_PairDirect);

void PairThroughOps(benchmark::State &state, ca_sizes sizes, std::size_t size) {
  Region region(1000, sizes);
  ca_allocator *allocator = ca_bit_set_allocator(&region.set);
  benchmark::DoNotOptimize(allocator);
  for (auto _ : state) {
    const ca_block block = ca_allocate(allocator, size, 16);
    benchmark::DoNotOptimize(block.ptr);
    ca_deallocate(allocator, block.ptr, size, 16);
  }
}
BENCHMARK_CAPTURE(PairThroughOps, forgotten, CA_SIZES_FORGOTTEN, 64)->Name("BM_PairThroughOps");
BENCHMARK_CAPTURE(PairThroughOps, recorded, CA_SIZES_RECORDED, 64)
    ->Name("BM_PairThroughOpsRecording");
BENCHMARK_CAPTURE(PairThroughOps, run, CA_SIZES_FORGOTTEN, 640)->Name("BM_RunPairThroughOps");
BENCHMARK_CAPTURE(PairThroughOps, long_run, CA_SIZES_FORGOTTEN, 64000)
    ->Name("BM_LongRunPairThroughOps");

// Frees a random live block and allocates another: the index is at work.
void BM_RandomPair(benchmark::State &state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Region region(count);
  std::vector<void *> live(count);
  for (void *&ptr : live) ptr = ca_bit_set_allocate(&region.set, 64, 16).ptr;
  std::mt19937 random(1);
  std::vector<std::uint32_t> order(1 << 16);
  for (auto &at : order) at = static_cast<std::uint32_t>(random() % count);
  std::size_t step = 0;
  for (auto _ : state) {
    void *&ptr = live[order[step++ % order.size()]];
    ca_bit_set_deallocate(&region.set, ptr, 64);
    ptr = ca_bit_set_allocate(&region.set, 64, 16).ptr;
  }
}
BENCHMARK(BM_RandomPair)->Arg(1000)->Arg(1000000);

void BM_Reset(benchmark::State &state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Region region(count);
  for (auto _ : state) ca_bit_set_reset(&region.set);
}
BENCHMARK(BM_Reset)->Arg(1000)->Arg(1000000);

void BM_InitDestroy(benchmark::State &state) {
  alignas(64) static char slot[65536];
  ca_bit_set set;
  for (auto _ : state) {
    ca_bit_set_init_range(&set, ca_block_make(slot, sizeof slot), 64, CA_SIZES_FORGOTTEN);
    benchmark::DoNotOptimize(set);
    ca_bit_set_destroy(&set);
  }
}
BENCHMARK(BM_InitDestroy);

}  // namespace
