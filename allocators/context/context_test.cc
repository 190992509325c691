#include "allocators/context/context.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "allocators/testing/allocator_conformance.h"
#include "sources/buffer/buffer.h"

namespace {

template <ca_context_kind kKind, ca_sizes kSizes>
struct ContextFixture {
  ContextFixture() : memory(kCapacity + 64) {
    ca_buffer_init(&buffer, memory.data(), memory.size());
    ca_context_allocator_settings settings = {};
    settings.sizes = kSizes;
    EXPECT_TRUE(ca_context_allocator_init(&context, ca_buffer_source(&buffer), kCapacity, kKind,
                                          &settings));
    EXPECT_EQ(ca_context_allocator_kind(&context), kKind);
  }
  ~ContextFixture() {
    ca_context_allocator_destroy(&context);
    EXPECT_EQ(buffer.out, 0U) << "destroy returns the range";
  }
  ca_allocator *get() { return ca_context_allocator_allocator(&context); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kCapacity = 600000;
  static constexpr bool kReclaims = kKind != CA_CONTEXT_BUMP;

  std::vector<char> memory;
  ca_buffer buffer;
  ca_context_allocator context;
};

using ContextBump = ContextFixture<CA_CONTEXT_BUMP, CA_SIZES_FORGOTTEN>;
using ContextBumpRecording = ContextFixture<CA_CONTEXT_BUMP, CA_SIZES_RECORDED>;
using ContextBitSet = ContextFixture<CA_CONTEXT_BIT_SET, CA_SIZES_FORGOTTEN>;
using ContextBitSetRecording = ContextFixture<CA_CONTEXT_BIT_SET, CA_SIZES_RECORDED>;
using ContextTrees = ContextFixture<CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE, CA_SIZES_FORGOTTEN>;
using ContextTreesRecording =
    ContextFixture<CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE, CA_SIZES_RECORDED>;
INSTANTIATE_TYPED_TEST_SUITE_P(ContextTrees, AllocatorConformance, ContextTrees);
INSTANTIATE_TYPED_TEST_SUITE_P(ContextTreesRecording, AllocatorConformance, ContextTreesRecording);
INSTANTIATE_TYPED_TEST_SUITE_P(ContextBump, AllocatorConformance, ContextBump);
INSTANTIATE_TYPED_TEST_SUITE_P(ContextBumpRecording, AllocatorConformance, ContextBumpRecording);
INSTANTIATE_TYPED_TEST_SUITE_P(ContextBitSet, AllocatorConformance, ContextBitSet);
INSTANTIATE_TYPED_TEST_SUITE_P(ContextBitSetRecording, AllocatorConformance,
                               ContextBitSetRecording);

class ContextTest : public testing::Test {
 protected:
  ~ContextTest() override { ca_context_allocator_destroy(&context_); }
  ca_allocator *allocator() { return ca_context_allocator_allocator(&context_); }
  bool Init(ca_context_kind kind, const ca_context_allocator_settings *settings = nullptr) {
    return ca_context_allocator_init_range(&context_, ca_block_make(memory_, sizeof memory_), kind,
                                           settings);
  }
  bool Refuses() { return ca_block_is_none(ca_allocate(allocator(), 1, 1)); }

  static constexpr ca_context_kind kKinds[] = {CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                               CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE};

