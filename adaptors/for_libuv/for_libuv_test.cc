#include "adaptors/for_libuv/for_libuv.h"

#include <gtest/gtest.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "adaptors/testing/witness.h"

namespace {

// The library is set up once per process and never torn down before its end.
ca_testing::Witness &TheWitness() {
  static auto *const witness = new ca_testing::Witness;
  return *witness;
}

class Library : public testing::Environment {
  void SetUp() override {
    ASSERT_TRUE(ca_for_libuv_init(TheWitness().get()));
    ASSERT_EQ(uv_replace_allocator(ca_for_libuv_malloc, ca_for_libuv_realloc, ca_for_libuv_calloc,
                                   ca_for_libuv_free),
              0);
  }
  void TearDown() override {
    uv_library_shutdown();
    EXPECT_EQ(TheWitness().live_blocks(), 0U);
  }
};

testing::Environment *const kLibrary = testing::AddGlobalTestEnvironment(new Library);

// Each job starts something on a loop and checks what came of it once the loop has run.
struct Job {
  const char *name;
  int (*start)(uv_loop_t *loop);
};

int done;

int Timers(uv_loop_t *loop) {
  static uv_timer_t timers[50];
  int status = 0;
  for (uv_timer_t &timer : timers) {
    status |= uv_timer_init(loop, &timer);
    status |= uv_timer_start(
        &timer,
        [](uv_timer_t *fired) {
          ++done;
          uv_close(reinterpret_cast<uv_handle_t *>(fired), nullptr);
        },
        0, 0);
  }
  return status;
}

int WorkOnThreads(uv_loop_t *loop) {
  static uv_work_t work[20];
  for (uv_work_t &item : work) {
    const int status = uv_queue_work(
        loop, &item, [](uv_work_t *) { uv_os_setenv("CA_FOR_LIBUV", "1"); },
        [](uv_work_t *, int) { ++done; });
    if (status != 0) return status;
  }
  return 0;
}

int ListAFolder(uv_loop_t *loop) {
  static uv_fs_t request;
  return uv_fs_scandir(loop, &request, "/", 0, [](uv_fs_t *finished) {
    uv_dirent_t entry;
    while (uv_fs_scandir_next(finished, &entry) != UV_EOF) ++done;
    uv_fs_req_cleanup(finished);
  });
}

int ResolveAnAddress(uv_loop_t *loop) {
  static uv_getaddrinfo_t request;
  static addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST;
  return uv_getaddrinfo(
      loop, &request,
      [](uv_getaddrinfo_t *, int status, addrinfo *found) {
        done += status == 0;
        uv_freeaddrinfo(found);
      },
      "127.0.0.1", nullptr, &hints);
}

const Job kJobs[] = {
    {"Timers", Timers},
    {"WorkOnThreads", WorkOnThreads},
    {"ListAFolder", ListAFolder},
    {"ResolveAnAddress", ResolveAnAddress},
};

class ForLibuvTest : public testing::TestWithParam<Job> {};

TEST_P(ForLibuvTest, LoopsLiveInTheAllocatorAndGiveAllOfItBack) {
  uv_loop_t loop;
  const std::size_t before = TheWitness().live_blocks();
  const std::size_t requests = TheWitness().requests;
  ASSERT_EQ(uv_loop_init(&loop), 0);
  EXPECT_GT(TheWitness().live_blocks(), before);
  done = 0;
  ASSERT_EQ(GetParam().start(&loop), 0);
  EXPECT_EQ(uv_run(&loop, UV_RUN_DEFAULT), 0);
  EXPECT_GT(done, 0);
  EXPECT_EQ(uv_loop_close(&loop), 0);
  EXPECT_EQ(TheWitness().live_blocks(), before);
  EXPECT_GT(TheWitness().requests, requests);
}

INSTANTIATE_TEST_SUITE_P(Jobs, ForLibuvTest, testing::ValuesIn(kJobs),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(ForLibuvTest, WhereMemoryEndsARequestIsRefused) {
  uv_loop_t loop;
  ASSERT_EQ(uv_loop_init(&loop), 0);
  const std::size_t before = TheWitness().live_blocks();
  TheWitness().refuse_from = 0;
  uv_fs_t request;
  EXPECT_EQ(uv_fs_stat(&loop, &request, "/", [](uv_fs_t *) {}), UV_ENOMEM);
  addrinfo hints = {};
  uv_getaddrinfo_t lookup;
  EXPECT_EQ(uv_getaddrinfo(&loop, &lookup, nullptr, "127.0.0.1", nullptr, &hints), UV_ENOMEM);
  TheWitness().refuse_from = SIZE_MAX;
  EXPECT_EQ(TheWitness().live_blocks(), before);
  EXPECT_EQ(uv_loop_close(&loop), 0);
}

// By the functions alone: libuv itself aborts where its table of watchers can't grow.
TEST(ForLibuvTest, EachRequestRefusedInTurnLosesNothing) {
  const std::size_t runs = ca_testing::RefuseEachRequest(TheWitness(), [] {
    void *const block = ca_for_libuv_malloc(100);
    void *const zeros = ca_for_libuv_calloc(10, 10);
    void *const moved = ca_for_libuv_realloc(block, 200);
    const bool all = block != nullptr && zeros != nullptr && moved != nullptr;
    ca_for_libuv_free(moved != nullptr ? moved : block);
    ca_for_libuv_free(zeros);
    return all;
  });
  EXPECT_EQ(runs, 3U);
}

TEST(ForLibuvTest, NoAllocatorIsNotChosen) {
  EXPECT_FALSE(ca_for_libuv_init(nullptr));
  void *const block = ca_for_libuv_malloc(10);
  EXPECT_TRUE(TheWitness().Owns(block)) << "the one before stays";
  ca_for_libuv_free(block);
}

TEST(ForLibuvTest, BlocksHaveTheSizeAskedAndCallocZeroes) {
  const std::size_t before = TheWitness().live_bytes();
  void *block = ca_for_libuv_malloc(100);
  EXPECT_EQ(TheWitness().live_bytes(), before + 100);
  block = ca_for_libuv_realloc(block, 50);
  EXPECT_EQ(TheWitness().live_bytes(), before + 50);
  ca_for_libuv_free(block);
  auto *const bytes = static_cast<char *>(ca_for_libuv_calloc(30, 5));
  EXPECT_EQ(TheWitness().live_bytes(), before + 150);
  for (int i = 0; i < 150; ++i) EXPECT_EQ(bytes[i], 0) << i;
  ca_for_libuv_free(bytes);
}

}  // namespace
