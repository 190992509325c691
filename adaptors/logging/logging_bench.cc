// What logging adds to a call: with the events written to a file, and with logging ended.
// Run: bazel run -c opt //adaptors/logging:logging_bench
#include "adaptors/logging/logging.h"

#include <cstdio>
#include <vector>

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner, bool kEnded>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  std::FILE *file = std::tmpfile();
  std::vector<char> memory(1 << 20);
  ca_logging logging;
  if (!ca_logging_init(&logging, inner.get(), fileno(file), memory.data(), memory.size())) return;
  if (kEnded) ca_logging_finish(&logging);
  ca_testing::ReportAddedCost(state, inner.get(), ca_logging_allocator(&logging));
  ca_logging_finish(&logging);
  std::fclose(file);
}
constexpr bool kWriting = false, kPassing = true;
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump, kWriting)->Iterations(2000);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees, kWriting)->Iterations(2000);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump, kPassing);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees, kPassing);

}  // namespace
