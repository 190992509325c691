// What logging adds to a call: while it writes, and after it has ended. While it writes, added_ns is
// what the call takes, and flush_ns what the call has cost when the buffer has been turned into
// events (translate_ns, measured with /dev/null for a file) and written to a file; all are
// per call. Run: bazel run -c opt //adaptors/logging:logging_bench
#include "adaptors/logging/logging.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "adaptors/testing/added_cost.h"

namespace {

constexpr int kTurns = 8;  // Of 2000 calls: the buffer takes 16384.

template <typename Inner>
struct Logged {
  explicit Logged(int file) : inner(CA_SIZES_FORGOTTEN), memory(4 << 20) {
    ca_logging_init(&logging, inner.get(), file, memory.data(), memory.size());
  }
  ~Logged() { ca_logging_finish(&logging); }
  ca_allocator *get() { return ca_testing::Opaque(ca_logging_allocator(&logging)); }
  // Nanoseconds per call of that many turns, which leave the buffer not quite full.
  double Flush() {
    const auto begin = std::chrono::steady_clock::now();
    ca_logging_flush(&logging);
    const std::chrono::duration<double, std::nano> elapsed =
        std::chrono::steady_clock::now() - begin;
    return elapsed.count() / (kTurns * 2 * ca_testing::kPairs);
  }
  Inner inner;
  std::vector<char> memory;
  ca_logging logging;
};

struct Figures {
  double direct_ns, through_ns, flush_ns, translate_ns;
};

void Report(benchmark::State &state, const Figures &figures) {
  state.counters["direct_ns"] = figures.direct_ns;
  state.counters["through_ns"] = figures.through_ns;
  state.counters["added_ns"] = figures.through_ns - figures.direct_ns;
  state.counters["flush_ns"] = figures.flush_ns;
  state.counters["translate_ns"] = figures.translate_ns;
}

template <typename Inner>
void BM_AddedCostWriting(benchmark::State &state) {
  std::FILE *file = std::tmpfile();
  const int nowhere = open("/dev/null", O_WRONLY);
  {
    Logged<Inner> written(fileno(file)), translated(nowhere);
    ca_allocator *direct = ca_testing::Opaque(written.inner.get());
    ca_allocator *through = written.get(), *other = translated.get();
    std::vector<double> direct_ns, through_ns, flush_ns, translate_ns;
    for (auto _ : state) {
      for (int turn = 0; turn < kTurns; ++turn) {
        direct_ns.push_back(
            ca_testing::NanosecondsPerCall([=] { ca_testing::AllocateAndDeallocate(direct, 64); }));
        through_ns.push_back(ca_testing::NanosecondsPerCall(
            [=] { ca_testing::AllocateAndDeallocate(through, 64); }));
        for (int i = 0; i < ca_testing::kPairs; ++i) ca_testing::AllocateAndDeallocate(other, 64);
      }
      flush_ns.push_back(written.Flush());
      translate_ns.push_back(translated.Flush());
    }
    const double direct_quiet = ca_testing::Quiet(&direct_ns);
    const double through_quiet = ca_testing::Quiet(&through_ns);
    Report(state, {direct_quiet, through_quiet, ca_testing::Quiet(&flush_ns),
                   ca_testing::Quiet(&translate_ns)});
  }
  close(nowhere);
  std::fclose(file);
}
BENCHMARK_TEMPLATE(BM_AddedCostWriting, ca_testing::BenchBump)->Iterations(200);
BENCHMARK_TEMPLATE(BM_AddedCostWriting, ca_testing::BenchTrees)->Iterations(200);

template <typename Inner>
void BM_AddedCostEnded(benchmark::State &state) {
  Logged<Inner> logged(-1);
  ca_allocator *direct = ca_testing::Opaque(logged.inner.get()), *through = logged.get();
  std::vector<double> direct_ns, through_ns;
  for (auto _ : state) {
    direct_ns.push_back(
        ca_testing::NanosecondsPerCall([=] { ca_testing::AllocateAndDeallocate(direct, 64); }));
    through_ns.push_back(
        ca_testing::NanosecondsPerCall([=] { ca_testing::AllocateAndDeallocate(through, 64); }));
  }
  const double direct_quiet = ca_testing::Quiet(&direct_ns);
  Report(state, {direct_quiet, ca_testing::Quiet(&through_ns), 0, 0});
}
BENCHMARK_TEMPLATE(BM_AddedCostEnded, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCostEnded, ca_testing::BenchTrees);

}  // namespace
