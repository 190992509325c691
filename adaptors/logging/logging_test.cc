#include "adaptors/logging/logging.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "allocators/bump/bump.h"
#include "allocators/testing/allocator_model.h"

namespace {

static_assert(sizeof(ca_logging_header) == 64, "");
static_assert(sizeof(ca_logging_event) == 16, "");

// Serves every size with the same block, or with what is only an address.
struct AnySize {
  ca_allocator base = {&kOps};  // First.
  alignas(16) char block[16] = {};
  void *serves = block;
  static ca_block Allocate(ca_allocator *base, std::size_t size, std::size_t) {
    return ca_block_make(reinterpret_cast<AnySize *>(base)->serves, size);
  }
  static void Deallocate(ca_allocator *, void *, std::size_t, std::size_t) {}
  static ca_block Grow(ca_allocator *base, void *, std::size_t, std::size_t size, std::size_t,
                       ca_move) {
    return ca_block_make(reinterpret_cast<AnySize *>(base)->serves, size);
  }
  static constexpr ca_allocator_ops kOps = {Allocate, Deallocate, Grow,    nullptr,   nullptr,
                                            nullptr,  nullptr,    nullptr, "any size"};
};

class LoggingTest : public testing::Test {
 protected:
  LoggingTest() {
    ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), CA_SIZES_RECORDED);
    Init(sizeof table_);
  }
  ~LoggingTest() override {
    ca_logging_finish(&logging_);
    std::fclose(file_);
    ca_bump_destroy(&bump_);
  }
  void Init(std::size_t size, std::size_t buffer = 0) {
    EXPECT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_), table_,
                                      size, buffer));
  }
  ca_allocator *allocator() { return ca_logging_allocator(&logging_); }
  ca_block Allocate(std::size_t size, std::size_t align = 16) {
    return ca_allocate(allocator(), size, align);
  }

  // What the file holds.
  ca_logging_header Header() {
    ca_logging_header header = {};
    EXPECT_EQ(pread(fileno(file_), &header, sizeof header, 0), 64);
    return header;
  }
  std::vector<ca_logging_event> Events() {
    const std::size_t count = Header().events;
    std::vector<ca_logging_event> events(count + 1);  // Is there more in the file?
    EXPECT_EQ(pread(fileno(file_), events.data(), (count + 1) * sizeof events[0], 64),
              static_cast<ssize_t>(count * sizeof events[0]));
    events.resize(count);
    return events;
  }
  static void ExpectEvent(const ca_logging_event &event, int op, int align_log2, unsigned id,
                          unsigned old_id, unsigned size) {
    EXPECT_EQ(event.op, op);
    EXPECT_EQ(event.align_log2, align_log2);
    EXPECT_EQ(event.id, id);
    EXPECT_EQ(event.old_id, old_id);
    EXPECT_EQ(event.size, size);
  }

  // Every number lives from where it is made to where it ends, once; and the header says so. All
  // blocks have been freed.
  void ExpectWhole() {
    std::map<std::uint32_t, std::uint32_t> live;
    std::uint32_t next = 1;
    std::uint64_t bytes = 0, peak = 0, total = 0;
    for (const ca_logging_event &event : Events()) {
      if (event.op == 4 || event.op == 3) {
        const auto it = live.find(event.op == 4 ? event.id : event.old_id);
        ASSERT_NE(it, live.end());
        bytes -= it->second;
        live.erase(it);
      }
      if (event.op == 4) continue;
      ASSERT_EQ(event.id, next++);
      live[event.id] = event.size;
      bytes += event.size;
      total += event.size;
      if (bytes > peak) peak = bytes;
    }
    EXPECT_TRUE(live.empty());
    EXPECT_EQ(Header().ids, next);
    EXPECT_EQ(Header().peak_live, peak);
    EXPECT_EQ(Header().total_bytes, total);
    EXPECT_EQ(logging_.events.left_out, 0U);
  }
  void Model(unsigned seed, int rounds);
  // Calls that fill the rest of the piece.
  void FillPiece() {
    for (std::ptrdiff_t i = logging_.end - logging_.next; i > 0; --i) Allocate(1);
  }

  alignas(16) char memory_[1 << 18];
  alignas(16) char table_[1 << 15];
  std::FILE *file_ = std::tmpfile();
  ca_bump bump_;
  ca_logging logging_;
};

