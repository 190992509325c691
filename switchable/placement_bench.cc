// What the rules of placement cost each allocation in a context.
// Run: bazel run -c opt //switchable:placement_bench
#include "switchable/placement.h"

#include <benchmark/benchmark.h>
#include <dlfcn.h>

namespace {

void LookUp(benchmark::State &state, const void *address) {
  for (auto _ : state) benchmark::DoNotOptimize(ca_placement_is_global(address));
}

// Before the others, which state rules for the whole process.
void BM_WithoutRules(benchmark::State &state) {
  LookUp(state, reinterpret_cast<const void *>(&LookUp));
}
BENCHMARK(BM_WithoutRules);

void StateRules() {
  const ca_placement_settings rules = {"libssl:libcrypto", true};
  (void)ca_placement_init(&rules);
}

// Code that was loaded when the rules were stated.
void BM_LoadedBefore(benchmark::State &state) {
  StateRules();
  LookUp(state, reinterpret_cast<const void *>(&LookUp));
}
BENCHMARK(BM_LoadedBefore);

// Code that was not: glibc is asked.
void BM_LoadedLater(benchmark::State &state) {
  StateRules();
  void *const handle = dlopen("libssl.so.3", RTLD_NOW);
  const void *const code = handle == nullptr ? nullptr : dlsym(handle, "SSL_new");
  if (code == nullptr) {
    state.SkipWithError("libssl.so.3 is not there");
    return;
  }
  LookUp(state, code);
}
BENCHMARK(BM_LoadedLater);

}  // namespace
