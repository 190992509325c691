// What logging adds to a call: with the events written to a file, and with logging ended.
// Run: bazel run -c opt //adaptors/logging:logging_bench
#include "adaptors/logging/logging.h"

#include <cstdio>
#include <vector>

#include "adaptors/testing/added_cost.h"

namespace {

void AddedCost(benchmark::State &state, bool ended) {
  ca_testing::BenchBump inner(CA_SIZES_FORGOTTEN);
  std::FILE *file = std::tmpfile();
  std::vector<char> memory(1 << 20);
  ca_logging logging;
  if (!ca_logging_init(&logging, inner.get(), fileno(file), memory.data(), memory.size())) return;
  if (ended) ca_logging_finish(&logging);
  ca_testing::ReportAddedCost(state, inner.get(), ca_logging_allocator(&logging));
  ca_logging_finish(&logging);
  std::fclose(file);
}
BENCHMARK_CAPTURE(AddedCost, writing, false)->Name("BM_AddedCost/writing")->Iterations(2000);
BENCHMARK_CAPTURE(AddedCost, ended, true)->Name("BM_AddedCost/ended");

}  // namespace