TEST_F(LoggingTest, WritesEachCallInOrder) {
  const ca_block one = Allocate(100);
  const ca_block two = Allocate(7, 8);
  const ca_block three = Allocate(50, 64);
  ca_deallocate(allocator(), one.ptr, 100, 16);
  ca_block four = ca_grow(allocator(), three.ptr, 50, 60, 64, CA_MOVE_NEVER);
  four = ca_shrink(allocator(), four.ptr, 60, 10, 64, CA_MOVE_NEVER);
  allocator()->ops->deallocate_unsized(allocator(), two.ptr);
  EXPECT_TRUE(ca_logging_finish(&logging_));
  const std::vector<ca_logging_event> events = Events();
  ASSERT_EQ(events.size(), 7U);
  ExpectEvent(events[0], 0, 0, 1, 0, 100);
  ExpectEvent(events[1], 0, 0, 2, 0, 7);
  ExpectEvent(events[2], 2, 6, 3, 0, 50);
  ExpectEvent(events[3], 4, 0, 1, 0, 0);
  ExpectEvent(events[4], 3, 0, 4, 3, 60);
  ExpectEvent(events[5], 3, 0, 5, 4, 10);
  ExpectEvent(events[6], 4, 0, 2, 0, 0);
  const ca_logging_header header = Header();
  EXPECT_EQ(std::memcmp(header.magic, "CATRACE1", 8), 0);
  EXPECT_EQ(header.events, 7U);
  EXPECT_EQ(header.ids, 6U);
  EXPECT_EQ(header.peak_live, 157U);
  EXPECT_EQ(header.total_bytes, 227U);
  EXPECT_EQ(header.peak_objects, 3U);
  EXPECT_EQ(header.threads, 1U);
  EXPECT_EQ(header.reserved, 0U);
}

TEST_F(LoggingTest, WritesNothingAboutRefusals) {
  const ca_block block = Allocate(100);
  EXPECT_TRUE(ca_block_is_none(Allocate(1 << 20)));
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 100, 1 << 20, 16, CA_MOVE_ALLOWED)));
  EXPECT_TRUE(ca_logging_flush(&logging_));
  EXPECT_EQ(Events().size(), 1U);
}

TEST_F(LoggingTest, NamesTheThread) {
  Allocate(1);
  ca_logging_set_thread(&logging_, 1);
  ca_logging_flush(&logging_);
  EXPECT_EQ(Header().threads, 2U) << "also one that made no call";
  ca_logging_set_thread(&logging_, 5);
  Allocate(1);
  ca_logging_set_thread(&logging_, 2);
  Allocate(1);
  const ca_logging_record *const next = logging_.next;
  ca_logging_set_thread(&logging_, 2);
  EXPECT_EQ(logging_.next, next) << "nothing new";
  ca_logging_flush(&logging_);
  EXPECT_EQ(Events()[0].thread, 0);
  EXPECT_EQ(Events()[1].thread, 5);
  EXPECT_EQ(Events()[2].thread, 2);
  EXPECT_EQ(Header().threads, 6U);
  ca_logging_finish(&logging_);
  ca_logging_set_thread(&logging_, 7);
  EXPECT_EQ(Header().threads, 6U) << "harmless afterwards";
}

TEST_F(LoggingTest, AFlushLeavesAWholeTraceAndLoggingGoesOn) {
  Allocate(10);
  EXPECT_TRUE(ca_logging_flush(&logging_));
  EXPECT_EQ(Events().size(), 1U);
  Allocate(20);
  EXPECT_EQ(Header().events, 1U);
  EXPECT_TRUE(ca_logging_flush(&logging_));
  ASSERT_EQ(Events().size(), 2U);
  ExpectEvent(Events()[1], 0, 0, 2, 0, 20);
}

TEST_F(LoggingTest, AFullBufferIsWritten) {
  Init(CA_LOGGING_MEMORY_MIN);
  for (int i = 0; i < 100; ++i) {
    const ca_block block = Allocate(10);
    ca_deallocate(allocator(), block.ptr, 10, 16);
  }
  EXPECT_GT(Header().events, 150U);
  ca_logging_finish(&logging_);
  EXPECT_EQ(Events().size(), 200U);
  EXPECT_EQ(Header().ids, 101U);
}

// Whichever call finds the buffer full, it isn't lost, and a resize's two halves stay together.
TEST_F(LoggingTest, EveryKindOfCallFindsRoomInAFullBuffer) {
  const auto fill = [this] {
    ca_logging_flush(&logging_);
    while (logging_.end - logging_.next > 0) {
      const ca_block block = Allocate(1);
      if (logging_.end - logging_.next > 0) ca_deallocate(allocator(), block.ptr, 1, 16);
    }
  };
  Init(CA_LOGGING_MEMORY_MIN);
  const ca_block kept = Allocate(100), other = Allocate(100, 64), third = Allocate(100);
  std::size_t made = 0;
  const auto last = [this, &made] {
    ca_logging_flush(&logging_);
    const std::vector<ca_logging_event> events = Events();
    EXPECT_GT(events.size(), made);
    made = events.size();
    return events.back();
  };
  fill();
  ca_block block = Allocate(77);
  EXPECT_EQ(last().size, 77U);
  fill();
  EXPECT_FALSE(ca_block_is_none(Allocate(78, 64)));
  EXPECT_EQ(last().op, 2);
  fill();
  block = Allocate(79);
  fill();
  EXPECT_FALSE(ca_block_is_none(ca_shrink(allocator(), block.ptr, 79, 70, 16, CA_MOVE_NEVER)));
  const ca_logging_event shrunk = last();
  EXPECT_EQ(shrunk.op, 3);
  EXPECT_EQ(shrunk.size, 70U);
  fill();
  ca_deallocate(allocator(), kept.ptr, 100, 16);
  EXPECT_EQ(last().id, 1U);
  fill();
  allocator()->ops->deallocate_unsized(allocator(), other.ptr);
  EXPECT_EQ(last().id, 2U);
  fill();
  EXPECT_EQ(ca_deallocate_recorded(allocator(), third.ptr, 100), third.size);
  EXPECT_EQ(last().id, 3U);
  EXPECT_EQ(logging_.events.left_out, 0U);
}

