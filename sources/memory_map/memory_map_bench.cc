#include <benchmark/benchmark.h>

#include "sources/memory_map/memory_map.h"

namespace {

void BM_ObtainRelease(benchmark::State &state) {
  ca_memory_map map;
  ca_memory_map_init(&map, nullptr);
  ca_source *source = ca_memory_map_source(&map);
  for (auto _ : state) {
    const ca_block range =
        ca_source_obtain(source, 1 << 16, static_cast<std::size_t>(state.range(0)));
    benchmark::DoNotOptimize(range.ptr);
    ca_source_release(source, range);
  }
}
BENCHMARK(BM_ObtainRelease)->Arg(1)->Arg(1 << 21);

}  // namespace
