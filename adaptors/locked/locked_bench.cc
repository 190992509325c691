// What locking adds to a call beside a direct call inside an uncontended mutex.
// Run: bazel run -c opt //adaptors/locked:locked_bench
#include "adaptors/locked/locked.h"

#include "adaptors/testing/added_cost.h"

namespace {

template <typename Inner>
void BM_AddedCostBesideAMutex(benchmark::State &state) {
  Inner inner(CA_SIZES_FORGOTTEN);
  ca_locked locked;
  ca_locked_init(&locked, inner.get());
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  ca_allocator *direct = inner.get();
  ca_allocator *through = ca_locked_allocator(&locked);
  benchmark::DoNotOptimize(direct);
  benchmark::DoNotOptimize(through);
  ca_testing::ReportAddedCost(
      state,
      [=, &mutex] {
        pthread_mutex_lock(&mutex);
        const ca_block block = ca_allocate(direct, 64, CA_ALIGN_DEFAULT);
        pthread_mutex_unlock(&mutex);
        benchmark::DoNotOptimize(block.ptr);
        pthread_mutex_lock(&mutex);
        ca_deallocate(direct, block.ptr, 64, CA_ALIGN_DEFAULT);
        pthread_mutex_unlock(&mutex);
      },
      [=] { ca_testing::AllocateAndDeallocate(through, 64); });
  ca_locked_destroy(&locked);
}
BENCHMARK_TEMPLATE(BM_AddedCostBesideAMutex, ca_testing::BenchBump);
BENCHMARK_TEMPLATE(BM_AddedCostBesideAMutex, ca_testing::BenchTrees);

}  // namespace