TEST_F(LoggingTest, SizesBeyondFourGigabytesAreWrittenAsTheLargest) {
  AnySize any;
  ASSERT_TRUE(ca_logging_init_alone(&logging_, &any.base, fileno(file_), table_, sizeof table_, 0));
  Allocate(std::size_t{5} << 32);
  ca_logging_flush(&logging_);
  EXPECT_EQ(Events()[0].size, UINT32_MAX);
}

// Whatever doesn't fit into the record of a usual call: also where that is in two pieces.
TEST_F(LoggingTest, EveryPointerSizeAndAlignmentIsWritten) {
  AnySize any;
  const std::uintptr_t pointers[] = {1, 8, 15, 16, 1UL << 46, 1UL << 47, 1UL << 63, UINTPTR_MAX};
  const std::size_t sizes[] = {1, 2, 2097150, 2097151, 2097152, UINT32_MAX, SIZE_MAX};
  for (const std::size_t buffer : {128, 0}) {
    ASSERT_TRUE(
        ca_logging_init_alone(&logging_, &any.base, fileno(file_), table_, sizeof table_, buffer));
    std::size_t at = 0;
    unsigned id = 0;
    for (const std::uintptr_t pointer : pointers) {
      for (const std::size_t size : sizes) {
        for (const int align_log2 : {0, 4, 5, 63}) {
          SCOPED_TRACE(testing::Message() << pointer << ' ' << size << ' ' << align_log2);
          any.serves = reinterpret_cast<void *>(pointer);
          void *const ptr = Allocate(size, std::size_t{1} << align_log2).ptr;
          any.serves = reinterpret_cast<void *>(~pointer | 32);
          void *const grown = ca_grow(allocator(), ptr, 1, size, 1, CA_MOVE_ALLOWED).ptr;
          ca_deallocate(allocator(), grown, size, 1);
          ASSERT_TRUE(ca_logging_flush(&logging_));
          const std::vector<ca_logging_event> events = Events();
          ASSERT_EQ(events.size(), at + 3);
          const bool is_aligned = align_log2 > 4;
          const auto shown = static_cast<unsigned>(size < UINT32_MAX ? size : UINT32_MAX);
          ExpectEvent(events[at], is_aligned ? 2 : 0, is_aligned ? align_log2 : 0, id + 1, 0,
                      shown);
          ExpectEvent(events[at + 1], 3, 0, id + 2, id + 1, shown);
          ExpectEvent(events[at + 2], 4, 0, id + 2, 0, 0);
          at += 3;
          id += 2;
        }
      }
    }
    EXPECT_EQ(logging_.events.live, 0U);
    ASSERT_EQ(ftruncate(fileno(file_), 0), 0);
  }
}

TEST_F(LoggingTest, AUsualCallTakesOneRecord) {
  const ca_logging_record *const begin = logging_.next;
  EXPECT_TRUE(ca_block_is_none(Allocate(2097150)));
  EXPECT_EQ(logging_.next, begin) << "and a refusal none";
  const ca_block other = Allocate(100);
  EXPECT_EQ(logging_.next, begin + 1);
  ca_deallocate(allocator(), other.ptr, 100, 16);
  EXPECT_EQ(logging_.next, begin + 2);
  AnySize any;
  ASSERT_TRUE(ca_logging_init_alone(&logging_, &any.base, fileno(file_), table_, sizeof table_, 0));
  for (const std::size_t size : {1, 2097150}) {
    const ca_logging_record *const next = logging_.next;
    Allocate(size);
    EXPECT_EQ(logging_.next, next + 1);
  }
}

// What is below may call back, as adaptors/retry does.
struct Ending {
  ca_allocator base = {&kOps};  // First.
  ca_logging *logging;
  char block[16] = {};
  static ca_block Allocate(ca_allocator *base, std::size_t size, std::size_t) {
    auto *self = reinterpret_cast<Ending *>(base);
    ca_logging_finish(self->logging);
    return ca_block_make(self->block, size);
  }
  static constexpr ca_allocator_ops kOps = {Allocate, nullptr, nullptr, nullptr, nullptr,
                                            nullptr,  nullptr, nullptr, "ending"};
};

