// Budgets of contexts together with their descendants: a coroutine within its parent within a thread.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "switchable/quarantine.h"
#include "switchable/report.h"
#include "switchable/switchable.h"
#include "switchable/testing.h"

namespace {

using ca_testing::SlotsOut;

ca_context Create(std::size_t budget, std::size_t family_budget = 0, ca_context parent = {},
                  ca_context_policy on_destroy = CA_CONTEXT_RELEASE) {
  ca_context_settings settings{};
  settings.budget = budget;
  settings.family_budget = family_budget;
  settings.parent = parent;
  settings.on_destroy = on_destroy;
  return ca_context_create(&settings);
}

bool IsNone(ca_context context) { return ca_context_is_none(context); }

std::size_t Used(ca_context context) {
  EXPECT_TRUE(ca_context_check(context));
  return ca_context_count(context).family_used;
}

std::uint64_t Refusals(ca_context context) { return ca_context_count(context).family_refusals; }

void *AllocateIn(ca_context context, std::size_t size) {
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  void *const ptr = ca_switchable_allocate(size, 16).ptr;
  ca_context_swap_out();
  EXPECT_NE(ptr, nullptr);
  return ptr;
}

void Destroy(ca_context context) { EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE); }

ca_context_counts Heap() {
  struct Search {
    std::uint64_t thread;
    ca_context_counts heap;
  } search{static_cast<std::uint64_t>(gettid()), {}};
  ca_threads_visit(
      [](void *argument, const ca_thread_counts *counts) {
        auto *const self = static_cast<Search *>(argument);
        if (counts->thread == self->thread) self->heap = counts->heap;
      },
      &search);
  return search.heap;
}

bool InitHeap(std::size_t budget, std::size_t family_budget) {
  ca_context_settings settings{};
  settings.budget = budget;
  settings.family_budget = family_budget;
  return ca_switchable_thread_init(&settings);
}

// Nothing is left of what a test made.
class FamilyBudgetTest : public testing::Test {
 protected:
  ~FamilyBudgetTest() override {
    EXPECT_TRUE(ca_quarantine_set_capacity(0));
    EXPECT_TRUE(ca_quarantine_set_capacity(CA_QUARANTINE_DEFAULT));
    EXPECT_EQ(SlotsOut(), 0U);
    EXPECT_EQ(ca_contexts_count().contexts, 0U);
  }
};

TEST_F(FamilyBudgetTest, IsRefusedAtTheByte) {
  const ca_context parent = Create(1000, 5000);
  EXPECT_EQ(ca_context_count(parent).family_budget, 5000U);
  EXPECT_EQ(Used(parent), 1000U) << "its own counts, too";
  const ca_context first = Create(2000, 0, parent);
  EXPECT_TRUE(IsNone(Create(2001, 0, parent)));
  EXPECT_EQ(Refusals(parent), 1U);
  const ca_context second = Create(2000, 0, parent);
  EXPECT_EQ(Used(parent), 5000U);
  EXPECT_TRUE(IsNone(Create(100, 0, parent)));
  EXPECT_TRUE(IsNone(Create(100, 0, second))) << "a grandchild";
  EXPECT_EQ(Refusals(parent), 3U);
  EXPECT_NE(AllocateIn(first, 1900), nullptr) << "those that are there go on";
  Destroy(first);
  EXPECT_EQ(Used(parent), 3000U);
  EXPECT_TRUE(IsNone(Create(2001, 0, parent)));
  EXPECT_FALSE(IsNone(Create(2000, 0, second)));
  EXPECT_EQ(ca_context_count(second).family_budget, 0U);
  EXPECT_EQ(ca_context_count(second).family_used, 0U);
  Destroy(parent);
}

