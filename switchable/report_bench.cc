// What a look at many contexts costs, and contexts that count in a family.
// Run: bazel run -c opt //switchable:report_bench
#include "switchable/report.h"

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "switchable/context.h"

namespace {

class Contexts {
 public:
  explicit Contexts(std::int64_t count) {
    ca_context_settings settings = {};
    settings.budget = 4096;
    for (std::int64_t i = 0; i < count; ++i) all_.push_back(ca_context_create(&settings));
  }
  ~Contexts() {
    for (const ca_context context : all_) ca_context_destroy(context);
  }
  ca_context First() const { return all_.front(); }

 private:
  std::vector<ca_context> all_;
};

void BM_CountOne(benchmark::State &state) {
  const Contexts contexts(1);
  for (auto _ : state) {
    ca_context_counts counts = ca_context_count(contexts.First());
    benchmark::DoNotOptimize(counts);
  }
}
BENCHMARK(BM_CountOne);

void BM_CountAll(benchmark::State &state) {
  const Contexts contexts(state.range(0));
  for (auto _ : state) {
    ca_contexts_counts counts = ca_contexts_count();
    benchmark::DoNotOptimize(counts);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_CountAll)->Arg(1)->Arg(1000)->Arg(30000);

void BM_ReportAll(benchmark::State &state) {
  const Contexts contexts(state.range(0));
  const int nowhere = open("/dev/null", O_WRONLY);
  for (auto _ : state) {
    ca_contexts_report(nowhere, static_cast<ca_report_format>(state.range(1)));
  }
  close(nowhere);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ReportAll)->Args({1000, CA_REPORT_TEXT})->Args({1000, CA_REPORT_JSON});

// In no family, or each in one of its own: one lock of the process for all of them.
void BM_CreateAndDestroy(benchmark::State &state) {
  ca_context_settings settings = {};
  settings.budget = 4096;
  if (state.range(0) != 0) settings.family_budget = SIZE_MAX;
  for (auto _ : state) ca_context_destroy(ca_context_create(&settings));
}
BENCHMARK(BM_CreateAndDestroy)->Arg(0)->Arg(1)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
