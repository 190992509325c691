// Contexts of every kind, their tree, what is called before they go, and what becomes of live blocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "switchable/context.h"
#include "switchable/quarantine.h"
#include "switchable/switchable.h"

namespace {

ca_context Create(const ca_context_settings &settings) { return ca_context_create(&settings); }

ca_context CreateChild(ca_context parent, const char *name = nullptr) {
  ca_context_settings settings{};
  settings.parent = parent;
  settings.name = name;
  return Create(settings);
}

// Allocates in a parked context.
void *AllocateIn(ca_context context, std::size_t size) {
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  void *const ptr = ca_switchable_allocate(size, 16).ptr;
  ca_context_swap_out();
  return ptr;
}

std::uint64_t Live(ca_context context) {
  const ca_context_counts counts = ca_context_count(context);
  return counts.allocations - counts.deallocations;
}

bool IsGone(ca_context context) { return !ca_context_check(context); }

// Writes a letter to a log.
struct Note {
  ca_context_cleanup cleanup;
  std::string *log;
  char letter;
  bool succeeds;

  Note(std::string *into, char what, bool success = true)
      : cleanup{Write, this, nullptr}, log(into), letter(what), succeeds(success) {}
  static bool Write(void *self) {
    auto *const note = static_cast<Note *>(self);
    note->log->push_back(note->letter);
    return note->succeeds;
  }
};

class KindTest : public testing::TestWithParam<ca_context_kind> {};

INSTANTIATE_TEST_SUITE_P(Kinds, KindTest,
                         testing::Values(CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                         CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE));

TEST_P(KindTest, ServesFreesResizesAndGoes) {
  ca_context_settings settings{};
  settings.kind = GetParam();
  settings.budget = 60000;
  const ca_context context = Create(settings);
  ASSERT_FALSE(ca_context_is_none(context));
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    std::vector<void *> blocks;
    for (std::size_t size = 1; size < 2000; size += 37) {
      const ca_block block = ca_switchable_allocate(size, 16);
      ASSERT_FALSE(ca_block_is_none(block)) << size;
      ASSERT_GE(ca_switchable_usable_size(block.ptr), size);
      std::memset(block.ptr, 1, block.size);
      blocks.push_back(block.ptr);
      if (blocks.size() > 4) {
        ca_switchable_deallocate(blocks.front());
        blocks.erase(blocks.begin());
      }
      if (GetParam() == CA_CONTEXT_BUMP && size > 400) break;
    }
    blocks[0] = ca_switchable_reallocate(blocks[0], 3000, 16).ptr;
    ASSERT_NE(blocks[0], nullptr);
    ca_context_swap_out();
    std::thread([&] { ca_switchable_deallocate(blocks[1]); }).join();
    EXPECT_EQ(Live(context), blocks.size()) << "not taken in yet";
    ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    ca_context_swap_out();
    EXPECT_EQ(Live(context), blocks.size() - 1);
    EXPECT_TRUE(ca_context_check(context));
    EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE);
    EXPECT_EQ(Live(context), 0U);
  }
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_P(KindTest, UsesAgainWhatWasFreedUnlessItIsABump) {
  ca_context_settings settings{};
  settings.kind = GetParam();
  settings.budget = 60000;
  const ca_context context = Create(settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  bool all = true;
  void *before = nullptr;
  for (int i = 0; i < 1000; ++i) {
    void *const ptr = ca_switchable_allocate(200, 16).ptr;
    if (before != nullptr) ca_switchable_deallocate(before);
    before = ptr;
    all = all && ptr != nullptr;
  }
  ca_context_swap_out();
  EXPECT_EQ(all, GetParam() != CA_CONTEXT_BUMP);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(KindSettingsTest, ALifetimeNamesAKindAndWhatIsOutOfRangeIsRefused) {
  ca_context_settings settings{};
  settings.lifetime = CA_LIFETIME_LONG;
  const ca_context trees = Create(settings);
  void *const first = AllocateIn(trees, 100);
  ca_switchable_deallocate(first);
  EXPECT_EQ(AllocateIn(trees, 100), first);
  EXPECT_EQ(ca_context_destroy(trees), CA_CONTEXT_DONE);
  std::memset(&settings.kind, 9, 1);
  EXPECT_TRUE(ca_context_is_none(Create(settings)));
  settings = {};
  settings.kind = CA_CONTEXT_BIT_SET;
  settings.block_size = 100;
  EXPECT_TRUE(ca_context_is_none(Create(settings))) << "not a power of two";
  settings = {};
  settings.over_budget = CA_OVER_BUDGET_ASK;
  EXPECT_TRUE(ca_context_is_none(Create(settings))) << "nobody to ask";
  settings = {};
  settings.kind = CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE;
  settings.budget = 1;
  EXPECT_TRUE(ca_context_is_none(Create(settings))) << "no room for a block";
  settings.budget = SIZE_MAX;
  EXPECT_TRUE(ca_context_is_none(Create(settings)));
}

TEST(TreeTest, ChildrenGoWithTheirParent) {
  const ca_context root = ca_context_create(nullptr);
  const ca_context left = CreateChild(root);
  const ca_context right = CreateChild(root);
  const ca_context grandchild = CreateChild(left);
  ASSERT_FALSE(ca_context_is_none(grandchild));
  AllocateIn(grandchild, 100);
  EXPECT_EQ(ca_context_reset(root), CA_CONTEXT_DONE);
  EXPECT_EQ(Live(grandchild), 0U);
  EXPECT_EQ(ca_context_destroy(right), CA_CONTEXT_DONE) << "a child may go alone";
  EXPECT_EQ(ca_context_destroy(root), CA_CONTEXT_DONE);
  EXPECT_TRUE(IsGone(left));
  EXPECT_TRUE(IsGone(grandchild));
  EXPECT_EQ(ca_context_swap_in(grandchild), CA_CONTEXT_GONE);
}

TEST(TreeTest, AHeldDescendantKeepsItAll) {
  const ca_context root = ca_context_create(nullptr);
  const ca_context child = CreateChild(root);
  const ca_context grandchild = CreateChild(child);
  const ca_context last = CreateChild(root);
  AllocateIn(last, 10);
  ASSERT_EQ(ca_context_swap_in(grandchild), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(root), CA_CONTEXT_HELD);
  EXPECT_EQ(ca_context_reset(root), CA_CONTEXT_HELD);
  EXPECT_EQ(Live(last), 1U) << "nothing was done";
  ca_context_swap_out();
  for (const ca_context one : {root, child, grandchild, last}) {
    EXPECT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE) << "all are parked again";
    ca_context_swap_out();
  }
  EXPECT_EQ(ca_context_destroy(root), CA_CONTEXT_DONE);
}

TEST(TreeTest, AParentThatIsGoneOrHeldElsewhereIsRefused) {
  const ca_context parent = ca_context_create(nullptr);
  ASSERT_EQ(ca_context_swap_in(parent), CA_CONTEXT_DONE);
  const ca_context child = CreateChild(parent);
  EXPECT_FALSE(ca_context_is_none(child)) << "held here is well";
  std::thread([&] { EXPECT_TRUE(ca_context_is_none(CreateChild(parent))); }).join();
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(parent), CA_CONTEXT_DONE);
  EXPECT_TRUE(ca_context_is_none(CreateChild(parent)));
}

