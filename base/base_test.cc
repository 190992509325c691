#include <gtest/gtest.h>

#include <cstdint>

#include "base/align.h"
#include "base/block.h"
#include "base/check.h"
#include "base/poison.h"

namespace {

TEST(BlockTest, NoneIsNullAndEmpty) {
  EXPECT_TRUE(ca_block_is_none(ca_block_none()));
  EXPECT_EQ(ca_block_none().size, 0U);
  char byte;
  EXPECT_FALSE(ca_block_is_none(ca_block_make(&byte, 1)));
}

TEST(BlockTest, FitsTwoRegisters) { EXPECT_EQ(sizeof(ca_block), 2 * sizeof(void *)); }

TEST(AlignTest, PowersOfTwoAreExactlyThose) {
  EXPECT_FALSE(ca_is_power_of_two(0));
  for (unsigned shift = 0; shift < 64; ++shift) {
    const std::size_t power = std::size_t{1} << shift;
    EXPECT_TRUE(ca_is_power_of_two(power));
    EXPECT_EQ(ca_log2_floor(power), shift);
    if (power > 2) {
      EXPECT_FALSE(ca_is_power_of_two(power - 1));
      EXPECT_FALSE(ca_is_power_of_two(power + 1));
      EXPECT_EQ(ca_log2_floor(power - 1), shift - 1);
    }
  }
}

TEST(AlignTest, PaddingReachesTheNextMultipleAndNeverWraps) {
  EXPECT_EQ(ca_padding_to(0, 16), 0U);
  EXPECT_EQ(ca_padding_to(1, 16), 15U);
  EXPECT_EQ(ca_padding_to(16, 16), 0U);
  EXPECT_EQ(ca_padding_to(UINTPTR_MAX, 16), 1U);
}

TEST(AlignTest, RoundingUpPastTheTopGivesZero) {
  EXPECT_EQ(ca_round_up(0, 16), 0U);
  EXPECT_EQ(ca_round_up(1, 16), 16U);
  EXPECT_EQ(ca_round_up(SIZE_MAX - 3, 16), 0U);
  EXPECT_EQ(ca_round_down(31, 16), 16U);
}

TEST(PoisonTest, PoisonedBytesAreSeenWhereAToolLooks) {
  alignas(8) static char region[64];
  EXPECT_FALSE(ca_is_poisoned(region + 8));
  ca_poison(region + 8, 16);
  EXPECT_EQ(ca_is_poisoned(region + 8), ca_poison_is_seen());
  EXPECT_FALSE(ca_is_poisoned(region + 24));
  ca_unpoison(region + 8, 13);
  EXPECT_FALSE(ca_is_poisoned(region + 8 + 12));
  EXPECT_EQ(ca_is_poisoned(region + 8 + 13), ca_poison_is_seen());
  ca_unpoison_defined(region, sizeof region);
  EXPECT_FALSE(ca_is_poisoned(region + 8 + 13));
}

using CheckDeathTest = testing::Test;

TEST(CheckDeathTest, CheckNamesTheFileAndTheSentence) {
  EXPECT_DEATH(CA_CHECK(1 + 1 == 3), "base_test.cc:[0-9]+: 1 \\+ 1 == 3");
}

TEST(CheckDeathTest, LongTextsAreCutAndKeepTheirNewline) {
  const std::string text(2000, 'x');
  EXPECT_DEATH(ca_panic("file", 1, text.c_str()), "file:1: x+\n");
}

TEST(CheckDeathTest, MisuseNamesTheCallThePointerAndTheClass) {
  EXPECT_DEATH(ca_panic_misuse("free", reinterpret_cast<void *>(0xabc0), "double free"),
               "context_allocator: free\\(0xabc0\\): double free\n");
}

#ifndef NDEBUG
TEST(CheckDeathTest, AssertIsOnInDebugBuilds) {
  EXPECT_DEATH(CA_ASSERT(false && "a contract"), "a contract");
}
#else
TEST(CheckTest, AssertCostsNothingInOptimisedBuilds) {
  bool evaluated = false;
  CA_ASSERT((evaluated = true));
  EXPECT_FALSE(evaluated);
}
#endif

}  // namespace
