#include "sources/memory_map/memory_map.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "sources/testing/source_conformance.h"

namespace {

template <ca_memory_map_backing kBacking, std::size_t kGuard>
struct MemoryMapFixture {
  MemoryMapFixture() {
    ca_memory_map_settings settings = {};
    settings.backing = kBacking;
    settings.guard_before = settings.guard_after = kGuard;
    ca_memory_map_init(&map, &settings);
  }
  ca_source *get() { return ca_memory_map_source(&map); }

  static constexpr std::size_t kMaxAlign = std::size_t{1} << 30;
  static constexpr std::size_t kMaxSize = 300000;
  static constexpr bool kBounded = false;

  ca_memory_map map;
};

using MemoryMapCommitted = MemoryMapFixture<CA_MEMORY_MAP_COMMITTED, 0>;
using MemoryMapReserved = MemoryMapFixture<CA_MEMORY_MAP_RESERVED, 0>;
using MemoryMapGuarded = MemoryMapFixture<CA_MEMORY_MAP_COMMITTED, 1>;
INSTANTIATE_TYPED_TEST_SUITE_P(Committed, SourceConformance, MemoryMapCommitted);
INSTANTIATE_TYPED_TEST_SUITE_P(Reserved, SourceConformance, MemoryMapReserved);
INSTANTIATE_TYPED_TEST_SUITE_P(Guarded, SourceConformance, MemoryMapGuarded);

class MemoryMapTest : public testing::Test {
 protected:
  ca_block Obtain(std::size_t size, std::size_t align) {
    ca_memory_map_init(&map_, &settings_);
    return ca_source_obtain(source(), size, align);
  }
  ca_source *source() { return ca_memory_map_source(&map_); }
  static std::size_t Page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

  ca_memory_map_settings settings_ = {};
  ca_memory_map map_;
};

using MemoryMapDeathTest = MemoryMapTest;

TEST_F(MemoryMapTest, NoSettingsAreTheZeroOnes) {
  ca_memory_map_init(&map_, nullptr);
  const ca_block range = ca_source_obtain(source(), 1, 1);
  EXPECT_EQ(range.size, Page());
  ca_source_release(source(), range);
}

TEST_F(MemoryMapTest, TerabytesCanBeReserved) {
  settings_.backing = CA_MEMORY_MAP_RESERVED;
  const ca_block range = Obtain(std::size_t{1} << 40, 1 << 16);
  ASSERT_FALSE(ca_block_is_none(range));
  static_cast<char *>(range.ptr)[range.size - 1] = 1;
  ca_source_release(source(), range);
}

TEST_F(MemoryMapDeathTest, InaccessibleMemoryFaultsUntilCommittedAndAfterDecommit) {
  settings_.backing = CA_MEMORY_MAP_INACCESSIBLE;
  const ca_block range = Obtain(std::size_t{1} << 40, 1);
  ASSERT_FALSE(ca_block_is_none(range));
  volatile char *bytes = static_cast<char *>(range.ptr);
  EXPECT_DEATH(bytes[0] = 1, "");
  ASSERT_TRUE(ca_memory_map_commit(&map_, static_cast<char *>(range.ptr) + 1, Page()));
  bytes[0] = bytes[Page()] = 1;
  EXPECT_DEATH(bytes[2 * Page()] = 1, "");
  EXPECT_EQ(ca_memory_map_decommit(&map_, range.ptr, Page()), Page());
  EXPECT_DEATH(bytes[0] = 1, "");
  EXPECT_EQ(bytes[Page()], 1);
  ASSERT_TRUE(ca_memory_map_commit(&map_, range.ptr, 1));
  EXPECT_EQ(bytes[0], 0);
  ca_source_release(source(), range);
}

TEST_F(MemoryMapDeathTest, GuardsFaultOnBothSides) {
  settings_.guard_before = 1;
  settings_.guard_after = 3 * Page();
  const ca_block range = Obtain(100, 1 << 16);
  volatile char *bytes = static_cast<char *>(range.ptr);
  bytes[0] = bytes[range.size - 1] = 1;
  EXPECT_DEATH(bytes[-1] = 1, "");
  EXPECT_DEATH(bytes[range.size] = 1, "");
  EXPECT_DEATH(bytes[range.size + 3 * Page() - 1] = 1, "");
  ca_source_release(source(), range);
}

}  // namespace
