// A state made, used and ended: in a bump allocator that is reset, and in libc's memory, closed.
// And what the hook itself adds to a call of the allocator.
// Run: bazel run -c opt //adaptors/for_lua:for_lua_bench
#include "adaptors/for_lua/for_lua.h"

#include <benchmark/benchmark.h>

#include <lua.hpp>
#include <vector>

#include "allocators/bump/bump.h"

namespace {

constexpr char kScript[] =
    "local t = {} for i = 1, 200 do t[i] = { name = 'n' .. i } end return #t";

void Run(lua_State *state, benchmark::State &bench) {
  luaL_openlibs(state);
  if (luaL_dostring(state, kScript) != LUA_OK) bench.SkipWithError("script failed");
}

void BM_StateInBumpDroppedByReset(benchmark::State &state) {
  std::vector<char> memory(1 << 20);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), CA_SIZES_FORGOTTEN);
  for (auto _ : state) {
    Run(lua_newstate(ca_for_lua, ca_bump_allocator(&bump)), state);
    ca_bump_reset(&bump);
  }
  ca_bump_destroy(&bump);
}
BENCHMARK(BM_StateInBumpDroppedByReset);

void BM_StateInLibcClosed(benchmark::State &state) {
  for (auto _ : state) {
    lua_State *const lua = luaL_newstate();
    Run(lua, state);
    lua_close(lua);
  }
}
BENCHMARK(BM_StateInLibcClosed);

void BM_PairThroughAllocator(benchmark::State &state) {
  alignas(64) static char memory[4096];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca_allocator *allocator = ca_bump_allocator(&bump);
  benchmark::DoNotOptimize(allocator);
  for (auto _ : state) {
    void *ptr = ca_allocate(allocator, 64, 16).ptr;
    benchmark::DoNotOptimize(ptr);
    ca_deallocate(allocator, ptr, 64, 16);
  }
}
BENCHMARK(BM_PairThroughAllocator);

void BM_PairThroughHook(benchmark::State &state) {
  alignas(64) static char memory[4096];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca_allocator *allocator = ca_bump_allocator(&bump);
  lua_Alloc hook = ca_for_lua;
  benchmark::DoNotOptimize(allocator);
  benchmark::DoNotOptimize(hook);
  for (auto _ : state) {
    void *ptr = hook(allocator, nullptr, 0, 64);
    benchmark::DoNotOptimize(ptr);
    hook(allocator, ptr, 64, 0);
  }
}
BENCHMARK(BM_PairThroughHook);

}  // namespace
