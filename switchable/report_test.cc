// The reports of all contexts and threads. What is well-formed JSON, python is asked.
#include "switchable/report.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "switchable/quarantine.h"
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

ca_class_counts ClassOf(ca_context context) {
  const std::size_t slot_size = ca_context_count(context).slot_size;
  for (const ca_class_counts &one : ca_contexts_count().classes) {
    if (one.slot_size == slot_size) return one;
  }
  return {};
}

TEST_F(ReportTest, CountsTheSlotsThatAreOutAndTheMostThatWere) {
  const ca_class_counts before = ClassOf(root_);
  const ca_context contexts[] = {Create("one"), Create("two")};
  EXPECT_EQ(ClassOf(root_).out, before.out + 2);
  for (const ca_context one : contexts) EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
  const ca_class_counts after = ClassOf(root_);
  EXPECT_EQ(after.out, before.out);
  EXPECT_GE(after.most, before.out + 2);
  EXPECT_EQ(after.slots, before.slots);
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

// python reads the report from its standard input, calls it r, and runs the given lines.
bool PythonAgrees(const std::string &report, const std::string &lines) {
  std::FILE *python = popen(
      ("python3 -c 'import json, sys\nr = json.load(sys.stdin)\n" + lines + "'").c_str(), "w");
  std::fwrite(report.data(), 1, report.size(), python);
  return pclose(python) == 0;
}

TEST_F(ReportTest, JsonIsReadByAParserAndItsSumsAreRight) {
  ca_context_settings settings{};
  settings.name = "\x01\x7F\"\\\xC3\xA4 and so on, to its end";
  settings.parent = last_;
  settings.kind = CA_CONTEXT_BIT_SET;
  EXPECT_FALSE(ca_context_is_none(ca_context_create(&settings)));
  EXPECT_EQ(ca_context_swap_in(last_), CA_CONTEXT_DONE);
  ca_switchable_deallocate(ca_switchable_allocate(5000, 16).ptr);
  ca_context_swap_out();
  EXPECT_TRUE(PythonAgrees(Reported(CA_REPORT_JSON), R"(
all = r["all"]
assert r["contexts"] == len(all) == 4
for key in "live", "used", "peak", "allocations", "deallocations", "taken_in", "refusals":
    assert r[key] == sum(one[key] for one in all), key
assert r["live"] == 7 and r["allocations"] == 8 and r["deallocations"] == 1
assert r["created"] - r["destroyed"] == 4
last = [one for one in all if one["name"] == "last"][0]
assert last["peak"] > 5000 > last["used"] > 400
strange = [one for one in all if one["kind"] == "bit_set"]
assert len(strange) == 1 and strange[0]["name"].startswith("\u0001\u007f\"\\")
assert strange[0]["parent"] == last["address"]
assert sum(one["out"] for one in r["classes"]) == 4
assert all[0]["slot"] in [one["slot_size"] for one in r["classes"]]
assert len(r["threads"]) == 1 and r["threads"][0]["heap"] is None
assert r["threads"][0]["created"] == r["created"]
)"));
  EXPECT_FALSE(PythonAgrees(Reported(CA_REPORT_JSON).substr(1), "")) << "or else it doesn't look";
}

TEST_F(ReportTest, TextHasAllTheCounts) {
  const std::string text = Reported(CA_REPORT_TEXT);
  EXPECT_THAT(text, HasSubstr("\ncreated "));
  EXPECT_THAT(text, HasSubstr("; in past contexts, allocated "));
  EXPECT_THAT(text, HasSubstr("\nslots of 65536: out 3, most "));
  EXPECT_THAT(text, HasSubstr("\nthread " + std::to_string(getpid()) + ": created "));
  EXPECT_THAT(text, HasSubstr(", peak 448 of "));
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

TEST_F(ReportTest, AThreadThatIsCancelledMeanwhileHasWrittenAllOfIt) {
  static int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_GE(fcntl(ends[1], F_SETPIPE_SZ, 1), 0);  // A page: less than the tree's lines take.
  std::vector<ca_context> many(100);
  for (ca_context &one : many) one = Create("one of many");
  pthread_t reporter;
  const auto report = [](void *) -> void * {
    (void)ca_contexts_report(ends[1], CA_REPORT_TEXT);
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&reporter, nullptr, report, nullptr), 0);
  struct pollfd full = {ends[1], POLLOUT, 0};
  while (poll(&full, 1, 0) == 1) std::this_thread::yield();
  EXPECT_EQ(pthread_cancel(reporter), 0);
  std::string text;
  std::thread reader([&text] {
    char bytes[4096];
    for (ssize_t size; (size = read(ends[0], bytes, sizeof bytes)) > 0;) {
      text.append(bytes, static_cast<std::size_t>(size));
    }
  });
  pthread_join(reporter, nullptr);
  close(ends[1]);
  reader.join();
  close(ends[0]);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_GT(text.size(), 100 * std::string("one of many").size());
  const std::string after =
      Written([](int descriptor) { EXPECT_TRUE(ca_contexts_report(descriptor, CA_REPORT_TEXT)); });
  EXPECT_THAT(after, HasSubstr("\n  chi\"ld ")) << "nobody has the lock of the tree";
  for (const ca_context one : many) EXPECT_EQ(ca_context_destroy(one), CA_CONTEXT_DONE);
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

unsigned Threads() {
  unsigned count = 0;
  ca_threads_visit(
      [](void *argument, const ca_thread_counts *) { ++*static_cast<unsigned *>(argument); },
      &count);
  return count;
}

void Free(void *block) { ca_switchable_deallocate(block); }

// The change that `body` makes.
template <typename Body>
ca_contexts_counts Change(Body body) {
  const ca_contexts_counts before = ca_contexts_count();
  body();
  ca_contexts_counts counts = ca_contexts_count();
  counts.created -= before.created;
  counts.destroyed -= before.destroyed;
  counts.foreign_frees -= before.foreign_frees;
  counts.past_allocations -= before.past_allocations;
  counts.past_deallocations -= before.past_deallocations;
  counts.past_taken_in -= before.past_taken_in;
  counts.past_refusals -= before.past_refusals;
  return counts;
}

TEST(ReportEverTest, CountsOfContextsOutliveThemAndTheirThreads) {
  const ca_contexts_counts counts = Change([] {
    for (int i = 0; i < 3; ++i) {
      std::thread([] {
        const ca_context context = Create("past");
        ca_context_swap_in(context);
        void *const mine = ca_switchable_allocate(100, 16).ptr;
        void *const foreign = ca_switchable_allocate(100, 16).ptr;
        EXPECT_EQ(ca_switchable_allocate(20000, 16).ptr, nullptr);
        Free(mine);
        std::thread(Free, foreign).join();
        ca_context_swap_out();
        ca_context_swap_in(context);
        ca_context_reset(context);
        ca_switchable_allocate(100, 16);
        ca_context_swap_out();
        ca_context_destroy(context);
      }).join();
    }
  });
  EXPECT_EQ(counts.created, 3U);
  EXPECT_EQ(counts.destroyed, 3U);
  EXPECT_EQ(counts.foreign_frees, 3U);
  EXPECT_EQ(counts.past_allocations, 9U);
  EXPECT_EQ(counts.past_deallocations, 6U);
  EXPECT_EQ(counts.past_taken_in, 3U);
  EXPECT_EQ(counts.past_refusals, 3U);
  EXPECT_EQ(counts.live, 0U);
}

TEST(ReportEverTest, AnOrphansBlocksAreCountedAsTheyAreFreed) {
  std::vector<void *> blocks;
  const ca_contexts_counts counts = Change([&blocks] {
    ca_context_settings settings{};
    settings.on_destroy = CA_CONTEXT_ORPHAN;
    const ca_context context = ca_context_create(&settings);
    ca_context_swap_in(context);
    for (int i = 0; i < 5; ++i) blocks.push_back(ca_switchable_allocate(100, 16).ptr);
    ca_context_swap_out();
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
    EXPECT_EQ(ca_contexts_count().live, 5U);
    for (int i = 0; i < 4; ++i) Free(blocks[static_cast<std::size_t>(i)]);
    EXPECT_EQ(ca_contexts_count().live, 1U);
    EXPECT_EQ(ca_contexts_count().taken_in, 4U);
    Free(blocks[4]);
  });
  EXPECT_EQ(counts.contexts, 0U);
  EXPECT_EQ(counts.foreign_frees, 5U);
  EXPECT_EQ(counts.past_allocations, 5U);
  EXPECT_EQ(counts.past_deallocations, 5U);
  EXPECT_EQ(counts.past_taken_in, 5U);
}

TEST(ReportEverTest, TwoThreadsAtOnceHaveCountsAndHeapsOfTheirOwn) {
  struct Seen {
    std::vector<ca_thread_counts> threads;
  } seen;
  std::thread([&seen] {
    ASSERT_TRUE(ca_switchable_thread_init(nullptr));
    ASSERT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    void *const block = ca_switchable_allocate(100, 16).ptr;
    std::thread([&seen, block] {
      Free(block);
      ca_threads_visit(
          [](void *argument, const ca_thread_counts *counts) {
            static_cast<Seen *>(argument)->threads.push_back(*counts);
          },
          &seen);
    }).join();
  }).join();
  unsigned with_heap = 0;
  unsigned freed = 0;
  for (const ca_thread_counts &counts : seen.threads) {
    with_heap += counts.heap.allocations == 1 && counts.created == 1 && counts.foreign_frees == 0;
    freed += counts.foreign_frees == 1 && counts.heap.slot_size == 0 && counts.created == 0;
  }
  EXPECT_EQ(with_heap, 1U);
  EXPECT_EQ(freed, 1U);
  EXPECT_EQ(Threads() + 2, seen.threads.size());
}

// The library's key of thread-specific data is older than this one: in the last of the rounds in which
// destructors are called, nothing comes after this.
TEST(ReportEverTest, AThreadWhoseLastDestructorUsesContextsIsNotShownAfterItsEnd) {
  const ca_context context = Create("last");
  AllocateIn(context, 1);
  static pthread_key_t key;
  ASSERT_EQ(pthread_key_create(&key,
                               [](void *argument) {
                                 AllocateIn(*static_cast<const ca_context *>(argument), 1);
                                 EXPECT_EQ(pthread_setspecific(key, argument), 0);
                               }),
            0);
  const unsigned before = Threads();
  std::thread([&context] {
    AllocateIn(context, 1);
    EXPECT_EQ(pthread_setspecific(key, &context), 0);
  }).join();
  EXPECT_EQ(Threads(), before);
  AllocateIn(context, 1);  // After what the destructor did, also for the thread sanitizer.
  EXPECT_GE(ca_context_count(context).allocations, 4U) << "the destructor was called";
  EXPECT_EQ(pthread_key_delete(key), 0);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(ReportEverTest, BytesInQuarantineAreCounted) {
  ca_context_settings settings{};
  settings.budget = 20000;
  settings.on_destroy = CA_CONTEXT_QUARANTINE;
  const ca_context context = ca_context_create(&settings);
  const std::size_t slot = ca_context_count(context).slot_size;
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  EXPECT_EQ(ca_contexts_count().quarantined, 1U);
  EXPECT_EQ(ca_contexts_count().quarantined_bytes, slot);
  EXPECT_TRUE(ca_quarantine_set_capacity(0));
  EXPECT_EQ(ca_contexts_count().quarantined_bytes, 0U);
  EXPECT_TRUE(ca_quarantine_set_capacity(CA_QUARANTINE_DEFAULT));
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
