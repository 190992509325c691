#include "adaptors/locked/locked.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "adaptors/tracking/tracking.h"
#include "allocators/bump/bump.h"

namespace {

// Says of each call whether the adaptor's mutex was held during it.
struct Witness {
  ca_allocator base;  // First.
  ca_locked *locked;
  int calls;
  int unlocked;
  bool refuses;

  static Witness *From(const ca_allocator *base) {
    return reinterpret_cast<Witness *>(reinterpret_cast<std::uintptr_t>(base));
  }
  static void See(const ca_allocator *base) {
    Witness *self = From(base);
    self->calls++;
    if (pthread_mutex_trylock(&self->locked->mutex) == 0) {
      self->unlocked++;
      pthread_mutex_unlock(&self->locked->mutex);
    }
  }
  static char *Memory() {
    alignas(16) static char memory[64];
    return memory;
  }
  static ca_block Allocate(ca_allocator *base, std::size_t size, std::size_t) {
    See(base);
    return From(base)->refuses ? ca_block_none() : ca_block_make(Memory(), size);
  }
  static void Deallocate(ca_allocator *base, void *, std::size_t, std::size_t) { See(base); }
  static ca_block Resize(ca_allocator *base, void *ptr, std::size_t, std::size_t new_size,
                         std::size_t, ca_move) {
    See(base);
    return From(base)->refuses ? ca_block_none() : ca_block_make(ptr, new_size);
  }
  static std::size_t UsableSize(const ca_allocator *base, const void *) { return See(base), 7; }
  static void DeallocateUnsized(ca_allocator *base, void *) { See(base); }
  static bool Owns(const ca_allocator *base, const void *ptr) { return See(base), ptr == Memory(); }
  static bool Check(const ca_allocator *base) { return See(base), !From(base)->refuses; }
};
constexpr ca_allocator_ops kWitness = {
    Witness::Allocate, Witness::Deallocate, Witness::Resize,
    Witness::Resize,   Witness::UsableSize, Witness::DeallocateUnsized,
    Witness::Owns,     Witness::Check,      "witness"};

class LockedTest : public testing::Test {
 protected:
  LockedTest() { ca_locked_init(&locked_, &witness_.base); }
  ~LockedTest() override { ca_locked_destroy(&locked_); }
  ca_allocator *allocator() { return ca_locked_allocator(&locked_); }
  bool IsFree() {
    if (pthread_mutex_trylock(&locked_.mutex) != 0) return false;
    pthread_mutex_unlock(&locked_.mutex);
    return true;
  }

