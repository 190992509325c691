#include "sources/failing/failing.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sources/buffer/buffer.h"
#include "sources/failing/refuse_in_turn.h"
#include "sources/memory_map/memory_map.h"
#include "sources/testing/source_conformance.h"

namespace {

struct OverBuffer {
  OverBuffer() {
    ca_buffer_init(&buffer, memory, sizeof memory);
    ca_failing_init(&failing, ca_buffer_source(&buffer), nullptr);
  }
  ~OverBuffer() { EXPECT_TRUE(ca_failing_check(&failing)); }
  ca_source *get() { return ca_failing_source(&failing); }

  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr std::size_t kMaxSize = 40000;
  static constexpr bool kBounded = true;

  alignas(4096) char memory[65536];
  ca_buffer buffer;
  ca_failing failing;
};

struct OverMemoryMap {
  OverMemoryMap() {
    ca_memory_map_init(&map, nullptr);
    ca_failing_init(&failing, ca_memory_map_source(&map), nullptr);
  }
  ca_source *get() { return ca_failing_source(&failing); }

  static constexpr std::size_t kMaxAlign = 1 << 21;
  static constexpr std::size_t kMaxSize = 40000;
  static constexpr bool kBounded = false;

  ca_memory_map map;
  ca_failing failing;
};

INSTANTIATE_TYPED_TEST_SUITE_P(OverBuffer, SourceConformance, OverBuffer);
INSTANTIATE_TYPED_TEST_SUITE_P(OverMemoryMap, SourceConformance, OverMemoryMap);

class FailingTest : public testing::Test {
 protected:
  FailingTest() { ca_buffer_init(&buffer_, memory_, sizeof memory_); }

  // Which of `count` requests are served ('+') and which refused ('-').
  std::string Pattern(const ca_failing_settings &settings, int count) {
    ca_failing_init(&failing_, ca_buffer_source(&buffer_), &settings);
    std::string pattern;
    for (int i = 0; i < count; ++i) {
      const ca_block range = ca_source_obtain(source(), 16, 16);
      pattern += ca_block_is_none(range) ? '-' : '+';
      if (!ca_block_is_none(range)) ca_source_release(source(), range);
    }
    EXPECT_EQ(ca_failing_ranges_out(&failing_), 0U);
    EXPECT_EQ(failing_.requested, static_cast<std::size_t>(count));
    return pattern;
  }
  ca_source *source() { return ca_failing_source(&failing_); }

  alignas(16) char memory_[1024];
  ca_buffer buffer_;
  ca_failing failing_;
};

using FailingDeathTest = FailingTest;

TEST_F(FailingTest, RefusesNothingUnlessTold) { EXPECT_EQ(Pattern({}, 5), "+++++"); }

TEST_F(FailingTest, RefusesTheNthRequestOnly) {
  ca_failing_settings settings = {};
  settings.refuse_nth = 3;
  EXPECT_EQ(Pattern(settings, 6), "++-+++");
  EXPECT_EQ(failing_.refused, 1U);
}

TEST_F(FailingTest, RefusesEveryRequestAfterALimitUntilItRelents) {
  ca_failing_settings settings = {};
  settings.refuse_from = 4;
  EXPECT_EQ(Pattern(settings, 6), "+++---");
  EXPECT_EQ(failing_.refused, 3U);
  ca_failing_relent(&failing_);
  EXPECT_FALSE(ca_block_is_none(ca_source_obtain(source(), 1, 1)));
  EXPECT_EQ(failing_.requested, 7U);
}

TEST_F(FailingTest, RefusesAtRandomButTheSameForTheSameSeed) {
  ca_failing_settings settings = {};
  settings.refuse_percent = 30;
  settings.seed = 1;
  const std::string first = Pattern(settings, 1000);
  EXPECT_GT(failing_.refused, 200U);
  EXPECT_LT(failing_.refused, 400U);
  EXPECT_EQ(Pattern(settings, 1000), first);
  settings.seed = 2;
  EXPECT_NE(Pattern(settings, 1000), first);
  settings.seed = 0;
  EXPECT_NE(Pattern(settings, 1000).find('-'), std::string::npos);
  EXPECT_NE(Pattern(settings, 1000).find('+'), std::string::npos);
  settings.refuse_percent = 100;
  EXPECT_EQ(Pattern(settings, 100), std::string(100, '-'));
}

TEST_F(FailingTest, CountsBytesAndRangesOut) {
  ca_failing_init(&failing_, ca_buffer_source(&buffer_), nullptr);
  const ca_block first = ca_source_obtain(source(), 100, 1);
  const ca_block second = ca_source_obtain(source(), 50, 1);
  EXPECT_EQ(failing_.bytes_out, 150U);
  ca_source_release(source(), second);
  EXPECT_EQ(failing_.bytes_out, 100U);
  EXPECT_EQ(ca_failing_ranges_out(&failing_), 1U);
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(source(), 2000, 1))) << "the source behind";
  EXPECT_EQ(failing_.refused, 1U);
  EXPECT_EQ(ca_failing_ranges_out(&failing_), 1U);
  ca_source_release(source(), first);
}

