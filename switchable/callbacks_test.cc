// What callbacks may do to contexts of every kind: allocate, free, resize, switch, try to reset and
// destroy their own context, and leave something swapped in.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "switchable/report.h"
#include "switchable/switchable.h"
#include "switchable/testing.h"

namespace {

using ca_testing::Allocate;

constexpr std::size_t kSize = 2000;

std::uint64_t Live(ca_context context) {
  const ca_context_counts counts = ca_context_count(context);
  return counts.allocations - counts.deallocations;
}

bool IsSwappedIn(ca_context context) {
  return ca_switchable_save().coroutine.header == context.header;
}

bool VisitNothing(void *, ca_block) {
  ADD_FAILURE() << "a context that is held was walked";
  return false;
}

bool CleanUpNothing(void *) { return true; }

bool LiesIn(const void *ptr, ca_context context) {
  const auto begin = reinterpret_cast<std::uintptr_t>(context.header);
  return reinterpret_cast<std::uintptr_t>(ptr) - begin < ca_context_count(context).slot_size;
}

class CallbacksTest : public testing::TestWithParam<ca_context_kind> {
 public:  // For the callbacks.
  CallbacksTest() : own_(Create({})), other_(Create({})) {}
  ~CallbacksTest() override {
    ca_context_swap_out();
    for (const ca_context one : {own_, other_}) {
      const ca_context_result result = ca_context_destroy(one);
      EXPECT_TRUE(result == CA_CONTEXT_DONE || result == CA_CONTEXT_GONE);
    }
    EXPECT_EQ(ca_contexts_count().contexts, 0U);
  }

  static ca_context Create(ca_context_settings settings) {
    settings.kind = GetParam();
    settings.budget = 60000;
    return ca_context_create(&settings);
  }

  // What a callback finds of a context that is its own, and of one that goes with it.
  void ExpectHeld(ca_context context) {
    const bool occupied = !ca_context_is_none(ca_switchable_save().coroutine);
    EXPECT_EQ(ca_context_swap_in(context), occupied ? CA_CONTEXT_OCCUPIED : CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_walk(context, VisitNothing, nullptr), CA_CONTEXT_HELD);
    ca_context_cleanup cleanup{CleanUpNothing, nullptr, nullptr};
    EXPECT_EQ(ca_context_add_cleanup(context, &cleanup), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_set_parent(other_, context), CA_CONTEXT_HELD);
    ca_context_settings settings{};
    settings.parent = context;
    EXPECT_TRUE(ca_context_is_none(ca_context_create(&settings)));
    EXPECT_TRUE(ca_context_check(context));
  }

  // Of a context that is held by who runs the callback, which ends the life of both.
  static void FreeAndResize(void *freed, void *resized) {
    ca_switchable_deallocate(freed);
    auto *const moved = static_cast<char *>(ca_switchable_reallocate(resized, 3 * kSize, 16).ptr);
    ASSERT_NE(moved, nullptr);
    EXPECT_EQ(moved[kSize - 1], 'r');
    ca_switchable_deallocate(moved);
  }

  // Two blocks that a callback may end.
  void AllocateTwo() {
    ASSERT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE);
    freed_ = Allocate(kSize);
    resized_ = Allocate(kSize);
    std::memset(resized_, 'r', kSize);
    ca_context_swap_out();
  }

  ca_context own_;
  ca_context other_;
  void *freed_ = nullptr;
  void *resized_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Kinds, CallbacksTest, ca_testing::EveryKind(), ca_testing::KindName);

// `exhausted`.

class ExhaustedTest : public CallbacksTest {
 public:
  // `act` is called when own_ is full of blocks of kSize, the newest of them last in blocks_.
  using Act = bool (*)(ExhaustedTest *self);