TEST_F(LoggingTest, ACallDuringWhichLoggingEndsIsLeftOut) {
  Ending ending;
  ending.logging = &logging_;
  ASSERT_TRUE(
      ca_logging_init_alone(&logging_, &ending.base, fileno(file_), table_, sizeof table_, 0));
  EXPECT_EQ(Allocate(10).ptr, ending.block);
  EXPECT_EQ(Header().events, 0U);
}

TEST_F(LoggingTest, AfterFinishCallsPassThrough) {
  const ca_block block = Allocate(10);
  EXPECT_TRUE(ca_logging_finish(&logging_));
  EXPECT_TRUE(ca_logging_finish(&logging_));
  EXPECT_FALSE(ca_block_is_none(Allocate(10)));
  ca_deallocate(allocator(), block.ptr, 10, 16);
  EXPECT_EQ(Events().size(), 1U);
  const ca_block unsized = Allocate(10);
  ASSERT_NE(allocator()->ops->deallocate_unsized, nullptr) << "what was offered still is";
  allocator()->ops->deallocate_unsized(allocator(), unsized.ptr);
  EXPECT_TRUE(allocator()->ops->owns(allocator(), unsized.ptr));
}

TEST_F(LoggingTest, BlocksFromBeforeAreLeftOut) {
  const ca_block before = ca_allocate(ca_bump_allocator(&bump_), 10, 16);
  ca_block grown = ca_grow(allocator(), before.ptr, 10, 20, 16, CA_MOVE_NEVER);
  ca_deallocate(allocator(), grown.ptr, 20, 16);
  ca_logging_finish(&logging_);
  EXPECT_EQ(Header().events, 0U);
}

TEST_F(LoggingTest, BlocksWithoutAnEntryAreLeftOutAndCounted) {
  Init(CA_LOGGING_MEMORY_MIN);
  std::vector<ca_block> blocks = {Allocate(10, 64)};
  while (blocks.size() < 60) blocks.push_back(Allocate(10));
  ca_logging_flush(&logging_);
  const std::uint64_t kept = 60 - logging_.events.left_out;
  EXPECT_EQ(kept, 28U) << "7/8 of 32 entries";
  for (const ca_block &block : blocks) {
    EXPECT_TRUE(allocator()->ops->check(allocator()));
    ca_deallocate(allocator(), block.ptr, 10, 16);
  }
  ca_logging_finish(&logging_);
  EXPECT_EQ(Header().events, 2 * kept);
  EXPECT_EQ(Header().peak_objects, kept);
  ExpectEvent(Events()[kept], 4, 0, 1, 0, 0);
}

TEST_F(LoggingTest, TheTableIsExactUnderRandomOperations) {
  std::mt19937 random(1);
  ca_testing::ModelLimits limits;
  limits.max_blocks = 40;
  ca_testing::AllocatorModel model(
      allocator(), [&random] { return static_cast<std::uint32_t>(random()); }, limits);
  for (int round = 0; round < 40; ++round) {
    for (int step = 0; step < 60; ++step) ASSERT_EQ(model.Step(), "");
    ca_logging_flush(&logging_);
    ASSERT_EQ(logging_.events.live, model.live_blocks());
    ASSERT_EQ(model.FreeAll(), "");
    ca_bump_reset(&bump_);
  }
  ca_logging_finish(&logging_);
  ExpectWhole();
}

TEST_F(LoggingTest, WritesOnlyCompletePiecesAndTheseInOrder) {
  EXPECT_FALSE(ca_logging_write(&logging_)) << "nothing was put down";
  FillPiece();
  EXPECT_FALSE(ca_logging_write(&logging_)) << "complete only when the next is begun";
  Allocate(77);
  errno = 4321;
  EXPECT_TRUE(ca_logging_write(&logging_));
  EXPECT_EQ(errno, 4321);
  EXPECT_EQ(Events().size(), logging_.piece_size);
  EXPECT_EQ(Header().ids, logging_.piece_size + 1);
  EXPECT_FALSE(ca_logging_write(&logging_));
  ca_logging_flush(&logging_);
  ASSERT_EQ(Events().size(), logging_.piece_size + 1);
  ExpectEvent(Events().back(), 0, 0, static_cast<unsigned>(logging_.piece_size) + 1, 0, 77);
}

TEST_F(LoggingTest, NoCallWaitsWhereSomeoneWritesInTime) {
  Init(CA_LOGGING_MEMORY_MIN);
  for (std::size_t i = 1; i <= 100; ++i) {
    const ca_block block = Allocate(i);
    ca_deallocate(allocator(), block.ptr, i, 16);
    EXPECT_TRUE(allocator()->ops->check(allocator()));
    ca_logging_write(&logging_);
  }
  EXPECT_EQ(logging_.full_waits, 0U);
  ca_logging_flush(&logging_);
  EXPECT_EQ(logging_.pieces * logging_.piece_size, 12U);
  for (int i = 0; i < 12; ++i) Allocate(1);
  EXPECT_EQ(logging_.full_waits, 0U);
  Allocate(1);
  EXPECT_EQ(logging_.full_waits, 1U) << "each piece was full";
  EXPECT_GE(Events().size(), 200U) << "so that one was written";
}

