// What the C library and the dynamic linker allocate for themselves inside a context outlives it; what
// they hand to their caller is the context's.
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "switchable/context.h"

namespace {

// Blocks that the context was asked for while `work` ran in it.
uint64_t AllocatedInContext(const std::function<void()> &work) {
  const ca_context context = ca_context_create(nullptr);
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  work();
  ca_context_swap_out();
  const uint64_t allocations = ca_context_count(context).allocations;
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  return allocations;
}

TEST(KeptByLibcTest, BuffersOfStreams) {
  std::FILE *const stream = std::fopen("/dev/null", "r+");
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(AllocatedInContext([&] { std::fputs("the first output", stream); }), 0U);
  std::FILE *const wide = std::fopen("/dev/null", "r+");
  EXPECT_EQ(AllocatedInContext([&] { std::fgetc(wide); }), 0U);
  std::fclose(wide);
  std::fclose(stream);
}

TEST(KeptByLibcTest, FunctionsToCallAtExit) {
  EXPECT_EQ(AllocatedInContext([] {
              for (int i = 0; i < 100; ++i) std::atexit([] {});
            }),
            0U);
}

struct AtThreadExit {
  ~AtThreadExit() { destroyed = true; }
  bool used = false;
  static bool destroyed;
};
bool AtThreadExit::destroyed = false;
thread_local AtThreadExit at_thread_exit;

void *UseInContext(void *allocations) {
  *static_cast<uint64_t *>(allocations) = AllocatedInContext([] { at_thread_exit.used = true; });
  return nullptr;
}

TEST(KeptByLibcTest, DestructorsOfThreadLocalObjects) {
  pthread_t thread;
  uint64_t allocations = 1;
  ASSERT_EQ(pthread_create(&thread, nullptr, UseInContext, &allocations), 0);
  pthread_join(thread, nullptr);
  EXPECT_EQ(allocations, 0U);
  EXPECT_TRUE(AtThreadExit::destroyed);
}

TEST(KeptByLibcTest, TablesOfThreadSpecificData) {
  pthread_key_t keys[200];
  for (pthread_key_t &key : keys) ASSERT_EQ(pthread_key_create(&key, nullptr), 0);
  EXPECT_EQ(AllocatedInContext([&] {
              for (const pthread_key_t key : keys) pthread_setspecific(key, &keys);
            }),
            0U);
  for (const pthread_key_t key : keys) pthread_key_delete(key);
}

// The dynamic linker's part of a thread, which glibc keeps with its stack for the next one.
TEST(KeptByLibcTest, ThreadsMadeInAContext) {
  pthread_attr_t large;  // So that no stack of an earlier thread is used again.
  ASSERT_EQ(pthread_attr_init(&large), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&large, std::size_t{64} << 20), 0);
  EXPECT_EQ(AllocatedInContext([&] {
              pthread_t thread;
              void *(*const run)(void *) = [](void *argument) { return argument; };
              ASSERT_EQ(pthread_create(&thread, &large, run, nullptr), 0);
              pthread_join(thread, nullptr);
            }),
            0U);
  pthread_attr_destroy(&large);
}

TEST(KeptByLibcTest, WhatIsHandedToTheCallerIsTheContexts) {
  void *volatile block;
  EXPECT_EQ(AllocatedInContext([&] { block = strdup("a request's"); }), 1U);
  EXPECT_GE(AllocatedInContext([] {
              char *text = nullptr;
              EXPECT_GT(asprintf(&text, "%2000d", 1), 0);
            }),
            1U);
  EXPECT_EQ(AllocatedInContext([&] { block = malloc(5000); }), 1U);
  EXPECT_EQ(AllocatedInContext([&] { block = calloc(5, 1000); }), 1U);
}

}  // namespace