TEST_F(FamilyBudgetTest, ACoroutineWithinItsParentWithinAThread) {
  std::thread([] {
    ASSERT_TRUE(InitHeap(20000, 50000));
    const ca_context parent = Create(1000, 11000);
    const ca_context coroutine = Create(2000, 5000, parent);
    const ca_context inner = Create(3000, 0, coroutine);
    EXPECT_EQ(Used(coroutine), 5000U);
    EXPECT_EQ(Used(parent), 6000U);
    EXPECT_EQ(Heap().family_used, 26000U);
    EXPECT_EQ(Heap().family_budget, 50000U);

    EXPECT_TRUE(IsNone(Create(100, 0, inner)));
    EXPECT_EQ(Refusals(coroutine), 1U);
    EXPECT_TRUE(IsNone(Create(5001, 0, parent)));
    EXPECT_EQ(Refusals(parent), 1U);
    EXPECT_TRUE(IsNone(Create(24001)));
    EXPECT_EQ(Heap().family_refusals, 1U);
    EXPECT_EQ(Refusals(coroutine), 1U) << "each where there was no room";

    const ca_context other = Create(24000);
    ASSERT_FALSE(IsNone(other));
    EXPECT_TRUE(IsNone(Create(5000, 0, parent))) << "the parent has room, and the thread has not";
    EXPECT_EQ(Refusals(parent), 1U);
    EXPECT_EQ(Used(parent), 6000U) << "all or none";
    EXPECT_EQ(Heap().family_refusals, 2U);
    Destroy(other);
    EXPECT_FALSE(IsNone(Create(5000, 0, parent)));
    Destroy(coroutine);
    EXPECT_EQ(Used(parent), 6000U);
    Destroy(parent);
    EXPECT_EQ(Heap().family_used, 20000U);
  }).join();
}

TEST_F(FamilyBudgetTest, OtherThreadsAreNotConcerned) {
  std::thread([] {
    ASSERT_TRUE(InitHeap(20000, 21000));
    std::thread([] { Destroy(Create(100000)); }).join();
    const ca_context context = Create(1000);
    std::thread([context] {
      EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
      EXPECT_TRUE(IsNone(Create(500, 0, context))) << "counts where its parent does";
      const ca_context other = Create(1000);
      EXPECT_FALSE(IsNone(other));
      ca_context_swap_out();
      Destroy(other);
    }).join();
    EXPECT_EQ(Heap().family_used, 21000U) << "wherever it runs";
    std::thread(Destroy, context).join();
    EXPECT_EQ(Heap().family_used, 20000U) << "and ends";
  }).join();
}

TEST_F(FamilyBudgetTest, SettingsAtTheirEnds) {
  EXPECT_TRUE(IsNone(Create(1001, 1000))) << "less than its own";
  EXPECT_TRUE(IsNone(Create(0, 1000))) << "a slot of a mebibyte";
  EXPECT_TRUE(IsNone(Create(1000, 1)));
  const ca_context exact = Create(1000, 1000);
  EXPECT_FALSE(IsNone(exact));
  EXPECT_TRUE(IsNone(Create(100, 0, exact)));
  Destroy(exact);
  const ca_context endless = Create(1000, SIZE_MAX);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(IsNone(Create(60000, 50000000, endless)));
  EXPECT_EQ(Used(endless), 6001000U);
  EXPECT_EQ(Refusals(endless), 0U);
  const ca_context none = Create(1000, 0, endless);
  EXPECT_EQ(Used(none), 0U);
  Destroy(endless);
  std::thread([] {
    EXPECT_FALSE(InitHeap(20000, 19999));
    EXPECT_FALSE(InitHeap(0, 1 << 20)) << "a budget of 0 is the largest slot";
    EXPECT_TRUE(InitHeap(20000, 20000));
    EXPECT_TRUE(IsNone(Create(100)));
  }).join();
}

TEST_F(FamilyBudgetTest, OfEveryKindWithEveryPolicyTheBlocksStayClearOfIt) {
  for (int kind = CA_CONTEXT_BUMP; kind <= CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE; ++kind) {
    for (int policy = CA_CONTEXT_RELEASE; policy <= CA_CONTEXT_QUARANTINE; ++policy) {
      ca_context_settings settings{};
      settings.kind = static_cast<ca_context_kind>(kind);
      settings.on_destroy = static_cast<ca_context_policy>(policy);
      settings.budget = 20000;
      settings.family_budget = 30000;
      const ca_context context = ca_context_create(&settings);
      ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
      for (;;) {
        const ca_block block = ca_switchable_allocate(64, 16);
        if (ca_block_is_none(block)) break;
        std::fill_n(static_cast<char *>(block.ptr), block.size, '\xFF');
      }
      EXPECT_EQ(Used(context), 20000U);
      EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE);
      EXPECT_EQ(Used(context), 20000U);
      ca_context_swap_out();
      Destroy(context);
    }
  }
}

