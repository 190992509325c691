// malloc's family behind //switchable:malloc, under each that can be current: the manual's
// promises.
#include "switchable/malloc.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "switchable/switchable.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuse-after-free"  // A refused realloc frees nothing.
#endif

namespace {

constexpr std::size_t kHuge[] = {SIZE_MAX,         SIZE_MAX - 1,      SIZE_MAX - 15,
                                 SIZE_MAX - 4095,  SIZE_MAX / 2 + 2,  SIZE_MAX / 2 + 1,
                                 PTRDIFF_MAX - 15, PTRDIFF_MAX - 4095};

struct Server {
  const char *name;
  ca_current current;
  ca_context_kind kind;
};

class MallocTest : public testing::TestWithParam<Server> {
 protected:
  MallocTest() {
    if (GetParam().current == CA_CURRENT_COROUTINE) {
      ca_context_settings settings = {std::size_t{16} << 20, "malloc_test"};
      settings.kind = GetParam().kind;
      context_ = ca_context_create(&settings);
      EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
    }
    if (GetParam().current == CA_CURRENT_THREAD) {
      ca_context_settings settings = {std::size_t{16} << 20, "malloc_test"};
      settings.kind = GetParam().kind;
      EXPECT_TRUE(ca_switchable_thread_init(&settings));
      EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    }
  }
  ~MallocTest() override {
    ca_context_swap_out();
    ca_switchable_use(CA_CURRENT_GLOBAL);
    ca_switchable_thread_release();
    if (GetParam().current == CA_CURRENT_COROUTINE) {
      EXPECT_TRUE(ca_context_check(context_));
      EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
    }
  }

  static void ExpectUsable(void *ptr, std::size_t size, std::size_t align) {
    ASSERT_NE(ptr, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ptr) % align, 0U);
    const std::size_t usable = malloc_usable_size(ptr);
    EXPECT_GE(usable, size);
    std::memset(ptr, 0xA5, usable);
  }

  template <typename Call>
  static void ExpectRefused(int error, Call call) {
    errno = 0;
    void *ptr = call();
    EXPECT_EQ(ptr, nullptr);
    EXPECT_EQ(errno, error);
  }

  ca_context context_ = {};
};

INSTANTIATE_TEST_SUITE_P(
    Under, MallocTest,
    testing::Values(
        Server{"Global", CA_CURRENT_GLOBAL, CA_CONTEXT_NONE},
        Server{"BumpThread", CA_CURRENT_THREAD, CA_CONTEXT_BUMP},
        Server{"TreesThread", CA_CURRENT_THREAD, CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE},
        Server{"BumpCoroutine", CA_CURRENT_COROUTINE, CA_CONTEXT_BUMP},
        Server{"BitSetCoroutine", CA_CURRENT_COROUTINE, CA_CONTEXT_BIT_SET},
        Server{"TreesCoroutine", CA_CURRENT_COROUTINE, CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE}),
    [](const auto &info) { return info.param.name; });

TEST_P(MallocTest, ServesFromWhoIsCurrent) {
  void *ptr = malloc(100);
  if (GetParam().current == CA_CURRENT_COROUTINE) {
    EXPECT_GE(ca_context_count(context_).allocations, 1U);
  }
  free(ptr);
}

TEST_P(MallocTest, EverySizeIsAlignedAndUsable) {
  for (std::size_t size = 0; size < 600; ++size) {
    void *ptr = malloc(size);
    ExpectUsable(ptr, size, 16);
    free(ptr);
  }
  for (std::size_t power = 10; power < 22; ++power) {
    for (int offset = -1; offset <= 1; ++offset) {
      const std::size_t size = (std::size_t{1} << power) + offset;
      void *ptr = malloc(size);
      ExpectUsable(ptr, size, 16);
      free(ptr);
    }
  }
}

TEST_P(MallocTest, ZeroBytesAreABlockOfTheirOwn) {
  void *first = malloc(0);
  void *second = malloc(0);
  EXPECT_NE(first, nullptr);
  EXPECT_NE(first, second);
  free(first);
  free(second);
  void *zeroed = calloc(0, 10);
  EXPECT_NE(zeroed, nullptr);
  free(zeroed);
}

