// What the pointers add to a pair of calls of the allocator, beside the same object made and ended by
// hand: one of known class, one of a class that others may derive from, and an array.
// Run: bazel run -c opt //adaptors/unique_ptr:unique_ptr_bench
#include "adaptors/unique_ptr/unique_ptr.h"

#include "adaptors/testing/added_cost.h"

namespace {

struct Plain {
  char bytes[64];
};

struct Base {
  virtual ~Base() = default;
  char bytes[56];
};

template <typename T, typename Make>
void AddedCost(benchmark::State &state, Make make) {
  ca_testing::BenchBump inner(CA_SIZES_FORGOTTEN);
  ca_allocator *const allocator = ca_testing::Opaque(inner.get());
  ca_testing::ReportAddedCost(
      state,
      [=] {
        T *const object = ::new (ca_allocate(allocator, sizeof(T), alignof(T)).ptr) T();
        T *const seen = ca_testing::Opaque(object);
        seen->~T();
        ca_deallocate(allocator, seen, sizeof(T), alignof(T));
      },
      [=] {
        auto pointer = make(allocator);
        benchmark::DoNotOptimize(pointer);
      });
}

void BM_AddedCostPlain(benchmark::State &state) {
  AddedCost<Plain>(state,
                   [](ca_allocator *allocator) { return ca::make_unique<Plain>(allocator); });
}
BENCHMARK(BM_AddedCostPlain);

void BM_AddedCostBase(benchmark::State &state) {
  AddedCost<Base>(state, [](ca_allocator *allocator) { return ca::make_unique<Base>(allocator); });
}
BENCHMARK(BM_AddedCostBase);

void BM_AddedCostArray(benchmark::State &state) {
  AddedCost<Plain>(state,
                   [](ca_allocator *allocator) { return ca::make_unique<Plain[]>(allocator, 1); });
}
BENCHMARK(BM_AddedCostArray);

}  // namespace