TEST_F(LoggingTest, TheBufferIsAsLargeAsAskedFor) {
  for (const std::size_t buffer : {128, 4096, 20000, 24576}) {
    Init(sizeof table_, buffer);
    const std::size_t holds = logging_.pieces * logging_.piece_size;
    const std::size_t with_events = holds * 8 + logging_.piece_size * 16;
    EXPECT_LE(with_events, buffer);
    EXPECT_GT(with_events + logging_.piece_size * 8, buffer);
    EXPECT_GE(logging_.pieces, 4U);
    std::size_t calls = 0;
    while (logging_.full_waits == 0) {
      Allocate(1);
      ++calls;
    }
    EXPECT_EQ(calls, holds + 1);
  }
}

TEST_F(LoggingTest, WithoutAChoiceAnEighthIsTheBuffer) {
  const std::size_t chosen = logging_.piece_size, pieces = logging_.pieces;
  Init(sizeof table_, sizeof table_ / 8);
  EXPECT_EQ(chosen, logging_.piece_size);
  EXPECT_EQ(pieces, logging_.pieces);
}

TEST_F(LoggingTest, ALargeBufferIsWrittenInParts) {
  std::vector<char> memory(16 << 20);
  ASSERT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_),
                                    memory.data(), memory.size(), 0));
  EXPECT_EQ(logging_.piece_size, 16384U);
  EXPECT_EQ(logging_.pieces, 6U) << "never more than 1 MiB without being told";
  for (int i = 0; i < 3 * 8192; ++i) {
    const ca_block block = Allocate(1);
    ca_deallocate(allocator(), block.ptr, 1, 16);
  }
  EXPECT_EQ(logging_.full_waits, 0U);
  EXPECT_TRUE(ca_logging_write(&logging_));
  EXPECT_EQ(Events().size(), 16384U);
  EXPECT_TRUE(ca_logging_write(&logging_));
  EXPECT_EQ(Events().size(), 2 * 16384U);
  EXPECT_FALSE(ca_logging_write(&logging_)) << "the third isn't complete";
  ca_logging_finish(&logging_);
  ExpectWhole();
}

TEST_F(LoggingTest, ABufferThatLeavesNoTableMeansNoLogging) {
  alignas(16) char memory[2048];
  EXPECT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_), memory,
                                    sizeof memory, sizeof memory - 512));
  EXPECT_FALSE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_), memory,
                                     sizeof memory, sizeof memory - 511));
  EXPECT_FALSE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_), memory,
                                     sizeof memory, SIZE_MAX));
  EXPECT_FALSE(ca_block_is_none(Allocate(10)));
  EXPECT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_), memory,
                                    sizeof memory, 1))
      << "as much as it needs";
}

TEST_F(LoggingTest, AResizeMayFallIntoTwoPieces) {
  for (const std::ptrdiff_t left : {1, 2}) {
    Init(sizeof table_);
    ca_bump_reset(&bump_);
    ca_block block = Allocate(50);
    while (logging_.end - logging_.next > left) Allocate(1);
    block = ca_shrink(allocator(), block.ptr, 50, 20, 16, CA_MOVE_NEVER);
    EXPECT_FALSE(ca_block_is_none(block));
    EXPECT_EQ(logging_.next - logging_.piece, 3 - left);
    EXPECT_TRUE(ca_logging_write(&logging_)) << "the one part,";
    EXPECT_EQ(Events().size(), logging_.piece_size - static_cast<std::size_t>(left));
    ca_deallocate(allocator(), block.ptr, 20, 16);
    ca_logging_flush(&logging_);  // and the other.
    const std::vector<ca_logging_event> events = Events();
    const auto last = static_cast<unsigned>(Header().ids) - 1;
    ExpectEvent(events[events.size() - 2], 3, 0, last, 1, 20);
    ExpectEvent(events.back(), 4, 0, last, 0, 0);
    ASSERT_EQ(ftruncate(fileno(file_), 0), 0);
  }
}

TEST_F(LoggingTest, AResetEndsEveryBlock) {
  Init(sizeof table_, 128);  // Pieces of two: more blocks than one takes.
  for (std::size_t i = 1; i <= 5; ++i) Allocate(i);
  ca_bump_reset(&bump_);
  EXPECT_TRUE(ca_logging_reset(&logging_));
  EXPECT_EQ(Events().size(), 10U);
  EXPECT_EQ(logging_.events.live, 0U);
  EXPECT_EQ(logging_.events.live_bytes, 0U);
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  const ca_block block = Allocate(6);  // Where the first block was.
  ca_deallocate(allocator(), block.ptr, 6, 16);
  ca_logging_finish(&logging_);
  ExpectWhole();
  EXPECT_TRUE(ca_logging_reset(&logging_)) << "harmless afterwards";
}

