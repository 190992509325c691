#include "adaptors/unique_ptr/unique_ptr.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "adaptors/from_memory_resource/from_memory_resource.h"

namespace {

// Insists on the size and alignment that each block was asked with, and on getting it back.
class Exacting : public std::pmr::memory_resource {
 public:
  ~Exacting() override { EXPECT_TRUE(live_.empty()) << live_.size() << " blocks leaked"; }
  std::size_t live() const { return live_.size(); }
  std::size_t bytes() const { return live_.back().size; }
  std::size_t left = SIZE_MAX;  // Bytes that may still be asked for.

 private:
  struct Live {
    void *ptr;
    std::size_t size;
    std::size_t align;
  };

  void *do_allocate(std::size_t size, std::size_t align) override {
    if (size > left) throw std::bad_alloc();
    left -= size;
    live_.push_back({std::pmr::new_delete_resource()->allocate(size, align), size, align});
    return live_.back().ptr;
  }

  void do_deallocate(void *ptr, std::size_t size, std::size_t align) override {
    for (auto it = live_.begin(); it != live_.end(); ++it) {
      if (it->ptr != ptr) continue;
      EXPECT_EQ(it->size, size);
      EXPECT_EQ(it->align, align);
      live_.erase(it);
      std::pmr::new_delete_resource()->deallocate(ptr, size, align);
      return;
    }
    ADD_FAILURE() << "not a block";
  }

  bool do_is_equal(const memory_resource &other) const noexcept override { return this == &other; }

  std::vector<Live> live_;
};

class UniquePtrTest : public testing::Test {
 protected:
  ca_allocator *allocator() { return adaptor_.allocator(); }
  Exacting resource_;
  ca::from_memory_resource adaptor_{&resource_};
};

// Writes down what happens to it.
class Witness {
 public:
  Witness() { Born(); }
  explicit Witness(int value) : value_(value) { Born(); }
  Witness(const Witness &) = delete;
  ~Witness() { ended.push_back(id_), --alive; }
  int value() const { return value_; }

  static inline int alive = 0;
  static inline int throw_at = -1;
  static inline std::vector<int> ended;

