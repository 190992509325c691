#include <benchmark/benchmark.h>

#include "sources/buffer/buffer.h"

namespace {

void BM_ObtainReleaseThroughOps(benchmark::State &state) {
  static char memory[1 << 16];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  ca_source *source = ca_buffer_source(&buffer);
  benchmark::DoNotOptimize(source);
  for (auto _ : state) {
    ca_block range = ca_source_obtain(source, 4096, 64);
    benchmark::DoNotOptimize(range.ptr);
    ca_source_release(source, range);
  }
}
BENCHMARK(BM_ObtainReleaseThroughOps);

}  // namespace
