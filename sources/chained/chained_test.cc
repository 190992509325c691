#include "sources/chained/chained.h"

#include <gtest/gtest.h>

#include "sources/buffer/buffer.h"
#include "sources/failing/failing.h"
#include "sources/memory_map/memory_map.h"
#include "sources/testing/source_conformance.h"

namespace {

bool BufferOwns(const ca_source *source, const void *ptr) {
  const auto *buffer = reinterpret_cast<const ca_buffer *>(source);
  return ptr >= buffer->begin && ptr < buffer->end;
}

// Two buffers, so that the conformance tests cross from one to the other and run out.
struct TwoBuffers {
  TwoBuffers() {
    ca_buffer_init(&near, near_memory, sizeof near_memory);
    ca_buffer_init(&far, far_memory, sizeof far_memory);
    links[0] = {ca_buffer_source(&near), BufferOwns};
    links[1] = {ca_buffer_source(&far), BufferOwns};
    ca_chained_init(&chained, links, 2);
  }
  ~TwoBuffers() {
    EXPECT_EQ(near.out, 0U);
    EXPECT_EQ(far.out, 0U);
    EXPECT_TRUE(ca_chained_check(&chained));
  }
  ca_source *get() { return ca_chained_source(&chained); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kMaxSize = 40000;
  static constexpr bool kBounded = true;

  alignas(4096) char near_memory[65536];
  alignas(4096) char far_memory[65536];
  ca_buffer near;
  ca_buffer far;
  ca_chained_link links[2];
  ca_chained chained;
};

struct BufferThenMap {
  BufferThenMap() {
    ca_buffer_init(&buffer, memory, sizeof memory);
    ca_memory_map_init(&map, nullptr);
    links[0] = {ca_buffer_source(&buffer), BufferOwns};
    links[1] = {ca_memory_map_source(&map), nullptr};
    ca_chained_init(&chained, links, 2);
  }
  ~BufferThenMap() { EXPECT_EQ(buffer.out, 0U); }
  ca_source *get() { return ca_chained_source(&chained); }

  static constexpr std::size_t kMaxAlign = 1 << 21;
  static constexpr std::size_t kMaxSize = 40000;
  static constexpr bool kBounded = false;

  alignas(4096) char memory[65536];
  ca_buffer buffer;
  ca_memory_map map;
  ca_chained_link links[2];
  ca_chained chained;
};

INSTANTIATE_TYPED_TEST_SUITE_P(TwoBuffers, SourceConformance, TwoBuffers);
INSTANTIATE_TYPED_TEST_SUITE_P(BufferThenMap, SourceConformance, BufferThenMap);

TEST(ChainedTest, TheFirstThatDoesNotRefuseServes) {
  TwoBuffers two;
  const ca_block first = ca_source_obtain(two.get(), 60000, 1);
  const ca_block second = ca_source_obtain(two.get(), 60000, 1);
  EXPECT_TRUE(BufferOwns(two.links[0].source, first.ptr));
  EXPECT_TRUE(BufferOwns(two.links[1].source, second.ptr));
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(two.get(), 60000, 1)));
  ca_source_release(two.get(), first);
  EXPECT_EQ(two.near.out, 0U);
  EXPECT_EQ(two.far.out, 1U);
  EXPECT_EQ(ca_source_obtain(two.get(), 60000, 1).ptr, first.ptr) << "near again, once it can";
  ca_source_release(two.get(), first);
  ca_source_release(two.get(), second);
}

TEST(ChainedTest, AsksNobodyBehindTheOneThatServes) {
  TwoBuffers two;
  ca_failing far;
  ca_failing_init(&far, two.links[1].source, nullptr);
  two.links[1] = {ca_failing_source(&far), nullptr};
  const ca_block range = ca_source_obtain(two.get(), 16, 1);
  EXPECT_EQ(far.requested, 0U);
  ca_source_release(two.get(), range);
}

TEST(ChainedTest, PromisesZeroOnlyWhereEverySourceDoes) {
  ca_memory_map map;
  ca_memory_map_init(&map, nullptr);
  ca_chained_link links[] = {{ca_memory_map_source(&map), nullptr},
                             {ca_memory_map_source(&map), nullptr}};
  ca_chained chained;
  ca_chained_init(&chained, links, 2);
  EXPECT_TRUE(ca_chained_source(&chained)->ops->zeroed);
  EXPECT_FALSE(BufferThenMap().get()->ops->zeroed);
  EXPECT_EQ(TwoBuffers().get()->ops->decommit, nullptr);
}

TEST(ChainedTest, DecommitGoesToTheOwner) {
  BufferThenMap both;
  const ca_block near = ca_source_obtain(both.get(), 8192, 4096);
  const ca_block far = ca_source_obtain(both.get(), 1 << 17, 4096);
  EXPECT_EQ(ca_source_decommit(both.get(), near.ptr, near.size), 0U);
  EXPECT_EQ(ca_source_decommit(both.get(), far.ptr, far.size), far.size);
  ca_source_release(both.get(), near);
  ca_source_release(both.get(), far);
}

TEST(ChainedTest, CheckFindsABrokenChain) {
  TwoBuffers two;
  two.chained.count = 0;
  two.chained.ops.zeroed = true;
  EXPECT_FALSE(ca_chained_check(&two.chained));
  two.chained.count = 2;
  EXPECT_FALSE(ca_chained_check(&two.chained));
  two.chained.ops.zeroed = false;
  ca_source *const source = two.links[1].source;
  two.links[1].source = nullptr;
  EXPECT_FALSE(ca_chained_check(&two.chained));
  two.links[1].source = source;
}

TEST(ChainedDeathTest, ARangeOfNobodyIsReported) {
  TwoBuffers two;
  char stranger[64];
  EXPECT_DEATH(ca_source_release(two.get(), ca_block_make(stranger, 64)),
               "release\\(0x[0-9a-f]+\\): no source of the chain owns it \\(chained\\)");
}

#ifndef NDEBUG
TEST(ChainedDeathTest, AnEmptyChainIsABrokenContract) {
  ca_chained chained;
  EXPECT_DEATH(ca_chained_init(&chained, nullptr, 0), "count > 0");
}
#endif

}  // namespace
