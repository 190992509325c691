// What every memory source owes its callers: the sentences of sources/memory_source.h as tests.
//
// A source's own test gives a fixture and one line:
//
//   struct BufferFixture {
//     ca_source *get();                               // the same source each time
//     static constexpr std::size_t kMaxAlign = 4096;  // honoured alignments
//     static constexpr std::size_t kMaxSize = 65536;  // a size that it can serve once
//     static constexpr bool kBounded = true;          // runs out after a few kMaxSize
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Buffer, SourceConformance, BufferFixture);
#ifndef CONTEXT_ALLOCATOR_SOURCES_TESTING_SOURCE_CONFORMANCE_H_
#define CONTEXT_ALLOCATOR_SOURCES_TESTING_SOURCE_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/align.h"
#include "sources/memory_source.h"

template <typename Fixture>
class SourceConformance : public testing::Test {
 protected:
  ~SourceConformance() override {
    for (const ca_block &range : held_) {
      ca_source_release(source(), range);
    }
  }

  ca_source *source() { return fixture_.get(); }

  // Obtains, checks what was promised, and holds the range until the end of the test.
  ca_block Obtain(std::size_t size, std::size_t align) {
    const ca_block range = ca_source_obtain(source(), size, align);
    if (!ca_block_is_none(range)) {
      EXPECT_GE(range.size, size);
      EXPECT_TRUE(ca_is_aligned(range.ptr, align)) << align;
      held_.push_back(range);
    }
    return range;
  }

  void ReleaseNewest() {
    ca_source_release(source(), held_.back());
    held_.pop_back();
  }

  Fixture fixture_;
  std::vector<ca_block> held_;
};

TYPED_TEST_SUITE_P(SourceConformance);

TYPED_TEST_P(SourceConformance, HasANameAndItsOperations) {
  const ca_source_ops *ops = this->source()->ops;
  ASSERT_NE(ops, nullptr);
  ASSERT_NE(ops->name, nullptr);
  EXPECT_NE(ops->name[0], '\0');
  EXPECT_NE(ops->obtain, nullptr);
  EXPECT_NE(ops->release, nullptr);
}

TYPED_TEST_P(SourceConformance, EveryByteOfARangeCanBeUsed) {
  const ca_block range = this->Obtain(TypeParam::kMaxSize, 1);
  ASSERT_FALSE(ca_block_is_none(range));
  std::memset(range.ptr, 0xA5, range.size);
  EXPECT_EQ(static_cast<unsigned char *>(range.ptr)[range.size - 1], 0xA5);
}

TYPED_TEST_P(SourceConformance, OddSizesAreServed) {
  for (const std::size_t size : {1, 7, 63, 100}) {
    EXPECT_FALSE(ca_block_is_none(this->Obtain(size, 1))) << size;
    this->ReleaseNewest();
  }
}

TYPED_TEST_P(SourceConformance, HonoursEveryAlignmentItClaims) {
  for (std::size_t align = 1; align <= TypeParam::kMaxAlign; align *= 2) {
    const ca_block range = this->Obtain(100, align);
    ASSERT_FALSE(ca_block_is_none(range)) << align;
    std::memset(range.ptr, 1, range.size);
    this->ReleaseNewest();
  }
}

TYPED_TEST_P(SourceConformance, RangesHeldTogetherDoNotOverlap) {
  for (int i = 0; i < 4; ++i) {
    const ca_block range = this->Obtain(TypeParam::kMaxSize / 8, 16);
    if (ca_block_is_none(range)) {
      ASSERT_GE(i, 1);  // A source may have but one range to give.
      break;
    }
    std::memset(range.ptr, i + 1, range.size);
  }
  for (std::size_t i = 0; i < this->held_.size(); ++i) {
    const auto *bytes = static_cast<const unsigned char *>(this->held_[i].ptr);
    EXPECT_EQ(bytes[0], i + 1);
    EXPECT_EQ(bytes[this->held_[i].size - 1], i + 1);
  }
}

TYPED_TEST_P(SourceConformance, RefusesTheImpossibleAndChangesNothing) {
  const ca_block before = this->Obtain(64, 16);
  ASSERT_FALSE(ca_block_is_none(before));
  std::memset(before.ptr, 7, before.size);
  for (const std::size_t size :
       {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4095, SIZE_MAX / 2 + 1, SIZE_MAX / 2}) {
    for (std::size_t align = 1; align <= TypeParam::kMaxAlign; align *= 2) {
      const ca_block refused = ca_source_obtain(this->source(), size, align);
      EXPECT_TRUE(ca_block_is_none(refused)) << size << " aligned to " << align;
      EXPECT_EQ(refused.size, 0U);
    }
  }
  EXPECT_TRUE(ca_block_is_none(
      ca_source_obtain(this->source(), TypeParam::kMaxSize, std::size_t{1} << 63)));
  EXPECT_EQ(static_cast<unsigned char *>(before.ptr)[before.size - 1], 7);
  this->ReleaseNewest();
  EXPECT_FALSE(ca_block_is_none(this->Obtain(TypeParam::kMaxSize, 1)));
}