TEST_F(LoggingTest, AResetEndsABlockWhereverTheTableHasIt) {
  AnySize any;
  ASSERT_TRUE(
      ca_logging_init_alone(&logging_, &any.base, fileno(file_), table_, CA_LOGGING_MEMORY_MIN, 0));
  const auto entry_of = [this](std::uint64_t ptr) {  // As place_of() of logging_events.c has it.
    return ca_logging_key(reinterpret_cast<void *>(ptr)) * UINT64_C(0x4F1BBCDCBFB) >>
           logging_.events.shift;
  };
  for (std::size_t entry = 0; entry <= logging_.events.mask; ++entry) {
    std::uint64_t ptr = 16;
    while (entry_of(ptr) != entry) ptr += 16;
    any.serves = reinterpret_cast<void *>(ptr);
    Allocate(1);
    EXPECT_TRUE(ca_logging_reset(&logging_));
    EXPECT_EQ(Events().size(), 2 * (entry + 1));
    EXPECT_TRUE(ca_logging_events_check(&logging_.events));
  }
}

// With calls from one thread and ca_logging_write() from two, in whatever order they come.
TEST_F(LoggingTest, AnotherThreadMayWriteAtAnyTime) {
  for (const std::size_t buffer : {128, 1024, 16384}) {
    Init(sizeof table_, buffer);
    ca_bump_reset(&bump_);
    std::atomic<bool> done{false};
    const auto write = [&] {
      while (!done.load()) {
        if (!ca_logging_write(&logging_)) std::this_thread::yield();
      }
    };
    std::thread one(write), two(write);
    std::mt19937 random(1);
    ca_testing::ModelLimits limits;
    limits.max_blocks = 40;
    ca_testing::AllocatorModel model(
        allocator(), [&random] { return static_cast<std::uint32_t>(random()); }, limits);
    for (int round = 0; round < 40; ++round) {
      ca_logging_set_thread(&logging_, static_cast<std::uint16_t>(round));
      for (int step = 0; step < 60; ++step) EXPECT_EQ(model.Step(), "");
      EXPECT_EQ(model.FreeAll(), "");
      if (round % 10 == 0) EXPECT_TRUE(ca_logging_flush(&logging_));
      if (round % 10 == 5) EXPECT_TRUE(allocator()->ops->check(allocator()));
      ca_bump_reset(&bump_);
    }
    EXPECT_TRUE(ca_logging_finish(&logging_));
    done = true;
    one.join();
    two.join();
    ExpectWhole();
    EXPECT_EQ(Header().threads, 40U);
    ASSERT_EQ(ftruncate(fileno(file_), 0), 0);
  }
}

// The calls of a model, all blocks freed at the end.
void LoggingTest::Model(unsigned seed, int rounds) {
  std::mt19937 random(seed);
  ca_testing::ModelLimits limits;
  limits.max_blocks = 40;
  ca_testing::AllocatorModel model(
      allocator(), [&random] { return static_cast<std::uint32_t>(random()); }, limits);
  for (int round = 0; round < rounds; ++round) {
    for (int step = 0; step < 60; ++step) ASSERT_EQ(model.Step(), "");
    ASSERT_EQ(model.FreeAll(), "");
    ca_bump_reset(&bump_);
  }
}

TEST_F(LoggingTest, ItsWriterWritesTheSameTrace) {
  for (const std::size_t buffer : {128, 1024, 16384}) {
    std::vector<ca_logging_event> alone;
    for (const bool has_writer : {false, true}) {
      Init(sizeof table_, buffer);
      ca_bump_reset(&bump_);
      if (has_writer) ASSERT_EQ(ca_logging_start_writer(&logging_), 0);
      Model(1, 40);
      EXPECT_TRUE(allocator()->ops->check(allocator()));
      EXPECT_TRUE(ca_logging_finish(&logging_));
      ExpectWhole();
      std::vector<ca_logging_event> events = Events();
      if (!has_writer) {
        alone = events;
        continue;
      }
      ASSERT_EQ(events.size(), alone.size());
      EXPECT_EQ(std::memcmp(events.data(), alone.data(), alone.size() * sizeof alone[0]), 0);
      ASSERT_EQ(ftruncate(fileno(file_), 0), 0);
    }
  }
}

TEST_F(LoggingTest, ItsWriterIsWokenWhenTheBufferIsHalfFull) {
  ASSERT_EQ(ca_logging_start_writer(&logging_), 0);
  int round = 0;
  for (; round < 50 || logging_.wakes == 0; ++round) {  // It may look again just before.
    while (!__atomic_load_n(&logging_.asleep, __ATOMIC_ACQUIRE)) std::this_thread::yield();
    for (std::size_t i = 0; i < logging_.pieces / 2; ++i) {
      FillPiece();
      Allocate(1);  // Looks for room in the next one.
    }
    while (__atomic_load_n(&logging_.written, __ATOMIC_ACQUIRE) < logging_.filled) {
      std::this_thread::yield();
    }
    ca_bump_reset(&bump_);
  }
  EXPECT_EQ(logging_.full_waits, 0U);
  EXPECT_LE(logging_.wakes, static_cast<unsigned>(round)) << "not more than one a round";
  EXPECT_TRUE(ca_logging_finish(&logging_));
}

