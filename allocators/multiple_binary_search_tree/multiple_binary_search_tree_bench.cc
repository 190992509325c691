// Run: bazel run -c opt //allocators/multiple_binary_search_tree:multiple_binary_search_tree_bench
// Real traffic, beside peers: bazel run -c opt //bench:replay. Reset: bazel run -c opt //bench:blocks.
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <vector>

namespace {

void BM_InitDestroy(benchmark::State &state) {
  std::vector<char> memory(65536);
  ca_multiple_binary_search_tree trees;
  for (auto _ : state) {
    ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory.data(), memory.size()),
                                              static_cast<ca_sizes>(state.range(0)));
    benchmark::DoNotOptimize(&trees);
    ca_multiple_binary_search_tree_destroy(&trees);
    benchmark::DoNotOptimize(&trees);
  }
}
BENCHMARK(BM_InitDestroy)->Arg(CA_SIZES_FORGOTTEN)->Arg(CA_SIZES_RECORDED);

void BM_AllocateDeallocateDirect(benchmark::State &state) {
  std::vector<char> memory(65536);
  ca_multiple_binary_search_tree trees;
  ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory.data(), memory.size()),
                                            CA_SIZES_FORGOTTEN);
  ca_multiple_binary_search_tree *escaped = &trees;
  benchmark::DoNotOptimize(escaped);
  for (auto _ : state) {
    const ca_block block = ca_multiple_binary_search_tree_allocate(escaped, 64, 16);
    benchmark::DoNotOptimize(block.ptr);
    ca_multiple_binary_search_tree_deallocate(escaped, block.ptr, 64);
  }
}
BENCHMARK(BM_AllocateDeallocateDirect);

// Random frees among a million live blocks of random sizes: what the trees cost.
void BM_RandomReplacement(benchmark::State &state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<char> memory(count * 600 + 65536);
  ca_multiple_binary_search_tree trees;
  ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory.data(), memory.size()),
                                            CA_SIZES_FORGOTTEN);
  std::mt19937 random(1);
  std::vector<ca_block> blocks(count);
  for (auto &block : blocks) {
    block = ca_multiple_binary_search_tree_allocate(&trees, 16 + random() % 1009, 16);
  }
  for (auto _ : state) {
    ca_block &block = blocks[random() % count];
    ca_multiple_binary_search_tree_deallocate(&trees, block.ptr, block.size);
    block = ca_multiple_binary_search_tree_allocate(&trees, 16 + random() % 1009, 16);
    if (ca_block_is_none(block)) {
      state.SkipWithError("ran out");
      break;
    }
  }
  ca_multiple_binary_search_tree_destroy(&trees);
}
BENCHMARK(BM_RandomReplacement)->Arg(1000)->Arg(100000);

}  // namespace
