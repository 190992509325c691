#include <benchmark/benchmark.h>

#include "sources/memory_map/memory_map.h"

namespace {

// Argument: the alignment; above the page the range is trimmed.
void BM_ObtainRelease(benchmark::State &state) {
  ca_memory_map map;
  ca_memory_map_init(&map, nullptr);
  ca_source *source = ca_memory_map_source(&map);
  const auto align = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    const ca_block range = ca_source_obtain(source, 1 << 16, align);
    benchmark::DoNotOptimize(range.ptr);
    ca_source_release(source, range);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ObtainRelease)->Arg(1)->Arg(1 << 21);

// The cost of a first touch, for each byte: obtain 32 MiB, touch every 4 KiB, release.
// Argument: ca_memory_map_huge_pages, 1 for never, 2 for transparent.
void BM_FirstTouch(benchmark::State &state) {
  ca_memory_map_settings settings = {};
  settings.huge_pages = static_cast<ca_memory_map_huge_pages>(state.range(0));
  ca_memory_map map;
  ca_memory_map_init(&map, &settings);
  ca_source *source = ca_memory_map_source(&map);
  constexpr std::size_t kSize = std::size_t{32} << 20;
  for (auto _ : state) {
    const ca_block range = ca_source_obtain(source, kSize, 1);
    volatile char *bytes = static_cast<char *>(range.ptr);
    for (std::size_t at = 0; at < kSize; at += 4096) bytes[at] = 1;
    ca_source_release(source, range);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSize));
}
BENCHMARK(BM_FirstTouch)->Arg(CA_MEMORY_MAP_HUGE_NEVER)->Arg(CA_MEMORY_MAP_HUGE_TRANSPARENT);

}  // namespace
