// Which code's allocations go global: the map by itself, with libc's malloc, also under sanitizers.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/auxv.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "switchable/placement.h"
#include "switchable/switchable.h"

namespace {

constexpr char kPlaced[] = "switchable/libplaced.so";
constexpr char kOther[] = "switchable/libother.so";

const void *AddressOf(void *handle) { return dlsym(handle, "probe"); }

// Where the dynamic linker begins.
const void *LinkersEntry() {
  const auto base = getauxval(AT_BASE);
  return reinterpret_cast<const void *>(base + reinterpret_cast<const ElfW(Ehdr) *>(base)->e_entry);
}

bool Init(const std::string &objects, bool initialisers = false) {
  const ca_placement_settings settings = {objects.c_str(), initialisers};
  return ca_placement_init(&settings);
}

// Whether `init` is done in a process of its own.
template <typename Try>
void ExpectInit(bool expected, Try init) {
  testing::FLAGS_gtest_death_test_style = "fast";
  EXPECT_EXIT(_exit(init() ? 1 : 0), testing::ExitedWithCode(expected ? 1 : 0), "");
}

// In this order: the first two state nothing in this process.

TEST(AMapDeathTest, NamesOutOfRangeAreRefused) {
  const std::string longest(CA_PLACEMENT_NAME_SIZE - 1, 'x');
  std::string most = "a";
  for (int i = 1; i < CA_PLACEMENT_NAMES; ++i) most += ":a";
  for (const std::string &good : {std::string("libssl"), longest, most}) {
    ExpectInit(true, [&] { return Init(good); });
  }
  for (const std::string &bad : {std::string(), std::string(":libssl"), std::string("libssl:"),
                                 std::string("/lib/libssl"), longest + "x", most + ":a"}) {
    ExpectInit(false, [&] { return Init(bad); });
  }
  ExpectInit(false, [] {
    const ca_placement_settings nothing = {nullptr, false};
    return ca_placement_init(&nothing);
  });
  ExpectInit(true, [] {
    const ca_placement_settings only = {nullptr, true};
    return ca_placement_init(&only);
  });
  ExpectInit(true, [] { return !Init("a/b") && Init("a") && !Init("a"); });
}

TEST(AMapDeathTest, ItIsTooLateOnceAContextExists) {
  ExpectInit(false, [] {
    ca_context_destroy(ca_context_create(nullptr));
    return Init("libssl");
  });
  EXPECT_FALSE(ca_placement_is_global(reinterpret_cast<const void *>(&AddressOf))) << "no rules";
}

class MapTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    void *const early = dlopen(kPlaced, RTLD_NOW);  // Loaded before, and so for good.
    ASSERT_NE(early, nullptr) << dlerror();
    ASSERT_TRUE(Init("libplaced:libssl", true));
    EXPECT_EQ(dlclose(early), 0);
  }
};

TEST_F(MapTest, TellsNamedObjectsFromOthers) {
  void *const placed = dlopen(kPlaced, RTLD_NOW);
  void *const other = dlopen(kOther, RTLD_NOW);
  for (int i = 0; i < 2; ++i) {  // The second time from memory.
    EXPECT_TRUE(ca_placement_is_global(AddressOf(placed)));
    EXPECT_FALSE(ca_placement_is_global(AddressOf(other)));
    EXPECT_FALSE(ca_placement_is_global(reinterpret_cast<const void *>(&AddressOf)));
    EXPECT_FALSE(ca_placement_is_global(dlsym(RTLD_DEFAULT, "strlen"))) << "libc";
    EXPECT_TRUE(ca_placement_is_global(LinkersEntry()));
    EXPECT_FALSE(ca_placement_is_global(nullptr));
    EXPECT_FALSE(ca_placement_is_global(&placed)) << "no code";
  }
  dlclose(placed);
  dlclose(other);
}

TEST_F(MapTest, WhatWasLoadedWhenTheRulesWereStatedStaysLoaded) {
  for (int i = 0; i < 3; ++i) {  // Also for who closes it once too often.
    void *const handle = dlopen(kPlaced, RTLD_NOW | RTLD_NOLOAD);
    ASSERT_NE(handle, nullptr);
    dlclose(handle);
    dlclose(handle);
  }
}

// Two objects in turn, mostly at the same address: nothing that was unloaded is taken for the
// present.
TEST_F(MapTest, IsNeverOutOfDateWhileOthersLoadAndUnload) {
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  void *const placed = dlopen(kPlaced, RTLD_NOW);
  const void *const global = AddressOf(placed);
  const void *const libc = dlsym(RTLD_DEFAULT, "strlen");
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!done) {
        wrong += !ca_placement_is_global(global);
        wrong += ca_placement_is_global(libc);
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    const bool named = i % 2 == 0;
    void *const handle = dlopen(named ? "switchable/libssl.placed.so" : kOther, RTLD_NOW);
    ASSERT_NE(handle, nullptr) << dlerror();
    wrong += ca_placement_is_global(AddressOf(handle)) != named;
    dlclose(handle);
  }
  done = true;
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  dlclose(placed);
}

}  // namespace