  alignas(4096) char memory_[65536];
  ca_context_allocator context_ = {};
};

TEST_F(ContextTest, IsChosenByLifetimeOrByName) {
  EXPECT_EQ(ca_context_kind_for(CA_LIFETIME_SHORT), CA_CONTEXT_BUMP);
  EXPECT_EQ(ca_context_kind_for(CA_LIFETIME_MEDIUM), CA_CONTEXT_BIT_SET);
  EXPECT_EQ(ca_context_kind_for(CA_LIFETIME_LONG), CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE);
  EXPECT_EQ(ca_context_kind_named("bump"), CA_CONTEXT_BUMP);
  EXPECT_EQ(ca_context_kind_named("bit_set"), CA_CONTEXT_BIT_SET);
  EXPECT_EQ(ca_context_kind_named("multiple_binary_search_tree"),
            CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE);
  EXPECT_EQ(ca_context_kind_named("bumps"), CA_CONTEXT_NONE);
  EXPECT_EQ(ca_context_kind_named(""), CA_CONTEXT_NONE);
}

TEST_F(ContextTest, TheInterfaceIsTheChosenAllocatorsOwn) {
  ASSERT_TRUE(Init(CA_CONTEXT_BUMP));
  EXPECT_STREQ(allocator()->ops->name, "bump");
  ca_allocator *const before = allocator();
  ca_context_allocator_destroy(&context_);
  ASSERT_TRUE(Init(CA_CONTEXT_BIT_SET));
  EXPECT_STREQ(allocator()->ops->name, "bit set");
  EXPECT_EQ(allocator(), before);
}

TEST_F(ContextTest, ServesAsOneKindAfterTheOther) {
  for (int round = 0; round < 6; ++round) {
    const ca_context_kind kind = kKinds[round % 3];
    ASSERT_TRUE(Init(kind));
    int blocks = 0;
    while (!ca_block_is_none(ca_allocate(allocator(), 64, 16))) blocks++;
    EXPECT_GT(blocks, 990);
    EXPECT_TRUE(allocator()->ops->check(allocator()));
    ca_context_allocator_destroy(&context_);
    EXPECT_EQ(ca_context_allocator_kind(&context_), CA_CONTEXT_NONE);
  }
}

TEST_F(ContextTest, ResetForgetsEverythingAndKeepsTheKind) {
  for (const ca_context_kind kind : kKinds) {
    ASSERT_TRUE(Init(kind));
    ca_allocate(allocator(), 1000, 16);
    EXPECT_GE(ca_context_allocator_measure(&context_).used, 1000U);
    EXPECT_LE(ca_context_allocator_measure(&context_).used, 1024U);
    EXPECT_GE(ca_context_allocator_measure(&context_).capacity, 64000U);
    EXPECT_LE(ca_context_allocator_measure(&context_).capacity, 65536U);
    ca_context_allocator_reset(&context_);
    EXPECT_EQ(ca_context_allocator_measure(&context_).used, 0U);
    EXPECT_EQ(ca_context_allocator_kind(&context_), kind);
    EXPECT_FALSE(ca_block_is_none(ca_allocate(allocator(), 60000, 16)));
    ca_context_allocator_destroy(&context_);
  }
}

TEST_F(ContextTest, APeakStaysUntilReset) {
  ca_context_allocator_settings settings = {};
  settings.sizes = CA_SIZES_RECORDED;
  for (const ca_context_kind kind : kKinds) {
    ASSERT_TRUE(Init(kind, &settings));
    EXPECT_EQ(ca_context_allocator_measure(&context_).peak, 0U);
    std::vector<void *> blocks;
    for (int i = 0; i < 10; ++i) blocks.push_back(ca_allocate(allocator(), 1000, 16).ptr);
    const std::size_t used = ca_context_allocator_measure(&context_).used;
    EXPECT_GE(ca_context_allocator_measure(&context_).peak, used);
    for (; !blocks.empty(); blocks.pop_back()) {
      allocator()->ops->deallocate_unsized(allocator(), blocks.back());
    }
    ca_allocate(allocator(), 100, 16);
    EXPECT_LE(ca_context_allocator_measure(&context_).used, 128U);
    EXPECT_GE(ca_context_allocator_measure(&context_).peak, used);
    EXPECT_LE(ca_context_allocator_measure(&context_).peak, used + 64 * 64);
    ca_context_allocator_reset(&context_);
    EXPECT_EQ(ca_context_allocator_measure(&context_).peak, 0U);
    ca_context_allocator_destroy(&context_);
  }
}

TEST_F(ContextTest, SettingsReachTheAllocator) {
  ca_context_allocator_settings settings = {};
  settings.block_size = 512;
  settings.sizes = CA_SIZES_RECORDED;
  ASSERT_TRUE(Init(CA_CONTEXT_BIT_SET, &settings));
  EXPECT_EQ(ca_allocate(allocator(), 1, 16).size, 512U);
  EXPECT_NE(allocator()->ops->usable_size, nullptr);
  ca_context_allocator_destroy(&context_);
  settings.block_size = 48;
  EXPECT_FALSE(Init(CA_CONTEXT_BIT_SET, &settings)) << "not a power of two";
  EXPECT_TRUE(Refuses());
  EXPECT_NE(allocator()->ops->usable_size, nullptr) << "also while it holds nothing";
  ASSERT_TRUE(Init(CA_CONTEXT_BUMP, &settings));
  EXPECT_NE(allocator()->ops->usable_size, nullptr);
}

TEST_F(ContextTest, WhatCouldNotBeSetUpRefusesEverything) {
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory_, 100);
  for (const ca_context_kind kind : {CA_CONTEXT_NONE, CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                     CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{101}, SIZE_MAX}) {
      EXPECT_FALSE(
          ca_context_allocator_init(&context_, ca_buffer_source(&buffer), size, kind, nullptr));
      EXPECT_EQ(ca_context_allocator_kind(&context_), CA_CONTEXT_NONE);
      EXPECT_TRUE(Refuses());
      EXPECT_TRUE(allocator()->ops->check(allocator()));
      EXPECT_EQ(ca_context_allocator_measure(&context_).capacity, 0U);
      ca_context_allocator_reset(&context_);
      ca_context_allocator_destroy(&context_);
    }
    EXPECT_FALSE(ca_context_allocator_init_range(&context_, ca_block_none(), kind, nullptr));
    EXPECT_TRUE(Refuses());
  }
  EXPECT_EQ(buffer.out, 0U);
}