TEST_P(MallocTest, HugeSizesAreRefusedWithEnomem) {
  for (const std::size_t size : kHuge) {
    ExpectRefused(ENOMEM, [size] { return malloc(size); });
    ExpectRefused(ENOMEM, [size] { return calloc(size, 1); });
    ExpectRefused(ENOMEM, [size] { return calloc(1, size); });
    ExpectRefused(ENOMEM, [size] { return valloc(size); });
    ExpectRefused(ENOMEM, [size] { return pvalloc(size); });
    for (std::size_t align = 16; align <= std::size_t{1} << 40; align *= 16) {
      ExpectRefused(ENOMEM, [=] { return memalign(align, size); });
      ExpectRefused(ENOMEM, [=] { return aligned_alloc(align, size); });
    }
    void *ptr = malloc(64);
    std::memset(ptr, 3, 64);
    ExpectRefused(ENOMEM, [=] { return realloc(ptr, size); });
    ExpectRefused(ENOMEM, [=] { return reallocarray(ptr, size, 1); });
    EXPECT_EQ(static_cast<char *>(ptr)[63], 3) << "a refused realloc changes nothing";
    free(ptr);
  }
}

TEST_P(MallocTest, ProductsThatWrapAreRefusedWithEnomem) {
  void *ptr = malloc(64);
  for (std::size_t shift = 1; shift < 64; ++shift) {
    const std::size_t count = std::size_t{1} << shift;
    const std::size_t size = SIZE_MAX / count + 2;
    ExpectRefused(ENOMEM, [=] { return calloc(count, size); });
    ExpectRefused(ENOMEM, [=] { return calloc(size, count); });
    ExpectRefused(ENOMEM, [=] { return reallocarray(ptr, count, size); });
    ExpectRefused(ENOMEM, [=] { return reallocarray(nullptr, count, size); });
  }
  free(ptr);
}

TEST_P(MallocTest, CallocGivesZerosAlsoInUsedMemory) {
  for (int round = 0; round < 3; ++round) {
    auto *bytes = static_cast<unsigned char *>(malloc(5000));
    std::memset(bytes, 0xFF, 5000);
    free(bytes);
    bytes = static_cast<unsigned char *>(calloc(50, 100));
    for (int i = 0; i < 5000; ++i) ASSERT_EQ(bytes[i], 0);
    free(bytes);
  }
}

TEST_P(MallocTest, ReallocIsMallocOfNullAndFreeOfZero) {
  void *ptr = realloc(nullptr, 100);
  ExpectUsable(ptr, 100, 16);
  errno = 77;
  EXPECT_EQ(realloc(ptr, 0), nullptr);
  EXPECT_EQ(errno, 77);
  ptr = reallocarray(nullptr, 10, 10);
  ExpectUsable(ptr, 100, 16);
  EXPECT_EQ(reallocarray(ptr, 0, 10), nullptr);
}

TEST_P(MallocTest, ReallocKeepsContentsUpAndDown) {
  std::size_t size = 1;
  auto *bytes = static_cast<unsigned char *>(malloc(size));
  bytes[0] = 9;
  for (const std::size_t next : {10, 100, 1000, 100000, 99999, 300000, 50, 5, 1}) {
    bytes = static_cast<unsigned char *>(realloc(bytes, next));
    ASSERT_NE(bytes, nullptr);
    const std::size_t kept = size < next ? size : next;
    EXPECT_EQ(bytes[0], 9);
    EXPECT_EQ(bytes[kept - 1], 9);
    ExpectUsable(bytes, next, 16);
    std::memset(bytes, 9, next);
    size = next;
  }
  free(bytes);
}

