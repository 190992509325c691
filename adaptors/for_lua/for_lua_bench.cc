// What the hook itself adds to a call of the allocator. And a state made, used and ended: in a bump
// allocator that is reset, and in libc's memory, closed.
// Run: bazel run -c opt //adaptors/for_lua:for_lua_bench
#include "adaptors/for_lua/for_lua.h"

#include <lua.hpp>
#include <vector>

#include "adaptors/testing/added_cost.h"
#include "allocators/bump/bump.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_allocator *allocator = ca_testing::Opaque(inner.get());
  lua_Alloc hook = ca_testing::Opaque(ca_for_lua);
  ca_testing::ReportAddedCost(
      state, [=] { ca_testing::AllocateAndDeallocate(allocator, 64); },
      [=] {
        void *ptr = hook(allocator, nullptr, 0, 64);
        benchmark::DoNotOptimize(ptr);
        hook(allocator, ptr, 64, 0);
      });
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

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

}  // namespace