  void Fill(Act act) {
    EXPECT_EQ(ca_context_destroy(own_), CA_CONTEXT_DONE);
    act_ = act;
    ca_context_settings settings{};
    settings.over_budget = CA_OVER_BUDGET_ASK;
    settings.exhausted_argument = this;
    settings.exhausted = [](void *argument, std::size_t size) {
      auto *const self = static_cast<ExhaustedTest *>(argument);
      if (self->filling_) return false;
      EXPECT_EQ(size, self->asked_for_);
      self->asked_++;
      return self->act_(self);
    };
    own_ = Create(settings);
    ASSERT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE);
    filling_ = true;
    for (void *block; (block = Allocate(kSize)) != nullptr;) blocks_.push_back(block);
    filling_ = false;
    ASSERT_GE(blocks_.size(), 10U);
  }

  void FreeNewest() {
    ca_switchable_deallocate(blocks_.back());
    blocks_.pop_back();
  }

  // A block is resized beyond the budget, and what `act` does with its context meanwhile is refused.
  void ExpectARefusedResizeLeavesAll() {
    asked_for_ = 2 * kSize;
    std::memset(blocks_[0], 'k', kSize);
    EXPECT_EQ(ca_switchable_reallocate(blocks_[0], 2 * kSize, 16).ptr, nullptr);
    EXPECT_EQ(asked_, 1);
    EXPECT_EQ(static_cast<char *>(blocks_[0])[kSize - 1], 'k');
    EXPECT_EQ(Live(own_), blocks_.size());
  }

  Act act_ = nullptr;
  bool filling_ = false;
  int asked_ = 0;
  std::size_t asked_for_ = kSize;
  std::vector<void *> blocks_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, ExhaustedTest,
                         testing::Values(CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                         CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE));

TEST_P(ExhaustedTest, MayAllocateFreeAndDestroyOthersButItsOwnIsHeld) {
  Fill([](ExhaustedTest *self) {
    EXPECT_EQ(Allocate(kSize), nullptr) << "not asked within itself";
    self->FreeNewest();
    void *const block = Allocate(kSize);
    EXPECT_NE(block, nullptr) << "but served";
    EXPECT_EQ(ca_context_swap_in(self->own_), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_swap_in(self->other_), CA_CONTEXT_OCCUPIED);
    EXPECT_EQ(ca_context_reset(self->own_), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_destroy(self->own_), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_destroy(self->other_), CA_CONTEXT_DONE);
    ca_switchable_deallocate(block);
    return true;
  });
  EXPECT_NE(Allocate(kSize), nullptr);
  EXPECT_EQ(asked_, 1);
  EXPECT_TRUE(ca_context_check(own_));
  EXPECT_EQ(ca_context_reset(own_), CA_CONTEXT_DONE) << "as before";
}

TEST_P(ExhaustedTest, MaySwitchAndComeBack) {
  Fill([](ExhaustedTest *self) {
    ca_context_swap_out();
    EXPECT_EQ(ca_context_swap_in(self->other_), CA_CONTEXT_DONE);
    EXPECT_TRUE(LiesIn(Allocate(100), self->other_));
    ca_context_swap_out();
    EXPECT_EQ(ca_context_reset(self->own_), CA_CONTEXT_HELD) << "parked, but being asked";
    std::thread([self] {  // And somebody resizes a block meanwhile.
      void *&block = self->blocks_.front();
      EXPECT_EQ(ca_switchable_reallocate(block, kSize / 2, 16).ptr, block);
    })
        .join();
    EXPECT_EQ(ca_context_swap_in(self->own_), CA_CONTEXT_DONE);
    self->FreeNewest();
    return true;
  });
  EXPECT_NE(Allocate(kSize), nullptr);
  EXPECT_EQ(asked_, 1);
  EXPECT_TRUE(IsSwappedIn(own_));
  EXPECT_TRUE(ca_context_check(own_));
}

TEST_P(ExhaustedTest, TheBlockThatIsResizedIsNotForgotten) {
  Fill([](ExhaustedTest *self) {
    EXPECT_EQ(ca_context_reset(self->own_), CA_CONTEXT_HELD);
    return false;
  });
  ExpectARefusedResizeLeavesAll();
}

TEST_P(ExhaustedTest, NorByAParentThatIsResetWhileItIsParked) {
  Fill([](ExhaustedTest *self) {
    EXPECT_EQ(ca_context_set_parent(self->own_, self->other_), CA_CONTEXT_DONE);
    ca_context_swap_out();
    EXPECT_EQ(ca_context_reset(self->other_), CA_CONTEXT_HELD);
    EXPECT_TRUE(ca_context_check(self->other_));
    EXPECT_EQ(ca_context_swap_in(self->own_), CA_CONTEXT_DONE) << "let go of again";
    return false;
  });
  ExpectARefusedResizeLeavesAll();
  ca_context_swap_out();
  EXPECT_EQ(ca_context_reset(other_), CA_CONTEXT_DONE) << "as before";
  EXPECT_EQ(Live(own_), 0U);
  EXPECT_EQ(ca_context_set_parent(own_, {nullptr, 0}), CA_CONTEXT_DONE);
}

