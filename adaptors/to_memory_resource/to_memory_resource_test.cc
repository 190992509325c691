#include "adaptors/to_memory_resource/to_memory_resource.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <memory_resource>
#include <string>
#include <vector>

#include "allocators/bump/bump.h"

namespace {

class ToMemoryResourceTest : public testing::Test {
 protected:
  ToMemoryResourceTest() {
    ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), CA_SIZES_FORGOTTEN);
    ca_bump_init_range(&other_, ca_block_make(others_, sizeof others_), CA_SIZES_FORGOTTEN);
  }
  ~ToMemoryResourceTest() override {
    ca_bump_destroy(&bump_);
    ca_bump_destroy(&other_);
  }

  bool Owns(const void *ptr) { return bump_.base.ops->owns(&bump_.base, ptr); }

  alignas(64) char memory_[8192];
  alignas(64) char others_[8192];
  ca_bump bump_;
  ca_bump other_;
  ca::to_memory_resource resource_{ca_bump_allocator(&bump_)};
};

TEST_F(ToMemoryResourceTest, ContainersAndWhatTheyContainLiveInTheAllocator) {
  std::pmr::map<int, std::pmr::string> map(&resource_);
  for (int i = 0; i < 20; ++i) map[i] = std::string(50, 'x');
  for (const auto &[key, text] : map) {
    EXPECT_TRUE(Owns(&key));
    EXPECT_TRUE(Owns(text.data()));
  }
}

TEST_F(ToMemoryResourceTest, GivesBackWhatItTook) {
  void *const ptr = resource_.allocate(100, 8);
  EXPECT_EQ(ca_bump_used(&bump_), 100U) << "and nothing more";
  resource_.deallocate(ptr, 100, 8);
  EXPECT_EQ(ca_bump_used(&bump_), 0U);
  EXPECT_EQ(resource_.allocate(100, 8), ptr);
}

TEST_F(ToMemoryResourceTest, HonoursTheAlignment) {
  for (std::size_t align = 1; align <= 1024; align *= 2) {
    void *const ptr = resource_.allocate(1, align);
    EXPECT_TRUE(ca_is_aligned(ptr, align));
  }
}

TEST_F(ToMemoryResourceTest, ZeroBytesAreABlockLikeAnyOther) {
  void *const first = resource_.allocate(0, 1);
  void *const second = resource_.allocate(0, 1);
  EXPECT_NE(first, nullptr);
  EXPECT_NE(first, second);
  resource_.deallocate(second, 0, 1);
  resource_.deallocate(first, 0, 1);
  EXPECT_EQ(ca_bump_used(&bump_), 0U);
}

TEST_F(ToMemoryResourceTest, ARefusalIsBadAllocAndChangesNothing) {
  std::pmr::vector<int> vector({1, 2, 3}, &resource_);
  const std::size_t used = ca_bump_used(&bump_);
  EXPECT_THROW(vector.reserve(1 << 20), std::bad_alloc);
  const volatile std::size_t most = SIZE_MAX;  // The compiler knows better than to ask for this.
  EXPECT_THROW((void)resource_.allocate(most, 1), std::bad_alloc);
  EXPECT_THROW((void)resource_.allocate(sizeof memory_ + 1, 1), std::bad_alloc);
  EXPECT_EQ(ca_bump_used(&bump_), used);
  EXPECT_EQ(vector, (std::pmr::vector<int>{1, 2, 3}));
}

TEST_F(ToMemoryResourceTest, IsEqualToWhatStandsForTheSameAllocatorOnly) {
  const ca::to_memory_resource same(ca_bump_allocator(&bump_));
  const ca::to_memory_resource different(ca_bump_allocator(&other_));
  EXPECT_TRUE(resource_ == resource_);
  EXPECT_TRUE(resource_ == same);
  EXPECT_FALSE(resource_ == different);
  EXPECT_FALSE(resource_ == *std::pmr::new_delete_resource());
  EXPECT_FALSE(*std::pmr::new_delete_resource() == resource_);
  EXPECT_EQ(same.allocator(), resource_.allocator());
}

TEST_F(ToMemoryResourceTest, MovingBetweenEqualResourcesHandsOverTheBlock) {
  ca::to_memory_resource same(ca_bump_allocator(&bump_));
  std::pmr::vector<int> from({1, 2, 3}, &resource_);
  const int *const data = from.data();
  std::pmr::vector<int> to(&same);
  to = std::move(from);
  EXPECT_EQ(to.data(), data);
}

TEST_F(ToMemoryResourceTest, MovingBetweenUnequalResourcesCopies) {
  ca::to_memory_resource different(ca_bump_allocator(&other_));
  std::pmr::vector<int> from({1, 2, 3}, &resource_);
  std::pmr::vector<int> to(&different);
  to = std::move(from);
  EXPECT_FALSE(Owns(to.data()));
  EXPECT_EQ(to, (std::pmr::vector<int>{1, 2, 3}));
}

TEST_F(ToMemoryResourceTest, ServesAsTheUpstreamOfAPool) {
  std::pmr::pool_options options;
  options.max_blocks_per_chunk = 16;
  options.largest_required_pool_block = 64;
  std::pmr::unsynchronized_pool_resource pool(options, &resource_);
  std::pmr::vector<std::pmr::string> texts(&pool);
  for (int i = 0; i < 10; ++i) {
    texts.emplace_back(30, 'y');
    EXPECT_TRUE(Owns(texts.back().data()));
  }
}

#ifndef NDEBUG
TEST(ToMemoryResourceDeathTest, BrokenContractsNameThemselves) {
  EXPECT_DEATH(ca::to_memory_resource(nullptr), "allocator != nullptr");
  char memory[64];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_FORGOTTEN);
  ca::to_memory_resource resource(ca_bump_allocator(&bump));
  const volatile std::size_t three = 3;  // The compiler knows better than to ask for this.
  EXPECT_DEATH((void)resource.allocate(1, three), "ca_is_power_of_two");
  ca_bump_destroy(&bump);
}
#endif

}  // namespace
