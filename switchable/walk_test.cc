// A walk over a context's live blocks. That each allocator walks over exactly its live blocks is
// AllocatorConformance's to test.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>

#include "base/poison.h"
#include "switchable/switchable.h"
#include "switchable/testing.h"

namespace {

using ca_testing::Allocate;

using Blocks = std::set<void *>;

ca_context Create(ca_context_kind kind) {
  ca_context_settings settings{};
  settings.name = "walked";
  settings.budget = 100000;
  settings.kind = kind;
  return ca_context_create(&settings);
}

bool Collect(void *argument, ca_block block) {
  const std::size_t usable = ca_switchable_usable_size(block.ptr);
  EXPECT_TRUE(usable == block.size || usable == 0) << "which stands for: held elsewhere";
  static_cast<Blocks *>(argument)->insert(block.ptr);
  return true;
}

class WalkTest : public testing::TestWithParam<ca_context_kind> {
 protected:
  WalkTest() : context_(Create(GetParam())) {
    EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
    for (const std::size_t size : {9, 100, 64, 5000, 16}) {
      for (const std::size_t align : {8, 16, 256}) blocks_.insert(Allocate(size, align));
    }
    EXPECT_EQ(blocks_.size(), 15U);
  }
  ~WalkTest() override {
    ca_context_swap_out();
    EXPECT_TRUE(ca_context_check(context_));
    EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
  }

  Blocks Walked() const {
    Blocks seen;
    EXPECT_EQ(ca_context_walk(context_, Collect, &seen), CA_CONTEXT_DONE);
    return seen;
  }

  ca_context context_;
  Blocks blocks_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, WalkTest,
                         testing::Values(CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                         CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE));

TEST_P(WalkTest, ShowsWhatLivesHeldOrParked) {
  EXPECT_EQ(Walked(), blocks_);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
  for (int i = 0; i < 5; ++i) {
    ca_switchable_deallocate(*blocks_.begin());
    blocks_.erase(blocks_.begin());
  }
  ca_context_swap_out();
  EXPECT_EQ(Walked(), blocks_);
  EXPECT_EQ(ca_context_reset(context_), CA_CONTEXT_DONE);
  EXPECT_EQ(Walked(), Blocks());
  EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE) << "it was let go of";
}

TEST_P(WalkTest, TakesInWhatOthersFreed) {
  std::thread([this] { ca_switchable_deallocate(*blocks_.begin()); }).join();
  blocks_.erase(blocks_.begin());
  EXPECT_EQ(Walked(), blocks_);
}

TEST_P(WalkTest, EndsWhereTheVisitorSaysSo) {
  int seen = 0;
  EXPECT_EQ(
      ca_context_walk(
          context_, [](void *argument, ca_block) { return ++*static_cast<int *>(argument) < 3; },
          &seen),
      CA_CONTEXT_DONE);
  EXPECT_EQ(seen, 3);
}

TEST_P(WalkTest, TheVisitorMayFreeAllocateAndSwitch) {
  struct Visit {
    ca_context self, other;
    Blocks seen;
  } visit{context_, Create(CA_CONTEXT_BUMP), {}};
  const auto visitor = [](void *argument, ca_block block) {
    auto &self = *static_cast<Visit *>(argument);
    self.seen.insert(block.ptr);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    ca_switchable_deallocate(Allocate(50));
    EXPECT_EQ(ca_context_swap_in(self.self), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_walk(self.self, Collect, nullptr), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_swap_in(self.other), CA_CONTEXT_DONE);
    EXPECT_NE(Allocate(10), nullptr);
    ca_context_swap_out();
    std::memset(block.ptr, 7, block.size);
    ca_switchable_deallocate(block.ptr);
    return true;
  };
  EXPECT_EQ(ca_context_walk(context_, visitor, &visit), CA_CONTEXT_DONE);
  EXPECT_EQ(visit.seen, blocks_);
  EXPECT_EQ(ca_context_count(visit.other).allocations, blocks_.size());
  EXPECT_EQ(Walked(), Blocks()) << "all were freed";
  EXPECT_EQ(ca_context_destroy(visit.other), CA_CONTEXT_DONE);
}

TEST_P(WalkTest, OneThatIsHeldElsewhereOrGoneIsRefused) {
  std::thread([this] {
    EXPECT_EQ(ca_context_walk(context_, Collect, nullptr), CA_CONTEXT_HELD);
  }).join();
  const ca_context gone = Create(GetParam());
  EXPECT_EQ(ca_context_destroy(gone), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_walk(gone, Collect, nullptr), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_context_walk(ca_context{}, Collect, nullptr), CA_CONTEXT_GONE);
}

TEST(WalkDamageTest, ABlockWrittenPastItsEndIsNoticed) {
  const ca_context context = Create(CA_CONTEXT_BUMP);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  auto *const first = static_cast<char *>(Allocate(24));
  ASSERT_NE(Allocate(24), nullptr);
  ca_unpoison_defined(first + 24, 8);
  char record[8];
  std::memcpy(record, first + 24, 8);
  std::memset(first + 24, 'x', 8);
  Blocks seen;
  EXPECT_EQ(ca_context_walk(
                context, [](void *, ca_block) { return true; }, nullptr),
            CA_CONTEXT_DAMAGED);
  ca_unpoison_defined(first + 24, 8);  // The walk has it as it was.
  std::memcpy(first + 24, record, 8);
  EXPECT_EQ(ca_context_walk(context, Collect, &seen), CA_CONTEXT_DONE);
  EXPECT_EQ(seen.size(), 2U);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

}  // namespace
