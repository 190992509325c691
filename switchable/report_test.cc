// The reports of all contexts. What JSON is well-formed, preload_test.sh asks python.
#include "switchable/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "switchable/switchable.h"

namespace {

using testing::HasSubstr;

ca_context Create(const char *name, ca_context parent = {}) {
  ca_context_settings settings{};
  settings.name = name;
  settings.parent = parent;
  settings.budget = 10000;
  return ca_context_create(&settings);
}

void AllocateIn(ca_context context, int blocks) {
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  for (int i = 0; i < blocks; ++i) ASSERT_NE(ca_switchable_allocate(100, 16).ptr, nullptr);
  ca_context_swap_out();
}

// What is written to the descriptor that `report` is called with.
template <typename Report>
std::string Written(Report report) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  report(ends[1]);
  close(ends[1]);
  std::string text(60000, '\0');
  text.resize(static_cast<std::size_t>(read(ends[0], text.data(), text.size())));
  close(ends[0]);
  return text;
}

std::string Reported(ca_report_format format) {
  return Written([format](int descriptor) { EXPECT_TRUE(ca_contexts_report(descriptor, format)); });
}

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    AllocateIn(root_, 1);
    AllocateIn(child_, 2);
    AllocateIn(last_, 4);
  }
  ~ReportTest() override {
    EXPECT_EQ(ca_context_destroy(root_), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_context_destroy(last_), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_contexts_count().contexts, 0U);
  }
  ca_context root_ = Create("root");
  ca_context child_ = Create("chi\"ld", root_);
  ca_context last_ = Create("last");
};

TEST_F(ReportTest, CountsAllThatAreAlive) {
  const ca_contexts_counts counts = ca_contexts_count();
  EXPECT_EQ(counts.contexts, 3U);
  EXPECT_EQ(counts.live, 7U);
  EXPECT_EQ(counts.allocations, 7U);
  EXPECT_GE(counts.used, 700U);
  EXPECT_GE(counts.slots, 3 * 4096U);
  EXPECT_EQ(counts.refusals, 0U);
}

TEST_F(ReportTest, VisitsEachWithItsHandle) {
  std::vector<ca_context> seen;
  ca_contexts_visit(
      [](void *argument, ca_context context, const ca_context_counts *counts) {
        EXPECT_EQ(counts->allocations, ca_context_count(context).allocations);
        static_cast<std::vector<ca_context> *>(argument)->push_back(context);
      },
      &seen);
  EXPECT_EQ(seen.size(), 3U);
  for (const ca_context context : seen) EXPECT_TRUE(ca_context_check(context));
}

TEST_F(ReportTest, TextShowsChildrenBelowTheirParents) {
  const std::string text = Reported(CA_REPORT_TEXT);
  EXPECT_THAT(text, HasSubstr("contexts 3: live 7, used "));
  EXPECT_THAT(text, HasSubstr("\nroot 0x"));
  EXPECT_THAT(text, HasSubstr("\n  chi\"ld 0x"));
  EXPECT_THAT(text, HasSubstr("\nlast 0x"));
  EXPECT_LT(text.find("root"), text.find("chi\"ld"));
  EXPECT_THAT(text, HasSubstr("bump: live 4, used "));
}

TEST_F(ReportTest, JsonNamesTheParentByAddress) {
  const std::string text = Reported(CA_REPORT_JSON);
  EXPECT_THAT(text, HasSubstr("{\"contexts\":3,"));
  EXPECT_THAT(text, HasSubstr("{\"name\":\"chi\\u0022ld\","));
  EXPECT_THAT(text, HasSubstr("\"parent\":" +
                              std::to_string(reinterpret_cast<std::uintptr_t>(root_.header))));
  EXPECT_EQ(text.substr(text.size() - 3), "]}\n");
}

TEST_F(ReportTest, ComesOnASignal) {
  const std::string text = Written([](int descriptor) {
    EXPECT_TRUE(ca_contexts_report_on_signal(SIGUSR1, descriptor, CA_REPORT_TEXT));
    errno = 77;
    raise(SIGUSR1);
    EXPECT_EQ(errno, 77);
    signal(SIGUSR1, SIG_DFL);
  });
  EXPECT_THAT(text, HasSubstr("contexts 3: live 7"));
  EXPECT_FALSE(ca_contexts_report_on_signal(SIGKILL, 2, CA_REPORT_TEXT));
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(ReportTest, ADescriptorThatCannotBeWrittenIsSaid) {
  errno = 0;
  EXPECT_FALSE(ca_contexts_report(-1, CA_REPORT_TEXT));
  EXPECT_EQ(errno, EBADF);
}

// Only a visit gives a handle of a thread's heap, and nothing but counting can be done with it.
TEST(ReportHeapTest, AThreadsHeapIsSeenAndCannotBeTakenForAContext) {
  std::thread([] {
    ASSERT_TRUE(ca_switchable_thread_init(nullptr));
    ASSERT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    void *const block = ca_switchable_allocate(100, 16).ptr;
    ca_context heap{};
    ca_contexts_visit(
        [](void *argument, ca_context context, const ca_context_counts *) {
          *static_cast<ca_context *>(argument) = context;
        },
        &heap);
    EXPECT_EQ(ca_context_count(heap).allocations, 1U);
    ca_context_cleanup cleanup{[](void *) { return true; }, nullptr, nullptr};
    const ca_context context = Create("alone");
    EXPECT_EQ(ca_context_swap_in(heap), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_reset(heap), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_destroy(heap), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_add_cleanup(heap, &cleanup), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_set_parent(context, heap), CA_CONTEXT_HELD);
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
    ca_switchable_deallocate(block);
  }).join();
}

TEST(ReportThreadsTest, MayBeAskedForWhileContextsComeAndGo) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "headers are read while others write them, and while idle slots are poisoned";
#endif
  std::atomic<bool> done{false};
  std::thread other([&done] {
    while (!done) {
      const ca_context parent = Create("parent");
      AllocateIn(Create("child", parent), 10);
      ca_context_destroy(parent);
    }
  });
  for (int i = 0; i < 200; ++i) {
    EXPECT_LE(ca_contexts_count().contexts, 2U);
    Reported(i % 2 == 0 ? CA_REPORT_TEXT : CA_REPORT_JSON);
  }
  done = true;
  other.join();
}

}  // namespace
