// Making and destroying a coroutine: its frame in a bump allocator beside operator new.
// Run: bazel run -c opt //adaptors/coroutine_frame:coroutine_frame_bench
#include "adaptors/coroutine_frame/coroutine_frame.h"

#include <benchmark/benchmark.h>

#include <coroutine>
#include <cstdlib>
#include <memory>

#include "allocators/bump/bump.h"

namespace {

struct FromOperatorNew {};

template <typename Frame>
struct Task {
  struct promise_type : Frame {
    Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
  std::coroutine_handle<promise_type> handle;
};

template <typename Frame>
__attribute__((noinline)) Task<Frame> Increment(std::allocator_arg_t, ca_allocator *, int *number) {
  for (;;) {
    ++*number;
    co_await std::suspend_always{};
  }
}

template <typename Frame>
void MakeAndDestroy(benchmark::State &state) {
  alignas(64) static char memory[4096];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca_allocator *allocator = ca_bump_allocator(&bump);
  benchmark::DoNotOptimize(allocator);
  int number = 0;
  for (auto _ : state) {
    Task<Frame> task = Increment<Frame>(std::allocator_arg, allocator, &number);
    benchmark::DoNotOptimize(task.handle);
    task.handle.destroy();
  }
}

void BM_MakeAndDestroyInBump(benchmark::State &state) {
  MakeAndDestroy<ca::coroutine_frame<>>(state);
}
BENCHMARK(BM_MakeAndDestroyInBump);

void BM_MakeAndDestroyFromOperatorNew(benchmark::State &state) {
  MakeAndDestroy<FromOperatorNew>(state);
}
BENCHMARK(BM_MakeAndDestroyFromOperatorNew);

}  // namespace
