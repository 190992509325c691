// Children of fork() go on with contexts, whatever the parent's other threads were doing to theirs:
// in a program of its own, as handlers are registered before the library's, and the contexts'
// source is the test's.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <thread>

#include "sources/memory_map/memory_map.h"
#include "switchable/lock.h"
#include "switchable/quarantine.h"
#include "switchable/report.h"
#include "switchable/switchable.h"

namespace {

constexpr std::size_t kSmall = std::size_t{16} << 10;
constexpr std::size_t kLarge = std::size_t{128} << 10;

// Called in the middle of a quarantine's work.
void (*g_on_decommit)();

ca_memory_map g_map;
ca_block Obtain(ca_source *, std::size_t size, std::size_t align) {
  return ca_source_obtain(ca_memory_map_source(&g_map), size, align);
}
void Release(ca_source *, ca_block range) {
  ca_source_release(ca_memory_map_source(&g_map), range);
}
std::size_t Decommit(ca_source *, void *ptr, std::size_t size) {
  if (g_on_decommit != nullptr) g_on_decommit();
  return ca_source_decommit(ca_memory_map_source(&g_map), ptr, size);
}
constexpr ca_source_ops kOps = {Obtain, Release, Decommit, true, "test"};
ca_source g_source = {&kOps};

class Slots : public testing::Environment {
 public:
  void SetUp() override {
    ca_memory_map_settings map = {};
    map.backing = CA_MEMORY_MAP_RESERVED;
    ca_memory_map_init(&g_map, &map);
    ca_contexts_settings settings = {};
    settings.classes[0] = {kSmall, 1024, 1};
    settings.classes[1] = {kLarge, 1024, 1};
    settings.source = &g_source;
    ASSERT_TRUE(ca_contexts_init(&settings));
  }
};
[[maybe_unused]] testing::Environment *const g_slots = testing::AddGlobalTestEnvironment(new Slots);

ca_context Create(ca_context parent, ca_context_policy policy = CA_CONTEXT_RELEASE,
                  std::size_t family_budget = 0) {
  ca_context_settings settings = {};
  settings.budget = 4000;
  settings.parent = parent;
  settings.on_destroy = policy;
  settings.family_budget = family_budget;
  return ca_context_create(&settings);
}

constexpr ca_context kNone = {nullptr, 0};

// Takes every lock that there is, and those of the tree and the families several times.
bool UseAll() {
  const ca_context parent = Create(kNone, CA_CONTEXT_RELEASE, 20000);
  const ca_context child = Create(parent);
  const ca_context late = Create(kNone, CA_CONTEXT_QUARANTINE);
  return ca_context_check(parent) && ca_context_set_parent(child, kNone) == CA_CONTEXT_DONE &&
         ca_context_set_parent(child, parent) == CA_CONTEXT_DONE &&
         ca_context_destroy(late) == CA_CONTEXT_DONE && ca_quarantine_set_capacity(2) &&
         ca_context_destroy(parent) == CA_CONTEXT_DONE &&
         ca_context_destroy(child) == CA_CONTEXT_GONE;
}

// A child that hangs ends by this signal.
void EndSoon() { alarm(20); }

void ExpectEnds(pid_t child) {
  ASSERT_GT(child, 0);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(ForkTest, AChildUsesWhatOtherThreadsWereChanging) {
  const ca_context root = Create(kNone, CA_CONTEXT_RELEASE, 1 << 20);
  std::atomic<bool> done = false;
  std::atomic<int> busy = 0;
  const auto work = [&] {
    for (busy++; !done;) {
      (void)ca_context_destroy(Create(root));
      (void)ca_context_destroy(Create(root, CA_CONTEXT_QUARANTINE));
    }
  };
  std::thread threads[] = {std::thread(work), std::thread(work)};
  while (busy < 2) std::this_thread::yield();
  for (int i = 0; i < 50 && !testing::Test::HasFailure(); ++i) {
    const pid_t child = fork();
    if (child == 0) {
      EndSoon();
      _exit(UseAll() ? 0 : 1);  // The root may be held: who made a child of it is no more.
    }
    ExpectEnds(child);
  }
  done = true;
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(ca_context_destroy(root), CA_CONTEXT_DONE);
}

bool CanTakeElsewhere(ca_lock which) {
  bool taken = false;
  std::thread([&] {
    taken = ca_lock_try(which);
    if (taken) ca_lock_release(which);
  }).join();
  return taken;
}

// Who forks has all of them meanwhile, and not for longer.
TEST(ForkTest, AfterwardsLocksKeepOthersOut) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ExpectEnds(child);
  for (int which = 0; which < CA_LOCKS; ++which) {
    const ca_lock lock = static_cast<ca_lock>(which);
    ca_lock_take(lock);
    EXPECT_FALSE(CanTakeElsewhere(lock));
    ca_lock_release(lock);
    EXPECT_TRUE(CanTakeElsewhere(lock));
  }
}

// Of a library that is there before: called while the locks are taken.
bool g_use = false;
std::atomic<int> g_used[3];
template <int kWhich>
void Use() {
  if (g_use) g_used[kWhich] += UseAll();
}
void RegisterEarly(int, char **, char **) { (void)pthread_atfork(Use<0>, Use<1>, Use<2>); }
[[gnu::section(".preinit_array"), gnu::used]] void (*g_early)(int, char **,
                                                              char **) = RegisterEarly;

TEST(ForkTest, OthersHandlersMayUseContexts) {
  g_use = true;
  const pid_t child = fork();
  if (child == 0) _exit(g_used[0] == 1 && g_used[1] == 0 && g_used[2] == 1 ? 0 : 1);
  g_use = false;
  ExpectEnds(child);
  EXPECT_EQ(g_used[0], 1);
  EXPECT_EQ(g_used[1], 1);
  EXPECT_TRUE(UseAll());
}

pid_t g_child;
void ForkOnce() {
  g_on_decommit = nullptr;
  (void)raise(SIGUSR1);
}

// Ends contexts until pages go back, within the quarantine's lock; returns in two processes.
void QuarantineUntilAForkedHandlerReturns() {
  EndSoon();
  struct sigaction action = {};
  action.sa_handler = [](int) { g_child = fork(); };
  (void)sigaction(SIGUSR1, &action, nullptr);
  (void)ca_quarantine_set_capacity(2);
  g_child = -1;
  g_on_decommit = ForkOnce;
  ca_context contexts[6];
  for (ca_context &one : contexts) {
    ca_context_settings settings = {};
    settings.budget = kLarge / 2;
    settings.on_destroy = CA_CONTEXT_QUARANTINE;
    one = ca_context_create(&settings);
  }
  for (const ca_context one : contexts) (void)ca_context_destroy(one);
}

// In a child, as a handler of somebody else's would wait for the lock that this thread has.
TEST(ForkTest, AHandlerMayForkThatInterruptedWhoHasALock) {
  const pid_t child = fork();
  if (child == 0) {
    QuarantineUntilAForkedHandlerReturns();
    const bool right = g_child >= 0 && UseAll();
    int status = 0;
    if (g_child > 0) (void)waitpid(g_child, &status, 0);
    _exit(right && status == 0 ? 0 : 1);
  }
  ExpectEnds(child);
}

}  // namespace
