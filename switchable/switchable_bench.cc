// What switching and serving cost, beside a call through a pointer.
// Run: bazel run -c opt //switchable:switchable_bench
#include "switchable/switchable.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace {

void Nothing(void *) {}

void BM_CallThroughPointer(benchmark::State &state) {
  void (*volatile call)(void *) = Nothing;
  for (auto _ : state) call(nullptr);
}
BENCHMARK(BM_CallThroughPointer);

// To another coroutine's allocator and back.
void BM_SwapInAndOut(benchmark::State &state) {
  const ca_context context = ca_context_create(nullptr);
  for (auto _ : state) {
    ca_context_swap_in(context);
    ca_context_swap_out();
  }
  ca_context_destroy(context);
}
BENCHMARK(BM_SwapInAndOut);

// From one coroutine to another and back again: two swaps.
void BM_ReplaceAndRestore(benchmark::State &state) {
  const ca_context first = ca_context_create(nullptr);
  const ca_context second = ca_context_create(nullptr);
  ca_context_swap_in(first);
  for (auto _ : state) {
    ca_switchable_state before;
    ca_switchable_replace({second, CA_CURRENT_COROUTINE}, &before);
    ca_switchable_restore(before);
  }
  ca_context_swap_out();
  ca_context_destroy(first);
  ca_context_destroy(second);
}
BENCHMARK(BM_ReplaceAndRestore);

void BM_UseGlobalAndBack(benchmark::State &state) {
  const ca_context context = ca_context_create(nullptr);
  ca_context_swap_in(context);
  for (auto _ : state) {
    ca_switchable_use(CA_CURRENT_GLOBAL);
    ca_switchable_use(CA_CURRENT_COROUTINE);
  }
  ca_context_swap_out();
  ca_context_destroy(context);
}
BENCHMARK(BM_UseGlobalAndBack);

void BM_RunUnderGlobal(benchmark::State &state) {
  const ca_context context = ca_context_create(nullptr);
  ca_context_swap_in(context);
  for (auto _ : state) ca_switchable_run(CA_CURRENT_GLOBAL, Nothing, nullptr);
  ca_context_swap_out();
  ca_context_destroy(context);
}
BENCHMARK(BM_RunUnderGlobal);

void AllocateAndDeallocate(benchmark::State &state) {
  for (auto _ : state) {
    void *ptr = ca_switchable_allocate(64, 16).ptr;
    benchmark::DoNotOptimize(ptr);
    ca_switchable_deallocate(ptr);
  }
}

void BM_AllocateDeallocateInContext(benchmark::State &state) {
  const ca_context context = ca_context_create(nullptr);
  ca_context_swap_in(context);
  AllocateAndDeallocate(state);
  ca_context_swap_out();
  ca_context_destroy(context);
}
BENCHMARK(BM_AllocateDeallocateInContext);

void BM_AllocateDeallocateGlobal(benchmark::State &state) { AllocateAndDeallocate(state); }
BENCHMARK(BM_AllocateDeallocateGlobal);

void BM_CreateAllocateDestroy(benchmark::State &state) {
  const ca_context_settings settings = {4096, nullptr};
  for (auto _ : state) {
    const ca_context context = ca_context_create(&settings);
    ca_context_swap_in(context);
    benchmark::DoNotOptimize(ca_switchable_allocate(64, 16).ptr);
    ca_context_swap_out();
    ca_context_destroy(context);
  }
}
BENCHMARK(BM_CreateAllocateDestroy);

// Freed while the owner is parked, and taken in when it is swapped in.
void BM_ForeignFree(benchmark::State &state) {
  constexpr int kBlocks = 1000;
  const ca_context context = ca_context_create(nullptr);
  std::vector<void *> blocks(kBlocks);
  for (auto _ : state) {
    state.PauseTiming();
    ca_context_swap_in(context);
    ca_context_reset(context);
    for (void *&block : blocks) block = ca_switchable_allocate(64, 16).ptr;
    ca_context_swap_out();
    state.ResumeTiming();
    for (void *block : blocks) ca_switchable_deallocate(block);
  }
  state.SetItemsProcessed(state.iterations() * kBlocks);
  ca_context_destroy(context);
}
BENCHMARK(BM_ForeignFree);

// The same time whatever is live in it.
void BM_ResetWithLiveBlocks(benchmark::State &state) {
  const ca_context context = ca_context_create(nullptr);
  for (auto _ : state) {
    state.PauseTiming();
    ca_context_swap_in(context);
    for (int i = 0; i < state.range(0); ++i) ca_switchable_allocate(8, 16);
    ca_context_swap_out();
    state.ResumeTiming();
    ca_context_reset(context);
  }
  ca_context_destroy(context);
}
BENCHMARK(BM_ResetWithLiveBlocks)->Arg(10)->Arg(50000)->Iterations(200);

}  // namespace
