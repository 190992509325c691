// Why a context can't be made, for every kind.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "switchable/report.h"
#include "switchable/switchable.h"
#include "switchable/testing.h"

namespace {

constexpr std::size_t kSmall = 16 << 10;
constexpr std::size_t kLarge = 64 << 10;
constexpr std::size_t kSlots = 4;  // Of each size.

class Slots : public testing::Environment {
 public:
  void SetUp() override {
    const ca_contexts_settings settings = {{{kSmall, kSlots}, {kLarge, kSlots}}, nullptr};
    ASSERT_TRUE(ca_contexts_init(&settings));
  }
};
[[maybe_unused]] testing::Environment *const g_slots = testing::AddGlobalTestEnvironment(new Slots);

class CreateTest : public testing::TestWithParam<ca_context_kind> {
 protected:
  CreateTest() {
    settings_.kind = GetParam();
    settings_.budget = kSmall / 2;
  }
  ~CreateTest() override {
    for (const ca_context context : made_) EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_testing::SlotsOut(), 0U) << "what is refused leaves nothing";
  }

  ca_context_result Try() {
    const ca_context before = {reinterpret_cast<ca_context_header *>(&settings_), 17};
    ca_context context = before;
    const ca_context_result result = ca_context_try_create(&settings_, &context);
    if (result == CA_CONTEXT_DONE) {
      EXPECT_TRUE(ca_context_check(context));
      made_.push_back(context);
    } else {
      EXPECT_EQ(context.header, before.header) << "not written";
      EXPECT_EQ(context.generation, before.generation);
      EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings_)));
    }
    return result;
  }
  bool IsBump() const { return GetParam() == CA_CONTEXT_BUMP; }

  ca_context_settings settings_{};
  std::vector<ca_context> made_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, CreateTest, ca_testing::EveryKind(), ca_testing::KindName);

TEST_P(CreateTest, IsDoneByItsResult) {
  EXPECT_EQ(Try(), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_count(made_[0]).budget, settings_.budget);
}

TEST_P(CreateTest, OutOfRangeIsWhatWillAlwaysBeRefused) {
  const ca_context_settings sane = settings_;
  settings_.over_budget = CA_OVER_BUDGET_ASK;
  EXPECT_EQ(Try(), CA_CONTEXT_OUT_OF_RANGE) << "nobody to ask";
  settings_ = sane;
  for (const std::size_t budget : {kLarge, SIZE_MAX, SIZE_MAX - 100, std::size_t{0}}) {
    settings_.budget = budget;
    EXPECT_EQ(Try(), CA_CONTEXT_OUT_OF_RANGE) << budget << ": more than the largest slot holds";
    settings_.first = 100;
    EXPECT_EQ(Try(), CA_CONTEXT_OUT_OF_RANGE) << budget << ": in the end";
    settings_.first = 0;
  }
  settings_ = sane;
  settings_.reserve = settings_.budget;
  EXPECT_EQ(Try(), CA_CONTEXT_OUT_OF_RANGE) << "nothing but a reserve";
  settings_.first = 1000;
  settings_.reserve = settings_.budget - 999;
  EXPECT_EQ(Try(), CA_CONTEXT_OUT_OF_RANGE) << "a reserve and what it begins with";
  if (!IsBump()) {
    settings_ = sane;
    settings_.reserve = 10;
    EXPECT_EQ(Try(), CA_CONTEXT_OUT_OF_RANGE) << "a reserve too small for its kind";
    settings_ = sane;
    settings_.budget = 10;
    EXPECT_EQ(Try(), CA_CONTEXT_OUT_OF_RANGE) << "too small for its kind";
  }
}

TEST_P(CreateTest, NoSlotIsWhatOthersHaveTaken) {
  settings_.budget = kLarge / 2;
  for (std::size_t i = 0; i < kSlots; ++i) EXPECT_EQ(Try(), CA_CONTEXT_DONE);
  EXPECT_EQ(Try(), CA_CONTEXT_NO_SLOT);
  settings_.budget = kSmall / 2;
  for (std::size_t i = 0; i + 1 < kSlots; ++i) EXPECT_EQ(Try(), CA_CONTEXT_DONE);
  settings_.reserve = 2000;
  EXPECT_EQ(Try(), IsBump() ? CA_CONTEXT_DONE : CA_CONTEXT_NO_SLOT) << "for its reserve";
  settings_.reserve = 0;
  if (!IsBump()) EXPECT_EQ(Try(), CA_CONTEXT_DONE);
  EXPECT_EQ(Try(), CA_CONTEXT_NO_SLOT);
  settings_.first = 1000;
  EXPECT_EQ(Try(), CA_CONTEXT_NO_SLOT);
  EXPECT_EQ(ca_context_destroy(made_.back()), CA_CONTEXT_DONE);
  made_.pop_back();
  EXPECT_EQ(Try(), CA_CONTEXT_DONE);
}

TEST_P(CreateTest, AParentMayBeGoneOrHeldOrItsFamilyFull) {
  settings_.family_budget = settings_.budget;
  EXPECT_EQ(Try(), CA_CONTEXT_DONE);
  const ca_context parent = made_[0];
  settings_.family_budget = 0;
  settings_.parent = parent;
  EXPECT_EQ(Try(), CA_CONTEXT_OVER_BUDGET);
  EXPECT_EQ(ca_context_count(parent).family_refusals, 2U);
  ASSERT_EQ(ca_context_swap_in(parent), CA_CONTEXT_DONE);
  std::thread([this] { EXPECT_EQ(Try(), CA_CONTEXT_HELD); }).join();
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(parent), CA_CONTEXT_DONE);
  made_.pop_back();
  EXPECT_EQ(Try(), CA_CONTEXT_GONE);
}

TEST_P(CreateTest, AThreadsFamilyMayBeFull) {
  ca_context_settings heap = {};
  heap.budget = kSmall / 2;
  heap.family_budget = kSmall / 2 + 100;
  ASSERT_TRUE(ca_switchable_thread_init(&heap));
  EXPECT_EQ(Try(), CA_CONTEXT_OVER_BUDGET);
  ca_switchable_thread_release();
  EXPECT_EQ(Try(), CA_CONTEXT_DONE);
}

}  // namespace