TEST_P(MallocTest, AlignmentsAreHonouredAndOthersRefusedWithEinval) {
  for (std::size_t align = 1; align <= std::size_t{1} << 20; align *= 2) {
    for (const std::size_t size : {0, 1, 100, 5000}) {
      void *ptr = memalign(align, size);
      ExpectUsable(ptr, size, align);
      free(ptr);
      ptr = aligned_alloc(align, size);
      ExpectUsable(ptr, size, align);
      free_aligned_sized(ptr, align, size);
      if (align >= sizeof(void *)) {
        ptr = nullptr;
        EXPECT_EQ(posix_memalign(&ptr, align, size), 0);
        ExpectUsable(ptr, size, align);
        free(ptr);
      }
    }
  }
  for (const std::size_t align : {std::size_t{0}, std::size_t{3}, std::size_t{24}, std::size_t{100},
                                  SIZE_MAX, SIZE_MAX / 2}) {
    ExpectRefused(EINVAL, [align] { return memalign(align, 10); });
    ExpectRefused(EINVAL, [align] { return aligned_alloc(align, 10); });
  }
}

TEST_P(MallocTest, PosixMemalignReportsByItsResultAlone) {
  void *const before = reinterpret_cast<void *>(0x1234);
  for (const std::size_t align : {0, 1, 2, 4, 3, 12, 24}) {
    void *ptr = before;
    errno = 55;
    EXPECT_EQ(posix_memalign(&ptr, align, 10), EINVAL) << align;
    EXPECT_EQ(ptr, before);
    EXPECT_EQ(errno, 55);
  }
  for (const std::size_t size : kHuge) {
    void *ptr = before;
    errno = 55;
    EXPECT_EQ(posix_memalign(&ptr, 64, size), ENOMEM);
    EXPECT_EQ(ptr, before);
    EXPECT_EQ(errno, 55);
  }
}

TEST_P(MallocTest, PagesAreAlignedAndPvallocRoundsUp) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void *ptr = valloc(10);
  ExpectUsable(ptr, 10, page);
  free(ptr);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, page, page + 1}) {
    ptr = pvalloc(size);
    ExpectUsable(ptr, size == page + 1 ? 2 * page : page, page);
    free(ptr);
  }
}

TEST_P(MallocTest, FreeLeavesErrnoAloneAndTakesNull) {
  void *small = malloc(10);
  void *large = malloc(4 << 20);
  errno = 99;
  free(small);
  free(large);
  free(nullptr);
  free_sized(nullptr, 0);
  free_aligned_sized(nullptr, 16, 0);
  EXPECT_EQ(malloc_usable_size(nullptr), 0U);
  malloc_trim(0);
  EXPECT_EQ(errno, 99);
}

TEST_P(MallocTest, SizedFreesTakeWhatWasAsked) {
  for (const std::size_t size : {0, 1, 24, 1000}) {
    free_sized(malloc(size), size);
    free_sized(calloc(size, 1), size);
    free_aligned_sized(aligned_alloc(64, size), 64, size);
  }
}

TEST_P(MallocTest, EveryFormOfOperatorNewAndDelete) {
  const std::align_val_t align{64};
  for (const std::size_t size : {0, 1, 100, 5000}) {
    void *ptr = operator new(size);
    ExpectUsable(ptr, size, 16);
    operator delete(ptr);
    operator delete(operator new(size), size);
    operator delete(operator new(size, std::nothrow), std::nothrow);
    operator delete[](operator new[](size));
    operator delete[](operator new[](size), size);
    operator delete[](operator new[](size, std::nothrow), std::nothrow);
    ptr = operator new(size, align);
    ExpectUsable(ptr, size, 64);
    operator delete(ptr, align);
    operator delete(operator new(size, align), size, align);
    operator delete(operator new(size, align, std::nothrow), align, std::nothrow);
    operator delete[](operator new[](size, align), align);
    operator delete[](operator new[](size, align), size, align);
    operator delete[](operator new[](size, align, std::nothrow), align, std::nothrow);
  }
  operator delete(nullptr);
}

std::size_t Unreasonable() {
  volatile std::size_t size = SIZE_MAX / 2;
  return size;
}