TEST(TreeTest, IsHandedToAnotherParent) {
  const ca_context from = ca_context_create(nullptr);
  const ca_context to = ca_context_create(nullptr);
  const ca_context child = CreateChild(from);
  const ca_context grandchild = CreateChild(child);
  EXPECT_EQ(ca_context_set_parent(child, child), CA_CONTEXT_CYCLE);
  EXPECT_EQ(ca_context_set_parent(child, grandchild), CA_CONTEXT_CYCLE);
  EXPECT_EQ(ca_context_set_parent(child, to), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(from), CA_CONTEXT_DONE);
  EXPECT_TRUE(ca_context_check(grandchild));
  EXPECT_EQ(ca_context_set_parent(child, from), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_context_set_parent(grandchild, ca_context{}), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(to), CA_CONTEXT_DONE);
  EXPECT_TRUE(IsGone(child));
  EXPECT_EQ(ca_context_destroy(grandchild), CA_CONTEXT_DONE) << "had become a root";
}

TEST(TreeTest, IsAsDeepAsThereAreContexts) {
  const ca_context root = ca_context_create(nullptr);
  ca_context last = root;
  for (int i = 0; i < 5000; ++i) {
    ca_context_settings settings{};
    settings.parent = last;
    settings.budget = 1000;
    last = Create(settings);
    ASSERT_FALSE(ca_context_is_none(last));
  }
  EXPECT_EQ(ca_context_reset(root), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(root), CA_CONTEXT_DONE);
  EXPECT_TRUE(IsGone(last));
}

