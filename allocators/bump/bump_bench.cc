// Bump beside a hand-written, inlined loop. Run: bazel run -c opt //allocators/bump:bump_bench
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "allocators/bump/bump.h"
#include "sources/buffer/buffer.h"

namespace {

constexpr std::size_t kCount = 1000;
constexpr std::size_t kRegion = kCount * 512;

// Sizes of 16 to 256 bytes, the same for every benchmark.
const std::vector<std::uint16_t> &Sizes() {
  static const std::vector<std::uint16_t> sizes = [] {
    std::vector<std::uint16_t> made(kCount);
    std::uint32_t state = 1;
    for (auto &size : made) {
      state = state * 1664525 + 1013904223;
      size = static_cast<std::uint16_t>(16 + (state >> 16) % 241);
    }
    return made;
  }();
  return sizes;
}

struct Region {
  explicit Region(ca_sizes sizes) : memory(kRegion) {
    ca_buffer_init(&buffer, memory.data(), memory.size());
    ca_bump_init(&bump, ca_buffer_source(&buffer), kRegion - 16, sizes);
  }
  ~Region() { ca_bump_destroy(&bump); }
  std::vector<char> memory;
  ca_buffer buffer;
  ca_bump bump;
};

void PerAllocation(benchmark::State &state) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kCount));
}

// The yardstick: what somebody writes by hand where one is wanted.
struct HandWritten {
  char *cursor;
  char *end;
  void *Allocate(std::size_t size, std::size_t align) {
    char *const ptr = reinterpret_cast<char *>(
        (reinterpret_cast<std::uintptr_t>(cursor) + align - 1) & ~(align - 1));
    if (size > static_cast<std::size_t>(end - ptr)) return nullptr;
    cursor = ptr + size;
    return ptr;
  }
};

// kMemory: the structure's address is known elsewhere, so that the cursor has to be stored each
// time, as for any allocator that outlives a loop; else the compiler may keep it in a register.
enum Where { kRegister, kMemory };

__attribute__((always_inline)) inline void AllocateHandWritten(benchmark::State &state,
                                                               Where where) {
  std::vector<char> memory(kRegion);
  const auto &sizes = Sizes();
  HandWritten bump = {memory.data(), memory.data() + memory.size()};
  HandWritten *escaped = &bump;
  if (where == kMemory) benchmark::DoNotOptimize(escaped);
  for (auto _ : state) {
    escaped->cursor = memory.data();
    for (std::size_t i = 0; i < kCount; ++i) {
      void *ptr = escaped->Allocate(sizes[i], 16);
      benchmark::DoNotOptimize(ptr);
    }
  }
  PerAllocation(state);
}

__attribute__((always_inline)) inline void AllocateDirect(benchmark::State &state, Where where) {
  Region region(CA_SIZES_FORGOTTEN);
  const auto &sizes = Sizes();
  ca_bump copy = region.bump;
  ca_bump *bump = where == kMemory ? &region.bump : &copy;
  if (where == kMemory) benchmark::DoNotOptimize(bump);
  for (auto _ : state) {
    ca_bump_reset(bump);
    for (std::size_t i = 0; i < kCount; ++i) {
      void *ptr = ca_bump_allocate(bump, sizes[i], 16).ptr;
      benchmark::DoNotOptimize(ptr);
    }
  }
  PerAllocation(state);
}

// One function each, so that the compiler knows where.
void BM_AllocateHandWritten(benchmark::State &state) { AllocateHandWritten(state, kRegister); }
void BM_AllocateDirect(benchmark::State &state) { AllocateDirect(state, kRegister); }
void BM_AllocateHandWrittenInMemory(benchmark::State &state) {
  AllocateHandWritten(state, kMemory);
}
void BM_AllocateDirectInMemory(benchmark::State &state) { AllocateDirect(state, kMemory); }
BENCHMARK(BM_AllocateHandWritten);
BENCHMARK(BM_AllocateDirect);
BENCHMARK(BM_AllocateHandWrittenInMemory);
BENCHMARK(BM_AllocateDirectInMemory);

void AllocateThroughOps(benchmark::State &state, ca_sizes recorded) {
  Region region(recorded);
  const auto &sizes = Sizes();
  ca_allocator *allocator = ca_bump_allocator(&region.bump);
  benchmark::DoNotOptimize(allocator);
  for (auto _ : state) {
    ca_bump_reset(&region.bump);
    for (std::size_t i = 0; i < kCount; ++i) {
      void *ptr = ca_allocate(allocator, sizes[i], 16).ptr;
      benchmark::DoNotOptimize(ptr);
    }
  }
  PerAllocation(state);
}
BENCHMARK_CAPTURE(AllocateThroughOps, forgotten, CA_SIZES_FORGOTTEN)->Name("BM_AllocateThroughOps");
BENCHMARK_CAPTURE(AllocateThroughOps, recorded, CA_SIZES_RECORDED)
    ->Name("BM_AllocateThroughOpsRecording");

void BM_AllocateDeallocateThroughOps(benchmark::State &state) {
  Region region(CA_SIZES_FORGOTTEN);
  ca_allocator *allocator = ca_bump_allocator(&region.bump);
  benchmark::DoNotOptimize(allocator);
  for (auto _ : state) {
    const ca_block block = ca_allocate(allocator, 64, 16);
    benchmark::DoNotOptimize(block.ptr);
    ca_deallocate(allocator, block.ptr, 64, 16);
  }
}
BENCHMARK(BM_AllocateDeallocateThroughOps);

// The same time after 10 and after 10,000,000 allocations.
void BM_ResetAfter(benchmark::State &state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<char> memory(count * 16 + 16);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), CA_SIZES_FORGOTTEN);
  for (std::size_t i = 0; i < count; ++i) {
    if (ca_block_is_none(ca_bump_allocate(&bump, 16, 16))) state.SkipWithError("ran out");
  }
  char *const full = bump.cursor;
  for (auto _ : state) {
    bump.cursor = full;
    benchmark::DoNotOptimize(bump.cursor);
    ca_bump_reset(&bump);
    benchmark::DoNotOptimize(bump.cursor);
  }
  ca_bump_destroy(&bump);
}
BENCHMARK(BM_ResetAfter)->Arg(10)->Arg(10000000);

void BM_InitDestroy(benchmark::State &state) {
  std::vector<char> memory(65536);
  ca_bump bump;
  for (auto _ : state) {
    ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), CA_SIZES_RECORDED);
    benchmark::DoNotOptimize(bump);
    ca_bump_destroy(&bump);
    benchmark::DoNotOptimize(bump);
  }
}
BENCHMARK(BM_InitDestroy);

}  // namespace
