#include <benchmark/benchmark.h>

#include "sources/buffer/buffer.h"
#include "sources/chained/chained.h"

namespace {

bool BufferOwns(const ca_source *source, const void *ptr) {
  const auto *buffer = reinterpret_cast<const ca_buffer *>(source);
  return ptr >= buffer->begin && ptr < buffer->end;
}

// Argument 0: the first of two links serves; 1: the second, after the first refused.
void BM_ObtainRelease(benchmark::State &state) {
  static char memory[2][1 << 16];
  ca_buffer buffers[2];
  ca_buffer_init(&buffers[0], memory[0], state.range(0) == 0 ? sizeof memory[0] : 0);
  ca_buffer_init(&buffers[1], memory[1], sizeof memory[1]);
  const ca_chained_link links[] = {{ca_buffer_source(&buffers[0]), BufferOwns},
                                   {ca_buffer_source(&buffers[1]), BufferOwns}};
  ca_chained chained;
  ca_chained_init(&chained, links, 2);
  ca_source *source = ca_chained_source(&chained);
  for (auto _ : state) {
    const ca_block range = ca_source_obtain(source, 4096, 64);
    benchmark::DoNotOptimize(range.ptr);
    ca_source_release(source, range);
  }
}
BENCHMARK(BM_ObtainRelease)->Arg(0)->Arg(1);

}  // namespace
