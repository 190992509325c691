// What malloc's face adds to a call. Run: bazel run -c opt //adaptors/to_malloc:to_malloc_bench
//
// `recorded`: beside allocate and deallocate_unsized of the allocator itself. `forgotten`: beside
// its sized calls, so that the record's cost is in it. Further allocators: a line at the end.
#include "adaptors/to_malloc/to_malloc.h"

#include <cstdint>
#include <vector>

#include "adaptors/testing/added_cost.h"

namespace {

void BM_AddedCostRecorded(benchmark::State &state) {
  ca_testing::BenchBump inner(CA_SIZES_RECORDED);
  ca_to_malloc it;
  ca_to_malloc_init(&it, inner.get());
  ca_allocator *direct = inner.get();
  ca_to_malloc *through = &it;
  benchmark::DoNotOptimize(direct);
  benchmark::DoNotOptimize(through);
  ca_testing::ReportAddedCost(
      state,
      [=] {
        const ca_block block = ca_allocate(direct, 64, CA_ALIGN_DEFAULT);
        benchmark::DoNotOptimize(block.ptr);
        direct->ops->deallocate_unsized(direct, block.ptr);
      },
      [=] {
        void *ptr = ca_to_malloc_malloc(through, 64);
        benchmark::DoNotOptimize(ptr);
        ca_to_malloc_free(through, ptr);
      });
}
BENCHMARK(BM_AddedCostRecorded);

void BM_AddedCostForgotten(benchmark::State &state) {
  ca_testing::BenchBump inner(CA_SIZES_FORGOTTEN);
  ca_to_malloc it;
  ca_to_malloc_init(&it, inner.get());
  ca_allocator *direct = inner.get();
  ca_to_malloc *through = &it;
  benchmark::DoNotOptimize(direct);
  benchmark::DoNotOptimize(through);
  ca_testing::ReportAddedCost(
      state, [=] { ca_testing::AllocateAndDeallocate(direct, 64); },
      [=] {
        void *ptr = ca_to_malloc_malloc(through, 64);
        benchmark::DoNotOptimize(ptr);
        ca_to_malloc_free(through, ptr);
      });
}
BENCHMARK(BM_AddedCostForgotten);

// A mixed load: 200 slots, each filled and emptied at random with 16 to 512 bytes.
class Load {
 public:
  static constexpr int kSteps = 20;
  static constexpr int kSlots = 200;

  // kSteps steps further; through `allocate` and `free`, the same for every pair of them.
  template <typename Allocate, typename Free>
  void Run(Allocate allocate, Free free) {
    for (int i = 0; i < kSteps; ++i) {
      state_ = state_ * 1664525 + 1013904223;
      void *&slot = slots_[(state_ >> 8) % kSlots];
      if (slot == nullptr) {
        slot = allocate(16 + (state_ >> 16) % 497);
      } else {
        free(slot);
        slot = nullptr;
      }
    }
  }
  void Clear() {
    state_ = 1;
    for (void *&slot : slots_) slot = nullptr;
  }

 private:
  std::uint32_t state_ = 1;
  void *slots_[kSlots] = {};
};

// Reports the ratio of to_malloc's time to the allocator's own, by its unsized calls (the bar over
// the trees: 1.15). `reset` empties the allocator.
template <typename Reset>
void Ratio(benchmark::State &state, ca_allocator *allocator, Reset reset) {
  Load one, other;
  ca_to_malloc it;
  ca_to_malloc_init(&it, allocator);
  ca_to_malloc *through = &it;
  benchmark::DoNotOptimize(allocator);
  benchmark::DoNotOptimize(through);
  int turns = 0;
  const auto begin_anew = [&] {
    reset();
    one.Clear();
    other.Clear();
  };
  ca_testing::ReportAddedCost(
      state,
      [&] {
        if (turns++ % ca_testing::kPairs == 0) begin_anew();
        one.Run([=](std::size_t size) { return ca_allocate(allocator, size, 16).ptr; },
                [=](void *ptr) { allocator->ops->deallocate_unsized(allocator, ptr); });
      },
      [&] {
        if (turns++ % ca_testing::kPairs == 0) begin_anew();
        other.Run([=](std::size_t size) { return ca_to_malloc_malloc(through, size); },
                  [=](void *ptr) { ca_to_malloc_free(through, ptr); });
      });
}

void BM_RatioOverBump(benchmark::State &state) {
  std::vector<char> memory(ca_testing::kPairs * Load::kSteps * 600);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), CA_SIZES_RECORDED);
  Ratio(state, ca_bump_allocator(&bump), [&] { ca_bump_reset(&bump); });
  ca_bump_destroy(&bump);
}
BENCHMARK(BM_RatioOverBump);

}  // namespace
