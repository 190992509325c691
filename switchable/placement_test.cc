// Rules of placement behind malloc: shared objects that are named, the dynamic linker,
// initialisers.
#include "switchable/placement.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "switchable/malloc.h"
#include "switchable/report.h"
#include "switchable/switchable.h"

namespace {

const ca_placement_settings kRules = {"libnothing:libplaced:libssl.so.3:libcrypto", true};

// Before main: what a program's own static initialisers allocate is global, as no context exists.
const bool g_stated = ca_placement_init(&kRules);

constexpr char kPlaced[] = "switchable/libplaced.so";
constexpr char kOther[] = "switchable/libother.so";
constexpr char kCaller[] = "switchable/libcaller.so";
constexpr int kWays = 17;
constexpr int kFirstLargeWay = 15;

// A context, swapped in for the time of one call.
class PlacementTest : public testing::Test {
 protected:
  ~PlacementTest() override { EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE); }

  template <typename Body>
  auto InContext(Body body) {
    EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
    const auto result = body();
    ca_context_swap_out();
    return result;
  }
  bool IsOfContext(const void *ptr) const {
    return reinterpret_cast<std::uintptr_t>(ptr) -
               reinterpret_cast<std::uintptr_t>(context_.header) <
           ca_context_count(context_).slot_size;
  }
  std::uint64_t Allocations() const { return ca_context_count(context_).allocations; }

  ca_context context_ = ca_context_create(nullptr);
};

// An object, open.
class Object {
 public:
  explicit Object(const char *path) : handle_(dlopen(path, RTLD_NOW)) {
    EXPECT_NE(handle_, nullptr) << dlerror();
  }
  ~Object() { EXPECT_EQ(dlclose(handle_), 0); }
  Object(const Object &) = delete;
  Object &operator=(const Object &) = delete;

  template <typename Function>
  Function *Find(const char *name) const {
    return reinterpret_cast<Function *>(dlsym(handle_, name));
  }

 private:
  void *handle_;
};

using Probe = void *(int way);

TEST(PlacementInitTest, IsOnceAndBeforeTheFirstContext) {
  EXPECT_TRUE(g_stated);
  EXPECT_FALSE(ca_placement_init(&kRules)) << "stated before";
}

TEST_F(PlacementTest, ANamedObjectAllocatesGloballyByEveryFunction) {
  const Object placed(kPlaced);
  const auto probe = placed.Find<Probe>("probe");
  for (int way = 0; way < kWays; ++way) {
    void *const ptr = InContext([&] { return probe(way); });
    ASSERT_NE(ptr, nullptr) << way;
    EXPECT_FALSE(IsOfContext(ptr)) << way;
    const bool is_aligned = (way >= 4 && way <= 6) || (way >= 11 && way <= 14);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ptr) % (is_aligned ? 64 : 16), 0U) << way;
    std::memset(ptr, 1, 100);
    std::free(ptr);
  }
  EXPECT_EQ(Allocations(), 0U);
  char *const zeroed = static_cast<char *>(InContext([&] { return probe(1); }));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(zeroed[i], 0);
  std::free(zeroed);
}

TEST_F(PlacementTest, AnotherObjectIsServedByWhoIsCurrent) {
  const Object other(kOther);
  const auto probe = other.Find<Probe>("probe");
  for (int way = 0; way < kFirstLargeWay; ++way) {
    void *const ptr = InContext([&] { return probe(way); });
    EXPECT_TRUE(IsOfContext(ptr)) << way;
  }
  EXPECT_EQ(InContext([&] { return probe(kFirstLargeWay); }), nullptr);
  EXPECT_EQ(InContext([&] { return probe(kFirstLargeWay + 1); }), nullptr);
  EXPECT_EQ(Allocations(), static_cast<std::uint64_t>(kFirstLargeWay));
  void *const mine = InContext([] { return std::malloc(100); });
  EXPECT_TRUE(IsOfContext(mine)) << "the program's own, too";
}

TEST_F(PlacementTest, AResizedBlockStaysItsOwners) {
  const Object placed(kPlaced);
  const Object other(kOther);
  void *mine = InContext([] { return std::malloc(100); });
  void *const resized =
      InContext([&] { return placed.Find<void *(void *)>("probe_realloc")(mine); });
  EXPECT_TRUE(IsOfContext(resized));
  void *const global = InContext(
      [&] { return other.Find<void *(void *)>("probe_realloc")(placed.Find<Probe>("probe")(0)); });
  EXPECT_FALSE(IsOfContext(global));
  std::free(global);
}

