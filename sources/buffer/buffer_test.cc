#include "sources/buffer/buffer.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "sources/testing/source_conformance.h"

namespace {

struct BufferFixture {
  BufferFixture() { ca_buffer_init(&buffer, memory, sizeof memory); }
  ~BufferFixture() { EXPECT_TRUE(ca_buffer_check(&buffer)); }
  ca_source *get() { return ca_buffer_source(&buffer); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kMaxSize = 40000;
  static constexpr bool kBounded = true;

  alignas(4096) char memory[65536];
  ca_buffer buffer;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Buffer, SourceConformance, BufferFixture);

TEST(BufferTest, NeverHandsOutAByteBesideTheBuffer) {
  char memory[101];
  for (std::size_t offset = 0; offset < 17; ++offset) {
    for (std::size_t align = 1; align <= 64; align *= 2) {
      ca_buffer buffer;
      ca_buffer_init(&buffer, memory + offset, sizeof memory - offset);
      ca_source *source = ca_buffer_source(&buffer);
      for (;;) {
        const ca_block range = ca_source_obtain(source, 5, align);
        if (ca_block_is_none(range)) break;
        const char *begin = static_cast<const char *>(range.ptr);
        ASSERT_GE(begin, memory + offset);
        ASSERT_LE(begin + range.size, memory + sizeof memory);
      }
      EXPECT_TRUE(ca_buffer_check(&buffer));
    }
  }
}

TEST(BufferTest, AnEmptyBufferRefusesEverything) {
  ca_buffer buffer;
  ca_buffer_init(&buffer, nullptr, 0);
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(ca_buffer_source(&buffer), 1, 1)));
  char byte;
  ca_buffer_init(&buffer, &byte, 0);
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(ca_buffer_source(&buffer), 1, 1)));
}

TEST(BufferTest, ABufferPastTheTopOfTheAddressSpaceIsCut) {
  ca_buffer buffer;
  ca_buffer_init(&buffer, reinterpret_cast<void *>(UINTPTR_MAX - 100), SIZE_MAX);
  EXPECT_TRUE(ca_buffer_check(&buffer));
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(ca_buffer_source(&buffer), 102, 1)));
  EXPECT_FALSE(ca_block_is_none(ca_source_obtain(ca_buffer_source(&buffer), 50, 1)));
}

TEST(BufferTest, EverythingIsFreeAgainOnceAllIsReleased) {
  char memory[96];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  ca_source *source = ca_buffer_source(&buffer);
  const ca_block first = ca_source_obtain(source, 48, 1);
  const ca_block second = ca_source_obtain(source, 48, 1);
  ca_source_release(source, first);  // Out of order: nothing to gain yet.
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(source, 1, 1)));
  ca_source_release(source, second);
  EXPECT_EQ(ca_source_obtain(source, 96, 1).ptr, memory);
}

TEST(BufferTest, DestroyTwiceIsHarmlessAndRefusesAfterwards) {
  char memory[64];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  ca_buffer_destroy(&buffer);
  ca_buffer_destroy(&buffer);
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(ca_buffer_source(&buffer), 1, 1)));
  ca_buffer zero = {};
  ca_buffer_destroy(&zero);
}

TEST(BufferTest, CheckFindsAMarkOutsideTheBuffer) {
  char memory[64];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  buffer.mark = buffer.begin + 1;
  EXPECT_FALSE(ca_buffer_check(&buffer)) << "nothing is out";
  buffer.out = 1;
  EXPECT_TRUE(ca_buffer_check(&buffer));
  buffer.mark = buffer.end + 1;
  EXPECT_FALSE(ca_buffer_check(&buffer));
}

TEST(BufferTest, ASecondInitForgetsTheFirst) {
  char first[64];
  char second[64];
  ca_buffer buffer;
  ca_buffer_init(&buffer, first, sizeof first);
  EXPECT_FALSE(ca_block_is_none(ca_source_obtain(ca_buffer_source(&buffer), 64, 1)));
  ca_buffer_init(&buffer, second, sizeof second);
  EXPECT_EQ(ca_source_obtain(ca_buffer_source(&buffer), 64, 1).ptr, second);
  EXPECT_TRUE(ca_buffer_check(&buffer));
}

TEST(BufferDeathTest, ReleasingWhatIsNotOutIsABrokenContract) {
  char memory[64];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  EXPECT_DEATH(ca_source_release(ca_buffer_source(&buffer), ca_block_make(memory, 8)),
               "self->out > 0");
}

#ifndef NDEBUG
TEST(BufferDeathTest, BrokenContractsNameThemselves) {
  char memory[64];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  ca_source *source = ca_buffer_source(&buffer);
  EXPECT_DEATH(ca_source_obtain(source, 0, 1), "size > 0");
  EXPECT_DEATH(ca_source_obtain(source, 1, 3), "ca_is_power_of_two\\(align\\)");
  EXPECT_DEATH(ca_source_obtain(source, 1, 0), "ca_is_power_of_two\\(align\\)");
  EXPECT_DEATH(ca_source_release(source, ca_block_none()), "!ca_block_is_none\\(range\\)");
}
#endif

}  // namespace
