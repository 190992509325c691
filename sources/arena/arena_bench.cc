// The arena beside a free list under a mutex: what somebody writes who needs no more.
// Run: bazel run -c opt //sources/arena:arena_bench
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <mutex>
#include <vector>

#include "sources/arena/arena.h"
#include "sources/buffer/buffer.h"

namespace {

constexpr std::size_t kSlot = 65536;
constexpr std::size_t kSlots = 1024;
constexpr std::size_t kMemory = kSlots * (kSlot + 64) + kSlot;

struct Memory {
  Memory() {
    ptr = static_cast<char *>(mmap(nullptr, kMemory, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }
  ~Memory() { munmap(ptr, kMemory); }
  char *ptr;
};

struct Arena {
  Arena() {
    ca_buffer_init(&buffer, memory.ptr, kMemory);
    ca_arena_settings settings = {};
    settings.slot_size = kSlot;
    settings.slots = kSlots;
    settings.retained = kSlots;
    ca_arena_init(&arena, ca_buffer_source(&buffer), &settings);
  }
  void *Obtain() { return ca_arena_obtain(&arena); }
  void Release(void *slot) { ca_arena_release(&arena, slot); }

  Memory memory;
  ca_buffer buffer;
  ca_arena arena;
};

struct MutexList {
  MutexList() {
    for (std::size_t i = kSlots; i-- > 0;) idle.push_back(memory.ptr + i * kSlot);
  }
  void *Obtain() {
    const std::lock_guard<std::mutex> lock(mutex);
    if (idle.empty()) return nullptr;
    void *const slot = idle.back();
    idle.pop_back();
    return slot;
  }
  void Release(void *slot) {
    const std::lock_guard<std::mutex> lock(mutex);
    idle.push_back(slot);
  }

  Memory memory;
  std::mutex mutex;
  std::vector<void *> idle;
};

// Each thread holds `range(0)` slots at a time, as coroutines that live side by side.
template <typename Pool>
void BM_ObtainRelease(benchmark::State &state) {
  static Pool pool;
  void *held[16];
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    for (std::size_t i = 0; i < count; ++i) {
      held[i] = pool.Obtain();
      benchmark::DoNotOptimize(held[i]);
    }
    for (std::size_t i = 0; i < count; ++i) pool.Release(held[i]);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_TEMPLATE(BM_ObtainRelease, Arena)
    ->Arg(1)
    ->Arg(16)
    ->Threads(1)
    ->Threads(2)
    ->Threads(8)
    ->UseRealTime();
BENCHMARK_TEMPLATE(BM_ObtainRelease, MutexList)
    ->Arg(1)
    ->Arg(16)
    ->Threads(1)
    ->Threads(2)
    ->Threads(8)
    ->UseRealTime();

void BM_OwnerOfAnAddress(benchmark::State &state) {
  static Arena pool;
  char *slot = static_cast<char *>(pool.Obtain());
  ca_arena_set_owner(&pool.arena, slot, &pool);
  std::size_t offset = 0;
  for (auto _ : state) {
    offset = (offset + 4096 + 16) % kSlot;
    const void *ptr = slot + offset;
    benchmark::DoNotOptimize(ptr);
    void *owner = ca_arena_owns(&pool.arena, ptr) ? ca_arena_owner(&pool.arena, ptr) : nullptr;
    benchmark::DoNotOptimize(owner);
  }
  ca_arena_release(&pool.arena, slot);
}
BENCHMARK(BM_OwnerOfAnAddress);

}  // namespace
