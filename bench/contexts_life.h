// What contexts cost in time: to switch to, to make and end, to free into from outside.
#ifndef CONTEXT_ALLOCATOR_BENCH_CONTEXTS_LIFE_H_
#define CONTEXT_ALLOCATOR_BENCH_CONTEXTS_LIFE_H_

#include <semaphore.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "bench/contexts_backends.h"
#include "bench/measure.h"

namespace ca_bench {

inline void *AllocateAndWrite(void *ptr) {
  if (ptr == nullptr) std::exit(1);
  *static_cast<volatile char *>(ptr) = 1;
  return ptr;
}

inline double CallThroughPointer() {
  void (*volatile call)() = [] {};
  return FastestTime([&call] { call(); });
}

template <typename Backend>
double SwapInAndOut() {
  Backend backend(1);
  const auto context = backend.Create(kSmallBudget);
  return FastestTime([&] {
    backend.Enter(context);
    backend.Leave();
  });
}

// One after the other, as a server's coroutines run: what a switch touches isn't in the nearest cache.
template <typename Backend>
double SwapInAndOutInTurn(std::size_t count) {
  Backend backend(count);
  std::vector<decltype(backend.Create(0))> contexts;
  for (std::size_t i = 0; i < count; ++i) contexts.push_back(backend.Create(kSmallBudget));
  std::size_t next = 0;
  return FastestTime([&] {
    backend.Enter(contexts[next]);
    backend.Leave();
    next = next + 1 == count ? 0 : next + 1;
  });
}

// Another thread, which does what it is told and lives on.
class OtherThread {
 public:
  OtherThread() {
    sem_init(&go_, 0, 0);
    sem_init(&done_, 0, 0);
    thread_ = std::thread([this] {
      for (Wait(&go_); call_ != nullptr; Wait(&go_)) {
        call_();
        sem_post(&done_);
      }
    });
  }
  ~OtherThread() {
    call_ = nullptr;
    sem_post(&go_);
    thread_.join();
  }
  void Do(std::function<void()> call) {
    call_ = std::move(call);
    sem_post(&go_);
    Wait(&done_);
  }

 private:
  static void Wait(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0) {
    }
  }
  std::function<void()> call_;
  sem_t go_;
  sem_t done_;
  std::thread thread_;
};

// Two threads take turns with some contexts, each swapping each in and out more than once. The fastest turn
// of many, or the first: then what the other thread has for itself is taken from it. It sleeps then:
// no processor is interrupted for it.
template <typename Backend>
double SwapInAndOutMigrating(int turns) {
  constexpr std::size_t kCount = 100;
  Backend backend(kCount);
  std::vector<decltype(backend.Create(0))> contexts;
  for (std::size_t i = 0; i < kCount; ++i) contexts.push_back(backend.Create(kSmallBudget));
  const auto swap_each = [&] {
    for (const auto &context : contexts) {
      backend.Enter(context);
      backend.Leave();
    }
  };
  OtherThread other;
  const double clock = ClockTime();
  double fastest = 1e9;
  swap_each();
  for (int turn = 0; turn < turns; ++turn) {
    other.Do([&] {
      for (int i = 0; i < 3; ++i) swap_each();
    });
    const double start = WallTime();
    swap_each();
    fastest = std::min(fastest, WallTime() - start - clock);
    swap_each();
  }
  return fastest / kCount;
}

template <typename Backend>
auto CreateAndAllocate(Backend &backend) {
  const auto context = backend.Create(kSmallBudget);
  if (backend.IsNone(context)) std::exit(1);  // Else another malloc would be measured.
  backend.Enter(context);
  AllocateAndWrite(backend.Allocate(64));
  backend.Leave();
  return context;
}

template <typename Backend>
double CreateAllocateDestroyWarm() {
  Backend backend(1);
  return FastestTime([&] { backend.Destroy(CreateAndAllocate(backend)); });
}

