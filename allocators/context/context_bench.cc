#include <benchmark/benchmark.h>

#include "allocators/context/context.h"

namespace {

alignas(4096) char g_slot[65536];

// The same allocator by its own table and as a context: the figures are to be equal.
void BM_BitSetThroughOps(benchmark::State &state) {
  ca_bit_set set;
  ca_bit_set_init_range(&set, ca_block_make(g_slot, sizeof g_slot), 64, CA_SIZES_FORGOTTEN);
  ca_allocator *allocator = ca_bit_set_allocator(&set);
  benchmark::DoNotOptimize(allocator);
  for (auto _ : state) {
    const ca_block block = ca_allocate(allocator, 64, 16);
    benchmark::DoNotOptimize(block.ptr);
    ca_deallocate(allocator, block.ptr, 64, 16);
  }
  ca_bit_set_destroy(&set);
}
BENCHMARK(BM_BitSetThroughOps);

void Pair(benchmark::State &state, ca_context_kind kind) {
  ca_context_allocator context;
  ca_context_allocator_init_range(&context, ca_block_make(g_slot, sizeof g_slot), kind, nullptr);
  ca_allocator *allocator = ca_context_allocator_allocator(&context);
  benchmark::DoNotOptimize(allocator);
  for (auto _ : state) {
    const ca_block block = ca_allocate(allocator, 64, 16);
    benchmark::DoNotOptimize(block.ptr);
    ca_deallocate(allocator, block.ptr, 64, 16);
  }
  ca_context_allocator_destroy(&context);
}
BENCHMARK_CAPTURE(Pair, bit_set, CA_CONTEXT_BIT_SET)->Name("BM_ContextOfBitSet");
BENCHMARK_CAPTURE(Pair, bump, CA_CONTEXT_BUMP)->Name("BM_ContextOfBump");

void Life(benchmark::State &state, ca_context_kind kind) {
  ca_context_allocator context;
  for (auto _ : state) {
    ca_context_allocator_init_range(&context, ca_block_make(g_slot, sizeof g_slot), kind, nullptr);
    benchmark::DoNotOptimize(context);
    ca_context_allocator_destroy(&context);
  }
}
BENCHMARK_CAPTURE(Life, bit_set, CA_CONTEXT_BIT_SET)->Name("BM_InitDestroyBitSet");
BENCHMARK_CAPTURE(Life, bump, CA_CONTEXT_BUMP)->Name("BM_InitDestroyBump");

}  // namespace
