// What context.h says of misuse, for every kind of context.
#include <gtest/gtest.h>

#include <thread>

#include "switchable/switchable.h"
#include "switchable/testing.h"

namespace {

class ContextMisuseDeathTest : public testing::TestWithParam<ca_context_kind> {
 protected:
  ContextMisuseDeathTest() {
    ca_context_settings settings{};
    settings.budget = 32 << 10;
    settings.name = "misused";
    settings.kind = GetParam();
    context_ = ca_context_create(&settings);
    EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
    block_ = static_cast<char *>(ca_switchable_allocate(200, 16).ptr);
    other_ = ca_switchable_allocate(200, 16).ptr;
  }
  ~ContextMisuseDeathTest() override {
    ca_context_swap_out();
    ca_context_destroy(context_);
  }

  ca_context context_;
  char *block_;
  void *other_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, ContextMisuseDeathTest, ca_testing::EveryKind(),
                         ca_testing::KindName);

TEST_P(ContextMisuseDeathTest, HeldHereTheInsideOfABlockAndADoubleFreeAreReported) {
  for (const int at : {1, 8, 16, 64, 192}) {
    EXPECT_DEATH(ca_switchable_deallocate(block_ + at), "\\(0x[0-9a-f]+\\): ") << at;
    EXPECT_DEATH(ca_switchable_reallocate(block_ + at, 10, 16), "\\(0x[0-9a-f]+\\): ") << at;
  }
  ca_switchable_deallocate(block_);
  EXPECT_DEATH(ca_switchable_deallocate(block_), "\\(0x[0-9a-f]+\\): ");
}

TEST_P(ContextMisuseDeathTest, WhatLiesInTheHeaderIsReportedHeldOrParked) {
  auto *const header = reinterpret_cast<char *>(context_.header);
  for (const bool parked : {false, true}) {
    if (parked) ca_context_swap_out();
    for (const std::size_t at : {0, 64, 304, CA_CONTEXT_OVERHEAD - 8}) {
      EXPECT_DEATH(ca_switchable_deallocate(header + at), "a context's header") << at;
      EXPECT_DEATH(ca_switchable_reallocate(header + at, 10, 16), "a context's header") << at;
      EXPECT_DEATH(ca_switchable_usable_size(header + at), "a context's header") << at;
    }
  }
}

TEST_P(ContextMisuseDeathTest, ParkedTheInsideOfABlockIsReportedWhenItIsTakenInAtTheLatest) {
  ca_context_swap_out();
  EXPECT_DEATH((ca_switchable_deallocate(block_ + 64), ca_context_swap_in(context_)),
               "\\(0x[0-9a-f]+\\): ");
}

TEST_P(ContextMisuseDeathTest, ParkedABumpNamesTheCallAndWhatIsWrong) {
  if (GetParam() != CA_CONTEXT_BUMP) GTEST_SKIP() << "reported later, by who takes it in";
  ca_switchable_deallocate(block_);
  ca_context_swap_out();
  EXPECT_DEATH(ca_switchable_deallocate(block_), "deallocate.*: double free \\(bump\\)");
  EXPECT_DEATH(ca_switchable_deallocate(block_ + 16), "deallocate.*: not a block \\(bump\\)");
  EXPECT_DEATH(ca_switchable_deallocate(block_ + 1), "deallocate.*: not a block \\(bump\\)");
}

TEST_P(ContextMisuseDeathTest, InAnOrphanTheInsideOfABlockIsReportedAndInABumpADoubleFree) {
  ca_context_swap_out();
  ca_context_settings settings{};
  settings.budget = 32 << 10;
  settings.kind = GetParam();
  settings.on_destroy = CA_CONTEXT_ORPHAN;
  const ca_context context = ca_context_create(&settings);
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  auto *const one = static_cast<char *>(ca_switchable_allocate(200, 16).ptr);
  void *const another = ca_switchable_allocate(200, 16).ptr;
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  EXPECT_DEATH(ca_switchable_deallocate(one + 16), "\\(0x[0-9a-f]+\\): ");
  ca_switchable_deallocate(one);
  if (GetParam() == CA_CONTEXT_BUMP) {
    EXPECT_DEATH(ca_switchable_deallocate(one), "deallocate.*: double free \\(bump\\)");
  }
  ca_switchable_deallocate(another);
  EXPECT_DEATH(ca_switchable_deallocate(another), "its context was destroyed");
}

TEST_P(ContextMisuseDeathTest, TwoThreadsThatFreeABlockAreReportedWhenItIsTakenIn) {
  ca_context_swap_out();
  EXPECT_DEATH(
      {
        std::thread one([this] { ca_switchable_deallocate(block_); });
        std::thread two([this] { ca_switchable_deallocate(block_); });
        one.join();
        two.join();
        ca_context_swap_in(context_);
      },
      "\\(0x[0-9a-f]+\\): ");
}

TEST_P(ContextMisuseDeathTest, WhoHoldsItAndAnotherThatFreeABlockAreReportedWhenItIsTakenIn) {
  EXPECT_DEATH(
      {
        std::thread other([this] { ca_switchable_deallocate(block_); });
        ca_switchable_deallocate(block_);
        other.join();
        ca_context_swap_out();
        ca_context_swap_in(context_);
      },
      "\\(0x[0-9a-f]+\\): |data race");  // ThreadSanitizer sees the two threads first.
}

TEST_P(ContextMisuseDeathTest, AReleasedSlotIsReported) {
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
  EXPECT_DEATH(ca_switchable_deallocate(block_), "its context was destroyed");
  EXPECT_DEATH(ca_switchable_deallocate(block_ + 64), "its context was destroyed");
  EXPECT_DEATH(ca_switchable_reallocate(block_, 10, 16), "its context was destroyed");
  EXPECT_DEATH(ca_switchable_usable_size(block_), "its context was destroyed");
  EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_context_swap_in({context_.header, 0}), CA_CONTEXT_GONE) << "what isn't a handle";
}

TEST_P(ContextMisuseDeathTest, OneThatIsSwappedInIsNotDestroyed) {
  EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_HELD);
  std::thread([this] { EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_HELD); }).join();
  EXPECT_TRUE(ca_context_check(context_));
}

}  // namespace
