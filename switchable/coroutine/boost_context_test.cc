// boost::context::fiber: what each has to find again after a switch, also when it is unwound.
#include "switchable/coroutine/boost_context.h"

#include <gtest/gtest.h>

#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>

#include "switchable/coroutine/testing.h"

namespace {

using boost::context::fixedsize_stack;
using ca_testing::IsOf;
using ca_testing::OnAnotherThread;
using ca_testing::ReadErrno;
using ca_testing::Recurse;
using Fiber = ca::boost_fiber<fixedsize_stack>;

class BoostContextTest : public testing::Test {
 protected:
  ~BoostContextTest() override {
    (void)ca_context_destroy(context_);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
  }
  std::unique_ptr<Fiber> Make(const std::function<void(Fiber &)> &body,
                              unsigned carries = CA_CARRY_ALL) {
    return std::make_unique<Fiber>(context_, carries, fixedsize_stack(ca_testing::Stack::kSize),
                                   body);
  }
  ca_context context_ = ca_context_create(nullptr);
};

TEST_F(BoostContextTest, IsServedByItsContextUntilItsEnd) {
  int own = 0;
  const auto one = Make([&](Fiber &self) {
    for (int i = 0; i < 3; ++i) {
      const ca_block block = ca_switchable_allocate(100, 16);
      own += IsOf(context_, block.ptr);
      EXPECT_EQ(self.suspend(), CA_CONTEXT_DONE);
      ca_switchable_deallocate(block.ptr);
    }
  });
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(one->has_ended());
    EXPECT_EQ(one->resume(), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  }
  EXPECT_TRUE(one->has_ended());
  EXPECT_EQ(own, 3);
  EXPECT_EQ(ca_context_count(context_).deallocations, 3u);
}

TEST_F(BoostContextTest, ErrnoIsItsOwnOnRequest) {
  int seen = -1;
  const auto one = Make([&](Fiber &self) {
    errno = EDOM;
    (void)self.suspend();
    seen = ReadErrno();
  });
  errno = ERANGE;
  one->resume();
  EXPECT_EQ(ReadErrno(), ERANGE);
  OnAnotherThread([&] {
    errno = ENOENT;
    one->resume();
    EXPECT_EQ(ReadErrno(), ENOENT);
  });
  EXPECT_EQ(seen, EDOM);
}

TEST_F(BoostContextTest, LocalVariablesOutliveTheThreadTheyWereMadeOn) {
  int sum = 0;
  std::unique_ptr<Fiber> one;
  OnAnotherThread([&] {
    one = Make([&](Fiber &self) {
      char local[200];
      std::memset(local, 7, sizeof local);
      ca_testing::Touch(local);
      for (int i = 0; i < 4; ++i) {
        (void)self.suspend();
        sum += local[3 * i] + local[199];
      }
    });
  });
  for (int i = 0; i < 5; ++i) OnAnotherThread([&] { EXPECT_EQ(one->resume(), CA_CONTEXT_DONE); });
  EXPECT_EQ(sum, 4 * 14);
  EXPECT_TRUE(one->has_ended());
}

TEST_F(BoostContextTest, AnExceptionIsCaughtOnItsStack) {
  int caught = 0;
  const auto one = Make([&](Fiber &self) {
    for (int i = 0; i < 3; ++i) {
      char kept[64] = "kept";
      ca_testing::Touch(kept);
      try {
        Recurse(20, [&] {
          if (!self.has_ended()) throw std::runtime_error("thrown");
        });
      } catch (const std::runtime_error &) {
        caught += std::strcmp(kept, "kept") == 0;
      }
      (void)self.suspend();
    }
  });
  for (int i = 0; i < 4; ++i) OnAnotherThread([&] { one->resume(); });
  EXPECT_EQ(caught, 3);
}

TEST_F(BoostContextTest, IsUnwoundWithItsOwnMemoryWhenItIsDestroyed) {
  struct Witness {
    ca_context context;
    int *own;
    char text[100] = "still here";
    ~Witness() {
      ca_testing::Touch(text);
      const ca_block block = ca_switchable_allocate(8, 8);
      *own += IsOf(context, block.ptr) && std::strcmp(text, "still here") == 0;
    }
  };
  int own = 0;
  for (int i = 0; i < 2; ++i) {
    auto one = Make([&](Fiber &self) {
      const Witness witness{context_, &own};
      Recurse(30, [&] { (void)self.suspend(); });
      ADD_FAILURE() << "resumed instead of unwound";
    });
    one->resume();
    if (i == 0) {
      one.reset();
    } else {
      OnAnotherThread([&] { one.reset(); });
    }
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  }
  EXPECT_EQ(own, 2);
}

TEST_F(BoostContextTest, IsUnwoundAlsoWhenItsContextIsGone) {
  bool unwound = false;
  struct Witness {
    bool *unwound;
    ~Witness() { *unwound = ca_switchable_current() == CA_CURRENT_GLOBAL; }
  };
  auto one = Make([&](Fiber &self) {
    const Witness witness{&unwound};
    (void)self.suspend();
  });
  one->resume();
  EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
  EXPECT_EQ(one->resume(), CA_CONTEXT_GONE);
  one.reset();
  EXPECT_TRUE(unwound);
}

// ThreadSanitizer keeps 65,536 calls for a thread: none may be left behind by any way that a fiber goes.
TEST_F(BoostContextTest, NothingIsLeftBehind) {
  const std::size_t before = ca_testing::AddressSpace();
  for (int i = 0; i < 400 / ca_testing::SlowBy(); ++i) {
    const auto never_begun = Make([](Fiber &) {});
    const auto suspended = Make([](Fiber &self) { Recurse(200, [&] { (void)self.suspend(); }); });
    const auto ended = Make([](Fiber &) {});
    suspended->resume();
    ended->resume();
    EXPECT_TRUE(ended->has_ended());
  }
  EXPECT_LT(ca_testing::AddressSpace() - before, std::size_t{1} << 30);
  const auto one = Make([](Fiber &self) {
    for (;;) (void)self.suspend();
  });
  for (int i = 0; i < 70000 / ca_testing::SlowBy(); ++i) one->resume();
}

TEST_F(BoostContextTest, OneMayResumeAnother) {
  int own = 0;
  const auto inner = Make([&](Fiber &self) { (void)self.suspend(); }, CA_CARRY_ALL);
  const ca_context other = ca_context_create(nullptr);
  Fiber outer(other, CA_CARRY_ALL, fixedsize_stack(ca_testing::Stack::kSize), [&](Fiber &) {
    inner->resume();
    own += IsOf(other, ca_switchable_allocate(10, 16).ptr);
    inner->resume();
    own += IsOf(other, ca_switchable_allocate(10, 16).ptr);
  });
  EXPECT_EQ(outer.resume(), CA_CONTEXT_DONE);
  EXPECT_TRUE(outer.has_ended() && inner->has_ended());
  EXPECT_EQ(own, 2);
  EXPECT_EQ(ca_context_destroy(other), CA_CONTEXT_DONE);
}

TEST_F(BoostContextTest, TakesAnyStackAllocator) {
  int runs = 0;
  ca::boost_fiber<boost::context::protected_fixedsize_stack> one(
      context_, CA_CARRY_ALL, boost::context::protected_fixedsize_stack(), [&](auto &self) {
        runs++;
        (void)self.suspend();
      });
  EXPECT_EQ(one.resume(), CA_CONTEXT_DONE);
  EXPECT_EQ(runs, 1);
}

TEST_F(BoostContextTest, AResumersContextThatIsGoneLeavesTheGlobalAllocator) {
  const ca_context gone = ca_context_create(nullptr);
  const auto one = Make([&](Fiber &self) {
    EXPECT_EQ(ca_context_destroy(gone), CA_CONTEXT_DONE);
    EXPECT_EQ(self.suspend(), CA_CONTEXT_GONE);
  });
  ASSERT_EQ(ca_context_swap_in(gone), CA_CONTEXT_DONE);
  EXPECT_EQ(one->resume(), CA_CONTEXT_DONE);
  EXPECT_TRUE(one->has_ended());
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
}

}  // namespace
