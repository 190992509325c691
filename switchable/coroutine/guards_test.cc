#include "switchable/coroutine/guards.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "switchable/coroutine/testing.h"

namespace {

using ca_testing::IsOf;
using ca_testing::OnAnotherThread;

class GuardsTest : public testing::Test {
 protected:
  ~GuardsTest() override {
    ca_context_swap_out();
    (void)ca_context_destroy(context_);
    (void)ca_context_destroy(other_);
  }
  static ca_context Serving() {
    return ca_switchable_current() == CA_CURRENT_COROUTINE ? ca_switchable_save().coroutine
                                                           : ca_context{nullptr, 0};
  }
  static bool Serves(ca_context context) {
    return Serving().header == context.header && Serving().generation == context.generation;
  }
  ca_context context_ = ca_context_create(nullptr);
  ca_context other_ = ca_context_create(nullptr);
};

TEST_F(GuardsTest, CurrentIsPutBackByWhateverWayTheScopeIsLeft) {
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  try {
    const ca::current_guard global(CA_CURRENT_GLOBAL);
    EXPECT_TRUE(global);
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    throw std::runtime_error("out");
  } catch (const std::runtime_error &) {
  }
  EXPECT_TRUE(Serves(context_));
}

TEST_F(GuardsTest, CurrentThatThisThreadDoesNotHaveIsRefused) {
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  {
    const ca::current_guard thread(CA_CURRENT_THREAD);
    EXPECT_FALSE(thread);
    EXPECT_TRUE(Serves(context_));
    ca_switchable_use(CA_CURRENT_GLOBAL);
  }
  EXPECT_EQ(ca_switchable_current(),
            CA_CURRENT_GLOBAL);  // A guard that did nothing undoes nothing.
}

TEST_F(GuardsTest, AContextTakesThePlaceOfAnother) {
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  {
    const ca::context_guard guard(other_);
    EXPECT_TRUE(guard);
    EXPECT_TRUE(Serves(other_));
    OnAnotherThread([&] {  // The first one is parked meanwhile.
      const ca::context_guard here(context_);
      EXPECT_TRUE(Serves(context_));
    });
  }
  EXPECT_TRUE(Serves(context_));
}

TEST_F(GuardsTest, AStateIsPutInPlaceAsItWasSaved) {
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  ca_switchable_use(CA_CURRENT_GLOBAL);
  const ca_switchable_state saved = ca_switchable_save();
  ca_context_swap_out();
  const ca::context_guard guard(saved);
  EXPECT_EQ(guard.result(), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  EXPECT_EQ(ca_switchable_save().coroutine.header, context_.header);
}

TEST_F(GuardsTest, AContextThatIsGoneOrHeldIsRefused) {
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  OnAnotherThread([&] { EXPECT_EQ(ca::context_guard(context_).result(), CA_CONTEXT_HELD); });
  ASSERT_EQ(ca_context_destroy(other_), CA_CONTEXT_DONE);
  {
    const ca::context_guard gone(other_);
    EXPECT_FALSE(gone);
    EXPECT_EQ(gone.result(), CA_CONTEXT_GONE);
    EXPECT_TRUE(Serves(context_));
  }
  EXPECT_TRUE(Serves(context_)) << "one that did nothing undoes nothing";
}

TEST_F(GuardsTest, AwayParksAndComesBack) {
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  {
    ca::away_guard away;
    EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
    OnAnotherThread([&] { EXPECT_TRUE(ca::context_guard(context_)); });
  }
  EXPECT_TRUE(Serves(context_));
}

TEST_F(GuardsTest, AwayComesBackOnceAndSaysWhetherItCould) {
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  {
    ca::away_guard away;
    EXPECT_EQ(away.come_back(), CA_CONTEXT_DONE);
    ca_context_swap_out();
    EXPECT_EQ(away.come_back(), CA_CONTEXT_DONE);
  }
  EXPECT_TRUE(ca_context_is_none(Serving()));
  ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  ca::away_guard away;
  ASSERT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
  EXPECT_EQ(away.come_back(), CA_CONTEXT_GONE);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
}

TEST_F(GuardsTest, ACoroutinesTurnKeepsWhatItHadCurrent) {
  const ca_coroutine_settings settings = {context_, CA_CARRY_ERRNO, nullptr, 0};
  ca_coroutine coroutine;
  ca_coroutine_init(&coroutine, &settings);
  errno = ERANGE;
  for (int turn = 0; turn < 2; ++turn) {
    const ca::coroutine_guard inside(&coroutine);
    EXPECT_TRUE(inside);
    EXPECT_EQ(ca_testing::ReadErrno(), turn == 0 ? 0 : EDOM);
    EXPECT_EQ(ca_switchable_current(), turn == 0 ? CA_CURRENT_COROUTINE : CA_CURRENT_GLOBAL);
    EXPECT_EQ(ca_switchable_save().coroutine.header, context_.header);
    ca_switchable_use(CA_CURRENT_GLOBAL);
    errno = EDOM;
    const ca::coroutine_guard nested(&coroutine);  // A callback within a callback.
    EXPECT_EQ(nested.result(), CA_CONTEXT_DONE);
  }
  EXPECT_EQ(ca_testing::ReadErrno(), ERANGE);
  EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
  ca_coroutine_destroy(&coroutine);
}

TEST_F(GuardsTest, ATurnWhoseOutsideIsGoneEndsWithTheGlobalAllocator) {
  const ca_coroutine_settings settings = {context_, CA_CARRY_NOTHING, nullptr, 0};
  ca_coroutine coroutine;
  ca_coroutine outside;
  ca_coroutine_init(&coroutine, &settings);
  ASSERT_EQ(ca_context_swap_in(other_), CA_CONTEXT_DONE);
  ASSERT_EQ(ca_coroutine_enter(&coroutine, &outside), CA_CONTEXT_DONE);
  ASSERT_EQ(ca_context_destroy(other_), CA_CONTEXT_DONE);
  ASSERT_TRUE(ca_switchable_use(CA_CURRENT_GLOBAL));
  EXPECT_EQ(ca_coroutine_exit(&coroutine, &outside), CA_CONTEXT_GONE);
  EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  ASSERT_EQ(ca_coroutine_enter(&coroutine, &outside), CA_CONTEXT_DONE);  // It is parked as it was.
  EXPECT_EQ(ca_switchable_save().coroutine.header, context_.header);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  EXPECT_EQ(ca_coroutine_exit(&coroutine, &outside), CA_CONTEXT_DONE);
}

TEST_F(GuardsTest, ACoroutineWhoseContextIsGoneHasNoTurn) {
  const ca_coroutine_settings settings = {context_, CA_CARRY_NOTHING, nullptr, 0};
  ca_coroutine coroutine;
  ca_coroutine_init(&coroutine, &settings);
  ASSERT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
  ASSERT_EQ(ca_context_swap_in(other_), CA_CONTEXT_DONE);
  const ca::coroutine_guard inside(&coroutine);
  EXPECT_FALSE(inside);
  EXPECT_EQ(inside.result(), CA_CONTEXT_GONE);
  EXPECT_TRUE(Serves(other_));
}

}  // namespace
