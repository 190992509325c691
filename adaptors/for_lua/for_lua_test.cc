#include "adaptors/for_lua/for_lua.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <lua.hpp>

#include <string>
#include <type_traits>
#include <vector>

#include "adaptors/testing/witness.h"
#include "allocators/bump/bump.h"
#include "sources/buffer/buffer.h"

namespace {

static_assert(std::is_same_v<decltype(&ca_for_lua), lua_Alloc>);

int OpenLibraries(lua_State *state) {
  luaL_openlibs(state);
  return 0;
}

// Runs a script in a new state and returns Lua's status; the state is left in *kept.
int RunScript(ca_allocator *allocator, const char *script, lua_State **kept) {
  *kept = lua_newstate(ca_for_lua, allocator);
  if (*kept == nullptr) return LUA_ERRMEM;
  lua_pushcfunction(*kept, OpenLibraries);
  const int opened = lua_pcall(*kept, 0, 0, 0);
  if (opened != LUA_OK) return opened;
  const int loaded = luaL_loadstring(*kept, script);
  if (loaded != LUA_OK) return loaded;
  return lua_pcall(*kept, 0, 1, 0);
}

struct Script {
  const char *name;
  const char *text;
  const char *result;
};

const Script kScripts[] = {
    {"Strings", "local t = {} for i = 1, 500 do t[i] = ('x'):rep(i) end return #table.concat(t)",
     "125250"},
    {"GrowingTables", "local t = {} for i = 1, 5000 do t[i] = i end return #t", "5000"},
    {"ShrinkingTables",
     "local t = {} for i = 1, 2000 do t['k' .. i] = i end for i = 1, 2000 do t['k' .. i] = nil end "
     "collectgarbage() t.a = 1 collectgarbage() return next(t)",
     "a"},
    {"Closures", "local f = {} for i = 1, 99 do f[i] = function() return i end end return f[7]()",
     "7"},
    {"Coroutines",
     "local s = 0 for i = 1, 50 do local c = coroutine.wrap(function() coroutine.yield(i) end) "
     "s = s + c() end return s",
     "1275"},
    {"Errors", "local ok, e = pcall(error, 'no') return e", "no"},
    {"Garbage", "for i = 1, 20000 do local t = {i} end collectgarbage() return 1", "1"},
};

class ForLuaScriptTest : public testing::TestWithParam<Script> {};

TEST_P(ForLuaScriptTest, RunsInTheAllocatorAndGivesAllOfItBack) {
  ca_testing::Witness witness;
  lua_State *state;
  ASSERT_EQ(RunScript(witness.get(), GetParam().text, &state), LUA_OK) << lua_tostring(state, -1);
  EXPECT_STREQ(lua_tostring(state, -1), GetParam().result);
  EXPECT_EQ(witness.live_bytes(), static_cast<std::size_t>(lua_gc(state, LUA_GCCOUNT)) * 1024 +
                                      static_cast<std::size_t>(lua_gc(state, LUA_GCCOUNTB)))
      << "Lua's own count";
  lua_close(state);
  EXPECT_EQ(witness.live_blocks(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Scripts, ForLuaScriptTest, testing::ValuesIn(kScripts),
                         [](const auto &info) { return std::string(info.param.name); });

class ForLuaTest : public testing::Test {
 protected:
  static constexpr std::size_t kSize = 1 << 20;
  ForLuaTest() : memory_(kSize) { ca_buffer_init(&buffer_, memory_.data(), memory_.size()); }
  ~ForLuaTest() override { EXPECT_EQ(buffer_.out, 0U); }

  std::vector<char> memory_;
  ca_buffer buffer_;
};

// One state per coroutine: killed wherever it stands, in the middle of a script, with suspended
// coroutines, live tables and pending garbage.
TEST_F(ForLuaTest, AStateKilledWithoutCloseLeaksNothing) {
  ca_bump bump;
  ASSERT_TRUE(ca_bump_init(&bump, ca_buffer_source(&buffer_), kSize - 16, CA_SIZES_FORGOTTEN));
  const std::size_t before = mallinfo2().uordblks;
  std::size_t used = 0;
  for (int round = 0; round < 200; ++round) {
    lua_State *state;
    ASSERT_EQ(RunScript(ca_bump_allocator(&bump),
                        "kept = {} for i = 1, 100 do kept[i] = ('y'):rep(i) end "
                        "co = coroutine.create(function() while true do coroutine.yield() end end) "
                        "coroutine.resume(co) return #kept",
                        &state),
              LUA_OK);
    ASSERT_EQ(lua_tointeger(state, -1), 100);
    lua_State *thread = lua_newthread(state);
    luaL_loadstring(thread, "local t = {} for i = 1, 50 do t[i] = {} end coroutine.yield(t)");
    int results = 0;
    ASSERT_EQ(lua_resume(thread, state, 0, &results), LUA_YIELD);
    if (round == 0) used = ca_bump_used(&bump);
    ASSERT_NEAR(ca_bump_used(&bump), used, used / 4.0) << "every round starts from nothing";
    ca_bump_reset(&bump);  // The coroutine is gone; nobody calls lua_close().
    ASSERT_EQ(ca_bump_used(&bump), 0U);
  }
  EXPECT_EQ(mallinfo2().uordblks, before) << "nothing of it was libc's";
  ca_bump_destroy(&bump);
}

TEST_F(ForLuaTest, ARegionGoesBackWithAllOfItsStates) {
  for (int round = 0; round < 20; ++round) {
    ca_bump bump;
    ASSERT_TRUE(ca_bump_init(&bump, ca_buffer_source(&buffer_), kSize - 16, CA_SIZES_FORGOTTEN));
    for (int i = 0; i < 5; ++i) {
      lua_State *state;
      ASSERT_EQ(RunScript(ca_bump_allocator(&bump), "return 1", &state), LUA_OK);
    }
    ca_bump_destroy(&bump);
    ASSERT_EQ(buffer_.out, 0U);
  }
}

TEST_F(ForLuaTest, ABudgetEndsTheScriptAndNotTheState) {
  ca_bump bump;
  ASSERT_TRUE(ca_bump_init(&bump, ca_buffer_source(&buffer_), 200000, CA_SIZES_FORGOTTEN));
  lua_State *state;
  EXPECT_EQ(
      RunScript(ca_bump_allocator(&bump), "local s = 'x' while true do s = s .. s end", &state),
      LUA_ERRMEM);
  lua_settop(state, 0);
  ASSERT_EQ(luaL_dostring(state, "return 6 * 7"), LUA_OK);
  EXPECT_EQ(lua_tointeger(state, -1), 42);
  ca_bump_destroy(&bump);
}

TEST_F(ForLuaTest, WhereverMemoryEndsTheStateCanStillBeClosed) {
  ca_testing::Witness witness;
  const std::size_t runs = ca_testing::RefuseEachRequest(witness, [&witness] {
    lua_State *state;
    const int status =
        RunScript(witness.get(), "local t = {} for i = 1, 50 do t[i] = {i} end", &state);
    EXPECT_TRUE(status == LUA_OK || status == LUA_ERRMEM) << status;
    if (state != nullptr) lua_close(state);
    return status == LUA_OK;
  });
  EXPECT_GT(runs, 100U);
}

TEST(ForLuaContractTest, FollowsTheRulesOfLuaAlloc) {
  ca_testing::Witness witness;
  ca_allocator *const allocator = witness.get();
  EXPECT_EQ(ca_for_lua(allocator, nullptr, LUA_TSTRING, 0), nullptr);
  EXPECT_EQ(ca_for_lua(allocator, nullptr, 0, 0), nullptr);
  EXPECT_EQ(witness.requests, 0U);
  auto *bytes = static_cast<char *>(ca_for_lua(allocator, nullptr, LUA_TTABLE, 10));
  EXPECT_EQ(witness.live_bytes(), 10U);
  bytes[9] = 'x';
  bytes = static_cast<char *>(ca_for_lua(allocator, bytes, 10, 100));
  EXPECT_EQ(bytes[9], 'x');
  witness.refuse_from = 0;
  EXPECT_EQ(ca_for_lua(allocator, bytes, 100, 200), nullptr);
  EXPECT_EQ(bytes[9], 'x') << "a refusal leaves the block alone";
  EXPECT_EQ(ca_for_lua(allocator, nullptr, 0, 1), nullptr);
  EXPECT_EQ(ca_for_lua(allocator, bytes, 100, 0), nullptr);
}

}  // namespace