// kPagesKept, kPagesAhead, kPagesPresent: in slots never used before. kPagesGivenBack: in memory that is used again
// after its pages went back to the system, which they do each time.
template <typename Backend, Idle kIdle>
double CreateAllocateDestroyCold(std::size_t count) {
  Backend backend(count, kIdle);
  backend.Destroy(CreateAndAllocate(backend));  // What is done once for the process.
  std::vector<decltype(backend.Create(0))> contexts(count);
  double time = 0;
  for (int pass = 0; pass < (kIdle == Idle::kPagesGivenBack ? 2 : 1); ++pass) {
    const double start = ProcessorTime();
    for (auto &context : contexts) context = CreateAndAllocate(backend);
    for (auto &context : contexts) backend.Destroy(context);
    time = ProcessorTime() - start;
  }
  return time / static_cast<double>(count);
}

// What the kernel takes of that: to make one page.
inline double TouchNewPage(std::size_t count) {
  constexpr std::size_t kStride = 16 << 10;
  void *const range = mmap(nullptr, count * kStride, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) std::exit(1);
  (void)madvise(range, count * kStride, MADV_NOHUGEPAGE);
  const double start = ProcessorTime();
  for (std::size_t i = 0; i < count; ++i) static_cast<volatile char *>(range)[i * kStride] = 1;
  return (ProcessorTime() - start) / static_cast<double>(count);
}

// Of contexts that ran just before, and whose slots are of one size whatever they hold. Filling many
// blocks empties the caches: other memory does where there are few, more of it than any cache holds.
template <typename Backend>
double DestroyWithLiveBlocks(std::size_t blocks) {
  constexpr std::size_t kRounds = 20;
  constexpr std::size_t kAtOnce = 4;
  constexpr std::size_t kBudget = 8 << 20;
  Backend backend(1);
  std::vector<char> other(std::size_t{64} << 20);
  const double clock = ClockTime();
  double fastest = 1e9;
  for (std::size_t round = 0; round < kRounds; ++round) {
    decltype(backend.Create(0)) contexts[kAtOnce];
    for (auto &context : contexts) {
      context = backend.Create(kBudget);
      backend.Enter(context);
      for (std::size_t i = 0; i < blocks; ++i) AllocateAndWrite(backend.Allocate(32));
      backend.Leave();
    }
    for (std::size_t i = 0; i < other.size(); i += 64) ++other[i];
    for (auto &context : contexts) {
      backend.Enter(context);
      AllocateAndWrite(backend.Allocate(32));
      backend.Leave();
    }
    backend.Destroy(backend.Create(kBudget));
    const double start = WallTime();
    for (auto &context : contexts) backend.Destroy(context);
    fastest = std::min(fastest, WallTime() - start - clock);
  }
  return fastest / kAtOnce;
}

// A second thread, which fills a context and parks it whenever it is told to.
template <typename Backend>
class Owner {
 public:
  explicit Owner(Backend *backend, std::vector<void *> *blocks)
      : backend_(backend), blocks_(blocks) {
    sem_init(&go_, 0, 0);
    sem_init(&done_, 0, 0);
    thread_ = std::thread([this] { Work(); });
  }
  ~Owner() {
    last_ = true;
    sem_post(&go_);
    thread_.join();
  }
  void Fill() {
    sem_post(&go_);
    while (sem_wait(&done_) != 0) {
    }
  }

 private:
  void Work() {
    const auto context = backend_->Create(std::size_t{512} << 10);
    for (;;) {
      while (sem_wait(&go_) != 0) {
      }
      if (last_) return;
      backend_->Reset(context);
      backend_->Enter(context);
      for (void *&block : *blocks_) block = AllocateAndWrite(backend_->Allocate(64));
      backend_->Leave();
      sem_post(&done_);
    }
  }

  Backend *backend_;
  std::vector<void *> *blocks_;
  sem_t go_;
  sem_t done_;
  bool last_ = false;
  std::thread thread_;
};

// Of blocks that another thread allocated: in a context that is parked now, if there are contexts.
template <typename Backend>
double FreeForeign(Backend backend) {
  const double clock = ClockTime();
  std::vector<void *> blocks(1000);
  Owner<Backend> owner(&backend, &blocks);
  double fastest = 1e9;
  for (int run = 0; run < 100; ++run) {
    owner.Fill();
    const double start = WallTime();
    for (void *const block : blocks) backend.Free(block);
    fastest = std::min(fastest, WallTime() - start - clock);
  }
  return fastest / static_cast<double>(blocks.size());
}

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_CONTEXTS_LIFE_H_
