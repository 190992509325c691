#include "adaptors/coroutine_frame/coroutine_frame.h"

#include <gtest/gtest.h>

#include <coroutine>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "allocators/bump/bump.h"

namespace {

// A coroutine that yields numbers, with its frame where Frame puts it.
template <typename Frame>
class Numbers {
 public:
  struct promise_type : Frame {
    Numbers get_return_object() {
      return Numbers(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(int number) noexcept {
      current = number;
      return {};
    }
    void return_void() {}
    void unhandled_exception() { failed = std::current_exception(); }
    int current = 0;
    std::exception_ptr failed;
  };

  explicit Numbers(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Numbers(Numbers &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  ~Numbers() {
    if (handle_) handle_.destroy();
  }

  bool empty() const { return !handle_; }
  const void *frame() const { return handle_.address(); }
  int Next() {
    handle_.resume();
    return handle_.promise().current;
  }
  bool done() const { return handle_.done(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

// The same, but a call without memory returns an empty object.
template <ca::default_allocator kDefault = nullptr>
struct OrEmpty : ca::coroutine_frame<ca::out_of_memory::returns, kDefault> {
  static Numbers<OrEmpty> get_return_object_on_allocation_failure() {
    return Numbers<OrEmpty>(nullptr);
  }
};

ca_bump fallback_bump;
ca_allocator *Fallback() { return ca_bump_allocator(&fallback_bump); }

using Throwing = Numbers<ca::coroutine_frame<>>;
using Returning = Numbers<OrEmpty<>>;
using Defaulting = Numbers<ca::coroutine_frame<ca::out_of_memory::throws, Fallback>>;
using ReturningDefaulting = Numbers<OrEmpty<Fallback>>;

// With nothing to rely on but what is in the frame.
template <typename Result>
Result CountFrom(std::allocator_arg_t, ca_allocator *, int first, std::string ballast) {
  for (int i = 0; i < 3; ++i) co_yield first + i + static_cast<int>(ballast.size());
}

template <typename Result>
Result Count() {
  co_yield 1;
  co_yield 2;
}

class Counter {
 public:
  explicit Counter(int first) : first_(first) {}
  Throwing Count(std::allocator_arg_t, ca_allocator *) const { co_yield first_; }
  int first() const { return first_; }

 private:
  int first_;
};

class CoroutineFrameTest : public testing::Test {
 protected:
  CoroutineFrameTest() {
    // A record of 8 bytes and then the frame, without padding: a bump that is empty again shows 0.
    ca_bump_init_range(&bump_, ca_block_make(memory_ + 8, sizeof memory_ - 8), CA_SIZES_RECORDED);
    ca_bump_init_range(&fallback_bump, ca_block_make(others_ + 8, sizeof others_ - 8),
                       CA_SIZES_RECORDED);
  }
  ~CoroutineFrameTest() override {
    ca_bump_destroy(&bump_);
    ca_bump_destroy(&fallback_bump);
  }

  ca_allocator *here() { return ca_bump_allocator(&bump_); }
  bool Here(const void *ptr) { return here()->ops->owns(here(), ptr); }
  void Fill(ca_bump *bump) {
    while (!ca_block_is_none(ca_allocate(ca_bump_allocator(bump), 8, 8))) {
    }
  }

  alignas(16) char memory_[4096];
  alignas(16) char others_[4096];
  ca_bump bump_;
};

TEST_F(CoroutineFrameTest, TheFrameLivesInTheNamedAllocatorAndGoesBack) {
  {
    Throwing numbers = CountFrom<Throwing>(std::allocator_arg, here(), 10, "12345");
    EXPECT_TRUE(Here(numbers.frame()));
    EXPECT_EQ(numbers.Next(), 15);
    EXPECT_EQ(numbers.Next(), 16);
  }
  EXPECT_EQ(ca_bump_used(&bump_), 0U);
}

TEST_F(CoroutineFrameTest, AFrameIsAlignedLikeOperatorNew) {
  ca_allocate(here(), 16, 8);  // The next record ends at an odd multiple of 8.
  const Throwing numbers = CountFrom<Throwing>(std::allocator_arg, here(), 10, "");
  EXPECT_TRUE(ca_is_aligned(numbers.frame(), 16));
}

TEST_F(CoroutineFrameTest, TheRecordOfTheAllocatorLiesBehindTheFrame) {
  const Throwing numbers = CountFrom<Throwing>(std::allocator_arg, here(), 10, "");
  const std::size_t size = here()->ops->usable_size(here(), numbers.frame());
  ca_allocator *recorded;
  std::memcpy(&recorded, static_cast<const char *>(numbers.frame()) + size - sizeof recorded,
              sizeof recorded);
  EXPECT_EQ(recorded, here());
}

TEST_F(CoroutineFrameTest, ManyFramesInTwoAllocatorsEachGoBackToTheirs) {
  for (int i = 0; i < 100; ++i) {
    Throwing one = CountFrom<Throwing>(std::allocator_arg, here(), 10, "1");
    Throwing two = CountFrom<Throwing>(std::allocator_arg, Fallback(), 20, "1");
    EXPECT_EQ(one.Next() + two.Next(), 32);
    EXPECT_FALSE(Here(two.frame()));
  }
  EXPECT_EQ(ca_bump_used(&bump_), 0U);
  EXPECT_EQ(ca_bump_used(&fallback_bump), 0U);
}

TEST_F(CoroutineFrameTest, AMemberFunctionAndALambdaNameTheirsToo) {
  const Counter counter(7);
  Throwing member = counter.Count(std::allocator_arg, here());
  EXPECT_TRUE(Here(member.frame()));
  EXPECT_EQ(member.Next(), 7);
  const int captured = counter.first() + 1;
  const auto lambda = [captured](std::allocator_arg_t, ca_allocator *, int more) -> Throwing {
    co_yield captured + more;
  };
  Throwing numbers = lambda(std::allocator_arg, here(), 1);
  EXPECT_TRUE(Here(numbers.frame()));
  EXPECT_EQ(numbers.Next(), 9);
}

TEST_F(CoroutineFrameTest, WithoutANameTheDefaultServes) {
  {
    Defaulting numbers = Count<Defaulting>();
    EXPECT_TRUE(Fallback()->ops->owns(Fallback(), numbers.frame()));
    EXPECT_EQ(numbers.Next(), 1);
    const Defaulting named = CountFrom<Defaulting>(std::allocator_arg, here(), 1, "");
    EXPECT_TRUE(Here(named.frame()));
  }
  EXPECT_EQ(ca_bump_used(&fallback_bump), 0U);
}

TEST_F(CoroutineFrameTest, ARefusalIsBadAlloc) {
  Fill(&bump_);
  EXPECT_THROW(CountFrom<Throwing>(std::allocator_arg, here(), 1, ""), std::bad_alloc);
  Fill(&fallback_bump);
  EXPECT_THROW(Count<Defaulting>(), std::bad_alloc);
}

TEST_F(CoroutineFrameTest, OrARefusalIsWhatThePromiseTypeMakesOfIt) {
  EXPECT_FALSE(CountFrom<Returning>(std::allocator_arg, here(), 1, "").empty());
  EXPECT_FALSE(Count<ReturningDefaulting>().empty());
  Fill(&bump_);
  EXPECT_TRUE(CountFrom<Returning>(std::allocator_arg, here(), 1, "").empty());
  Fill(&fallback_bump);
  EXPECT_TRUE(Count<ReturningDefaulting>().empty());
}

TEST_F(CoroutineFrameTest, AFrameThatIsNeverDestroyedGoesWithTheReset) {
  for (int i = 0; i < 100; ++i) {
    auto *abandoned = new (ca_allocate(here(), sizeof(Throwing), alignof(Throwing)).ptr)
        Throwing(CountFrom<Throwing>(std::allocator_arg, here(), 1, ""));
    EXPECT_EQ(abandoned->Next(), 1);
    ca_bump_reset(&bump_);
  }
  EXPECT_EQ(ca_bump_used(&bump_), 0U);
}

}  // namespace