TEST_F(PlacementTest, StaticInitialisersInDlopenAreGlobalAndSoIsWhatTheLinkerKeeps) {
  for (int i = 0; i < 3; ++i) {
    void *const handle = InContext([] { return dlopen(kOther, RTLD_NOW); });
    ASSERT_NE(handle, nullptr) << dlerror();
    void *const initialised = *static_cast<void **>(dlsym(handle, "probe_initialised"));
    EXPECT_NE(initialised, nullptr);
    EXPECT_FALSE(IsOfContext(initialised));
    EXPECT_EQ(Allocations(), 0U);
    EXPECT_EQ(InContext([] { return ca_switchable_current(); }), CA_CURRENT_COROUTINE);
    dlclose(handle);
  }
}

// glibc allocates the vector of a thread's dynamic TLS in the dynamic linker, which also frees it.
TEST_F(PlacementTest, AThreadsTlsIsGlobal) {
  pthread_t thread;
  const int result = InContext([&thread] {
    return pthread_create(
        &thread, nullptr, [](void *) -> void * { return nullptr; }, nullptr);
  });
  ASSERT_EQ(result, 0);
  pthread_join(thread, nullptr);
  EXPECT_EQ(Allocations(), 0U);
}

// The caller has a RUNPATH of its own, in which the name is to be found: nobody may call in its
// place.
TEST_F(PlacementTest, TheCallersOwnSearchPathStays) {
  const Object caller(kCaller);
  void *const handle =
      InContext([&] { return caller.Find<void *(const char *)>("probe_open")("libother.so"); });
  ASSERT_NE(handle, nullptr) << dlerror();
  void *const initialised = *static_cast<void **>(dlsym(handle, "probe_initialised"));
  EXPECT_TRUE(IsOfContext(initialised)) << "as the header says";
  dlclose(handle);
}

TEST_F(PlacementTest, WhatCannotBeOpenedIsSaidAsEver) {
  EXPECT_EQ(InContext([] { return dlopen("switchable/libabsent.so", RTLD_NOW); }), nullptr);
  const char *const error = dlerror();
  ASSERT_NE(error, nullptr);
  EXPECT_NE(std::strstr(error, "libabsent.so"), nullptr);
  EXPECT_NE(InContext([] { return dlopen(nullptr, RTLD_NOW); }), nullptr) << "the program itself";
}

TEST_F(PlacementTest, TheChildOfAForkLooksUpToo) {
  const Object placed(kPlaced);
  const pid_t child = fork();
  if (child == 0) {
    void *const ptr = InContext([&] { return placed.Find<Probe>("probe")(0); });
    _exit(IsOfContext(ptr) ? 1 : 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(PlacementTest, AThreadsHeapFollowsTheRulesToo) {
  const Object placed(kPlaced);
  ASSERT_TRUE(ca_switchable_thread_init(nullptr));
  ASSERT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
  const ca_contexts_counts before = ca_contexts_count();
  void *const ptr = placed.Find<Probe>("probe")(0);
  EXPECT_EQ(ca_contexts_count().allocations, before.allocations);
  void *const mine = std::malloc(100);
  EXPECT_EQ(ca_contexts_count().allocations, before.allocations + 1);
  std::free(mine);
  std::free(ptr);
  ca_switchable_use(CA_CURRENT_GLOBAL);
  ca_switchable_thread_release();
}

// A library of the system, unmodified: what it keeps outlives the request that made it.
TEST_F(PlacementTest, LibsslMadeInAContextOutlivesIt) {
  void *const ssl = InContext([] { return dlopen("libssl.so.3", RTLD_NOW); });
  ASSERT_NE(ssl, nullptr) << dlerror();
  const auto method = reinterpret_cast<void *(*)()>(dlsym(ssl, "TLS_client_method"));
  const auto make = reinterpret_cast<void *(*)(void *)>(dlsym(ssl, "SSL_CTX_new"));
  const auto session = reinterpret_cast<void *(*)(void *)>(dlsym(ssl, "SSL_new"));
  const auto end_session = reinterpret_cast<void (*)(void *)>(dlsym(ssl, "SSL_free"));
  const auto end = reinterpret_cast<void (*)(void *)>(dlsym(ssl, "SSL_CTX_free"));
  void *const made = InContext([&] { return make(method()); });
  ASSERT_NE(made, nullptr);
  EXPECT_FALSE(IsOfContext(made));
  EXPECT_EQ(ca_context_reset(context_), CA_CONTEXT_DONE);
  for (int i = 0; i < 3; ++i) end_session(InContext([&] { return session(made); }));
  end(made);
}

}  // namespace