TEST_P(ExhaustedTest, ToReturnWithoutItsContextIsReported) {
  Fill([](ExhaustedTest *) {
    ca_context_swap_out();
    return true;
  });
  EXPECT_DEATH(Allocate(kSize), "exhausted.*without its context");
  act_ = [](ExhaustedTest *self) {
    ca_context_swap_out();
    EXPECT_EQ(ca_context_swap_in(self->other_), CA_CONTEXT_DONE);
    return false;
  };
  EXPECT_DEATH(Allocate(kSize), "exhausted.*without its context");
  act_ = [](ExhaustedTest *self) {
    ca_context_swap_out();
    const ca_context_header *const slot = self->own_.header;
    EXPECT_EQ(ca_context_destroy(self->own_), CA_CONTEXT_DONE);
    ca_context next;
    do next = Create({});
    while (next.header != slot);
    EXPECT_EQ(ca_context_swap_in(next), CA_CONTEXT_DONE);
    return true;
  };
  EXPECT_DEATH(Allocate(kSize), "exhausted.*without its context") << "another one in its slot";
}

// Cleanup.

class CleanupTest : public CallbacksTest {
 protected:
  CleanupTest() { Register(own_); }

  void Register(ca_context context) {
    cleanup_ = {Run, this, nullptr};
    EXPECT_EQ(ca_context_add_cleanup(context, &cleanup_), CA_CONTEXT_DONE);
  }

  static bool Run(void *argument) {
    auto *const self = static_cast<CleanupTest *>(argument);
    self->runs_++;
    self->current_ = ca_switchable_current();
    self->ExpectHeld(self->own_);
    void *const block = Allocate(100);
    EXPECT_FALSE(LiesIn(block, self->own_));
    self->in_other_ = LiesIn(block, self->other_);
    ca_switchable_deallocate(block);
    FreeAndResize(self->freed_, self->resized_);
    if (self->leaves_.header != nullptr) {
      ca_context_swap_out();
      EXPECT_EQ(ca_context_swap_in(self->leaves_), CA_CONTEXT_DONE);
    }
    return true;
  }

  ca_context_cleanup cleanup_;
  int runs_ = 0;
  ca_current current_ = CA_CURRENT_COROUTINE;
  bool in_other_ = false;  // Where it allocated.
  ca_context leaves_{};
};

INSTANTIATE_TEST_SUITE_P(Kinds, CleanupTest,
                         testing::Values(CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                         CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE));

bool ReleaseTheHeap(void *) {
  ca_switchable_thread_release();
  return true;
}

TEST_P(CleanupTest, MayEndTheHeapThatServes) {
  ASSERT_TRUE(ca_switchable_thread_init(nullptr));
  EXPECT_EQ(ca_context_remove_cleanup(own_, &cleanup_), CA_CONTEXT_DONE);
  cleanup_ = {ReleaseTheHeap, nullptr, nullptr};
  EXPECT_EQ(ca_context_add_cleanup(own_, &cleanup_), CA_CONTEXT_DONE);
  ASSERT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE);
  ASSERT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
  EXPECT_EQ(ca_context_reset(own_), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  ca_switchable_deallocate(Allocate(kSize));
  EXPECT_TRUE(IsSwappedIn(own_));
}

// Makes the heap current, and then swaps in and out what it is given, if anything.
bool UseTheHeap(void *argument) {
  const ca_context of = *static_cast<ca_context *>(argument);
  EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
  if (of.header != nullptr) {
    EXPECT_EQ(ca_context_swap_in(of), CA_CONTEXT_DONE);
    ca_context_swap_out();
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_THREAD);
  }
  return true;
}