  ca_locked locked_;
  Witness witness_ = {{&kWitness}, &locked_, 0, 0, false};
};

TEST_F(LockedTest, EveryCallHoldsTheMutexAndLetsGo) {
  const ca_allocator_ops *ops = allocator()->ops;
  for (const bool refuses : {false, true}) {
    witness_.refuses = refuses;
    char *memory = Witness::Memory();
    EXPECT_EQ(ca_allocate(allocator(), 5, 16).size, refuses ? 0U : 5U);
    EXPECT_TRUE(IsFree());
    ca_deallocate(allocator(), memory, 5, 16);
    EXPECT_TRUE(IsFree());
    EXPECT_EQ(ca_grow(allocator(), memory, 5, 6, 16, CA_MOVE_NEVER).size, refuses ? 0U : 6U);
    EXPECT_TRUE(IsFree());
    EXPECT_EQ(ca_shrink(allocator(), memory, 6, 4, 16, CA_MOVE_NEVER).size, refuses ? 0U : 4U);
    EXPECT_TRUE(IsFree());
    EXPECT_EQ(ops->usable_size(allocator(), memory), 7U);
    EXPECT_TRUE(IsFree());
    ops->deallocate_unsized(allocator(), memory);
    EXPECT_TRUE(IsFree());
    EXPECT_TRUE(ops->owns(allocator(), memory));
    EXPECT_FALSE(ops->owns(allocator(), nullptr));
    EXPECT_TRUE(IsFree());
    EXPECT_EQ(ops->check(allocator()), !refuses);
    EXPECT_TRUE(IsFree());
  }
  EXPECT_EQ(witness_.calls, 18);
  EXPECT_EQ(witness_.unlocked, 0);
}

TEST_F(LockedTest, AcquireKeepsOthersOutUntilRelease) {
  ca_locked_acquire(&locked_);
  std::atomic<bool> served{false};
  std::thread other([&] {
    ca_allocate(allocator(), 5, 16);
    served = true;
  });
  EXPECT_FALSE(IsFree());
  EXPECT_FALSE(served);
  ca_locked_release(&locked_);
  other.join();
  EXPECT_TRUE(served);
}

TEST_F(LockedTest, DestroyTwiceAndOfZeroIsHarmless) {
  ca_locked zero = {};
  ca_locked_destroy(&zero);
  ca_locked_destroy(&zero);
  ca_locked_destroy(&locked_);
  EXPECT_TRUE(IsFree());
}

TEST_F(LockedTest, OffersWhatTheInnerAllocatorOffers) {
  ca_allocator_ops bare = kWitness;
  bare.usable_size = nullptr;
  bare.deallocate_unsized = nullptr;
  bare.owns = nullptr;
  witness_.base.ops = &bare;
  ca_locked_init(&locked_, &witness_.base);
  EXPECT_EQ(allocator()->ops->usable_size, nullptr);
  EXPECT_EQ(allocator()->ops->deallocate_unsized, nullptr);
  EXPECT_EQ(allocator()->ops->owns, nullptr);
}

// Blocks pass from the threads that make them to others that free them.
class Queue {
 public:
  void Push(ca_block block) {
    const std::lock_guard<std::mutex> guard(mutex_);
    blocks_.push_back(block);
    ready_.notify_one();
  }
  ca_block Pop() {
    std::unique_lock<std::mutex> guard(mutex_);
    ready_.wait(guard, [this] { return !blocks_.empty(); });
    const ca_block block = blocks_.front();
    blocks_.pop_front();
    return block;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<ca_block> blocks_;
};

TEST(LockedThreadsTest, BlocksMadeByOneThreadAreFreedByAnother) {
  constexpr int kThreads = 4;
  constexpr int kBlocks = 2000;
  std::vector<char> memory(kThreads * kBlocks * 160);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), CA_SIZES_RECORDED);
  ca_tracking tracking;
  ca_tracking_init(&tracking, ca_bump_allocator(&bump), CA_SIZES_RECORDED);
  ca_locked locked;
  ca_locked_init(&locked, ca_tracking_allocator(&tracking));
  ca_allocator *allocator = ca_locked_allocator(&locked);
  Queue queues[kThreads];
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(static_cast<unsigned>(i));
      for (int n = 0; n < kBlocks; ++n) {
        ca_block block = ca_allocate(allocator, 1 + random() % 100, 16);
        ASSERT_FALSE(ca_block_is_none(block));
        std::memset(block.ptr, i, block.size);
        queues[(i + 1) % kThreads].Push(block);
        block = queues[i].Pop();
        const char from = static_cast<char>((i + kThreads - 1) % kThreads);
        ASSERT_EQ(static_cast<char *>(block.ptr)[block.size - 1], from);
        if (n % 2 == 0) {
          ca_deallocate(allocator, block.ptr, block.size, 16);
        } else {
          allocator->ops->deallocate_unsized(allocator, block.ptr);
        }
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  const ca_tracking_usage usage = ca_tracking_read(&tracking);
  EXPECT_EQ(usage.allocations, std::size_t{kThreads * kBlocks});
  EXPECT_EQ(ca_tracking_live_blocks(&usage), 0);
  EXPECT_EQ(ca_tracking_live_bytes(&usage), 0);
  EXPECT_TRUE(allocator->ops->check(allocator));
  ca_locked_destroy(&locked);
  ca_bump_destroy(&bump);
}

}  // namespace
