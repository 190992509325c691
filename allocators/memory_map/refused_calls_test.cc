// Each of the system's grants refused in turn, for once and for good: the linker's --wrap hands mmap and
// mremap to this file. Whatever is refused, blocks keep their contents and no address is lost.
#include "allocators/memory_map/memory_map.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

namespace {

std::size_t calls, refuse_from, refuse_count;
std::ptrdiff_t mapped;  // Bytes: what was granted and not given back.

bool IsRefused() {
  const std::size_t number = calls++;
  if (number < refuse_from || number - refuse_from >= refuse_count) return false;
  errno = ENOMEM;
  return true;
}

}  // namespace

#pragma GCC diagnostic ignored "-Wmissing-declarations"
extern "C" {

void *__real_mmap(void *, std::size_t, int, int, int, off_t);
void *__wrap_mmap(void *ptr, std::size_t size, int protection, int flags, int file, off_t offset) {
  if (IsRefused()) return MAP_FAILED;
  void *const got = __real_mmap(ptr, size, protection, flags, file, offset);
  if (got != MAP_FAILED) mapped += static_cast<std::ptrdiff_t>(size);
  return got;
}

int __real_munmap(void *, std::size_t);
int __wrap_munmap(void *ptr, std::size_t size) {
  mapped -= static_cast<std::ptrdiff_t>(size);
  return __real_munmap(ptr, size);
}

void *__real_mremap(void *, std::size_t, std::size_t, int, ...);
void *__wrap_mremap(void *ptr, std::size_t size, std::size_t new_size, int flags, ...) {
  const bool onto = (flags & MREMAP_FIXED) != 0;  // A mapping that is counted already.
  void *target = nullptr;
  if (onto) {
    std::va_list rest;
    va_start(rest, flags);
    target = va_arg(rest, void *);
    va_end(rest);
  }
  if (IsRefused()) return MAP_FAILED;
  void *const got = onto ? __real_mremap(ptr, size, new_size, flags, target)
                         : __real_mremap(ptr, size, new_size, flags);
  if (got != MAP_FAILED) {
    mapped += static_cast<std::ptrdiff_t>(onto ? 0 : new_size) - static_cast<std::ptrdiff_t>(size);
  }
  return got;
}

}  // extern "C"

namespace {

struct How {
  ca_sizes sizes;
  std::size_t count;
};

class RefusedCallsTest : public testing::TestWithParam<How> {
 protected:
  ca_allocator *allocator() { return ca_memory_map_allocator_allocator(&map_); }

  // Allocates, grows where it is and elsewhere, shrinks. Returns whether all was granted.
  bool Work(std::size_t align) {
    const ca_block block = ca_allocate(allocator(), 10000, align);
    if (ca_block_is_none(block)) return false;
    bool all = true;
    auto *bytes = static_cast<char *>(block.ptr);
    std::size_t size = block.size;
    bytes[9999] = 'x';
    for (const std::size_t new_size : {30000U, 3000000U}) {
      const ca_block grown = ca_grow(allocator(), bytes, size, new_size, align, CA_MOVE_ALLOWED);
      EXPECT_TRUE(allocator()->ops->check(allocator()));
      all = all && !ca_block_is_none(grown);
      if (!ca_block_is_none(grown)) {
        bytes = static_cast<char *>(grown.ptr);
        size = grown.size;
      }
      EXPECT_EQ(bytes[9999], 'x');
      EXPECT_TRUE(ca_is_aligned(bytes, align));
    }
    const ca_block shrunk = ca_shrink(allocator(), bytes, size, 10000, align, CA_MOVE_NEVER);
    EXPECT_EQ(shrunk.ptr, bytes) << "refused, it stays as it was";
    all = all && (size == block.size || shrunk.size < size);
    EXPECT_EQ(bytes[9999], 'x');
    ca_deallocate(allocator(), bytes, shrunk.size, align);
    return all;
  }

  ca_memory_map_allocator map_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, RefusedCallsTest,
                         testing::Values(How{CA_SIZES_FORGOTTEN, 1}, How{CA_SIZES_RECORDED, 1},
                                         How{CA_SIZES_FORGOTTEN, SIZE_MAX},
                                         How{CA_SIZES_RECORDED, SIZE_MAX}));

TEST_P(RefusedCallsTest, EachInTurnLosesNeitherContentsNorAddresses) {
  for (const std::size_t align : {std::size_t{16}, std::size_t{1} << 21}) {
    bool all = false;
    std::size_t from = 0;
    for (; !all && from < 30; ++from) {
      ca_memory_map_allocator_settings settings{};
      settings.sizes = GetParam().sizes;
      ca_memory_map_allocator_init(&map_, &settings);
      calls = 0;
      mapped = 0;
      refuse_from = from;
      refuse_count = GetParam().count;
      errno = 4321;
      const bool granted = Work(align);
      EXPECT_EQ(errno, 4321);
      EXPECT_EQ(mapped, 0) << "refused from " << from << " on, aligned to " << align;
      all = calls <= from;
      EXPECT_TRUE(granted || !all);
      EXPECT_TRUE(allocator()->ops->check(allocator()));
      ca_memory_map_allocator_destroy(&map_);
    }
    EXPECT_TRUE(all);
    EXPECT_GE(from, 4U);
  }
}

// As a program makes of its block by mprotect() or madvise(): it can't grow, and isn't tried to move.
TEST_P(RefusedCallsTest, ABlockOfSeveralMappingsIsNotMoved) {
  ca_memory_map_allocator_settings settings{};
  settings.sizes = GetParam().sizes;
  ca_memory_map_allocator_init(&map_, &settings);
  refuse_from = SIZE_MAX;
  for (const std::size_t align : {std::size_t{16}, std::size_t{1} << 21}) {
    const ca_block block = ca_allocate(allocator(), 3 * map_.page_size, align);
    ASSERT_FALSE(ca_block_is_none(block));
    auto *const middle = static_cast<char *>(block.ptr) + map_.page_size;
    ASSERT_EQ(mprotect(middle, map_.page_size, PROT_READ), 0);
    calls = 0;
    EXPECT_TRUE(ca_block_is_none(
        ca_grow(allocator(), block.ptr, block.size, 3000000, align, CA_MOVE_ALLOWED)));
    EXPECT_EQ(calls, 1U);
    EXPECT_TRUE(allocator()->ops->check(allocator()));
    ca_deallocate(allocator(), block.ptr, block.size, align);
  }
  ca_memory_map_allocator_destroy(&map_);
}

}  // namespace