TEST(TreeTest, ThreadsMakeMoveAndEndFamiliesAtOnce) {
  const ca_context common = ca_context_create(nullptr);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([common] {
      for (int i = 0; i < 300; ++i) {
        ca_context child{};
        while (ca_context_is_none(child)) child = CreateChild(common);
        const ca_context grandchild = CreateChild(child);
        while (ca_context_set_parent(grandchild, common) == CA_CONTEXT_HELD) {
        }
        while (ca_context_set_parent(grandchild, child) == CA_CONTEXT_HELD) {
        }
        EXPECT_EQ(ca_context_destroy(child), CA_CONTEXT_DONE);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_TRUE(ca_context_check(common));
  EXPECT_EQ(ca_context_destroy(common), CA_CONTEXT_DONE);
}

TEST(CleanupTest, RunOnceEachLastFirstChildrenBeforeParents) {
  std::string log;
  const ca_context root = ca_context_create(nullptr);
  const ca_context child = CreateChild(root);
  Note a(&log, 'a'), b(&log, 'b', false), c(&log, 'c'), d(&log, 'd'), e(&log, 'e');
  for (Note *note : {&a, &b, &c}) {
    EXPECT_EQ(ca_context_add_cleanup(root, &note->cleanup), CA_CONTEXT_DONE);
  }
  EXPECT_EQ(ca_context_add_cleanup(child, &d.cleanup), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_add_cleanup(child, &e.cleanup), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_remove_cleanup(child, &d.cleanup), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_remove_cleanup(child, &a.cleanup), CA_CONTEXT_DONE) << "isn't there";
  EXPECT_EQ(ca_context_destroy(root), CA_CONTEXT_DONE_BUT_CLEANUP_FAILED);
  EXPECT_EQ(log, "ecba");
  EXPECT_TRUE(IsGone(root));
  EXPECT_EQ(ca_context_add_cleanup(root, &a.cleanup), CA_CONTEXT_GONE);
}

TEST(CleanupTest, RunAtResetAndNotAgain) {
  std::string log;
  const ca_context context = ca_context_create(nullptr);
  Note a(&log, 'a');
  EXPECT_EQ(ca_context_add_cleanup(context, &a.cleanup), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE);
  EXPECT_EQ(log, "a");
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  EXPECT_EQ(log, "a");
}

struct Switcher {
  ca_context own, other;
  ca_context_result of_own;
  ca_current current;
  void *block;
};

bool AllocateAndSwitch(void *argument) {
  auto *const self = static_cast<Switcher *>(argument);
  self->current = ca_switchable_current();
  self->of_own = ca_context_swap_in(self->own);
  self->block = ca_switchable_allocate(100, 16).ptr;
  EXPECT_EQ(ca_context_swap_in(self->other), CA_CONTEXT_DONE);
  return true;  // and leaves it swapped in
}

TEST(CleanupTest, MayAllocateAndSwitchAlsoWhereTheContextIsSwappedIn) {
  Switcher switcher{ca_context_create(nullptr), ca_context_create(nullptr), CA_CONTEXT_DONE,
                    CA_CURRENT_COROUTINE, nullptr};
  ca_context_cleanup cleanup{AllocateAndSwitch, &switcher, nullptr};
  ASSERT_EQ(ca_context_swap_in(switcher.own), CA_CONTEXT_DONE);
  ca_switchable_allocate(50, 16);
  EXPECT_EQ(ca_context_add_cleanup(switcher.own, &cleanup), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_reset(switcher.own), CA_CONTEXT_DONE);
  EXPECT_EQ(switcher.of_own, CA_CONTEXT_HELD);
  EXPECT_EQ(switcher.current, CA_CURRENT_GLOBAL) << "the context that is reset doesn't serve";
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE) << "and is back";
  EXPECT_EQ(Live(switcher.own), 0U);
  EXPECT_EQ(ca_context_swap_out().header, switcher.own.header);
  EXPECT_EQ(ca_context_destroy(switcher.other), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(switcher.own), CA_CONTEXT_DONE);
  ca_switchable_deallocate(switcher.block);
}

TEST(PolicyTest, RefuseSaysThatBlocksAreLive) {
  ca_context_settings settings{};
  settings.on_destroy = CA_CONTEXT_REFUSE;
  const ca_context root = ca_context_create(nullptr);
  settings.parent = root;
  const ca_context context = Create(settings);
  void *const block = AllocateIn(context, 100);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_LIVE);
  EXPECT_EQ(ca_context_destroy(root), CA_CONTEXT_LIVE) << "a child refuses for all";
  EXPECT_EQ(Live(context), 1U);
  EXPECT_GE(ca_context_count(context).used, 100U);
  ca_switchable_deallocate(block);  // Goes to the list: the context is parked.
  EXPECT_EQ(ca_context_destroy(root), CA_CONTEXT_DONE);
}

TEST(PolicyTest, OrphanStaysUntilTheLastBlockIsFreed) {
  ca_context_settings settings{};
  settings.on_destroy = CA_CONTEXT_ORPHAN;
  const ca_context context = Create(settings);
  char *const one = static_cast<char *>(AllocateIn(context, 100));
  char *const two = static_cast<char *>(AllocateIn(context, 100));
  std::memset(one, 1, 100);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_GONE);
  ca_switchable_deallocate(two);
  EXPECT_EQ(one[99], 1);
  EXPECT_NE(Create(ca_context_settings{}).header, context.header);
  std::thread([&] { ca_switchable_deallocate(one); }).join();
  const ca_context next = Create(settings);
  EXPECT_EQ(next.header, context.header) << "its slot is the one that was freed last";
  EXPECT_EQ(ca_context_destroy(next), CA_CONTEXT_DONE);
}

