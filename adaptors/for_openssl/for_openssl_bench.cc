// What the hooks add to calls of the allocator behind them. Without OpenSSL.
// Run: bazel run -c opt //adaptors/for_openssl:for_openssl_bench
#include "adaptors/for_openssl/for_openssl.h"

#include "adaptors/testing/hook_cost.h"

namespace {

template <typename Inner>
void BM_AddedCost(benchmark::State &state) {
  Inner inner(CA_SIZES_RECORDED);
  if (!ca_for_openssl_init(inner.get())) return;
  auto *const allocate = ca_testing::Opaque(ca_for_openssl_malloc);
  auto *const deallocate = ca_testing::Opaque(ca_for_openssl_free);
  ca_testing::ReportHookCost(
      state, inner.get(), [=](std::size_t size) { return allocate(size, __FILE__, __LINE__); },
      [=](void *ptr) { deallocate(ptr, __FILE__, __LINE__); });
}
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCost, ca_testing::BenchTrees);

}  // namespace