 private:
  void Born() {
    if (alive == throw_at) throw std::runtime_error("not this one");
    id_ = alive++;
  }
  int value_ = 0;
  int id_ = -1;
};

class Base {
 public:
  virtual ~Base() = default;
  virtual int Which() const { return 1; }
  std::uint64_t payload = 0;
};

class Other {
 public:
  virtual ~Other() = default;
  std::uint64_t payload = 0;
};

class alignas(128) Derived : public Other, public Base {
 public:
  ~Derived() override { ++destroyed; }
  int Which() const override { return 2; }
  static inline int destroyed = 0;
  char more[300];
};

struct Plain {
  int x;
};
struct DerivedPlain : Plain {
  int y;
};

static_assert(sizeof(ca::unique_ptr<Plain>) == 16);
static_assert(sizeof(ca::unique_ptr<Base>) == 32);
static_assert(sizeof(ca::unique_ptr<Plain[]>) == 24);
static_assert(!std::is_convertible_v<ca::unique_ptr<DerivedPlain>, ca::unique_ptr<Plain>>);
static_assert(!std::is_convertible_v<ca::unique_ptr<Base>, ca::unique_ptr<Derived>>);
static_assert(!std::is_convertible_v<ca::unique_ptr<const Plain>, ca::unique_ptr<Plain>>);
static_assert(!std::is_convertible_v<ca::unique_ptr<Derived[]>, ca::unique_ptr<Base[]>>);

TEST_F(UniquePtrTest, MakesAndDestroysInTheAllocator) {
  Witness::alive = 0;
  {
    const ca::unique_ptr<Witness> witness = ca::make_unique<Witness>(allocator(), 42);
    EXPECT_EQ(witness->value(), 42);
    EXPECT_EQ(resource_.live(), 1U);
    EXPECT_EQ(resource_.bytes(), sizeof(Witness));
  }
  EXPECT_EQ(Witness::alive, 0);
  EXPECT_EQ(resource_.live(), 0U);
}

TEST_F(UniquePtrTest, MovesResetsAndReleasesLikeAnyUniquePtr) {
  ca::unique_ptr<std::string> empty;
  ca::unique_ptr<std::string> text = ca::make_unique<std::string>(allocator(), 100, 'x');
  empty = std::move(text);
  EXPECT_EQ(text, nullptr);
  EXPECT_EQ(empty->size(), 100U);
  empty.reset();
  EXPECT_EQ(resource_.live(), 0U);
}

TEST_F(UniquePtrTest, AnExtendedAlignmentIsHonoured) {
  struct alignas(512) Line {
    char bytes[512];
  };
  const auto line = ca::make_unique<Line>(allocator());
  EXPECT_TRUE(ca_is_aligned(line.get(), 512));
}

TEST_F(UniquePtrTest, ADerivedObjectGoesBackWholeThroughItsBase) {
  Derived::destroyed = 0;
  {
    ca::unique_ptr<Base> base = ca::make_unique<Derived>(allocator());
    EXPECT_EQ(base->Which(), 2);
    EXPECT_EQ(base.get_deleter().size(), sizeof(Derived));
    EXPECT_EQ(base.get_deleter().align(), alignof(Derived));
    const ca::unique_ptr<const Base> constant = std::move(base);
    EXPECT_EQ(constant->Which(), 2);
    ca::unique_ptr<Base> own = ca::make_unique<Base>(allocator());
    own = ca::make_unique<Derived>(allocator());
  }
  EXPECT_EQ(Derived::destroyed, 2);
  EXPECT_EQ(resource_.live(), 0U);
}

TEST_F(UniquePtrTest, BecomesConst) {
  ca::unique_ptr<const Plain> constant = ca::make_unique<Plain>(allocator());
  EXPECT_EQ(constant.get_deleter().allocator(), allocator());
  const ca::unique_ptr<const int[]> numbers = ca::make_unique<int[]>(allocator(), 5);
  EXPECT_EQ(numbers.get_deleter().count(), 5U);
}

TEST_F(UniquePtrTest, ArraysAreValueInitialisedAndDestroyedFromTheEnd) {
  const auto zeros = ca::make_unique<int[]>(allocator(), 1000);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(zeros[i], 0);
  Witness::alive = 0;
  Witness::ended.clear();
  ca::make_unique<Witness[]>(allocator(), 3).reset();
  EXPECT_EQ(Witness::ended, (std::vector<int>{2, 1, 0}));
}

TEST_F(UniquePtrTest, AnArrayOfNoneIsAnArray) {
  const auto none = ca::make_unique<Witness[]>(allocator(), 0);
  EXPECT_NE(none, nullptr);
  EXPECT_EQ(resource_.live(), 1U);
}

TEST_F(UniquePtrTest, ARefusalIsBadAllocOrAnEmptyPointer) {
  resource_.left = 0;
  EXPECT_THROW(ca::make_unique<int>(allocator()), std::bad_alloc);
  EXPECT_THROW(ca::make_unique<int[]>(allocator(), 4), std::bad_alloc);
  EXPECT_EQ(ca::try_make_unique<int>(allocator()), nullptr);
  EXPECT_EQ(ca::try_make_unique<int[]>(allocator(), 4), nullptr);
}

TEST_F(UniquePtrTest, ACountBeyondAllMemoryIsItsOwnError) {
  for (const std::size_t count :
       {SIZE_MAX, SIZE_MAX / 4 + 1, SIZE_MAX / 4, PTRDIFF_MAX / 4 + 1UL}) {
    EXPECT_THROW(ca::make_unique<int[]>(allocator(), count), std::bad_array_new_length) << count;
    EXPECT_EQ(ca::try_make_unique<int[]>(allocator(), count), nullptr) << count;
  }
}

TEST_F(UniquePtrTest, AConstructorThatThrowsLeavesNothingBehind) {
  Witness::alive = 0;
  Witness::throw_at = 0;
  EXPECT_THROW(ca::make_unique<Witness>(allocator()), std::runtime_error);
  EXPECT_THROW(ca::try_make_unique<Witness>(allocator(), 1), std::runtime_error);
  EXPECT_EQ(resource_.live(), 0U);
  Witness::throw_at = 3;
  EXPECT_THROW(ca::make_unique<Witness[]>(allocator(), 5), std::runtime_error);
  EXPECT_EQ(Witness::alive, 0);
  EXPECT_EQ(resource_.live(), 0U);
  Witness::throw_at = -1;
}

}  // namespace
