#include "adaptors/for_zlib/for_zlib.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <type_traits>
#include <vector>

#include "adaptors/testing/witness.h"
#include "adaptors/to_malloc/to_malloc.h"
#include "allocators/bump/bump.h"

namespace {

static_assert(std::is_same_v<decltype(&ca_for_zlib_allocate), alloc_func>);
static_assert(std::is_same_v<decltype(&ca_for_zlib_free), free_func>);

z_stream StreamIn(ca_to_malloc *family) {
  z_stream stream = {};
  stream.zalloc = ca_for_zlib_allocate;
  stream.zfree = ca_for_zlib_free;
  stream.opaque = family;
  return stream;
}

const std::string &Text() {
  static const std::string text = [] {
    std::string made;
    for (int i = 0; i < 2000; ++i) made += "line " + std::to_string(i * i) + "\n";
    return made;
  }();
  return text;
}

void Feed(z_stream *stream, const std::string &in, std::vector<Bytef> *out) {
  stream->next_in = reinterpret_cast<Bytef *>(const_cast<char *>(in.data()));
  stream->avail_in = static_cast<uInt>(in.size());
  stream->next_out = out->data();
  stream->avail_out = static_cast<uInt>(out->size());
}

// Compresses and expands; returns the first status that is no success.
int RoundTrip(ca_allocator *allocator, int level, std::string *result) {
  ca_to_malloc family;
  ca_to_malloc_init(&family, allocator);
  std::vector<Bytef> packed(Text().size() + 1000);
  z_stream stream = StreamIn(&family);
  int status = deflateInit(&stream, level);
  if (status != Z_OK) return status;
  Feed(&stream, Text(), &packed);
  status = deflate(&stream, Z_FINISH);
  const std::size_t size = stream.total_out;
  deflateEnd(&stream);
  if (status != Z_STREAM_END) return status;

  std::vector<Bytef> text(Text().size() + 1);
  stream = StreamIn(&family);
  status = inflateInit(&stream);
  if (status != Z_OK) return status;
  Feed(&stream, std::string(packed.begin(), packed.begin() + static_cast<long>(size)), &text);
  stream.next_in = packed.data();
  status = inflate(&stream, Z_SYNC_FLUSH);  // Not Z_FINISH: the window is then allocated.
  result->assign(text.begin(), text.begin() + static_cast<long>(stream.total_out));
  inflateEnd(&stream);
  return status == Z_STREAM_END ? Z_OK : status;
}

class ForZlibTest : public testing::TestWithParam<int> {};

TEST_P(ForZlibTest, StreamsLiveInTheAllocatorAndGiveAllOfItBack) {
  ca_testing::Witness witness;
  std::string result;
  ASSERT_EQ(RoundTrip(witness.get(), GetParam(), &result), Z_OK);
  EXPECT_EQ(result, Text());
  EXPECT_GT(witness.requests, 4U);
  EXPECT_EQ(witness.live_blocks(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Levels, ForZlibTest, testing::Values(1, 6, 9));

TEST(ForZlibTest, WhereverMemoryEndsTheStreamReportsIt) {
  ca_testing::Witness witness;
  const std::size_t runs = ca_testing::RefuseEachRequest(witness, [&witness] {
    std::string result;
    const int status = RoundTrip(witness.get(), 6, &result);
    EXPECT_TRUE(status == Z_OK || status == Z_MEM_ERROR) << status;
    return status == Z_OK;
  });
  EXPECT_GT(runs, 4U);
}

class ForZlibRegionTest : public testing::TestWithParam<ca_sizes> {};

TEST_P(ForZlibRegionTest, AStreamInARegionNeedsNoEnd) {
  std::vector<char> memory(400000);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), GetParam());
  ca_to_malloc family;
  ca_to_malloc_init(&family, ca_bump_allocator(&bump));
  for (int round = 0; round < 10; ++round) {
    std::vector<Bytef> packed(Text().size() + 1000);
    z_stream stream = StreamIn(&family);
    ASSERT_EQ(deflateInit(&stream, 6), Z_OK);
    Feed(&stream, Text(), &packed);
    ASSERT_EQ(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    ca_bump_reset(&bump);
  }
  ca_bump_destroy(&bump);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ForZlibRegionTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST(ForZlibTest, ItemsTimesSizeDoesNotWrap) {
  ca_testing::Witness witness;
  ca_to_malloc family;
  ca_to_malloc_init(&family, witness.get());
  void *const ptr = ca_for_zlib_allocate(&family, 3, 100);
  EXPECT_EQ(witness.live_bytes(), 300U);
  ca_for_zlib_free(&family, ptr);
  char memory[128];
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_RECORDED);
  ca_to_malloc_init(&family, ca_bump_allocator(&bump));
  EXPECT_EQ(ca_for_zlib_allocate(&family, 1U << 31, 2), nullptr);
  EXPECT_EQ(ca_for_zlib_allocate(&family, 65536, 65536), nullptr);
  ca_bump_destroy(&bump);
}

}  // namespace