TEST_P(MallocTest, OperatorNewThrowsAndItsNothrowFormGivesNull) {
  const std::align_val_t align{64};
  EXPECT_THROW((void)operator new(Unreasonable()), std::bad_alloc);
  EXPECT_THROW((void)operator new[](Unreasonable()), std::bad_alloc);
  EXPECT_THROW((void)operator new(Unreasonable(), align), std::bad_alloc);
  EXPECT_THROW((void)operator new[](Unreasonable(), align), std::bad_alloc);
  EXPECT_EQ(operator new(Unreasonable(), std::nothrow), nullptr);
  EXPECT_EQ(operator new[](Unreasonable(), std::nothrow), nullptr);
  EXPECT_EQ(operator new(Unreasonable(), align, std::nothrow), nullptr);
  EXPECT_EQ(operator new[](Unreasonable(), align, std::nothrow), nullptr);
}

int g_handler_calls;

TEST_P(MallocTest, TheNewHandlerIsAskedUntilItGivesUp) {
  for (const bool nothrow : {false, true}) {
    g_handler_calls = 0;
    std::set_new_handler([] {
      if (++g_handler_calls == 3) throw std::bad_alloc();
    });
    if (nothrow) {
      EXPECT_EQ(operator new(Unreasonable(), std::nothrow), nullptr);
    } else {
      EXPECT_THROW((void)operator new(Unreasonable()), std::bad_alloc);
    }
    std::set_new_handler(nullptr);
    EXPECT_EQ(g_handler_calls, 3);
  }
}

TEST_P(MallocTest, UnmodifiedCppCodeIsServed) {
  std::map<std::string, std::vector<int>> words;
  for (int i = 0; i < 2000; ++i) {
    words["a word long enough to be allocated " + std::to_string(i % 100)].push_back(i);
  }
  EXPECT_EQ(words.size(), 100U);
}

TEST_P(MallocTest, WhatIsAllocatedHereIsFreedOnAnotherThread) {
  std::vector<void *> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(malloc(100));
  std::thread([&blocks] {
    for (void *block : blocks) free(block);
  }).join();
}

