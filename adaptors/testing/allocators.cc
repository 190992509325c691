#include "adaptors/testing/allocators.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "adaptors/from_malloc/from_malloc.h"
#include "allocators/bit_set/bit_set.h"
#include "allocators/bump/bump.h"
#include "allocators/context/context.h"
#include "allocators/memory_map/memory_map.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"
#include "sources/buffer/buffer.h"

namespace ca_testing {
namespace {

constexpr std::size_t kSize = 320000;

// A buffer for one allocator; checks that destroy gives everything back.
class OverBuffer : public AnyAllocator {
 protected:
  OverBuffer() : memory_(kSize + 64) { ca_buffer_init(&buffer_, memory_.data(), memory_.size()); }
  ~OverBuffer() override { EXPECT_EQ(buffer_.out, 0U) << "destroy returns the range"; }
  ca_source *source() { return ca_buffer_source(&buffer_); }
  static constexpr std::size_t kRange = kSize - 15;

 private:
  std::vector<char> memory_;
  ca_buffer buffer_;
};

template <ca_sizes kSizes>
class Bump : public OverBuffer {
 public:
  Bump() { EXPECT_TRUE(ca_bump_init(&it_, source(), kRange, kSizes)); }
  ~Bump() override { ca_bump_destroy(&it_); }
  ca_allocator *get() override { return ca_bump_allocator(&it_); }

 private:
  ca_bump it_;
};

template <ca_sizes kSizes>
class BitSet : public OverBuffer {
 public:
  BitSet() { EXPECT_TRUE(ca_bit_set_init(&it_, source(), kRange, 64, kSizes)); }
  ~BitSet() override { ca_bit_set_destroy(&it_); }
  ca_allocator *get() override { return ca_bit_set_allocator(&it_); }

 private:
  ca_bit_set it_;
};

template <ca_sizes kSizes>
class Trees : public OverBuffer {
 public:
  Trees() { EXPECT_TRUE(ca_multiple_binary_search_tree_init(&it_, source(), kRange, kSizes)); }
  ~Trees() override { ca_multiple_binary_search_tree_destroy(&it_); }
  ca_allocator *get() override { return ca_multiple_binary_search_tree_allocator(&it_); }

 private:
  ca_multiple_binary_search_tree it_;
};

template <ca_context_kind kKind, ca_sizes kSizes = CA_SIZES_FORGOTTEN>
class Context : public OverBuffer {
 public:
  Context() {
    const ca_context_allocator_settings settings = {kSizes, 0};
    EXPECT_TRUE(ca_context_allocator_init(&it_, source(), kRange, kKind, &settings));
  }
  ~Context() override { ca_context_allocator_destroy(&it_); }
  ca_allocator *get() override { return ca_context_allocator_allocator(&it_); }

 private:
  ca_context_allocator it_;
};

// libc's, but for alignments at which a block is as large as the machine: some adaptors fill it.
class FromMalloc : public AnyAllocator {
 public:
  FromMalloc() : family_(*ca_malloc_family_of_libc()) {
    family_.aligned_alloc = [](std::size_t align, std::size_t size) {
      return align > kSize ? nullptr : std::aligned_alloc(align, size);
    };
    EXPECT_TRUE(ca_from_malloc_init(&it_, &family_));
  }
  ca_allocator *get() override { return ca_from_malloc_allocator(&it_); }

 private:
  ca_malloc_family family_;
  ca_from_malloc it_;
};

template <ca_sizes kSizes>
class MemoryMap : public AnyAllocator {
 public:
  MemoryMap() {
    ca_memory_map_allocator_settings settings = {};
    settings.sizes = kSizes;
    ca_memory_map_allocator_init(&it_, &settings);
  }
  ~MemoryMap() override {
    EXPECT_EQ(it_.blocks, 0U);
    ca_memory_map_allocator_destroy(&it_);
  }
  ca_allocator *get() override { return ca_memory_map_allocator_allocator(&it_); }

 private:
  ca_memory_map_allocator it_;
};

template <typename Allocator>
std::unique_ptr<AnyAllocator> Make() {
  return std::make_unique<Allocator>();
}

const AllocatorTraits kEvery[] = {
    {"bump", Make<Bump<CA_SIZES_FORGOTTEN>>, false, kSize},
    {"bump_recording", Make<Bump<CA_SIZES_RECORDED>>, false, kSize},
    {"bit_set", Make<BitSet<CA_SIZES_FORGOTTEN>>, true, kSize},
    {"bit_set_recording", Make<BitSet<CA_SIZES_RECORDED>>, true, kSize},
    {"trees", Make<Trees<CA_SIZES_FORGOTTEN>>, true, kSize},
    {"trees_recording", Make<Trees<CA_SIZES_RECORDED>>, true, kSize},
    {"memory_map", Make<MemoryMap<CA_SIZES_FORGOTTEN>>, true, 0},
    {"memory_map_recording", Make<MemoryMap<CA_SIZES_RECORDED>>, true, 0},
    {"context_bump", Make<Context<CA_CONTEXT_BUMP>>, false, kSize},
    {"context_bump_recording", Make<Context<CA_CONTEXT_BUMP, CA_SIZES_RECORDED>>, false, kSize},
    {"context_bit_set", Make<Context<CA_CONTEXT_BIT_SET>>, true, kSize},
    {"context_bit_set_recording", Make<Context<CA_CONTEXT_BIT_SET, CA_SIZES_RECORDED>>, true,
     kSize},
    {"context_trees", Make<Context<CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE>>, true, kSize},
    {"context_trees_recording",
     Make<Context<CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE, CA_SIZES_RECORDED>>, true, kSize},
    {"from_malloc", Make<FromMalloc>, true, 0},
};

const AllocatorTraits *current = &kEvery[0];

// Runs all tests over *current, as a program of its own would.
class OneAfterTheOther : public testing::EmptyTestEventListener {
 public:
  void OnTestIterationStart(const testing::UnitTest &, int iteration) override {
    current = &kEvery[iteration];
    std::printf("Over %s\n", current->name);
  }
  void OnTestPartResult(const testing::TestPartResult &result) override {
    if (result.failed()) std::printf("Over %s:\n", current->name);
  }
};

}  // namespace

const AllocatorTraits &CurrentAllocator() { return *current; }

std::unique_ptr<AnyAllocator> MakeOneThatTells() {
  std::unique_ptr<AnyAllocator> it = current->make();
  const ca_allocator_ops *ops = it->get()->ops;
  if (ops->owns != nullptr) return it;
  return ops->usable_size == nullptr ? Make<Trees<CA_SIZES_FORGOTTEN>>()
                                     : Make<Trees<CA_SIZES_RECORDED>>();
}

// Returns whether the name is one of the list.
static bool Choose(const char *name) {
  for (const AllocatorTraits &traits : kEvery) {
    if (std::strcmp(traits.name, name) != 0) continue;
    current = &traits;
    return true;
  }
  std::fprintf(stderr, "no allocator is called %s\n", name);
  return false;
}

}  // namespace ca_testing

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  static const char kOption[] = "--allocator=";
  if (argc > 1 && std::strncmp(argv[1], kOption, sizeof kOption - 1) == 0) {
    return ca_testing::Choose(argv[1] + sizeof kOption - 1) ? RUN_ALL_TESTS() : 2;
  }
  testing::UnitTest::GetInstance()->listeners().Append(new ca_testing::OneAfterTheOther);
  testing::FLAGS_gtest_repeat = static_cast<int>(std::size(ca_testing::kEvery));
  return RUN_ALL_TESTS();
}
