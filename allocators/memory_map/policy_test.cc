#include "allocators/memory_map/policy.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace {

constexpr int kLocal = 4;                // MPOL_LOCAL
constexpr int kBind = 2;                 // MPOL_BIND
constexpr unsigned long kOfAddress = 2;  // MPOL_F_ADDR

// The policy of the page at ptr as the system sees it, or a negative errno.
int PolicyAt(void *ptr) {
  int mode = -1;
  if (syscall(SYS_get_mempolicy, &mode, nullptr, 0UL, ptr, kOfAddress) != 0) return -errno;
  return mode & 0xFFF;
}

class PolicyTest : public testing::Test {
 protected:
  void Init(ca_memory_map_policy policy, ca_sizes sizes) {
    ca_memory_map_settings wishes = {};
    wishes.policy = policy;
    wishes.effort = CA_MEMORY_MAP_STRICT;
    ca_memory_map_init(&source_, &wishes);
    ca_memory_map_allocator_settings settings = {};
    settings.sizes = sizes;
    settings.prepare = ca_memory_map_allocator_policy;
    settings.context = &source_;
    ca_memory_map_allocator_init(&map_, &settings);
  }
  ca_allocator *allocator() { return ca_memory_map_allocator_allocator(&map_); }
  ca_memory_map source_;
  ca_memory_map_allocator map_;
};

TEST_F(PolicyTest, EachBlockHasThePolicyOfTheSourceAlsoWhenGrown) {
  int own;
  if (syscall(SYS_get_mempolicy, &own, nullptr, 0UL, nullptr, 0UL) != 0) {
    GTEST_SKIP() << "the kernel knows no NUMA policies, or a filter hides them";
  }
  const struct {
    ca_memory_map_policy wished;
    int seen;
  } rows[] = {{CA_MEMORY_MAP_LOCAL, kLocal}, {CA_MEMORY_MAP_BIND, kBind}};
  for (const auto &row : rows) {
    for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
      Init(row.wished, sizes);
      ca_block block = ca_allocate(allocator(), 100000, 16);
      ASSERT_FALSE(ca_block_is_none(block));
      EXPECT_EQ(PolicyAt(block.ptr), row.seen);
      const std::size_t size = block.size;
      block = ca_grow(allocator(), block.ptr, size, 4 * size, 16, CA_MOVE_ALLOWED);
      ASSERT_FALSE(ca_block_is_none(block));
      EXPECT_EQ(PolicyAt(static_cast<char *>(block.ptr) + 4 * size - 1), row.seen);
      ca_deallocate(allocator(), block.ptr, 4 * size, 16);
      ca_memory_map_allocator_destroy(&map_);
    }
  }
}

TEST_F(PolicyTest, APolicyThatCanNotBeHadRefusesTheBlock) {
  Init(CA_MEMORY_MAP_BIND, CA_SIZES_RECORDED);
  source_.settings.policy = static_cast<ca_memory_map_policy>(77);
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 1, 16)));
  EXPECT_EQ(map_.mapped, 0U);
}

}  // namespace