TEST_F(LoggingTest, ItsWriterIsStartedOnceAndOnlyWhileLogging) {
  EXPECT_EQ(ca_logging_start_writer(&logging_), 0);
  EXPECT_EQ(ca_logging_start_writer(&logging_), EALREADY);
  EXPECT_TRUE(ca_logging_finish(&logging_));
  EXPECT_TRUE(ca_logging_finish(&logging_));
  EXPECT_EQ(ca_logging_start_writer(&logging_), EINVAL);
  ca_logging nothing = {};
  EXPECT_EQ(ca_logging_start_writer(&nothing), EINVAL);
  Init(sizeof table_);
  EXPECT_EQ(ca_logging_start_writer(&logging_), 0) << "and again after another init";
}

TEST_F(LoggingTest, InitStartsItsWriter) {
  EXPECT_TRUE(ca_logging_init(&logging_, ca_bump_allocator(&bump_), fileno(file_), table_,
                              sizeof table_, 1024));
  EXPECT_TRUE(logging_.has_writer);
  EXPECT_EQ(ca_logging_start_writer(&logging_), EALREADY);
  Model(1, 10);
  while (__atomic_load_n(&logging_.written, __ATOMIC_ACQUIRE) < logging_.filled) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(ca_logging_finish(&logging_));
  EXPECT_FALSE(logging_.has_writer);
  ExpectWhole();
  EXPECT_FALSE(ca_logging_init(&logging_, ca_bump_allocator(&bump_), fileno(file_), table_,
                               CA_LOGGING_MEMORY_MIN - 1, 0));
  EXPECT_FALSE(logging_.has_writer);
}

TEST_F(LoggingTest, WhereNoThreadCanBeStartedTheCallsWrite) {
  pthread_attr_t before, endless;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  pthread_attr_init(&endless);
  ASSERT_EQ(pthread_attr_setstacksize(&endless, std::size_t{1} << 60), 0);
  ASSERT_EQ(pthread_setattr_default_np(&endless), 0);
  errno = 0;
  EXPECT_TRUE(ca_logging_init(&logging_, ca_bump_allocator(&bump_), fileno(file_), table_,
                              sizeof table_, 128));
  ASSERT_EQ(pthread_setattr_default_np(&before), 0);
  pthread_attr_destroy(&endless);
  pthread_attr_destroy(&before);
  EXPECT_FALSE(logging_.has_writer);
  Model(1, 10);
  EXPECT_GT(logging_.full_waits, 0U);
  EXPECT_TRUE(ca_logging_finish(&logging_));
  ExpectWhole();
}

TEST_F(LoggingTest, ItsWriterEndsAlsoWhereTheFileCannotBeWritten) {
  ASSERT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), 1 << 20, table_,
                                    sizeof table_, 128));
  ASSERT_EQ(ca_logging_start_writer(&logging_), 0);
  for (int i = 0; i < 1000; ++i) ca_deallocate(allocator(), Allocate(1).ptr, 1, 16);
  EXPECT_FALSE(ca_logging_finish(&logging_));
}

TEST_F(LoggingTest, ItsWriterTakesNoSignals) {
  ASSERT_EQ(ca_logging_start_writer(&logging_), 0);
  sigset_t mine;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &mine), 0);
  EXPECT_EQ(sigismember(&mine, SIGUSR1), 0) << "the caller's are as they were";
  static std::atomic<int> taken{0};
  ASSERT_NE(std::signal(SIGUSR1, [](int) { ++taken; }), SIG_ERR);
  ASSERT_EQ(pthread_kill(logging_.writer, SIGUSR1), 0);
  EXPECT_TRUE(ca_logging_finish(&logging_));
  EXPECT_EQ(taken, 0);
  std::signal(SIGUSR1, SIG_DFL);
}

TEST_F(LoggingTest, AFileThatCannotBeWrittenEndsLoggingAndNothingElse) {
  ASSERT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), 1 << 20, table_,
                                    sizeof table_, 0));
  errno = 4321;
  const ca_block block = Allocate(10);
  EXPECT_FALSE(ca_logging_flush(&logging_));
  EXPECT_EQ(errno, 4321);
  EXPECT_FALSE(ca_block_is_none(Allocate(10)));
  ca_deallocate(allocator(), block.ptr, 10, 16);
  EXPECT_FALSE(ca_logging_finish(&logging_));
}

