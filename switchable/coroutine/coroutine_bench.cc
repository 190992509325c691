// What the integration kit adds to a switch between coroutines: all of the allocator's part, without the
// switch of stacks.
// Run: bazel run -c opt //switchable/coroutine:coroutine_bench
#include "switchable/coroutine/coroutine.h"

#include <benchmark/benchmark.h>

namespace {

ca_coroutine Coroutine(unsigned carries) {
  ca_coroutine_settings settings = {};
  settings.context = ca_context_create(nullptr);
  settings.carries = carries;
  ca_coroutine coroutine;
  ca_coroutine_init(&coroutine, &settings);
  return coroutine;
}

void End(ca_coroutine *coroutine) {
  ca_context_destroy(coroutine->memory.coroutine);
  ca_coroutine_destroy(coroutine);
}

// Into a coroutine and back to its thread: two switches.
void BM_LeaveAndArriveThereAndBack(benchmark::State &state) {
  const auto carries = static_cast<unsigned>(state.range(0));
  ca_coroutine thread;
  ca_coroutine_init_here(&thread, carries);
  ca_coroutine one = Coroutine(carries);
  for (auto _ : state) {
    ca_coroutine_leave(&thread, &one);
    ca_coroutine_arrive(&one);
    ca_coroutine_leave(&one, &thread);
    ca_coroutine_arrive(&thread);
  }
  End(&one);
}
BENCHMARK(BM_LeaveAndArriveThereAndBack)->Arg(CA_CARRY_NOTHING)->Arg(CA_CARRY_ERRNO);

// From one coroutine straight to another and back.
void BM_LeaveAndArriveBetweenTwo(benchmark::State &state) {
  ca_coroutine thread;
  ca_coroutine_init_here(&thread, CA_CARRY_NOTHING);
  ca_coroutine one = Coroutine(CA_CARRY_NOTHING);
  ca_coroutine two = Coroutine(CA_CARRY_NOTHING);
  ca_coroutine_leave(&thread, &one);
  for (auto _ : state) {
    ca_coroutine_leave(&one, &two);
    ca_coroutine_arrive(&two);
    ca_coroutine_leave(&two, &one);
    ca_coroutine_arrive(&one);
  }
  ca_coroutine_leave(&one, &thread);
  End(&one);
  End(&two);
}
BENCHMARK(BM_LeaveAndArriveBetweenTwo);

// Without a stack: a turn of a C++20 coroutine, or a callback.
void BM_EnterAndExit(benchmark::State &state) {
  ca_coroutine one = Coroutine(static_cast<unsigned>(state.range(0)));
  for (auto _ : state) {
    ca_coroutine outside;
    ca_coroutine_enter(&one, &outside);
    ca_coroutine_exit(&one, &outside);
  }
  End(&one);
}
BENCHMARK(BM_EnterAndExit)->Arg(CA_CARRY_NOTHING)->Arg(CA_CARRY_ERRNO);

}  // namespace
