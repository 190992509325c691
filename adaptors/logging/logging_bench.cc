// What logging adds to a call (added_ns; added_mean_ns: with all that came between), and what it takes
// besides to make a call an event and write that (work_ns, of which events_ns is the former), for
// whoever does: all per call; 0 is not measured.
//
//   BM_AddedCost              as ca_logging_init() gives it: another thread empties the buffer at the
//                             same time; of the 3.6 million calls full_waits found no room, and wakes
//                             had to wake it
//   BM_AddedCostOfBursts      the buffer takes all calls; it is emptied between the measurements
//   BM_AddedCostAlone         without the thread, and nobody else writes: what each call costs in the
//                             end, work included
//   BM_AddedCostEnded         logging has ended
//
// Run: bazel run -c opt //adaptors/logging:logging_bench
#include "adaptors/logging/logging.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

#include "adaptors/testing/added_cost.h"

namespace {

constexpr int kTurns =
    9;  // Of 2000 calls: the end of a piece is in them, and the buffer takes them.

template <typename Inner>
struct Logged {
  explicit Logged(int file, decltype(&ca_logging_init) init = ca_logging_init_alone,
                  std::size_t buffer = 0)
      : inner(CA_SIZES_FORGOTTEN), memory(4 << 20) {
    init(&logging, inner.get(), file, memory.data(), memory.size(), buffer);
  }
  ~Logged() { ca_logging_finish(&logging); }
  ca_allocator *get() { return ca_testing::Opaque(ca_logging_allocator(&logging)); }
  // Nanoseconds per call of all the turns.
  double Flush() {
    const auto begin = std::chrono::steady_clock::now();
    ca_logging_flush(&logging);
    const std::chrono::duration<double, std::nano> elapsed =
        std::chrono::steady_clock::now() - begin;
    return elapsed.count() / (kTurns * 2 * ca_testing::kPairs);
  }
  bool IsHalfFull() const {
    const std::uint64_t written = __atomic_load_n(&logging.written, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&logging.filled, __ATOMIC_ACQUIRE) - written >= logging.pieces / 2;
  }
  Inner inner;
  std::vector<char> memory;
  ca_logging logging;
};

// Per call of kTurns turns.
double Turns(ca_allocator *allocator) {
  double sum = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    sum +=
        ca_testing::NanosecondsPerCall([=] { ca_testing::AllocateAndDeallocate(allocator, 64); });
  }
  return sum / kTurns;
}

double Mean(const std::vector<double> &values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

struct Figures {
  std::vector<double> direct, through, work, events;
  double full_waits = 0;
  double wakes = 0;
  void Report(benchmark::State *state) {
    const double mean_direct = Mean(direct), mean_through = Mean(through);
    const double direct_ns = ca_testing::Fastest(direct), through_ns = ca_testing::Fastest(through);
    state->counters["direct_ns"] = direct_ns;
    state->counters["through_ns"] = through_ns;
    state->counters["added_ns"] = through_ns - direct_ns;
    state->counters["added_mean_ns"] = mean_through - mean_direct;
    state->counters["work_ns"] = work.empty() ? 0 : ca_testing::Fastest(work);
    state->counters["events_ns"] = events.empty() ? 0 : ca_testing::Fastest(events);
    state->counters["full_waits"] = full_waits;
    state->counters["wakes"] = wakes;
  }
};

template <typename Inner>
void BM_AddedCostOfBursts(benchmark::State &state) {
  std::FILE *file = std::tmpfile();
  const int nowhere = open("/dev/null", O_WRONLY);
  {
    Logged<Inner> written(fileno(file)), made(nowhere);
    ca_allocator *direct = ca_testing::Opaque(written.inner.get());
    Figures figures;
    for (auto _ : state) {
      figures.direct.push_back(Turns(direct));
      figures.through.push_back(Turns(written.get()));
      figures.work.push_back(written.Flush());
      Turns(made.get());
      figures.events.push_back(made.Flush());
    }
    figures.Report(&state);
  }
  close(nowhere);
  std::fclose(file);
}
BENCHMARK_TEMPLATE(BM_AddedCostOfBursts, ca_testing::BenchBump)->Iterations(200);
BENCHMARK_TEMPLATE(BM_AddedCostOfBursts, ca_testing::BenchTrees)->Iterations(200);

// Another thread and this one on processors of their own, for its life: nobody is to measure how long
// the other one was in the way.
class Apart {
 public:
  explicit Apart(pthread_t other) {
    if (pthread_getaffinity_np(pthread_self(), sizeof before_, &before_) != 0) return;
    int first = -1, last = -1;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (!CPU_ISSET(i, &before_)) continue;
      first = first < 0 ? i : first;
      last = i;
    }
    Pin(pthread_self(), first);
    Pin(other, last);
  }
  ~Apart() { pthread_setaffinity_np(pthread_self(), sizeof before_, &before_); }

 private:
  static void Pin(pthread_t thread, int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(thread, sizeof set, &set);
  }
  cpu_set_t before_;
};

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  std::FILE *file = std::tmpfile();
  {
    Logged<Inner> logged(fileno(file), ca_logging_init, std::size_t{1} << 20);
    ca_allocator *direct = ca_testing::Opaque(logged.inner.get());
    if (!logged.logging.has_writer) state.SkipWithError("no thread");
    const Apart apart(logged.logging.writer);
    Figures figures;
    for (auto _ : state) {
      figures.direct.push_back(Turns(direct));
      figures.through.push_back(Turns(logged.get()));
      // Calls in a loop come faster than any program's, and than they can be written.
      while (logged.IsHalfFull()) std::this_thread::yield();
    }
    figures.wakes = static_cast<double>(logged.logging.wakes);
    figures.full_waits = static_cast<double>(logged.logging.full_waits);
    figures.Report(&state);
  }
  std::fclose(file);
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump)->Iterations(200);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees)->Iterations(200);

template <typename Inner>
void BM_AddedCostAlone(benchmark::State &state) {
  std::FILE *file = std::tmpfile();
  {
    Logged<Inner> logged(fileno(file));
    ca_allocator *direct = ca_testing::Opaque(logged.inner.get());
    Figures figures;
    const auto many = [](ca_allocator *allocator) {  // Enough for the work to be in each.
      double sum = 0;
      for (int i = 0; i < 10; ++i) sum += Turns(allocator);
      return sum / 10;
    };
    for (auto _ : state) {
      figures.direct.push_back(many(direct));
      figures.through.push_back(many(logged.get()));
    }
    figures.Report(&state);
  }
  std::fclose(file);
}
BENCHMARK_TEMPLATE(BM_AddedCostAlone, ca_testing::BenchBump)->Iterations(20);
BENCHMARK_TEMPLATE(BM_AddedCostAlone, ca_testing::BenchTrees)->Iterations(20);

template <typename Inner>
void BM_AddedCostEnded(benchmark::State &state) {
  Logged<Inner> logged(-1);
  ca_allocator *direct = ca_testing::Opaque(logged.inner.get());
  Figures figures;
  for (auto _ : state) {
    figures.direct.push_back(Turns(direct));
    figures.through.push_back(Turns(logged.get()));
  }
  figures.Report(&state);
}
BENCHMARK_TEMPLATE(BM_AddedCostEnded, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCostEnded, ca_testing::BenchTrees);

}  // namespace
