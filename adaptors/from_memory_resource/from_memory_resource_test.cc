#include "adaptors/from_memory_resource/from_memory_resource.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <cerrno>
#include <map>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

#include "adaptors/to_memory_resource/to_memory_resource.h"
#include "allocators/bump/bump.h"
#include "allocators/testing/allocator_conformance.h"

namespace {

static_assert(std::is_standard_layout_v<ca::from_memory_resource>);
static_assert(!std::is_copy_constructible_v<ca::from_memory_resource>);

// A resource of bounded size which insists, as the standard lets it, that a block comes back with
// the very size and alignment it was asked with.
class Exacting : public std::pmr::memory_resource {
 public:
  explicit Exacting(std::size_t capacity) : capacity_(capacity) {}
  ~Exacting() override { EXPECT_TRUE(live_.empty()) << live_.size() << " blocks leaked"; }

 private:
  void *do_allocate(std::size_t size, std::size_t align) override {
    errno = ENOMEM;  // Whatever a resource does to errno stays unseen.
    if (size > capacity_) throw std::bad_alloc();
    void *const ptr = std::pmr::new_delete_resource()->allocate(size, align);
    capacity_ -= size;
    live_[ptr] = {size, align};
    return ptr;
  }

  void do_deallocate(void *ptr, std::size_t size, std::size_t align) override {
    errno = EINVAL;
    const auto it = live_.find(ptr);
    ASSERT_NE(it, live_.end());
    EXPECT_EQ(it->second, std::pair(size, align));
    live_.erase(it);
    capacity_ += size;
    std::pmr::new_delete_resource()->deallocate(ptr, size, align);
  }

  bool do_is_equal(const memory_resource &other) const noexcept override { return this == &other; }

