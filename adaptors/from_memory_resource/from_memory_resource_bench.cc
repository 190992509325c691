// What the adaptor adds to a call of the resource.
// Run: bazel run -c opt //adaptors/from_memory_resource:from_memory_resource_bench
#include "adaptors/from_memory_resource/from_memory_resource.h"

#include "adaptors/testing/added_cost.h"

namespace {

// The cheapest resource there can be: what is left is the way to it.
class OneBlock : public std::pmr::memory_resource {
  void *do_allocate(std::size_t, std::size_t) override { return block_; }
  void do_deallocate(void *, std::size_t, std::size_t) override {}
  bool do_is_equal(const memory_resource &other) const noexcept override { return this == &other; }
  alignas(64) char block_[64];
};

void BM_AddedCost(benchmark::State &state) {
  OneBlock one;
  ca::from_memory_resource adaptor(&one);
  std::pmr::memory_resource *direct = &one;
  direct = ca_testing::Opaque(direct);
  ca_allocator *through = ca_testing::Opaque(adaptor.allocator());
  ca_testing::ReportAddedCost(
      state,
      [=] {
        void *ptr = direct->allocate(64, CA_ALIGN_DEFAULT);
        benchmark::DoNotOptimize(ptr);
        direct->deallocate(ptr, 64, CA_ALIGN_DEFAULT);
      },
      [=] { ca_testing::AllocateAndDeallocate(through, 64); });
}
BENCHMARK(BM_AddedCost);

}  // namespace
