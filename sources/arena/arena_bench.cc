// The arena beside a free list under a mutex: what somebody writes who needs no more.
// Run: bazel run -c opt //sources/arena:arena_bench
#include <benchmark/benchmark.h>

#include <mutex>
#include <vector>

#include "sources/arena/arena.h"
#include "sources/arena/mappings.h"

namespace {

constexpr std::size_t kSlot = 65536;
constexpr std::size_t kSlots = 1024;

struct Arena {
  explicit Arena(std::size_t slots = kSlots, std::size_t retained = kSlots) {
    ca_arena_settings settings = {};
    settings.slot_size = kSlot;
    settings.slots = slots;
    settings.retained = retained;
    made = ca_arena_init(&arena, mappings.get(), &settings);
  }
  ~Arena() { ca_arena_destroy(&arena); }
  void *Obtain() { return ca_arena_obtain(&arena); }
  void Release(void *slot) { ca_arena_release(&arena, slot); }

  Mappings mappings;
  ca_arena arena;
  bool made;
};

struct MutexList {
  MutexList() {
    range = ca_source_obtain(mappings.get(), kSlots * kSlot, kSlot);
    for (std::size_t i = kSlots; i-- > 0;)
      idle.push_back(static_cast<char *>(range.ptr) + i * kSlot);
  }
  ~MutexList() { ca_source_release(mappings.get(), range); }
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

  Mappings mappings;
  ca_block range;
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

// Of two slots, one more than is retained: a page of each is touched, and one slot's pages go back.
// Beside it what the operating system takes for that alone.
void BM_ObtainReleaseTwoRetainingOne(benchmark::State &state) {
  Arena pool(2, 1);
  for (auto _ : state) {
    auto *first = static_cast<char *>(pool.Obtain());
    auto *second = static_cast<char *>(pool.Obtain());
    first[0] = second[0] = 1;
    pool.Release(first);
    pool.Release(second);
  }
}
BENCHMARK(BM_ObtainReleaseTwoRetainingOne);

void BM_TouchAndDecommitASlot(benchmark::State &state) {
  Arena pool(1);
  auto *slot = static_cast<char *>(pool.Obtain());
  for (auto _ : state) {
    slot[0] = 1;
    ca_source_decommit(pool.mappings.get(), slot, kSlot);
  }
  pool.Release(slot);
}
BENCHMARK(BM_TouchAndDecommitASlot);

// A million slots: nothing is touched.
void BM_InitDestroy(benchmark::State &state) {
  for (auto _ : state) {
    Arena pool(static_cast<std::size_t>(state.range(0)), 0);
    if (!pool.made) state.SkipWithError("the source refused");
  }
}
BENCHMARK(BM_InitDestroy)->Arg(1000)->Arg(1000000)->Unit(benchmark::kMicrosecond);

}  // namespace