TEST_F(FamilyBudgetTest, EveryPolicyGivesBackInTheEnd) {
  const ca_context parent = Create(1000, 4000);
  Destroy(Create(3000, 0, parent, CA_CONTEXT_RELEASE));
  EXPECT_EQ(Used(parent), 1000U);

  const ca_context refusing = Create(3000, 0, parent, CA_CONTEXT_REFUSE);
  void *block = AllocateIn(refusing, 100);
  EXPECT_EQ(ca_context_destroy(refusing), CA_CONTEXT_LIVE);
  EXPECT_EQ(Used(parent), 4000U);
  ca_switchable_deallocate(block);
  Destroy(refusing);
  EXPECT_EQ(Used(parent), 1000U);

  Destroy(Create(3000, 0, parent, CA_CONTEXT_ORPHAN));
  EXPECT_EQ(Used(parent), 1000U) << "no block was out";
  const ca_context orphan = Create(3000, 0, parent, CA_CONTEXT_ORPHAN);
  block = AllocateIn(orphan, 100);
  void *const last = AllocateIn(orphan, 100);
  Destroy(orphan);
  EXPECT_TRUE(IsNone(Create(3000, 0, parent))) << "its memory is still there";
  std::thread([=] { ca_switchable_deallocate(block); }).join();
  EXPECT_EQ(Used(parent), 4000U);
  std::thread([=] { ca_switchable_deallocate(last); }).join();
  EXPECT_EQ(Used(parent), 1000U);

  const ca_context quarantined = Create(3000, 0, parent, CA_CONTEXT_QUARANTINE);
  AllocateIn(quarantined, 100);
  Destroy(quarantined);
  EXPECT_EQ(ca_quarantine_count().now, 1U);
  EXPECT_EQ(Used(parent), 1000U) << "a quarantine takes nothing from those that live";
  EXPECT_TRUE(ca_quarantine_set_capacity(0));
  EXPECT_EQ(Used(parent), 1000U);
  Destroy(Create(3000, 0, parent, CA_CONTEXT_QUARANTINE));
  EXPECT_EQ(Used(parent), 1000U);
  Destroy(parent);
}

TEST_F(FamilyBudgetTest, OutlivesItsContextForAnOrphan) {
  const ca_context root = Create(1000, 10000);
  const ca_context parent = Create(1000, 5000, root);
  const ca_context orphan = Create(2000, 0, parent, CA_CONTEXT_ORPHAN);
  void *const block = AllocateIn(orphan, 100);
  Destroy(parent);
  EXPECT_EQ(Used(root), 3000U) << "the orphan's, and no more the parent's";
  EXPECT_EQ(SlotsOut(), 3U);
  EXPECT_EQ(ca_contexts_count().contexts, 2U);
  EXPECT_FALSE(ca_context_check(parent));
  EXPECT_EQ(ca_context_swap_in(parent), CA_CONTEXT_GONE);
  ca_switchable_deallocate(block);
  EXPECT_EQ(Used(root), 1000U);
  EXPECT_EQ(SlotsOut(), 1U);
  Destroy(root);
}

TEST_F(FamilyBudgetTest, ManyLevelsThatAreGoneGoWithTheLastBlock) {
  std::thread([] {
    ASSERT_TRUE(InitHeap(20000, 100000));
    const ca_context root = Create(1000, 10000);
    const ca_context parent = Create(1000, 5000, root);
    void *const first = AllocateIn(Create(1000, 0, parent, CA_CONTEXT_ORPHAN), 10);
    void *const second = AllocateIn(Create(1000, 2000, parent, CA_CONTEXT_ORPHAN), 10);
    Destroy(root);
    EXPECT_EQ(Heap().family_used, 22000U);
    ca_switchable_thread_release();
    EXPECT_EQ(SlotsOut(), 5U);
    ca_switchable_deallocate(second);
    EXPECT_EQ(SlotsOut(), 4U);
    ca_switchable_deallocate(first);
    EXPECT_EQ(SlotsOut(), 0U);
  }).join();
}

TEST_F(FamilyBudgetTest, OfAContextInQuarantineGoesOnForItsOrphans) {
  for (const bool quarantine_ends_first : {false, true}) {
    EXPECT_TRUE(ca_quarantine_set_capacity(1));
    const ca_context root = Create(1000, 20000);
    const ca_context parent = Create(1000, 10000, root, CA_CONTEXT_QUARANTINE);
    void *const block = AllocateIn(Create(2000, 0, parent, CA_CONTEXT_ORPHAN), 100);
    Destroy(parent);
    EXPECT_EQ(Used(root), 3000U);
    if (quarantine_ends_first) {
      EXPECT_TRUE(ca_quarantine_set_capacity(0));
      EXPECT_EQ(SlotsOut(), 3U);
      ca_switchable_deallocate(block);
    } else {
      ca_switchable_deallocate(block);
      EXPECT_EQ(SlotsOut(), 2U);
      EXPECT_TRUE(ca_quarantine_set_capacity(0));
    }
    EXPECT_EQ(SlotsOut(), 1U);
    EXPECT_EQ(Used(root), 1000U);
    Destroy(root);
  }
}

