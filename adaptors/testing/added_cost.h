// What an adaptor's calls cost beside direct ones, measured in turns so that both meet the same
// moments of the machine.
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ADDED_COST_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ADDED_COST_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "allocators/allocator.h"
#include "allocators/bump/bump.h"

namespace ca_testing {

// A bump allocator over memory of its own: the cheapest inner allocator there is.
struct BenchBump {
  explicit BenchBump(ca_sizes sizes) : memory(1 << 16) {
    ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), sizes);
  }
  ~BenchBump() { ca_bump_destroy(&bump); }
  ca_allocator *get() { return ca_bump_allocator(&bump); }
  std::vector<char> memory;
  ca_bump bump;
};

constexpr int kPairs = 1000;

// Runs `pair` kPairs times and returns the nanoseconds of each half of it.
template <typename Pair>
double NanosecondsPerCall(Pair pair) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kPairs; ++i) pair();
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - begin;
  return elapsed.count() / (2 * kPairs);
}

inline double Median(std::vector<double> *values) {
  const auto middle = values->begin() + static_cast<std::ptrdiff_t>(values->size() / 2);
  std::nth_element(values->begin(), middle, values->end());
  return *middle;
}

// Reports direct_ns, through_ns and added_ns, per call, and ratio: medians over the turns.
template <typename Direct, typename Through>
void ReportAddedCost(benchmark::State &state, Direct direct, Through through) {
  std::vector<double> one, other, added, ratio;
  for (auto _ : state) {
    one.push_back(NanosecondsPerCall(direct));
    other.push_back(NanosecondsPerCall(through));
    added.push_back(other.back() - one.back());
    ratio.push_back(other.back() / one.back());
  }
  state.counters["direct_ns"] = Median(&one);
  state.counters["through_ns"] = Median(&other);
  state.counters["added_ns"] = Median(&added);
  state.counters["ratio"] = Median(&ratio);
}

inline void AllocateAndDeallocate(ca_allocator *allocator, std::size_t size) {
  const ca_block block = ca_allocate(allocator, size, CA_ALIGN_DEFAULT);
  benchmark::DoNotOptimize(block.ptr);
  ca_deallocate(allocator, block.ptr, size, CA_ALIGN_DEFAULT);
}

// The cost that `adaptor` adds to each of allocate and deallocate through the table of `inner`.
inline void ReportAddedCost(benchmark::State &state, ca_allocator *inner, ca_allocator *adaptor,
                            std::size_t size = 64) {
  benchmark::DoNotOptimize(inner);
  benchmark::DoNotOptimize(adaptor);
  ReportAddedCost(
      state, [=] { AllocateAndDeallocate(inner, size); },
      [=] { AllocateAndDeallocate(adaptor, size); });
}

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ADDED_COST_H_