  std::size_t capacity_;
  std::map<void *, std::pair<std::size_t, std::size_t>> live_;
};

struct ExactingFixture {
  ca_allocator *get() { return adaptor.allocator(); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 600000;
  static constexpr bool kReclaims = true;
  static constexpr bool kShrinks = false;

  Exacting resource{kCapacity};
  ca::from_memory_resource adaptor{&resource};
};

struct PoolFixture {
  ca_allocator *get() { return adaptor.allocator(); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 0;
  static constexpr bool kReclaims = true;
  static constexpr bool kShrinks = false;

  Exacting upstream{std::size_t{1} << 26};  // A sanitizer's operator new doesn't throw, but ends.
  std::pmr::unsynchronized_pool_resource resource{&upstream};
  ca::from_memory_resource adaptor{&resource};
};

// There and back: both adaptors at once.
struct RoundTripFixture {
  RoundTripFixture() {
    ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  }
  ~RoundTripFixture() { ca_bump_destroy(&bump); }
  ca_allocator *get() { return adaptor.allocator(); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 600000;
  static constexpr bool kReclaims = false;
  static constexpr bool kShrinks = false;

  alignas(16) char memory[kCapacity];
  ca_bump bump;
  ca::to_memory_resource resource{ca_bump_allocator(&bump)};
  ca::from_memory_resource adaptor{&resource};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Exacting, AllocatorConformance, ExactingFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Pool, AllocatorConformance, PoolFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(RoundTrip, AllocatorConformance, RoundTripFixture);

TEST(FromMemoryResourceTest, ShrinkingByReallocateTellsTheResourceTheTruth) {
  Exacting resource(1000);
  ca::from_memory_resource adaptor(&resource);
  ca_block block = ca_allocate(adaptor.allocator(), 100, 16);
  EXPECT_EQ(block.size, 112U) << "rounded up to the alignment";
  for (const ca_move move : {CA_MOVE_NEVER, CA_MOVE_ALLOWED}) {
    EXPECT_TRUE(ca_block_is_none(ca_shrink(adaptor.allocator(), block.ptr, 100, 40, 16, move)));
  }
  EXPECT_EQ(ca_shrink(adaptor.allocator(), block.ptr, 112, 97, 16, CA_MOVE_NEVER).size, 112U);
  EXPECT_EQ(ca_grow(adaptor.allocator(), block.ptr, 97, 112, 16, CA_MOVE_NEVER).ptr, block.ptr);
  EXPECT_TRUE(
      ca_block_is_none(ca_grow(adaptor.allocator(), block.ptr, 112, 113, 16, CA_MOVE_ALLOWED)));
  block = ca_reallocate(adaptor.allocator(), block.ptr, 97, 40, 16);
  ASSERT_EQ(block.size, 48U);
  ca_deallocate(adaptor.allocator(), block.ptr, 41, 16);
  EXPECT_EQ(adaptor.resource(), &resource);
}

// Does what the test says when it is asked for memory.
template <typename Do>
class Asked : public std::pmr::memory_resource {
 public:
  explicit Asked(Do what) : what_(what) {}

 private:
  void *do_allocate(std::size_t, std::size_t) override { return what_(); }
  void do_deallocate(void *, std::size_t, std::size_t) override { what_(); }
  bool do_is_equal(const memory_resource &other) const noexcept override { return this == &other; }
  Do what_;
};

template <typename Do>
void ExpectRefusal(Do what) {
  Asked<Do> resource(what);
  ca::from_memory_resource adaptor(&resource);
  errno = 4321;
  const ca_block block = ca_allocate(adaptor.allocator(), 10, 16);
  EXPECT_TRUE(ca_block_is_none(block));
  EXPECT_EQ(block.size, 0U);
  EXPECT_EQ(errno, 4321);
}

TEST(FromMemoryResourceTest, WhateverTheResourceThrowsIsARefusal) {
  ExpectRefusal([]() -> void * { throw std::bad_alloc(); });
  ExpectRefusal([]() -> void * { throw std::runtime_error("no"); });
  ExpectRefusal([]() -> void * { throw 1; });
}

TEST(FromMemoryResourceTest, AMisalignedBlockGoesBack) {
  alignas(16) static char memory[32];
  int calls = 0;
  Asked resource([&calls]() -> void * { return ++calls, memory + 8; });
  ca::from_memory_resource adaptor(&resource);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(adaptor.allocator(), 1, 16)));
  EXPECT_EQ(calls, 2) << "one allocate, one deallocate";
  EXPECT_EQ(ca_allocate(adaptor.allocator(), 1, 8).ptr, memory + 8);
}

TEST(FromMemoryResourceTest, DoesNotAskForWhatNoResourceCanAddUp) {
  int asked = 0;
  Asked resource([&asked]() -> void * {
    ++asked;
    throw std::bad_alloc();
  });
  ca::from_memory_resource adaptor(&resource);
  ca_allocator *const allocator = adaptor.allocator();
  for (const std::size_t align : {std::size_t{1}, std::size_t{4096}, SIZE_MAX / 4 + 1}) {
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator, PTRDIFF_MAX - align + 1, align)));
    EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator, SIZE_MAX, align)));
  }
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator, 1, SIZE_MAX / 2 + 1)));
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator, PTRDIFF_MAX - 16, 16)));
  EXPECT_EQ(asked, 1);
}

TEST(FromMemoryResourceDeathTest, AResourceThatThrowsOnDeallocateIsReported) {
  Asked resource([]() -> void * { throw 1; });
  ca::from_memory_resource adaptor(&resource);
  char byte;
  EXPECT_DEATH(ca_deallocate(adaptor.allocator(), &byte, 1, 1),
               "deallocate.*the memory_resource threw");
}

void *AllocateCancelled(void *) {
  Asked resource([]() -> void * {
    pthread_cancel(pthread_self());
    pthread_testcancel();
    throw std::bad_alloc();
  });
  ca::from_memory_resource adaptor(&resource);
  ca_allocate(adaptor.allocator(), 1, 1);
  return nullptr;
}

TEST(FromMemoryResourceTest, ACancelledThreadEnds) {
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, AllocateCancelled, nullptr), 0);
  void *result = nullptr;
  ASSERT_EQ(pthread_join(thread, &result), 0);
  EXPECT_EQ(result, PTHREAD_CANCELED);
}

#ifndef NDEBUG
TEST(FromMemoryResourceDeathTest, NoResourceIsABrokenContract) {
  EXPECT_DEATH(ca::from_memory_resource(nullptr), "resource != nullptr");
}
#endif

}  // namespace
