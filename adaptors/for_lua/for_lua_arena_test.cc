// A Lua state per coroutine: each in a slot of an arena, killed by giving the slot back.
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <lua.hpp>

#include "adaptors/for_lua/for_lua.h"
#include "allocators/context/context.h"
#include "sources/arena/arena.h"
#include "sources/memory_map/memory_map.h"

namespace {

// Pages resident in this process.
long ResidentPages() {
  std::FILE *file = std::fopen("/proc/self/statm", "r");
  long total = 0, resident = 0;
  EXPECT_EQ(std::fscanf(file, "%ld %ld", &total, &resident), 2);
  std::fclose(file);
  return resident;
}

class ForLuaArenaTest : public testing::TestWithParam<ca_context_kind> {
 protected:
  static constexpr std::size_t kSlot = 256 << 10;
  static constexpr int kAtATime = 8;

  ForLuaArenaTest() {
    ca_memory_map_init(&map_, nullptr);
    ca_arena_settings settings = {};
    settings.slot_size = kSlot;
    settings.slots = kAtATime;
    settings.retained = kAtATime;
    EXPECT_TRUE(ca_arena_init(&arena_, ca_memory_map_source(&map_), &settings));
  }
  ~ForLuaArenaTest() override {
    EXPECT_TRUE(ca_arena_check(&arena_));
    ca_arena_destroy(&arena_);
  }

  std::size_t SlotsOut() {
    const ca_arena_counts counts = ca_arena_count(&arena_);
    return counts.used - counts.resident - counts.decommitted;
  }

  // Begins a state in a slot of its own and stops it in the middle of a coroutine of Lua's, with
  // garbage pending.
  void Begin(ca_context_allocator *context) {
    ASSERT_TRUE(
        ca_context_allocator_init(context, ca_arena_source(&arena_), kSlot, GetParam(), nullptr));
    lua_State *state = lua_newstate(ca_for_lua, ca_context_allocator_allocator(context));
    ASSERT_NE(state, nullptr);
    lua_State *thread = lua_newthread(state);
    ASSERT_EQ(luaL_loadstring(thread,
                              "kept = {} for i = 1, 50 do kept[i] = {i, 'x' .. i} end "
                              "for i = 1, 50 do local garbage = {} end return kept[50][2]"),
              LUA_OK);
    lua_sethook(
        thread, [](lua_State *hooked, lua_Debug *) { lua_yield(hooked, 0); }, LUA_MASKCOUNT, 200);
    int results = 0;
    ASSERT_EQ(lua_resume(thread, state, 0, &results), LUA_YIELD) << lua_tostring(thread, -1);
  }

  ca_memory_map map_;
  ca_arena arena_;
};

TEST_P(ForLuaArenaTest, ThousandsKilledWithoutCloseLeakNothing) {
  ca_context_allocator contexts[kAtATime] = {};
  std::size_t libc_before = 0;
  long resident_before = 0;
  for (int round = 0; round < 500; ++round) {
    for (ca_context_allocator &context : contexts) Begin(&context);
    ASSERT_FALSE(HasFailure());
    ASSERT_EQ(SlotsOut(), static_cast<std::size_t>(kAtATime));
    // Killed: nobody calls lua_close().
    for (ca_context_allocator &context : contexts) ca_context_allocator_destroy(&context);
    ASSERT_EQ(SlotsOut(), 0U);
    if (round != 20) continue;
    libc_before = mallinfo2().uordblks;
    resident_before = ResidentPages();
  }
  EXPECT_EQ(ca_arena_count(&arena_).used, static_cast<std::size_t>(kAtATime)) << "the same slots";
  EXPECT_EQ(mallinfo2().uordblks, libc_before) << "nothing of it was libc's";
  EXPECT_LE(ResidentPages(), resident_before + 64);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ForLuaArenaTest,
                         testing::Values(CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                         CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE));

}  // namespace
