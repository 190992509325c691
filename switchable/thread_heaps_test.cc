// Heaps promised to every thread: in a program of its own, since the promise is for the process.
#include <gtest/gtest.h>
#include <numaif.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "sources/memory_map/node_set.h"
#include "switchable/switchable.h"

namespace {

// The promise, once, before the first test's threads.
class Environment : public testing::Environment {
 public:
  void SetUp() override {
    std::thread([] {
      ca_switchable_use(CA_CURRENT_GLOBAL);  // It has begun before the promise:
      const ca_context_settings settings = {0, "thread"};
      EXPECT_TRUE(ca_switchable_promise_thread_heaps(&settings));
      EXPECT_FALSE(ca_switchable_promise_thread_heaps(nullptr)) << "it was promised";
      std::free(std::malloc(10));
      EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL) << "and keeps what it had";
    }).join();
  }
};

const testing::Environment *const environment =
    testing::AddGlobalTestEnvironment(new Environment);  // NOLINT: gtest owns it.

bool IsInAHeap(void *ptr) {
  // The header's first word is the address of an allocator within the slot.
  constexpr std::uintptr_t kSlot = std::uintptr_t{64} << 20;
  const std::uintptr_t slot = reinterpret_cast<std::uintptr_t>(ptr) & ~(kSlot - 1);
  return reinterpret_cast<std::uintptr_t>(ca_switchable_save().coroutine.header) == 0 &&
         ca_switchable_current() == CA_CURRENT_THREAD &&
         reinterpret_cast<std::uintptr_t>(ptr) - slot < kSlot;
}

void RunHereOn(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ASSERT_EQ(pthread_setaffinity_np(pthread_self(), sizeof set, &set), 0);
}

TEST(ThreadHeapsTest, EveryNewThreadHasOneAtItsFirstAllocation) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([] {
      void *ptr = std::malloc(100);
      EXPECT_TRUE(IsInAHeap(ptr));
      std::string text(1000, 'x');
      std::free(ptr);
    });
  }
  for (std::thread &thread : threads) thread.join();
}

TEST(ThreadHeapsTest, AThreadThatFirstMakesTheFirstContextThatIsSampledHasItToo) {
  std::thread([] {
    ca_context_settings settings = {};
    settings.sample = 1;
    const ca_context context = ca_context_create(&settings);  // Loads what samples need.
    EXPECT_TRUE(IsInAHeap(std::malloc(100)));
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  }).join();
}

TEST(ThreadHeapsTest, AThreadThatAsksByNameFirstHasItToo) {
  std::thread([] {
    EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    EXPECT_FALSE(ca_switchable_thread_init(nullptr)) << "it has the promised one";
  }).join();
  std::thread([] {
    EXPECT_TRUE(ca_switchable_run(
        CA_CURRENT_GLOBAL, [](void *) { std::free(std::malloc(1)); }, nullptr));
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_THREAD);
  }).join();
  std::thread([] {
    const ca_context context = ca_context_create(nullptr);
    EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
    ca_context_swap_out();
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_THREAD);
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  }).join();
}

TEST(ThreadHeapsTest, AHeapGoesWithItsThread) {
  const int cpu = sched_getcpu();  // The same for both: each NUMA node has slots of its own.
  const auto slot_of_a_new_threads_heap = [cpu] {
    std::uintptr_t slot = 0;
    std::thread([&slot, cpu] {
      RunHereOn(cpu);
      void *ptr = std::malloc(100);
      ASSERT_TRUE(IsInAHeap(ptr));
      slot = reinterpret_cast<std::uintptr_t>(ptr) >> 26;
      std::free(ptr);
    }).join();
    return slot;
  };
  const std::uintptr_t slot = slot_of_a_new_threads_heap();
  EXPECT_EQ(slot_of_a_new_threads_heap(), slot);
}

// The later keys' destructors run after the one that ended the heap.
TEST(ThreadHeapsTest, AThreadThatEndsGetsNoOther) {
  static pthread_key_t key;
  static bool has_one;
  std::thread([] {
    std::free(std::malloc(10));
    ASSERT_EQ(pthread_key_create(&key,
                                 [](void *) {
                                   std::free(std::malloc(10));
                                   has_one = ca_switchable_use(CA_CURRENT_THREAD);
                                 }),
              0);
    pthread_setspecific(key, &key);
    has_one = true;
  }).join();
  EXPECT_FALSE(has_one);
  pthread_key_delete(key);
}

TEST(ThreadHeapsTest, BlocksOutliveTheirThreadAndHeapsAreUsedAgain) {
  std::vector<void *> blocks;
  for (int i = 0; i < 3000; ++i) {  // More than there are slots.
    void *block = nullptr;
    std::thread([&block] { block = std::malloc(64); }).join();
    ASSERT_NE(block, nullptr);
    std::memset(block, 1, 64);
    blocks.push_back(block);
    if (i % 2 == 0) {
      std::free(blocks.front());
      blocks.erase(blocks.begin());
    }
  }
  for (void *block : blocks) std::free(block);
}

TEST(ThreadHeapsTest, PagesAreOnTheNodeOfTheirThread) {
  ca_node_set allowed = {};
  if (!ca_node_set_allowed(&allowed) || ca_node_set_count(&allowed) < 2) {
    GTEST_SKIP() << "one NUMA node: placement can't be told from chance";
  }
  for (int cpu = 0; cpu < 2; ++cpu) {
    std::thread([cpu] {
      RunHereOn(cpu);
      // Against the process's own policy, which would place page by page.
      unsigned long both = 3;
      ASSERT_EQ(syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &both, 64UL), 0);
      const unsigned here = ca_node_current();
      constexpr std::size_t kSize = 64 * 4096;
      auto *bytes = static_cast<char *>(std::malloc(kSize));
      ASSERT_TRUE(IsInAHeap(bytes));
      std::memset(bytes, 1, kSize);
      for (std::size_t offset = 0; offset < kSize; offset += 4096) {
        void *page = bytes + offset;
        int node = -1;
        ASSERT_EQ(syscall(SYS_move_pages, 0, 1UL, &page, nullptr, &node, 0), 0);
        ASSERT_EQ(node, static_cast<int>(here)) << "page " << offset / 4096;
      }
      std::free(bytes);
    }).join();
  }
}

}  // namespace