TEST(QuarantineTest, KeepsSoManyAndNoMore) {
  ASSERT_TRUE(ca_quarantine_set_capacity(2));
  EXPECT_FALSE(ca_quarantine_set_capacity(CA_QUARANTINE_MOST + 1));
  const ca_context parent = Create({.budget = 1000, .name = "parent"});
  std::vector<ca_context> contexts;
  for (int i = 0; i < 3; ++i) {
    ca_context_settings settings{};
    settings.name = "request";
    settings.on_destroy = CA_CONTEXT_QUARANTINE;
    settings.parent = i == 1 ? parent : ca_context{};
    contexts.push_back(Create(settings));
    EXPECT_EQ(ca_context_destroy(contexts[i]), CA_CONTEXT_DONE);
    EXPECT_NE(ca_quarantine_find(contexts[i].header).slot, nullptr);
  }
  EXPECT_EQ(ca_quarantine_find(contexts[0].header).slot, nullptr) << "was the oldest";
  const auto *const inside = reinterpret_cast<const char *>(contexts[1].header) + 5000;
  const ca_quarantined found = ca_quarantine_find(inside);
  EXPECT_EQ(found.slot, static_cast<const void *>(contexts[1].header));
  EXPECT_STREQ(found.name, "request");
  EXPECT_STREQ(found.parent, "parent");
  EXPECT_EQ(found.age, 1U);
  EXPECT_EQ(ca_quarantine_count().now, 2U);
  EXPECT_TRUE(ca_quarantine_set_capacity(0));
  EXPECT_EQ(ca_quarantine_count().now, 0U);
  const ca_context again = Create({});
  EXPECT_EQ(again.header, contexts[2].header) << "the slot serves again";
  AllocateIn(again, 5000);
  EXPECT_EQ(ca_context_destroy(again), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(parent), CA_CONTEXT_DONE);
  EXPECT_TRUE(ca_quarantine_set_capacity(CA_QUARANTINE_DEFAULT));
}