TEST_P(CleanupTest, WhatItMakesCurrentIsNotSoOutside) {
  ASSERT_TRUE(ca_switchable_thread_init(nullptr));
  EXPECT_EQ(ca_context_remove_cleanup(own_, &cleanup_), CA_CONTEXT_DONE);
  for (ca_context of : {ca_context{}, other_}) {
    cleanup_ = {UseTheHeap, &of, nullptr};
    EXPECT_EQ(ca_context_add_cleanup(own_, &cleanup_), CA_CONTEXT_DONE);
    ASSERT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_context_reset(own_), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
    ca_context_swap_out();
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL) << "as before";
  }
  ca_switchable_thread_release();
}

TEST_P(CleanupTest, OnResetOfTheOneSwappedInItComesBackWhateverIsLeft) {
  AllocateTwo();
  leaves_ = other_;
  ASSERT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_reset(own_), CA_CONTEXT_DONE);
  EXPECT_EQ(current_, CA_CURRENT_GLOBAL) << "as outside";
  EXPECT_TRUE(IsSwappedIn(own_));
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
  EXPECT_EQ(Live(own_), 0U);
  EXPECT_NE(Allocate(kSize), nullptr);
  EXPECT_EQ(ca_context_destroy(other_), CA_CONTEXT_DONE) << "is parked";
}

TEST_P(CleanupTest, OnResetOfOneThatIsParkedWhatIsLeftStays) {
  AllocateTwo();
  leaves_ = other_;
  EXPECT_EQ(ca_context_reset(own_), CA_CONTEXT_DONE);
  EXPECT_EQ(current_, CA_CURRENT_GLOBAL);
  EXPECT_TRUE(IsSwappedIn(other_));
  EXPECT_EQ(Live(own_), 0U);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE) << "was let go of";
  EXPECT_EQ(runs_, 1);
}

TEST_P(CleanupTest, OnDestroyTheThreadsCurrentServesAndWhatIsLeftStays) {
  AllocateTwo();
  leaves_ = Create({});
  ASSERT_EQ(ca_context_swap_in(other_), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(own_), CA_CONTEXT_DONE);
  EXPECT_EQ(current_, CA_CURRENT_COROUTINE);
  EXPECT_TRUE(in_other_);
  EXPECT_EQ(ca_context_swap_in(own_), CA_CONTEXT_GONE);
  EXPECT_TRUE(IsSwappedIn(leaves_));
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(leaves_), CA_CONTEXT_DONE);
  EXPECT_EQ(runs_, 1);
}

TEST_P(CleanupTest, OnDestroyAChildItsParentMayBeUsedAndOnDestroyOfBothIsHeld) {
  AllocateTwo();
  ASSERT_EQ(ca_context_set_parent(own_, other_), CA_CONTEXT_DONE);
  leaves_ = other_;
  EXPECT_EQ(ca_context_destroy(own_), CA_CONTEXT_DONE);
  EXPECT_TRUE(IsSwappedIn(other_)) << "its parent, which goes on";
  ca_context_swap_out();
  own_ = Create({});
  AllocateTwo();
  Register(own_);
  leaves_ = {};
  ca_context_settings settings{};
  settings.parent = own_;
  const ca_context child = Create(settings);
  ASSERT_EQ(ca_context_set_parent(own_, other_), CA_CONTEXT_DONE);
  struct Family {
    CleanupTest *test;
    ca_context child;
  } family{this, child};
  ca_context_cleanup of_parent{[](void *argument) {
                                 const auto *const one = static_cast<Family *>(argument);
                                 EXPECT_EQ(ca_context_swap_in(one->child), CA_CONTEXT_GONE);
                                 EXPECT_EQ(ca_context_swap_in(one->test->own_), CA_CONTEXT_GONE);
                                 one->test->ExpectHeld(one->test->other_);
                                 return true;
                               },
                               &family, nullptr};
  EXPECT_EQ(ca_context_add_cleanup(other_, &of_parent), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_destroy(other_), CA_CONTEXT_DONE);
  EXPECT_EQ(runs_, 2);
}