TEST_P(MallocTest, TheChildOfAForkAllocatesAndFrees) {
  void *parents = malloc(100);
  const pid_t child = fork();
  if (child == 0) {
    free(parents);
    void *ptr = malloc(1000);
    std::memset(ptr, 1, 1000);
    free(realloc(ptr, 5000));
    std::thread([] { free(malloc(100)); }).join();
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  free(parents);
}

// Every call of the family in random order, against a model of who has which bytes.
class Family {
 public:
  explicit Family(unsigned seed) : random_(seed) { live_.reserve(kMost); }
  ~Family() {
    while (!live_.empty()) Free(live_.size() - 1);
  }
  std::size_t live() const { return live_.size(); }

  void Step() {
    const std::size_t size = random_() % (random_() % 16 == 0 ? 5000 : 300);
    const std::size_t victim = live_.empty() ? 0 : random_() % live_.size();
    const unsigned call = live_.size() < kMost ? random_() % 8 : 7;
    if (call <= 2) {
      Add(malloc(size), size);
    } else if (call == 3) {
      Add(memalign(std::size_t{1} << random_() % 9, size), size);
    } else if (call == 4) {
      AddZeroed(size);
    } else if (live_.empty()) {
      return;
    } else if (call == 5) {
      Resize(victim, size + 1);
    } else {
      Free(random_() % 4 == 0 ? live_.size() - 1 : victim);
    }
  }

 private:
  static constexpr std::size_t kMost = 400;
  struct Block {
    unsigned char *ptr;
    std::size_t size;
    unsigned char fill;
  };
  void Add(void *ptr, std::size_t size) {
    ASSERT_NE(ptr, nullptr);
    live_.push_back(
        {static_cast<unsigned char *>(ptr), size, static_cast<unsigned char>(random_())});
    std::memset(ptr, live_.back().fill, size);
  }
  void AddZeroed(std::size_t size) {
    auto *ptr = static_cast<unsigned char *>(calloc(1, size));
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(ptr[i], 0);
    Add(ptr, size);
  }
  static void Expect(const Block &block, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(block.ptr[i], block.fill) << "byte " << i;
  }
  void Resize(std::size_t at, std::size_t size) {
    Block &block = live_[at];
    block.ptr = static_cast<unsigned char *>(realloc(block.ptr, size));
    ASSERT_NE(block.ptr, nullptr);
    Expect(block, std::min(size, block.size));
    block.size = size;
    std::memset(block.ptr, block.fill, size);
  }
  void Free(std::size_t at) {
    const Block block = live_[at];
    live_[at] = live_.back();
    live_.pop_back();
    Expect(block, block.size);
    random_() % 2 == 0 ? free(block.ptr) : free_sized(block.ptr, block.size);
  }
  std::minstd_rand random_;
  std::vector<Block> live_;
};

TEST_P(MallocTest, TheFamilyInRandomOrderKeepsEveryBlocksBytes) {
  const auto live = [this] {
    const ca_context_counts counts = ca_context_count(context_);
    return counts.allocations - counts.deallocations;
  };
  Family family(1);
  const std::uint64_t others = live();
  for (int step = 0; step < 3000; ++step) {
    ASSERT_NO_FATAL_FAILURE(family.Step());
    if (GetParam().current == CA_CURRENT_COROUTINE) {
      ASSERT_EQ(live() - others, family.live());
      ASSERT_TRUE(ca_context_check(context_));
    }
  }
}

TEST(MallocBudgetTest, OverItMallocFailsByEnomemAndNewThrows) {
  const ca_context_settings settings = {10000, "poor"};
  const ca_context context = ca_context_create(&settings);
  ca_context_swap_in(context);
  errno = 0;
  void *refused = malloc(20000);
  const int error = errno;
  bool thrown = false;
  try {
    operator delete(operator new(20000));
  } catch (const std::bad_alloc &) {
    thrown = true;
  }
  void *served = malloc(5000);
  ca_context_swap_out();
  EXPECT_EQ(refused, nullptr);
  EXPECT_EQ(error, ENOMEM);
  EXPECT_TRUE(thrown);
  EXPECT_NE(served, nullptr);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(MallocMisuseDeathTest, NamesTheCall) {
  const ca_context context = ca_context_create(nullptr);
  ca_context_swap_in(context);
  auto *ptr = static_cast<char *>(malloc(100));
  ca_context_swap_out();
  EXPECT_DEATH(free(ptr + 16), "not a block");
  EXPECT_DEATH(free_sized(ptr, 5000), "wrong size");
  EXPECT_DEATH((ca_context_swap_in(context), free(ptr), free(ptr)), "double free");
  EXPECT_DEATH((ca_context_swap_in(context), free(ptr + 16)), "not a block");
  ca_context_destroy(context);
  EXPECT_DEATH(free(ptr), "free\\(0x[0-9a-f]+\\): its context was destroyed");
}

// Threads that end: their thread-specific destructors allocate and free, in all rounds.

pthread_key_t g_key;

void AllocatingDestructor(void *value) {
  const auto round = reinterpret_cast<std::uintptr_t>(value);
  free(malloc(100 * round));
  std::string text(100, 'x');
  if (round < 4) pthread_setspecific(g_key, reinterpret_cast<void *>(round + 1));
}

TEST(MallocThreadTest, DestructorsOfThreadsAllocateInEveryRound) {
  ASSERT_EQ(pthread_key_create(&g_key, AllocatingDestructor), 0);
  for (int i = 0; i < 200; ++i) {
    std::thread([i] {
      pthread_setspecific(g_key, reinterpret_cast<void *>(1));
      if (i % 2 == 0) {
        ca_switchable_thread_init(nullptr);
        ca_switchable_use(CA_CURRENT_THREAD);
      } else {
        ca_context_swap_in(ca_context_create(nullptr));
      }
      thread_local std::string late(100, 'y');  // Destroyed before the thread's keys are.
      late += "z";
      free(malloc(10));
    }).join();
  }
  pthread_key_delete(g_key);
}

}  // namespace