TEST_F(ContextTest, DestroyTwiceIsHarmlessAndRefusesAfterwards) {
  ca_context_allocator zero = {};
  EXPECT_TRUE(ca_context_allocator_check(&zero));
  ca_context_allocator_destroy(&zero);
  for (const ca_context_kind kind : kKinds) {
    ASSERT_TRUE(Init(kind));
    ca_allocate(allocator(), 100, 16);
    ca_context_allocator_destroy(&context_);
    EXPECT_TRUE(ca_context_allocator_check(&context_));
    EXPECT_TRUE(Refuses());
    ca_context_allocator_destroy(&context_);
    EXPECT_TRUE(ca_context_allocator_check(&context_));
    EXPECT_TRUE(Refuses());
  }
}

TEST_F(ContextTest, CheckFindsAKindThatIsNotTheInterfaces) {
  for (const ca_context_kind kind : kKinds) {
    ASSERT_TRUE(Init(kind));
    ca_allocate(allocator(), 100, 16);
    for (const ca_context_kind wrong : {CA_CONTEXT_NONE, CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                        CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE}) {
      context_.kind = wrong;
      EXPECT_EQ(ca_context_allocator_check(&context_), wrong == kind) << kind << ", " << wrong;
      context_.kind = kind;
    }
    const ca_allocator_ops *const table = allocator()->ops;
    ca_context_allocator_destroy(&context_);
    context_.kind = kind;
    EXPECT_EQ(ca_context_allocator_check(&context_), kind == CA_CONTEXT_BUMP);
    context_.kind = CA_CONTEXT_NONE;
    context_.chosen.base.ops = table;
    EXPECT_EQ(ca_context_allocator_check(&context_), kind == CA_CONTEXT_BUMP);
  }
  ASSERT_TRUE(Init(CA_CONTEXT_BUMP));
  context_.chosen.bump.cursor = context_.chosen.bump.end + 16;
  EXPECT_FALSE(ca_context_allocator_check(&context_)) << "the kind's own";
  ca_context_allocator_reset(&context_);
}

// Whatever is allocated, in ranges of any begin and end: used <= peak <= capacity <= the range.
TEST_F(ContextTest, WhatIsMeasuredNeverPassesTheCapacity) {
  for (const ca_context_kind kind : kKinds) {
    for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
      for (std::size_t size = 2000; size < 12000; size += 617) {
        const ca_context_allocator_settings settings = {sizes, 16};
        const ca_block range = ca_block_make(memory_ + size % 19, size);
        ASSERT_TRUE(ca_context_allocator_init_range(&context_, range, kind, &settings));
        ca_block block = ca_allocate(allocator(), 40, 16);
        while (!ca_block_is_none(block)) {
          const auto measured = ca_context_allocator_measure(&context_);
          ASSERT_LE(measured.used, measured.peak);
          ASSERT_LE(measured.peak, measured.capacity);
          ASSERT_LE(measured.capacity, size);
          block = ca_allocate(allocator(), 40, 16);
        }
        EXPECT_TRUE(ca_context_allocator_check(&context_));
        ca_context_allocator_destroy(&context_);
      }
    }
  }
}

TEST_F(ContextTest, AKindsStorageIsEnough) {
  for (const ca_context_kind kind : kKinds) {
    const std::size_t size = ca_context_allocator_size(kind);
    std::memset(static_cast<void *>(&context_), 0x5A, sizeof context_);
    ASSERT_TRUE(Init(kind));
    ca_deallocate(allocator(), ca_allocate(allocator(), 100, 16).ptr, 100, 16);
    ca_context_allocator_reset(&context_);
    ca_context_allocator_destroy(&context_);
    const auto *bytes = reinterpret_cast<const unsigned char *>(&context_);
    for (std::size_t i = size; i < sizeof context_; ++i) ASSERT_EQ(bytes[i], 0x5A) << kind;
  }
}

}  // namespace