TEST(QuarantineDeathTest, ATouchIsReportedWithTheContextsName) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the tool's own handler of SIGSEGV reports";
#endif
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        EXPECT_TRUE(ca_quarantine_report_faults());
        EXPECT_TRUE(ca_quarantine_report_faults());
        ca_context_settings settings{};
        settings.name = "late";
        settings.parent = Create({.budget = 1000, .name = "early"});
        settings.on_destroy = CA_CONTEXT_QUARANTINE;
        const ca_context context = Create(settings);
        auto *const block = static_cast<volatile char *>(AllocateIn(context, 100));
        ca_context_destroy(context);
        block[50] = 1;
      },
      "of the destroyed context \"late\", child of \"early\", 0 quarantines ago");
}

struct Freer {
  std::vector<void *> blocks;
  int asked;
};

TEST(OverBudgetTest, ACallbackMayFreeAndHaveItTriedAgain) {
  Freer freer{{}, 0};
  ca_context_settings settings{};
  settings.budget = 10000;
  settings.kind = CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE;
  settings.over_budget = CA_OVER_BUDGET_ASK;
  settings.exhausted_argument = &freer;
  settings.exhausted = [](void *argument, std::size_t) {
    auto *const self = static_cast<Freer *>(argument);
    self->asked++;
    EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(9000, 16))) << "not asked within itself";
    if (self->blocks.empty()) return false;
    ca_switchable_deallocate(self->blocks.back());
    self->blocks.pop_back();
    return true;
  };
  const ca_context context = Create(settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  for (int i = 0; i < 4; ++i) freer.blocks.push_back(ca_switchable_allocate(2000, 16).ptr);
  ca_block block = ca_switchable_allocate(3000, 16);
  EXPECT_FALSE(ca_block_is_none(block));
  EXPECT_EQ(freer.asked, 1);
  block = ca_switchable_reallocate(block.ptr, 6000, 16);  // Not in place: two more have to go.
  EXPECT_FALSE(ca_block_is_none(block));
  EXPECT_EQ(freer.asked, 4);
  EXPECT_EQ(freer.blocks.size(), 0U);
  EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(9000, 16)));
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(OverBudgetTest, NobodyIsAskedForAContextThatIsParked) {
  Freer freer{{}, 0};
  ca_context_settings settings{};
  settings.budget = 1000;
  settings.over_budget = CA_OVER_BUDGET_ASK;
  settings.exhausted_argument = &freer;
  settings.exhausted = [](void *argument, std::size_t) {
    static_cast<Freer *>(argument)->asked++;
    return false;
  };
  const ca_context context = Create(settings);
  void *const block = AllocateIn(context, 100);
  EXPECT_TRUE(ca_block_is_none(ca_switchable_reallocate(block, 5000, 16)));
  EXPECT_EQ(freer.asked, 0);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(OverBudgetTest, TheParentPaysWithinItsOwnBudgetIfItIsParked) {
  ca_context_settings settings{};
  settings.budget = 40000;
  const ca_context parent = Create(settings);
  settings.budget = 1000;
  settings.parent = parent;
  settings.over_budget = CA_OVER_BUDGET_PARENT;
  const ca_context child = Create(settings);
  ASSERT_EQ(ca_context_swap_in(child), CA_CONTEXT_DONE);
  void *block = ca_switchable_allocate(500, 16).ptr;
  block = ca_switchable_reallocate(block, 20000, 16).ptr;
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(Live(parent), 1U);
  EXPECT_EQ(Live(child), 0U);
  EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(30000, 16)));
  ca_context_swap_out();
  ASSERT_EQ(ca_context_swap_in(parent), CA_CONTEXT_DONE);
  std::thread([&] {
    ASSERT_EQ(ca_context_swap_in(child), CA_CONTEXT_DONE);
    EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(2000, 16))) << "the parent is busy";
    ca_context_swap_out();
  }).join();
  ca_context_swap_out();
  ca_switchable_deallocate(block);
  EXPECT_EQ(ca_context_destroy(parent), CA_CONTEXT_DONE);
}

