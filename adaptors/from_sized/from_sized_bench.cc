// What the interface adds to functions called through their table.
// Run: bazel run -c opt //adaptors/from_sized:from_sized_bench
#include "adaptors/from_sized/from_sized.h"

#include "adaptors/testing/added_cost.h"

namespace {

void *Allocate(void *context, std::size_t size, std::size_t align) {
  return ca_bump_allocate(static_cast<ca_bump *>(context), size, align).ptr;
}
void Deallocate(void *context, void *ptr, std::size_t size, std::size_t) {
  ca_bump_deallocate(static_cast<ca_bump *>(context), ptr, size);
}

void BM_AddedCost(benchmark::State &state) {
  ca_testing::BenchBump inner(CA_SIZES_FORGOTTEN);
  const ca_sized_functions functions = {Allocate, Deallocate, nullptr, nullptr, nullptr,
                                        nullptr,  nullptr,    nullptr, 0};
  ca_from_sized it;
  if (!ca_from_sized_init(&it, &functions, &inner.bump)) return;
  const ca_sized_functions *direct = &functions;
  void *context = &inner.bump;
  ca_allocator *through = ca_from_sized_allocator(&it);
  benchmark::DoNotOptimize(direct);
  benchmark::DoNotOptimize(through);
  ca_testing::ReportAddedCost(
      state,
      [=] {
        void *ptr = direct->allocate(context, 64, 16);
        benchmark::DoNotOptimize(ptr);
        direct->deallocate(context, ptr, 64, 16);
      },
      [=] { ca_testing::AllocateAndDeallocate(through, 64); });
}
BENCHMARK(BM_AddedCost);

}  // namespace