TEST_P(CleanupTest, WhatItFreesOfAnOrphanIsCounted) {
  EXPECT_EQ(ca_context_destroy((AllocateTwo(), own_)), CA_CONTEXT_DONE);
  ca_context_settings settings{};
  settings.on_destroy = CA_CONTEXT_ORPHAN;
  own_ = Create(settings);
  AllocateTwo();
  ASSERT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE);
  void *const last = Allocate(kSize);
  ca_context_swap_out();
  Register(own_);
  EXPECT_EQ(ca_context_destroy(own_), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_contexts_count().contexts, 2U) << "one block is out";
  ca_switchable_deallocate(last);
  EXPECT_EQ(ca_contexts_count().contexts, 1U);
}

// A walk's visitor.

class VisitorTest : public CallbacksTest {
 protected:
  static bool Visit(void *argument, ca_block block) {
    auto *const self = static_cast<VisitorTest *>(argument);
    self->ExpectHeld(self->own_);
    void *const made = Allocate(100);
    EXPECT_FALSE(LiesIn(made, self->own_));
    ca_switchable_deallocate(made);
    if (block.ptr == self->freed_) FreeAndResize(self->freed_, self->resized_);
    if (++self->seen_ == 1) {
      EXPECT_EQ(ca_context_swap_in(self->other_), CA_CONTEXT_DONE);
    }
    return true;
  }
  int seen_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Kinds, VisitorTest,
                         testing::Values(CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                                         CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE));

TEST_P(VisitorTest, OfTheOneSwappedInItComesBackWhateverIsLeft) {
  AllocateTwo();
  ASSERT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_context_walk(own_, Visit, this), CA_CONTEXT_DONE);
  EXPECT_EQ(seen_, 2) << "also the one that others have ended meanwhile";
  EXPECT_TRUE(IsSwappedIn(own_));
  ca_context_swap_out();
  EXPECT_EQ(ca_context_swap_in(other_), CA_CONTEXT_DONE) << "was parked";
}

TEST_P(VisitorTest, OfOneThatIsParkedWhatIsLeftStays) {
  AllocateTwo();
  EXPECT_EQ(ca_context_walk(own_, Visit, this), CA_CONTEXT_DONE);
  EXPECT_TRUE(IsSwappedIn(other_));
  ca_context_swap_out();
  ASSERT_EQ(ca_context_swap_in(own_), CA_CONTEXT_DONE);
  EXPECT_EQ(Live(own_), 0U);
}

// Visitors of reports.

struct Report {
  ca_context own, other;
  int seen;
};

TEST_P(CallbacksTest, AReportsVisitorMayDoAnything) {
  AllocateTwo();
  Report report{own_, other_, 0};
  ca_contexts_visit(
      [](void *argument, ca_context context, const ca_context_counts *counts) {
        auto *const self = static_cast<Report *>(argument);
        if (context.header != self->own.header) return;
        self->seen++;
        EXPECT_EQ(counts->allocations, 2U);
        EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
        ca_switchable_deallocate(Allocate(100));
        ca_context_swap_out();
        EXPECT_EQ(ca_context_reset(context), CA_CONTEXT_DONE);
        EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
        const ca_context made = Create({});
        EXPECT_EQ(ca_context_destroy(made), CA_CONTEXT_DONE);
        EXPECT_EQ(ca_context_swap_in(self->other), CA_CONTEXT_DONE);
      },
      &report);
  EXPECT_EQ(report.seen, 1);
  EXPECT_TRUE(IsSwappedIn(other_)) << "what it leaves stays";
  EXPECT_EQ(ca_context_destroy(own_), CA_CONTEXT_GONE);
}

TEST_P(CallbacksTest, AVisitorOfThreadsMayDoAnything) {
  ASSERT_TRUE(ca_switchable_thread_init(nullptr));
  Report report{own_, other_, 0};
  ca_threads_visit(
      [](void *argument, const ca_thread_counts *counts) {
        auto *const self = static_cast<Report *>(argument);
        if (counts->heap.slot_size == 0) return;
        self->seen++;
        EXPECT_EQ(ca_context_destroy(self->own), CA_CONTEXT_DONE);
        ca_switchable_thread_release();
        EXPECT_EQ(ca_context_swap_in(self->other), CA_CONTEXT_DONE);
        EXPECT_NE(Allocate(100), nullptr);
      },
      &report);
  EXPECT_EQ(report.seen, 1);
  EXPECT_TRUE(IsSwappedIn(other_));
}

}  // namespace