TEST_F(FailingTest, RefusesDecommitWhenTold) {
  OverMemoryMap over;
  const ca_block range = ca_source_obtain(over.get(), 1 << 16, 1 << 16);
  over.failing.settings.refuse_decommit = true;
  EXPECT_EQ(ca_source_decommit(over.get(), range.ptr, range.size), 0U);
  ca_failing_relent(&over.failing);
  EXPECT_EQ(ca_source_decommit(over.get(), range.ptr, range.size), range.size);
  ca_source_release(over.get(), range);
}

TEST_F(FailingTest, CheckFindsCountersThatCannotBe) {
  ca_failing_init(&failing_, ca_buffer_source(&buffer_), nullptr);
  failing_.released = 1;
  EXPECT_FALSE(ca_failing_check(&failing_));
  failing_.released = 0;
  failing_.refused = 1;
  EXPECT_FALSE(ca_failing_check(&failing_));
}

TEST_F(FailingDeathTest, ReleasingMoreThanWasObtainedIsABrokenContract) {
  ca_failing_init(&failing_, ca_buffer_source(&buffer_), nullptr);
  EXPECT_DEATH(ca_source_release(source(), ca_block_make(memory_, 8)), "ca_failing_ranges_out");
}

// The driver itself: it must see a leak, a wrong answer, and a workload that never recovers.

struct TwoRanges {
  bool leaks;
  bool lies;
  testing::AssertionResult operator()(ca_source *source) const {
    const ca_block first = ca_source_obtain(source, 64, 1);
    const ca_block second = ca_source_obtain(source, 64, 1);
    const bool whole = !ca_block_is_none(first) && !ca_block_is_none(second);
    if (!ca_block_is_none(second)) ca_source_release(source, second);
    if (!ca_block_is_none(first) && !(leaks && !whole)) ca_source_release(source, first);
    if (lies && !whole) return testing::AssertionFailure() << "lost";
    return testing::AssertionSuccess();
  }
};

TEST_F(FailingTest, TheDriverRefusesEachRequestInTurn) {
  EXPECT_EQ(ca_testing::RefuseInTurn(ca_buffer_source(&buffer_), TwoRanges{false, false}), 2U);
  EXPECT_EQ(buffer_.out, 0U);
}

void RunTheDriver(bool leaks, bool lies) {
  alignas(16) static char memory[1024];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  ca_testing::RefuseInTurn(ca_buffer_source(&buffer), TwoRanges{leaks, lies});
}

TEST(RefuseInTurnTest, SeesALeakAndAWrongAnswer) {
  testing::TestPartResultArray failures;
  for (const bool leaks : {true, false}) {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    RunTheDriver(leaks, !leaks);
  }
  int leaked = 0;
  int lost = 0;
  for (int i = 0; i < failures.size(); ++i) {
    const std::string text = failures.GetTestPartResult(i).message();
    leaked += text.find("64 bytes leaked") != std::string::npos;
    lost += text.find("(lost)") != std::string::npos;
  }
  EXPECT_EQ(leaked, 2) << "the second refused alone, and with all after it";
  EXPECT_EQ(lost, 4);
}

}  // namespace
