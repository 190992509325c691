// Run: bazel run -c opt //sources/memory_map:memory_map_bench
#include <benchmark/benchmark.h>

#include "sources/memory_map/memory_map.h"

namespace {

void BM_ObtainRelease(benchmark::State &state) {
  ca_memory_map map;
  ca_memory_map_init(&map, nullptr);
  ca_source *source = ca_memory_map_source(&map);
  const auto align = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    const ca_block range = ca_source_obtain(source, 1 << 20, align);
    benchmark::DoNotOptimize(range.ptr);
    ca_source_release(source, range);
  }
}
BENCHMARK(BM_ObtainRelease)->Arg(1)->Arg(2 << 20);

void BM_FirstTouchOfAPage(benchmark::State &state) {
  ca_memory_map map;
  ca_memory_map_init(&map, nullptr);
  ca_source *source = ca_memory_map_source(&map);
  constexpr std::size_t kSize = 1 << 20;
  for (auto _ : state) {
    const ca_block range = ca_source_obtain(source, kSize, 1);
    for (std::size_t i = 0; i < kSize; i += 4096) static_cast<volatile char *>(range.ptr)[i] = 1;
    ca_source_release(source, range);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kSize / 4096));
}
BENCHMARK(BM_FirstTouchOfAPage);

}  // namespace