// What is in quarantine must not look for the families that counted it: they are gone.
TEST_F(FamilyBudgetTest, IsGoneBeforeWhatItCountedLeavesQuarantine) {
  EXPECT_TRUE(ca_quarantine_set_capacity(8));
  for (int round = 0; round < 20; ++round) {
    const ca_context root = Create(1000, 20000);
    Create(1000, 0, root, CA_CONTEXT_QUARANTINE);
    Create(1000, 3000, root, CA_CONTEXT_QUARANTINE);
    void *const block = AllocateIn(Create(2000, 0, root, CA_CONTEXT_ORPHAN), 100);
    Destroy(root);
    ca_switchable_deallocate(block);
  }
  EXPECT_EQ(SlotsOut(), 8U);
}

TEST_F(FamilyBudgetTest, OfAThreadThatEndedGoesOnForItsContexts) {
  ca_context context{};
  void *block = nullptr;
  std::thread([&] {
    ASSERT_TRUE(InitHeap(20000, 25000));
    ASSERT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    block = ca_switchable_allocate(100, 16).ptr;
    context = Create(2000);
  }).join();
  EXPECT_TRUE(ca_context_check(context));
  EXPECT_TRUE(IsNone(Create(3001, 0, context))) << "the heap has a block out";
  ca_switchable_deallocate(block);
  EXPECT_EQ(ca_contexts_count().contexts, 1U);
  EXPECT_EQ(SlotsOut(), 2U) << "the heap's stays";
  EXPECT_TRUE(IsNone(Create(23001, 0, context)));
  EXPECT_FALSE(IsNone(Create(23000, 0, context)));
  Destroy(context);
}

TEST_F(FamilyBudgetTest, IsGivenUpWithTheThread) {
  std::thread([] {
    ASSERT_TRUE(InitHeap(20000, 25000));
    const ca_context before = Create(2000);
    ca_switchable_thread_release();
    const ca_context free = Create(100000);
    EXPECT_FALSE(IsNone(free)) << "no heap, no budget";
    ASSERT_TRUE(InitHeap(20000, 30000));
    const ca_context after = Create(8000);
    EXPECT_EQ(Heap().family_used, 28000U) << "a new one, from nothing";
    EXPECT_EQ(ca_context_set_parent(before, ca_context{}), CA_CONTEXT_DONE);
    EXPECT_EQ(Heap().family_used, 30000U);
    EXPECT_EQ(SlotsOut(), 4U) << "the first heap has nothing to count";
    EXPECT_EQ(ca_context_set_parent(free, ca_context{}), CA_CONTEXT_OVER_BUDGET);
    for (const ca_context one : {before, free, after}) Destroy(one);
  }).join();
}

