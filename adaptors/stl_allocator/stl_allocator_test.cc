#include "adaptors/stl_allocator/stl_allocator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <scoped_allocator>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "allocators/bump/bump.h"

namespace {

template <typename T>
using Vector = std::vector<T, ca::stl_allocator<T>>;
using String = std::basic_string<char, std::char_traits<char>, ca::stl_allocator<char>>;

static_assert(sizeof(ca::stl_allocator<int>) == sizeof(void *));

class StlAllocatorTest : public testing::Test {
 protected:
  StlAllocatorTest() {
    ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), CA_SIZES_RECORDED);
    ca_bump_init_range(&other_, ca_block_make(others_, sizeof others_), CA_SIZES_RECORDED);
  }
  ~StlAllocatorTest() override {
    ca_bump_destroy(&bump_);
    ca_bump_destroy(&other_);
  }

  ca_allocator *here() { return ca_bump_allocator(&bump_); }
  ca_allocator *there() { return ca_bump_allocator(&other_); }
  bool Here(const void *ptr) { return here()->ops->owns(here(), ptr); }

  alignas(64) char memory_[65536];
  alignas(64) char others_[65536];
  ca_bump bump_;
  ca_bump other_;
};

TEST_F(StlAllocatorTest, EveryKindOfContainerLivesInTheAllocator) {
  Vector<int> vector(100, 7, here());
  EXPECT_TRUE(Here(vector.data()));
  const String string(100, 'x', here());
  EXPECT_TRUE(Here(string.data()));
  std::list<int, ca::stl_allocator<int>> list({1, 2}, here());
  EXPECT_TRUE(Here(&list.front()));
  std::deque<int, ca::stl_allocator<int>> deque({1, 2}, here());
  EXPECT_TRUE(Here(&deque.front()));
  using Pair = std::pair<const int, int>;
  std::map<int, int, std::less<>, ca::stl_allocator<Pair>> map(here());
  map[1] = 2;
  EXPECT_TRUE(Here(&map[1]));
  std::unordered_map<int, int, std::hash<int>, std::equal_to<>, ca::stl_allocator<Pair>> hash(
      here());
  for (int i = 0; i < 100; ++i) hash[i] = i;
  EXPECT_TRUE(Here(&hash[1]));
}

TEST_F(StlAllocatorTest, AllocateSharedPutsObjectAndCountsThere) {
  const auto shared = std::allocate_shared<String>(ca::stl_allocator<String>(here()), here());
  EXPECT_TRUE(Here(shared.get()));
}

TEST_F(StlAllocatorTest, AScopedAllocatorReachesTheElements) {
  std::vector<String, std::scoped_allocator_adaptor<ca::stl_allocator<String>>> texts(here());
  texts.emplace_back(100, 'x');
  EXPECT_TRUE(Here(texts[0].data()));
}

TEST_F(StlAllocatorTest, GivesBackWhatItTook) {
  for (const std::size_t n : {0, 1, 2, 1000}) {
    ca::stl_allocator<std::uint64_t> allocator(here());
    std::uint64_t *const first = allocator.allocate(n);
    std::uint64_t *const second = allocator.allocate(n);
    EXPECT_NE(first, second);
    allocator.deallocate(second, n);
    allocator.deallocate(first, n);
    EXPECT_EQ(ca_bump_used(&bump_), 0U) << n;
  }
}

TEST_F(StlAllocatorTest, TakesExactlyWhatTheElementsNeed) {
  ca::stl_allocator<std::uint64_t> allocator(here());
  for (const std::size_t n : {1, 2, 1000}) {
    EXPECT_EQ(here()->ops->usable_size(here(), allocator.allocate(n)), n * 8);
  }
}

struct alignas(256) Line {
  char bytes[256];
};

TEST_F(StlAllocatorTest, HonoursExtendedAlignment) {
  ca_allocate(here(), 24, 8);
  const Vector<Line> lines(3, here());
  EXPECT_TRUE(ca_is_aligned(lines.data(), 256));
}

TEST_F(StlAllocatorTest, ARefusalIsBadAllocAndTheContainerIsAsItWas) {
  Vector<int> vector({1, 2, 3}, here());
  const std::size_t used = ca_bump_used(&bump_);
  EXPECT_THROW(vector.reserve(1 << 20), std::bad_alloc);
  EXPECT_EQ(ca_bump_used(&bump_), used);
  EXPECT_EQ(vector, Vector<int>({1, 2, 3}, there()));
}

TEST_F(StlAllocatorTest, ACountBeyondAllMemoryIsItsOwnError) {
  ca::stl_allocator<std::uint64_t> allocator(here());
  for (const std::size_t n : {SIZE_MAX, SIZE_MAX / 8 + 1, SIZE_MAX / 8, PTRDIFF_MAX / 8 + 1UL}) {
    EXPECT_THROW((void)allocator.allocate(n), std::bad_array_new_length) << n;
  }
  const volatile std::size_t largest = PTRDIFF_MAX / 8;
  try {
    (void)allocator.allocate(largest);
    FAIL() << "served " << largest;
  } catch (const std::bad_array_new_length &) {
    FAIL() << "this much has a size";
  } catch (const std::bad_alloc &) {
  }
}

TEST_F(StlAllocatorTest, IsEqualIffItStandsForTheSameAllocator) {
  const ca::stl_allocator<int> same(here());
  const ca::stl_allocator<char> rebound(same);
  EXPECT_TRUE(same == ca::stl_allocator<int>(here()));
  EXPECT_TRUE(same == rebound);
  EXPECT_FALSE(same != rebound);
  EXPECT_TRUE(same != ca::stl_allocator<int>(there()));
  EXPECT_FALSE(same == ca::stl_allocator<int>(there()));
}

TEST_F(StlAllocatorTest, AssignmentFillsTheContainersOwnMemory) {
  Vector<int> from({1, 2, 3}, there());
  Vector<int> to(here());
  to = from;
  EXPECT_TRUE(Here(to.data()));
  to = std::move(from);
  EXPECT_TRUE(Here(to.data()));
  EXPECT_EQ(to, Vector<int>({1, 2, 3}, here()));
}

TEST_F(StlAllocatorTest, MovingWithinOneAllocatorHandsOverTheBlock) {
  Vector<int> from({1, 2, 3}, here());
  const int *const data = from.data();
  Vector<int> to(here());
  to = std::move(from);
  EXPECT_EQ(to.data(), data);
}

TEST_F(StlAllocatorTest, SwapExchangesMemoryAndAllocator) {
  Vector<int> one({1}, here());
  Vector<int> two({2}, there());
  swap(one, two);
  EXPECT_EQ(one[0], 2);
  EXPECT_EQ(one.get_allocator().allocator(), there());
  EXPECT_TRUE(Here(two.data()));
  one.assign(50, 3);
  EXPECT_FALSE(Here(one.data()));
}

TEST_F(StlAllocatorTest, ACopyUsesTheSameMemoryUnlessToldOtherwise) {
  const Vector<int> original({1, 2, 3}, here());
  const Vector<int> copy(original);
  EXPECT_TRUE(Here(copy.data()));
  const Vector<int> elsewhere(original, there());
  EXPECT_FALSE(Here(elsewhere.data()));
}

#ifndef NDEBUG
TEST(StlAllocatorDeathTest, NoAllocatorIsABrokenContract) {
  EXPECT_DEATH(ca::stl_allocator<int>(nullptr), "allocator != nullptr");
}
#endif

}  // namespace