TEST(ContextTreeTest, AParentThatHadTheSameSlotIsGone) {
  ca_context gone;
  ca_context context = CreateChild({});
  do {
    gone = context;
    EXPECT_EQ(ca_context_destroy(gone), CA_CONTEXT_DONE);
    context = CreateChild({});
  } while (context.header != gone.header);
  EXPECT_EQ(ca_context_set_parent(context, gone), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_context_set_parent(context, context), CA_CONTEXT_CYCLE);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_set_parent(context, gone), CA_CONTEXT_GONE);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// On a thread with little stack, as coroutines have.
template <typename Work>
void OnASmallStack(Work work) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, std::size_t{256} << 10);
  pthread_t thread;
  const auto run = [](void *argument) -> void * {
    (*static_cast<Work *>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &work), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST(OverBudgetTest, AnAncestorPaysHoweverFarUpItIs) {
  constexpr std::size_t kDepth = 4000;
  ca_context_settings settings{};
  settings.budget = 40000;
  settings.over_budget = CA_OVER_BUDGET_PARENT;
  std::vector<ca_context> chain = {Create(settings)};
  settings.budget = 64;
  while (chain.size() < kDepth) {
    settings.parent = chain.back();
    chain.push_back(Create(settings));
  }
  OnASmallStack([&] {
    ASSERT_EQ(ca_context_swap_in(chain.back()), CA_CONTEXT_DONE);
    EXPECT_NE(ca_switchable_allocate(1000, 16).ptr, nullptr);
    EXPECT_EQ(ca_switchable_allocate(50000, 16).ptr, nullptr) << "the first has no parent";
    ca_context_swap_out();
  });
  EXPECT_EQ(Live(chain.front()), 1U);
  for (const ca_context one : chain) {
    EXPECT_EQ(ca_context_count(one).refusals, one.header != chain.front().header ? 2U : 1U);
    ASSERT_EQ(ca_context_swap_in(one), CA_CONTEXT_DONE) << "let go of";
    ca_context_swap_out();
  }
  const std::size_t busy = kDepth / 2;
  ASSERT_EQ(ca_context_swap_in(chain[busy]), CA_CONTEXT_DONE);
  OnASmallStack([&] {
    ASSERT_EQ(ca_context_swap_in(chain.back()), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_switchable_allocate(1000, 16).ptr, nullptr);
    ca_context_swap_out();
  });
  ca_context_swap_out();
  EXPECT_EQ(ca_context_count(chain[busy + 1]).refusals, 3U);
  EXPECT_EQ(ca_context_count(chain[busy]).refusals, 2U);
  EXPECT_EQ(ca_context_destroy(chain.front()), CA_CONTEXT_DONE) << "let go of";
}

TEST(ElsewhereTest, ABlockOfUnknownSizeMovesToTheGlobalAllocatorWithItsContents) {
  for (const ca_context_kind kind :
       {CA_CONTEXT_BIT_SET, CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE, CA_CONTEXT_BUMP}) {
    ca_context_settings settings{};
    settings.kind = kind;
    const ca_context context = Create(settings);
    void *block = AllocateIn(context, 1000);
    std::memset(block, 7, 1000);
    EXPECT_GE(ca_switchable_usable_size(block), 1000U) << "parked: it is held to be asked";
    ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    std::thread([&block, kind] {
      void *const before = block;
      const bool is_bump = kind == CA_CONTEXT_BUMP;
      EXPECT_EQ(ca_switchable_usable_size(block) == 0, !is_bump);
      block = ca_switchable_reallocate(block, 500, 16).ptr;
      EXPECT_EQ(block == before, is_bump);
      block = ca_switchable_reallocate(block, 3001, 16).ptr;
      EXPECT_NE(block, before);
      for (int i = 0; i < 500; ++i) ASSERT_EQ(static_cast<char *>(block)[i], 7);
    }).join();
    ca_context_swap_out();
    ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
    ca_context_swap_out();
    EXPECT_EQ(Live(context), 0U) << "taken in";
    ca_switchable_deallocate(block);
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  }
}

TEST(ReserveTest, ServesOnlyTheErrorPath) {
  ca_context_settings settings{};
  settings.budget = 10007;
  settings.reserve = 2001;
  const ca_context context = Create(settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  for (int round = 0; round < 3; ++round) {
    std::size_t bytes = 0;
    while (!ca_block_is_none(ca_switchable_allocate(104, 16))) bytes += 112;
    while (!ca_block_is_none(ca_switchable_allocate(1, 16))) bytes += 16;
    EXPECT_GT(bytes, 7900U);
    EXPECT_LE(bytes, 8006U);
    EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_OPEN), CA_RESERVE_SHUT);
    EXPECT_TRUE(ca_context_check(context));
    void *const message = ca_switchable_allocate(1000, 16).ptr;
    ASSERT_NE(message, nullptr);
    std::memset(message, 'e', 1000);
    EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_SHUT), CA_RESERVE_OPEN);
    EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(100, 16)));
    EXPECT_TRUE(ca_context_check(context));
    ca_switchable_deallocate(message);
    EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_OPEN), CA_RESERVE_SHUT);
    EXPECT_FALSE(ca_block_is_none(ca_switchable_allocate(1900, 16))) << "all of it serves again";
    EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(200, 16))) << "within the budget";
    EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE);  // Which shuts it.
  }
  ca_context_swap_out();
  EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_OPEN), CA_RESERVE_SHUT) << "nothing is swapped in";
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(ReserveTest, IsOpenForWhoIsAskedAndShutAgain) {
  ca_context_settings settings{};
  settings.budget = 4000;
  settings.reserve = 1000;
  settings.over_budget = CA_OVER_BUDGET_ASK;
  settings.exhausted = [](void *, std::size_t) {
    EXPECT_FALSE(ca_block_is_none(ca_switchable_allocate(400, 16)));
    return false;
  };
  const ca_context context = Create(settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  EXPECT_FALSE(ca_block_is_none(ca_switchable_allocate(2900, 16)));
  EXPECT_TRUE(ca_block_is_none(ca_switchable_allocate(300, 16)));
  EXPECT_EQ(ca_context_use_reserve(CA_RESERVE_SHUT), CA_RESERVE_SHUT);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(ReserveTest, IsSmallerThanTheBudgetAndHoldsWhatItsKindNeeds) {
  ca_context_settings settings{};
  settings.budget = 10000;
  settings.reserve = 10000;
  EXPECT_TRUE(ca_context_is_none(Create(settings)));
  settings.reserve = 100;
  settings.kind = CA_CONTEXT_BIT_SET;
  EXPECT_TRUE(ca_context_is_none(Create(settings)));
  settings.kind = CA_CONTEXT_NONE;
  const ca_context context = Create(settings);
  EXPECT_TRUE(ca_context_check(context)) << "and the slot is taken again";
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

}  // namespace