TEST_F(FamilyBudgetTest, MovesWithWhatIsHandedOver) {
  const ca_context root = Create(1000, 100000);
  const ca_context from = Create(1000, 9000, root);
  const ca_context to = Create(1000, 6000, root);
  const ca_context plain = Create(1000, 0, from);
  const ca_context head = Create(1000, 4000, plain);
  const ca_context leaf = Create(1500, 0, head);
  const ca_context other = Create(500, 0, plain);
  EXPECT_EQ(Used(from), 5000U);
  EXPECT_EQ(Used(to), 1000U);
  EXPECT_EQ(ca_context_set_parent(plain, to), CA_CONTEXT_DONE);
  EXPECT_EQ(Used(from), 1000U);
  EXPECT_EQ(Used(to), 5000U);
  EXPECT_EQ(Used(head), 2500U);
  EXPECT_EQ(Used(root), 7000U);
  const ca_context full = Create(1000, 0, to);
  EXPECT_EQ(ca_context_set_parent(plain, from), CA_CONTEXT_DONE);
  const ca_context large = Create(1001, 0, to);
  EXPECT_EQ(ca_context_set_parent(plain, to), CA_CONTEXT_OVER_BUDGET) << "by a byte";
  EXPECT_EQ(Refusals(to), 1U);
  EXPECT_EQ(Used(from), 5000U) << "nothing has changed";
  EXPECT_EQ(Used(to), 3001U);
  for (const ca_context one : {root, from, to, plain, head, leaf, other, full, large}) {
    EXPECT_TRUE(ca_context_check(one));
  }
  Destroy(large);
  EXPECT_EQ(ca_context_set_parent(plain, full), CA_CONTEXT_DONE);
  EXPECT_EQ(Used(to), 6000U);
  Destroy(from);
  EXPECT_EQ(ca_context_set_parent(head, root), CA_CONTEXT_DONE) << "out of one, within another";
  EXPECT_EQ(Used(to), 3500U);
  EXPECT_EQ(Used(root), 7000U);
  EXPECT_EQ(ca_context_set_parent(plain, head), CA_CONTEXT_DONE) << "into one, within another";
  EXPECT_EQ(Used(head), 4000U);
  EXPECT_EQ(Used(root), 7000U);
  EXPECT_EQ(ca_context_set_parent(plain, plain), CA_CONTEXT_CYCLE);
  EXPECT_EQ(ca_context_set_parent(head, ca_context{}), CA_CONTEXT_DONE);
  EXPECT_EQ(Used(root), 3000U);
  EXPECT_EQ(Used(head), 4000U);
  EXPECT_EQ(ca_context_set_parent(head, root), CA_CONTEXT_DONE);
  EXPECT_EQ(Used(root), 7000U);
  Destroy(root);
}

// With no room to spare in what they share: it isn't counted twice for a moment.
TEST_F(FamilyBudgetTest, MovesWithinAFullFamily) {
  const ca_context root = Create(1000, 5000);
  const ca_context one = Create(1000, 2000, root);
  const ca_context other = Create(1000, 2000, root);
  const ca_context child = Create(1000, 0, one);
  const ca_context last = Create(1000, 0, root);
  EXPECT_EQ(Used(root), 5000U);
  EXPECT_EQ(ca_context_set_parent(child, other), CA_CONTEXT_DONE);
  EXPECT_EQ(Used(one), 1000U);
  EXPECT_EQ(Used(other), 2000U);
  EXPECT_EQ(ca_context_set_parent(last, other), CA_CONTEXT_OVER_BUDGET);
  EXPECT_EQ(ca_context_set_parent(last, one), CA_CONTEXT_DONE);
  EXPECT_EQ(Used(root), 5000U);
  Destroy(root);
}

TEST_F(FamilyBudgetTest, KeepsOrphansOfWhatMovesWhereTheyCounted) {
  const ca_context from = Create(1000, 9000);
  const ca_context to = Create(1000, 9000);
  const ca_context plain = Create(1000, 0, from);
  const ca_context head = Create(1000, 5000, plain);
  const ca_context orphan = Create(700, 0, plain, CA_CONTEXT_ORPHAN);
  const ca_context inner = Create(300, 0, head, CA_CONTEXT_ORPHAN);
  void *const block = AllocateIn(orphan, 10);
  void *const inner_block = AllocateIn(inner, 10);
  Destroy(orphan);
  Destroy(inner);
  EXPECT_EQ(ca_context_set_parent(plain, to), CA_CONTEXT_DONE);
  EXPECT_EQ(Used(from), 1700U);
  EXPECT_EQ(Used(to), 3300U);
  ca_switchable_deallocate(block);
  ca_switchable_deallocate(inner_block);
  EXPECT_EQ(Used(from), 1000U);
  EXPECT_EQ(Used(to), 3000U);
  Destroy(from);
  Destroy(to);
}

struct Asked {
  std::vector<ca_context> children;
  std::vector<std::size_t> sizes;
};

