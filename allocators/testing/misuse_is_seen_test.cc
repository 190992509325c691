// A use after free and an overflow, in each allocator, stop the program under AddressSanitizer and
// under Valgrind. In other builds there is nothing to see.
//
//   bazel test --config=asan //allocators/testing:misuse_is_seen_test
//   bazel test --config=valgrind //allocators/testing:misuse_is_seen_test
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>

#include "allocators/bit_set/bit_set.h"
#include "allocators/bump/bump.h"
#include "allocators/context/context.h"
#include "allocators/memory_map/memory_map.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"
#include "base/poison.h"

namespace {

alignas(4096) char g_memory[1 << 16];
const ca_block kRange = ca_block_make(g_memory, sizeof g_memory);

// AddressSanitizer's own end, Valgrind's --error-exitcode of .bazelrc, or, of what isn't mapped at
// all, the signal.
bool IsReported(int status) {
  return testing::KilledBySignal(SIGSEGV)(status) || testing::KilledBySignal(SIGABRT)(status) ||
         testing::ExitedWithCode(1)(status) || testing::ExitedWithCode(9)(status);
}

void Write(void *ptr, std::size_t offset) { static_cast<volatile char *>(ptr)[offset] = 1; }

[[noreturn]] void End() { std::_Exit(0); }

bool IsMapped(const char *ptr) {
  const std::uintptr_t page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  unsigned char resident;
  return mincore(reinterpret_cast<void *>(reinterpret_cast<std::uintptr_t>(ptr) & ~(page - 1)), 1,
                 &resident) == 0;
}

enum class Freed { kStaysMapped, kIsUnmapped };

// What was unmapped may be a mapping of gtest's or a tool's by now, where a write harms, but isn't seen.
void WriteToFreed(void *ptr, std::size_t offset, Freed freed) {
  if (freed == Freed::kIsUnmapped && IsMapped(static_cast<char *>(ptr) + offset)) std::abort();
  Write(ptr, offset);
}

void Expect(ca_allocator *allocator, std::size_t size, Freed freed = Freed::kStaysMapped) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  // Twice as much and then shrunk: what is behind it was never another's.
  ca_block block = ca_allocate(allocator, 2 * size, 16);
  block = ca_shrink(allocator, block.ptr, block.size, size, 16, CA_MOVE_NEVER);
  ASSERT_EQ(block.size, size);
  EXPECT_EXIT((Write(block.ptr, 0), Write(block.ptr, size - 1), End()), testing::ExitedWithCode(0),
              "");
  EXPECT_EXIT((Write(block.ptr, size), End()), IsReported, "") << "overflow";
  ca_deallocate(allocator, block.ptr, block.size, 16);
  if (freed == Freed::kIsUnmapped) ASSERT_FALSE(IsMapped(static_cast<char *>(block.ptr)));
  EXPECT_EXIT((WriteToFreed(block.ptr, 0, freed), End()), IsReported, "") << "use after free";
  EXPECT_EXIT((WriteToFreed(block.ptr, size - 1, freed), End()), IsReported, "")
      << "use after free";
}

class MisuseIsSeenDeathTest : public testing::TestWithParam<ca_sizes> {};
INSTANTIATE_TEST_SUITE_P(Sizes, MisuseIsSeenDeathTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST_P(MisuseIsSeenDeathTest, InBump) {
  ca_bump bump;
  ca_bump_init_range(&bump, kRange, GetParam());
  Expect(ca_bump_allocator(&bump), 64);
  ca_bump_destroy(&bump);
}

TEST_P(MisuseIsSeenDeathTest, InBitSet) {
  ca_bit_set set;
  ASSERT_TRUE(ca_bit_set_init_range(&set, kRange, 64, GetParam()));
  Expect(ca_bit_set_allocator(&set), 64);
  Expect(ca_bit_set_allocator(&set), 6400);
  ca_bit_set_destroy(&set);
}

TEST_P(MisuseIsSeenDeathTest, InTrees) {
  ca_multiple_binary_search_tree trees;
  ca_multiple_binary_search_tree_init_range(&trees, kRange, GetParam());
  Expect(ca_multiple_binary_search_tree_allocator(&trees), 64);
  Expect(ca_multiple_binary_search_tree_allocator(&trees), 6400);
  ca_multiple_binary_search_tree_destroy(&trees);
}

TEST_P(MisuseIsSeenDeathTest, InAContextOfEachKind) {
  ca_context_allocator_settings settings = {};
  settings.sizes = GetParam();
  for (const ca_context_kind kind :
       {CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET, CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE}) {
    ca_context_allocator context;
    ASSERT_TRUE(ca_context_allocator_init_range(&context, kRange, kind, &settings));
    Expect(ca_context_allocator_allocator(&context), 64);
    ca_context_allocator_destroy(&context);
  }
}

TEST_P(MisuseIsSeenDeathTest, InMemoryMap) {
  ca_memory_map_allocator_settings settings = {};
  settings.sizes = GetParam();
  ca_memory_map_allocator map;
  ca_memory_map_allocator_init(&map, &settings);
  Expect(ca_memory_map_allocator_allocator(&map), map.page_size, Freed::kIsUnmapped);
  ca_memory_map_allocator_destroy(&map);
}

}  // namespace
