#include "base/bits.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <vector>

namespace {

#if defined(__BMI__)
// Compiled for a processor with BMI: on one without it, every test here is an illegal instruction.
const bool kRuns = [] {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
      __builtin_cpu_supports("popcnt")) {
    return true;
  }
  std::cout << "skipped: this processor has no BMI\n";
  std::exit(0);
}();
#endif

bool Bit(std::uint64_t word, unsigned at) { return at < 64 && (word >> at & 1) != 0; }

unsigned SlowCount(std::uint64_t word) {
  unsigned count = 0;
  for (unsigned i = 0; i < 64; ++i) count += Bit(word, i);
  return count;
}

unsigned SlowRunFrom(std::uint64_t low, std::uint64_t high, unsigned at) {
  unsigned length = 0;
  while (at < 128 && (at < 64 ? Bit(low, at) : Bit(high, at - 64))) ++length, ++at;
  return length;
}

unsigned SlowLongest(std::uint64_t word) {
  unsigned longest = 0;
  for (unsigned i = 0; i < 64; ++i) longest = std::max(longest, SlowRunFrom(word, 0, i));
  return longest;
}

unsigned SlowFindRun(std::uint64_t word, unsigned length) {
  for (unsigned i = 0; i < 64; ++i) {
    if (SlowRunFrom(word, 0, i) >= length) return i;
  }
  return 64;
}

// All words of one run, all of 12 bits at either end, and random ones of every density.
const std::vector<std::uint64_t> &Words() {
  static const std::vector<std::uint64_t> words = [] {
    std::vector<std::uint64_t> made = {0, ~std::uint64_t{0}};
    for (unsigned first = 0; first < 64; ++first) {
      for (unsigned count = 1; first + count <= 64; ++count) {
        made.push_back(ca_bits_low(count) << first);
        made.push_back(~(ca_bits_low(count) << first));
      }
    }
    for (std::uint64_t bits = 0; bits < 4096; bits += 3) {
      made.push_back(bits);
      made.push_back(bits << 52);
    }
    std::mt19937_64 random(1);
    for (int i = 0; i < 2000; ++i) {
      made.push_back(random());
      made.push_back(random() & random() & random());
      made.push_back(random() | random() | random());
    }
    return made;
  }();
  return words;
}

TEST(BitsTest, CountsFromEitherEnd) {
  EXPECT_EQ(ca_bits_trailing_zeros(0), 64U);
  EXPECT_EQ(ca_bits_leading_zeros(0), 64U);
  for (unsigned i = 0; i < 64; ++i) {
    const std::uint64_t bit = std::uint64_t{1} << i;
    EXPECT_EQ(ca_bits_trailing_zeros(bit), i);
    EXPECT_EQ(ca_bits_trailing_zeros(~std::uint64_t{0} << i), i);
    EXPECT_EQ(ca_bits_lowest(bit | std::uint64_t{1} << 63), i);
    EXPECT_EQ(ca_bits_leading_zeros(bit), 63 - i);
    EXPECT_EQ(ca_bits_leading_zeros(bit | 1), 63 - i);
  }
}

TEST(BitsTest, ClearsTheLowestAndCounts) {
  EXPECT_EQ(ca_bits_clear_lowest(0), 0U);
  for (const std::uint64_t word : Words()) {
    ASSERT_EQ(ca_bits_count(word), SlowCount(word)) << std::hex << word;
    if (word == 0) continue;
    const std::uint64_t rest = ca_bits_clear_lowest(word);
    ASSERT_EQ(word ^ rest, std::uint64_t{1} << ca_bits_lowest(word)) << std::hex << word;
  }
}

TEST(BitsTest, MakesMasksOfEveryLength) {
  EXPECT_EQ(ca_bits_low(0), 0U);
  EXPECT_EQ(ca_bits_low(64), ~std::uint64_t{0});
  for (unsigned count = 1; count < 64; ++count) {
    EXPECT_EQ(ca_bits_low(count), (std::uint64_t{1} << count) - 1);
  }
}

TEST(BitsTest, MeasuresRunsAtBothEndsAndAroundABit) {
  for (const std::uint64_t word : Words()) {
    ASSERT_EQ(ca_bits_run_at_bottom(word), SlowRunFrom(word, 0, 0)) << std::hex << word;
    unsigned top = 0;
    while (top < 64 && Bit(word, 63 - top)) ++top;
    ASSERT_EQ(ca_bits_run_at_top(word), top) << std::hex << word;
    for (unsigned at = 0; at < 64; ++at) {
      if (!Bit(word, at)) continue;
      unsigned first = at;
      while (first > 0 && Bit(word, first - 1)) --first;
      ASSERT_EQ(ca_bits_run_around(word, at), SlowRunFrom(word, 0, first)) << std::hex << word;
    }
  }
}

TEST(BitsTest, TakesTheLowestRunAway) {
  for (const std::uint64_t word : Words()) {
    unsigned at = 0;
    while (at < 64 && !Bit(word, at)) ++at;
    while (at < 64 && Bit(word, at)) ++at;
    const std::uint64_t rest = at == 64 ? 0 : word >> at << at;
    ASSERT_EQ(ca_bits_without_lowest_run(word), rest) << std::hex << word;
  }
}

TEST(BitsTest, FindsTheLongestOfShortRuns) {
  for (std::uint64_t word : Words()) {
    for (unsigned at = 7; at < 64; at += 8) word &= ~(std::uint64_t{1} << at);
    unsigned found = 99, right = 99;
    ASSERT_EQ(ca_bits_longest_short_run(word, &found), ca_bits_longest_run(word, &right));
    ASSERT_EQ(found, right) << std::hex << word;
  }
}

TEST(BitsTest, FindsTheLowestRunOfEveryLength) {
  for (const std::uint64_t word : Words()) {
    for (unsigned length = 1; length <= 64; ++length) {
      ASSERT_EQ(ca_bits_find_run(word, length), SlowFindRun(word, length))
          << std::hex << word << ", " << std::dec << length;
    }
  }
}

TEST(BitsTest, FindsTheLongestRunAndWhereItBegins) {
  for (const std::uint64_t word : Words()) {
    unsigned at = 99;
    const unsigned length = ca_bits_longest_run(word, &at);
    ASSERT_EQ(length, SlowLongest(word)) << std::hex << word;
    ASSERT_EQ(at, length == 0 ? 0 : SlowFindRun(word, length)) << std::hex << word;
  }
}

TEST(BitsTest, FindsRunsThatGoOnInTheNextWord) {
  std::mt19937_64 random(2);
  const std::vector<std::uint64_t> &words = Words();
  for (int i = 0; i < 3000; ++i) {
    const std::uint64_t low = words[random() % words.size()];
    const std::uint64_t high = words[random() % words.size()];
    const auto length = static_cast<unsigned>(1 + random() % 64);
    std::uint64_t starts = 0;
    for (unsigned at = 0; at < 64; ++at) {
      if (SlowRunFrom(low, high, at) >= length) starts |= std::uint64_t{1} << at;
    }
    ASSERT_EQ(ca_bits_run_starts(low, high, length), starts)
        << std::hex << high << ":" << low << ", " << std::dec << length;
  }
}

}  // namespace