TEST_F(FamilyBudgetTest, AParentThatIsSwappedInHereMayMakeRoom) {
  Asked asked;
  ca_context_settings settings{};
  settings.budget = 1000;
  settings.family_budget = 4000;
  settings.over_budget = CA_OVER_BUDGET_ASK;
  settings.exhausted_argument = &asked;
  settings.exhausted = [](void *argument, std::size_t size) {
    auto *const self = static_cast<Asked *>(argument);
    self->sizes.push_back(size);
    if (self->children.empty()) return false;
    Destroy(self->children.back());
    self->children.pop_back();
    return true;
  };
  const ca_context parent = ca_context_create(&settings);
  for (int i = 0; i < 3; ++i) asked.children.push_back(Create(1000, 0, parent));
  EXPECT_TRUE(IsNone(Create(1500, 0, parent)));
  EXPECT_TRUE(asked.sizes.empty()) << "parked";
  ASSERT_EQ(ca_context_swap_in(parent), CA_CONTEXT_DONE);
  const ca_context child = Create(1500, 0, parent);
  EXPECT_FALSE(IsNone(child));
  EXPECT_EQ(asked.children.size(), 1U);
  EXPECT_EQ(Used(parent), 3500U);
  EXPECT_TRUE(IsNone(Create(2500, 0, parent)));
  EXPECT_THAT(asked.sizes, testing::ElementsAre(1500, 1500, 2500, 2500));
  EXPECT_EQ(Used(parent), 2500U);
  EXPECT_TRUE(IsNone(Create(3000, 0, child))) << "who isn't the parent isn't asked";
  EXPECT_EQ(asked.sizes.size(), 4U);
  ca_context_swap_out();
  Destroy(parent);
}

TEST_F(FamilyBudgetTest, IsReported) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const ca_context parent = Create(1000, 5000);
  Create(100, 0, parent);
  EXPECT_TRUE(IsNone(Create(4000, 0, parent)));
  const auto reported = [&](ca_report_format format) {
    std::string text(60000, '\0');
    EXPECT_TRUE(ca_contexts_report(ends[1], format));
    text.resize(static_cast<std::size_t>(read(ends[0], text.data(), text.size())));
    return text;
  };
  const std::string text = reported(CA_REPORT_TEXT);
  EXPECT_THAT(text, testing::HasSubstr(", family 1100 of 5000, refused 1\n  (no name)"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr(", family 0")));
  EXPECT_THAT(
      reported(CA_REPORT_JSON),
      testing::HasSubstr(",\"family_budget\":5000,\"family_used\":1100,\"family_refusals\":1}"));
  close(ends[0]);
  close(ends[1]);
  Destroy(parent);
}

TEST_F(FamilyBudgetTest, CountsWhatAContextGrowsInto) {
  for (const ca_context_policy policy :
       {CA_CONTEXT_RELEASE, CA_CONTEXT_ORPHAN, CA_CONTEXT_QUARANTINE}) {
    for (const ca_context_kind kind :
         {CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET, CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE}) {
      const ca_context parent = Create(1000, 1001000);
      ca_context_settings settings{};
      settings.parent = parent;
      settings.kind = kind;
      settings.on_destroy = policy;
      settings.first = 20000;
      settings.reserve = 8000;
      settings.budget = 900000;
      settings.family_budget = SIZE_MAX;
      const ca_context child = ca_context_create(&settings);
      const std::size_t before = Used(child);
      EXPECT_LT(before, 140000U);
      EXPECT_EQ(Used(parent), before + 1000);
      EXPECT_FALSE(IsNone(Create(100000, 0, parent)));
      void *const block = AllocateIn(child, 200000);
      const std::size_t used = Used(child);
      EXPECT_GT(used, before + 200000);
      EXPECT_EQ(Used(parent), used + 101000);
      EXPECT_EQ(ca_context_reset(child), CA_CONTEXT_DONE);
      EXPECT_EQ(Used(child), before);

      const ca_context other = Create(500000, 0, parent);
      EXPECT_FALSE(IsNone(other));
      const std::uint64_t refusals = Refusals(parent);
      ASSERT_EQ(ca_context_swap_in(child), CA_CONTEXT_DONE);
      EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(400000, 16)));
      EXPECT_GT(Refusals(parent), refusals);
      ca_context_swap_out();
      EXPECT_EQ(Used(child), before) << "nothing has changed";
      Destroy(other);
      void *const again = AllocateIn(child, 200000);
      EXPECT_EQ(Used(child), used);
      (void)block;
      Destroy(child);
      if (policy == CA_CONTEXT_ORPHAN) {
        EXPECT_EQ(Used(parent), used + 101000);
        ca_switchable_deallocate(again);
      }
      EXPECT_EQ(Used(parent), 101000U);
      Destroy(parent);
    }
  }
}

TEST_F(FamilyBudgetTest, MayBeSmallerThanABudgetThatIsGrownInto) {
  ca_context_settings settings{};
  settings.first = 1000;
  settings.budget = 900000;
  settings.family_budget = 100000;
  const ca_context context = ca_context_create(&settings);
  ASSERT_FALSE(IsNone(context));
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(200000, 16)));
  EXPECT_EQ(Refusals(context), 1U);
  ca_context_swap_out();
  Destroy(context);
}

}  // namespace