// Whoever finds it out.
TEST_F(LoggingTest, AWriteOfAnotherThreadThatFailsEndsLoggingAtTheNextPiece) {
  ASSERT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), 1 << 20, table_,
                                    sizeof table_, 128));
  for (std::size_t i = 0; i <= logging_.piece_size; ++i) Allocate(1);
  ca_logging_write(&logging_);
  EXPECT_NE(logging_.next, nullptr);
  FillPiece();
  EXPECT_FALSE(ca_block_is_none(Allocate(1)));
  EXPECT_EQ(logging_.next, nullptr);
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  while (ca_logging_write(&logging_)) {
  }
  EXPECT_FALSE(ca_logging_flush(&logging_));
}

TEST_F(LoggingTest, WhatIsNoFileOrOnlyAppendsCannotBeWritten) {
  const int appending = dup(fileno(file_));
  ASSERT_EQ(fcntl(appending, F_SETFL, O_APPEND), 0);
  for (const int file : {-1, appending}) {
    errno = 4321;
    ASSERT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), file, table_,
                                      sizeof table_, 0));
    EXPECT_EQ(errno, 4321);
    EXPECT_EQ(ca_logging_start_writer(&logging_), EINVAL);
    EXPECT_FALSE(ca_block_is_none(Allocate(10)));
    EXPECT_FALSE(ca_logging_flush(&logging_)) << file;
    EXPECT_FALSE(ca_logging_finish(&logging_)) << file;
  }
  EXPECT_EQ(lseek(appending, 0, SEEK_END), 0);
  ASSERT_EQ(fcntl(appending, F_SETFL, 0), 0);
  close(appending);
}

struct Cancelled {
  ca_allocator *allocator;
  bool ended = false;  // All calls were made.
};

void *CallCancelled(void *argument) {
  auto *const self = static_cast<Cancelled *>(argument);
  pthread_cancel(pthread_self());
  for (int i = 0; i < 100; ++i) ca_allocate(self->allocator, 1, 16);
  self->ended = true;
  pthread_testcancel();
  return nullptr;
}

TEST_F(LoggingTest, ACancelledThreadEndsWhereNothingIsLocked) {
  ASSERT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_), table_,
                                    sizeof table_, 128));
  Cancelled cancelled = {allocator()};
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, CallCancelled, &cancelled), 0);
  void *result = nullptr;
  ASSERT_EQ(pthread_join(thread, &result), 0);
  EXPECT_EQ(result, PTHREAD_CANCELED) << "but not later than the thread asks";
  EXPECT_TRUE(cancelled.ended);
  if (!cancelled.ended) Init(sizeof table_);  // Or finish would wait for the lock of who is gone.
  EXPECT_TRUE(ca_logging_finish(&logging_));
  EXPECT_EQ(Header().events, 100U);
}

TEST_F(LoggingTest, NothingIsWrittenAfterAFailure) {
  const int file = dup(fileno(file_));
  ASSERT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), file, table_,
                                    sizeof table_, 128));
  close(file);
  for (std::size_t i = 0; i <= logging_.piece_size; ++i) Allocate(1);
  EXPECT_TRUE(ca_logging_write(&logging_)) << "there was something to write";
  ASSERT_EQ(dup2(fileno(file_), file), file);
  EXPECT_FALSE(ca_logging_finish(&logging_));
  EXPECT_EQ(lseek(file, 0, SEEK_END), 0) << "a trace with a hole is none";
  close(file);
}

TEST(LoggingLifeTest, TheAllZeroValueMayBeFinished) {
  ca_logging never = {};
  EXPECT_FALSE(ca_logging_write(&never));
  EXPECT_TRUE(ca_logging_reset(&never));
  EXPECT_TRUE(ca_logging_finish(&never));
}

TEST_F(LoggingTest, TooLittleMemoryMeansNoLogging) {
  EXPECT_FALSE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_), table_,
                                     CA_LOGGING_MEMORY_MIN - 1, 0));
  const ca_block block = Allocate(10);
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  ca_deallocate(allocator(), block.ptr, 10, 16);
  EXPECT_TRUE(ca_logging_init_alone(&logging_, ca_bump_allocator(&bump_), fileno(file_), table_ + 1,
                                    CA_LOGGING_MEMORY_MIN, 0));
  Allocate(10);
}

TEST_F(LoggingTest, CheckFindsADamagedTable) {
  Allocate(10);
  ca_logging_flush(&logging_);
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  logging_.events.live++;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  logging_.events.live--;
  logging_.next = logging_.end + 1;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  logging_.next = logging_.records;
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  logging_.filled += logging_.pieces;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  logging_.filled -= logging_.pieces - 1;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  logging_.filled -= 1;
  logging_.oldest += logging_.piece_size;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  logging_.oldest -= logging_.piece_size;
  logging_.end -= 1;
  EXPECT_FALSE(allocator()->ops->check(allocator()));
  logging_.end += 1;
  EXPECT_TRUE(allocator()->ops->check(allocator()));
  for (std::size_t i = 0; i <= logging_.events.mask; ++i) {
    if (logging_.events.entries[i].key != 0) logging_.events.entries[i].key += 0x1230 << 17;
  }
  EXPECT_FALSE(allocator()->ops->check(allocator()));
}

}  // namespace