TYPED_TEST_P(SourceConformance, WhatIsReleasedCanBeObtainedAgain) {
  for (int round = 0; round < 200; ++round) {
    const ca_block range = this->Obtain(TypeParam::kMaxSize, 1);
    ASSERT_FALSE(ca_block_is_none(range)) << round;
    std::memset(range.ptr, 0xFF, 64);
    this->ReleaseNewest();
  }
}

TYPED_TEST_P(SourceConformance, ZeroedMeansZeroAlsoTheSecondTime) {
  if (!this->source()->ops->zeroed) {
    GTEST_SKIP() << "promises nothing about contents";
  }
  for (int round = 0; round < 3; ++round) {
    const ca_block range = this->Obtain(TypeParam::kMaxSize, 1);
    ASSERT_FALSE(ca_block_is_none(range));
    const auto *bytes = static_cast<const unsigned char *>(range.ptr);
    for (std::size_t i = 0; i < range.size; ++i) {
      ASSERT_EQ(bytes[i], 0) << "byte " << i << " in round " << round;
    }
    std::memset(range.ptr, 0xFF, range.size);
    this->ReleaseNewest();
  }
}

TYPED_TEST_P(SourceConformance, RunsOutWithNoneAndRecovers) {
  if (!TypeParam::kBounded) {
    GTEST_SKIP() << "bounded only by the machine";
  }
  int served = 0;
  while (served < 100000 && !ca_block_is_none(this->Obtain(TypeParam::kMaxSize, 1))) {
    ++served;
  }
  ASSERT_GE(served, 1);
  ASSERT_LT(served, 100000);
  this->ReleaseNewest();
  EXPECT_FALSE(ca_block_is_none(this->Obtain(TypeParam::kMaxSize, 1)));
}

TYPED_TEST_P(SourceConformance, DecommitKeepsTheRangeAndWhatLiesOutsideIt) {
  if (this->source()->ops->decommit == nullptr) {
    EXPECT_EQ(ca_source_decommit(this->source(), nullptr, 0), 0U);
    GTEST_SKIP() << "has no memory of the operating system";
  }
  const ca_block range =
      this->Obtain(TypeParam::kMaxSize, TypeParam::kMaxAlign < 4096 ? TypeParam::kMaxAlign : 4096);
  ASSERT_FALSE(ca_block_is_none(range));
  auto *bytes = static_cast<unsigned char *>(range.ptr);
  std::memset(bytes, 0xFF, range.size);
  EXPECT_EQ(ca_source_decommit(this->source(), bytes + 1, 100), 0U) << "no whole page";
  const std::size_t given = ca_source_decommit(this->source(), bytes + 1, range.size - 2);
  EXPECT_LE(given, range.size - 2);
  EXPECT_EQ(bytes[0], 0xFF);
  EXPECT_EQ(bytes[range.size - 1], 0xFF);
  if (this->source()->ops->zeroed && given > 0) {
    EXPECT_EQ(bytes[range.size / 2], 0);
  }
  std::memset(bytes, 1, range.size);
}

TYPED_TEST_P(SourceConformance, KeepsErrno) {
  errno = 1234;
  this->Obtain(64, 16);
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(this->source(), SIZE_MAX / 2, 16)));
  this->ReleaseNewest();
  EXPECT_EQ(errno, 1234);
}

REGISTER_TYPED_TEST_SUITE_P(SourceConformance, HasANameAndItsOperations, EveryByteOfARangeCanBeUsed,
                            OddSizesAreServed, HonoursEveryAlignmentItClaims,
                            RangesHeldTogetherDoNotOverlap, RefusesTheImpossibleAndChangesNothing,
                            WhatIsReleasedCanBeObtainedAgain, ZeroedMeansZeroAlsoTheSecondTime,
                            RunsOutWithNoneAndRecovers, DecommitKeepsTheRangeAndWhatLiesOutsideIt,
                            KeepsErrno);

#endif  // CONTEXT_ALLOCATOR_SOURCES_TESTING_SOURCE_CONFORMANCE_H_
