// libuv's callbacks, each in the memory of its connection: a timer, a pipe read in pieces, work on a
// thread of libuv's pool, and the end of each.
#include "switchable/coroutine/callback.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <uv.h>

#include <cstring>
#include <thread>

#include "switchable/coroutine/testing.h"

namespace {

using ca_testing::IsOf;

struct Connection {
  Connection() {
    const ca_coroutine_settings settings = {context, CA_CARRY_ERRNO, nullptr, 0};
    ca_coroutine_init(&coroutine, &settings);
    timer.data = pipe.data = work.data = this;
  }
  ~Connection() {
    ca_coroutine_destroy(&coroutine);
    (void)ca_context_destroy(context);
  }
  ca_context context = ca_context_create(nullptr);
  ca_coroutine coroutine;
  uv_timer_t timer;
  uv_pipe_t pipe;
  uv_work_t work;
  int runs = 0;
  int own = 0;
  int refused = 0;
  std::size_t bytes = 0;
  bool on_another_thread = false;
  std::thread::id loop_thread = std::this_thread::get_id();

  // A callback's doings: allocates, and sees whose memory it gets.
  void Run() {
    runs++;
    own += IsOf(context, ca_switchable_allocate(32, 16).ptr);
  }
};

template <typename Handle>
Connection *ConnectionOf(Handle *handle) {
  return static_cast<Connection *>(handle->data);
}
template <typename Handle>
ca_coroutine *Of(Handle *handle) {
  return &ConnectionOf(handle)->coroutine;
}

void OnTimer(uv_timer_t *timer) {
  ConnectionOf(timer)->Run();
  if (ConnectionOf(timer)->runs == 3) uv_timer_stop(timer);
}
void OnTimerRefused(uv_timer_t *timer) {
  ConnectionOf(timer)->refused++;
  uv_timer_stop(timer);
}
void OnAlloc(uv_handle_t *handle, std::size_t, uv_buf_t *buffer) {
  const ca_block block = ca_switchable_allocate(8, 1);  // Small, for several reads.
  ConnectionOf(handle)->own += IsOf(ConnectionOf(handle)->context, block.ptr);
  *buffer = uv_buf_init(static_cast<char *>(block.ptr), 8);
}
void OnRead(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  ConnectionOf(stream)->runs++;
  if (count > 0) ConnectionOf(stream)->bytes += static_cast<std::size_t>(count);
  if (count < 0) uv_close(reinterpret_cast<uv_handle_t *>(stream), nullptr);
  ca_switchable_deallocate(buffer->base);
}
void OnWork(uv_work_t *work) {
  ConnectionOf(work)->Run();
  ConnectionOf(work)->on_another_thread =
      std::this_thread::get_id() != ConnectionOf(work)->loop_thread;
}
void AfterWork(uv_work_t *work, int) { ConnectionOf(work)->Run(); }

class CallbackTest : public testing::Test {
 protected:
  CallbackTest() { uv_loop_init(&loop_); }
  ~CallbackTest() override {
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0);
    EXPECT_TRUE(ca_context_is_none(ca_switchable_save().coroutine));
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  }
  void Close(uv_timer_t *timer) {
    uv_close(reinterpret_cast<uv_handle_t *>(timer), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
  }
  uv_loop_t loop_;
};

TEST_F(CallbackTest, TimersOfTwoConnectionsAreServedByTheirOwn) {
  Connection two[2];
  for (Connection &one : two) {
    uv_timer_init(&loop_, &one.timer);
    uv_timer_start(&one.timer, ca::within<OnTimer, Of<uv_timer_t>>, 0, 1);
  }
  uv_run(&loop_, UV_RUN_DEFAULT);
  for (Connection &one : two) {
    EXPECT_EQ(one.runs, 3);
    EXPECT_EQ(one.own, 3);
    Close(&one.timer);
  }
}

TEST_F(CallbackTest, BuffersForReadingComeFromTheConnection) {
  Connection one;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "twenty bytes of text", 20), 20);
  close(ends[1]);
  uv_pipe_init(&loop_, &one.pipe, 0);
  uv_pipe_open(&one.pipe, ends[0]);
  uv_read_start(reinterpret_cast<uv_stream_t *>(&one.pipe), ca::within<OnAlloc, Of<uv_handle_t>>,
                ca::within<OnRead, Of<uv_stream_t>>);
  uv_run(&loop_, UV_RUN_DEFAULT);
  EXPECT_EQ(one.bytes, 20u);
  EXPECT_EQ(one.own, 3);  // A buffer for each piece; the end may come without one.
  EXPECT_EQ(one.runs, 4);
  EXPECT_EQ(ca_context_count(one.context).allocations, ca_context_count(one.context).deallocations);
}

TEST_F(CallbackTest, WorkOnAThreadOfThePoolIsServedByTheConnectionToo) {
  Connection one;
  uv_queue_work(&loop_, &one.work, ca::within<OnWork, Of<uv_work_t>>,
                ca::within<AfterWork, Of<uv_work_t>>);
  uv_run(&loop_, UV_RUN_DEFAULT);
  EXPECT_TRUE(one.on_another_thread);
  EXPECT_EQ(one.runs, 2);
  EXPECT_EQ(one.own, 2);
}

TEST_F(CallbackTest, AConnectionWhoseContextIsGoneIsToldSo) {
  Connection with;
  Connection without;
  for (Connection *one : {&with, &without}) {
    uv_timer_init(&loop_, &one->timer);
    ASSERT_EQ(ca_context_destroy(one->context), CA_CONTEXT_DONE);
  }
  uv_timer_start(&with.timer, ca::within<OnTimer, Of<uv_timer_t>, OnTimerRefused>, 0, 1);
  uv_timer_start(&without.timer, ca::within<OnTimer, Of<uv_timer_t>>, 0, 0);
  uv_run(&loop_, UV_RUN_DEFAULT);
  EXPECT_EQ(with.refused, 1);
  EXPECT_EQ(with.runs + without.runs, 0);
  Close(&with.timer);
  Close(&without.timer);
}

int Add(int *to, int what) { return *to + what; }
ca_coroutine *OfNumber(int *) {
  static ca_coroutine gone;  // All-zero: the global allocator serves it.
  return &gone;
}

TEST_F(CallbackTest, ResultsAndArgumentsGoThrough) {
  int three = 3;
  EXPECT_EQ((ca::within<Add, OfNumber>(&three, 4)), 7);
}

}  // namespace
