// operator new in a context that is over its budget: the new handler, std::bad_alloc, and the reserve for
// who has to say so.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "switchable/switchable.h"

namespace {

constexpr std::size_t kBudget = 20000;
constexpr std::size_t kReserve = 4000;

// The new handler, for as long as this lives.
std::function<void()> g_handler;
int g_calls;

class Handler {
 public:
  explicit Handler(std::function<void()> handler) {
    g_handler = std::move(handler);
    g_calls = 0;
    std::set_new_handler([] {
      ++g_calls;
      g_handler();
    });
  }
  ~Handler() {
    std::set_new_handler(nullptr);
    g_handler = nullptr;
  }
};

// Its body runs in a context whose budget is spent, but for the reserve, and checks are made outside.
class OverBudgetTest : public testing::Test {
 protected:
  OverBudgetTest() {
    ca_context_settings settings{};
    settings.budget = kBudget;
    settings.reserve = kReserve;
    context_ = ca_context_create(&settings);
  }
  ~OverBudgetTest() override { EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE); }

  template <typename Body>
  void Within(Body body) {
    ASSERT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
    while (std::malloc(100) != nullptr) continue;
    while (std::malloc(1) != nullptr) continue;
    body();
    ca_context_swap_out();
  }
  // Whether it is served from the context. Only while that is swapped in here or parked.
  bool IsWithin(const void *ptr) const {
    const auto *const begin = reinterpret_cast<const char *>(context_.header);
    return static_cast<const char *>(ptr) >= begin &&
           static_cast<const char *>(ptr) < begin + ca_context_count(context_).slot_size;
  }

  static constexpr std::size_t kLarge = 2000;
  ca_context context_;
};

TEST_F(OverBudgetTest, NewCallsTheHandlerUntilItThrows) {
  const Handler handler([] {
    if (g_calls == 3) throw std::bad_alloc();
  });
  int thrown = 0;
  int null = 0;
  Within([&] {
    try {
      operator delete(operator new(kLarge));
    } catch (const std::bad_alloc &) {
      ++thrown;
    }
    g_calls = 0;
    null += operator new(kLarge, std::nothrow) == nullptr;
  });
  EXPECT_EQ(thrown, 1);
  EXPECT_EQ(null, 1);
  EXPECT_EQ(g_calls, 3);
}

TEST_F(OverBudgetTest, NewThrowsBadAllocWithoutAHandler) {
  int thrown = 0;
  Within([&] {
    for (const std::size_t size : {std::size_t{1}, kLarge}) {
      try {
        operator delete(operator new(size));
      } catch (const std::bad_alloc &) {
        ++thrown;
      }
      try {
        operator delete (operator new (size, std::align_val_t{64}), std::align_val_t{64});
      } catch (const std::bad_alloc &) {
        ++thrown;
      }
    }
  });
  EXPECT_EQ(thrown, 4);
  std::string elsewhere(kLarge, 'x');  // Nobody else notices.
  EXPECT_FALSE(IsWithin(elsewhere.data()));
}

TEST_F(OverBudgetTest, TheHandlerMayOpenTheReserve) {
  const Handler handler([] {
    if (ca_context_use_reserve(CA_RESERVE_OPEN) == CA_RESERVE_OPEN) throw std::bad_alloc();
  });
  std::size_t served = 0;
  bool within = true;
  ca_reserve before = CA_RESERVE_SHUT;
  Within([&] {
    try {
      for (;;) {
        within = within && IsWithin(operator new(100));
        ++served;
      }
    } catch (const std::bad_alloc &) {
    }
    before = ca_context_use_reserve(CA_RESERVE_SHUT);
  });
  EXPECT_EQ(g_calls, 2) << "one opened it, and one found it spent";
  EXPECT_GE(served, kReserve / 150);
  EXPECT_LE(served, kReserve / 100);
  EXPECT_TRUE(within);
  EXPECT_EQ(before, CA_RESERVE_OPEN);
}

TEST_F(OverBudgetTest, ACatchBlockFormatsItsErrorFromTheReserve) {
  bool within = false;
  bool shut = false;
  std::string said;
  said.reserve(200);
  Within([&] {
    try {
      std::vector<int>(10000).at(0) = 1;
    } catch (const std::bad_alloc &) {
      ca_context_use_reserve(CA_RESERVE_OPEN);
      try {
        throw std::runtime_error("request 42 is out of memory: " + std::string(100, '.'));
      } catch (const std::runtime_error &error) {
        said = error.what();
        within = IsWithin(error.what());
      }
      ca_context_use_reserve(CA_RESERVE_SHUT);
      shut = std::malloc(100) == nullptr;
    }
  });
  EXPECT_EQ(said, "request 42 is out of memory: " + std::string(100, '.'));
  EXPECT_TRUE(within) << "its text is the context's";
  EXPECT_TRUE(shut);
}

TEST_F(OverBudgetTest, TheHandlerMayFree) {
  std::vector<void *> blocks;
  blocks.reserve(16);
  const Handler handler([&blocks] {
    if (blocks.empty()) throw std::bad_alloc();
    operator delete(blocks.back());
    blocks.pop_back();
  });
  ca_context_settings settings{};
  settings.budget = kBudget;
  settings.kind = CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE;
  const ca_context context = ca_context_create(&settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  for (int i = 0; i < 8; ++i) blocks.push_back(operator new(kLarge));
  void *const ptr = operator new(2 * kLarge);
  ca_context_swap_out();
  EXPECT_NE(ptr, nullptr);
  EXPECT_GE(g_calls, 1);
  EXPECT_EQ(blocks.size(), 8U - static_cast<std::size_t>(g_calls));
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST_F(OverBudgetTest, ExhaustedIsAskedBeforeTheHandlerIs) {
  static int asked;
  asked = 0;
  int asked_before = 0;
  const Handler handler([&asked_before] {
    asked_before = asked;
    throw std::bad_alloc();
  });
  ca_context_settings settings{};
  settings.budget = kBudget;
  settings.over_budget = CA_OVER_BUDGET_ASK;
  settings.exhausted = [](void *, std::size_t) { return ++asked < 3; };
  const ca_context context = ca_context_create(&settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  bool thrown = false;
  try {
    operator delete(operator new(2 * kBudget));
  } catch (const std::bad_alloc &) {
    thrown = true;
  }
  ca_context_swap_out();
  EXPECT_TRUE(thrown);
  EXPECT_EQ(asked_before, 3);
  EXPECT_EQ(g_calls, 1);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

}  // namespace
