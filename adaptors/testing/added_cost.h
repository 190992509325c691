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
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

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

// The same pointer, of which the compiler knows nothing any more.
template <typename Type>
Type *Opaque(Type *pointer) {
  asm volatile("" : "+r"(pointer));
  return pointer;
}

constexpr int kPairs = 1000;

// Runs `pair` kPairs times and returns the nanoseconds of each half of it.
template <typename Pair>
double NanosecondsPerCall(Pair pair) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kPairs; ++i) pair();
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - begin;
  return elapsed.count() / (2 * kPairs);
}

// What the fastest of the turns took: others work on this machine too, and never make one faster.
// J. Chen, J. Revels, "Robust benchmarking in noisy environments", 2016.
inline double Fastest(const std::vector<double> &values) {
  return *std::min_element(values.begin(), values.end());
}

// An indirect call that does nothing: by how many of these something costs, it can be told on
// whatever machine and in whatever moment.
inline void EmptyCall() {
  static void (*volatile call)() = [] { asm volatile(""); };
  call();
}

// Reports, per call, direct_ns, through_ns and added_ns; ratio; what an empty indirect call takes,
// empty_ns; and added_calls, the added cost in such calls. All three are measured in turns, so that
// they meet the same moments. A "call" is half a pair of allocate and deallocate.
template <typename Direct, typename Through>
void ReportAddedCost(benchmark::State &state, Direct direct, Through through) {
  std::vector<double> one, other, empty;
  for (auto _ : state) {
    one.push_back(NanosecondsPerCall(direct));
    other.push_back(NanosecondsPerCall(through));
    empty.push_back(NanosecondsPerCall([] {
      EmptyCall();
      EmptyCall();
    }));
  }
  const double direct_ns = Fastest(one), through_ns = Fastest(other), empty_ns = Fastest(empty);
  state.counters["direct_ns"] = direct_ns;
  state.counters["through_ns"] = through_ns;
  state.counters["added_ns"] = through_ns - direct_ns;
  state.counters["ratio"] = through_ns / direct_ns;
  state.counters["empty_ns"] = empty_ns;
  state.counters["added_calls"] = (through_ns - direct_ns) / empty_ns;
}

inline void AllocateAndDeallocate(ca_allocator *allocator, std::size_t size) {
  const ca_block block = ca_allocate(allocator, size, CA_ALIGN_DEFAULT);
  benchmark::DoNotOptimize(block.ptr);
  ca_deallocate(allocator, block.ptr, size, CA_ALIGN_DEFAULT);
}

// A realistic inner allocator: the trees, over a megabyte with some blocks in it.
struct BenchTrees {
  explicit BenchTrees(ca_sizes sizes) : memory(1 << 20) {
    ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory.data(), memory.size()),
                                              sizes);
    for (std::size_t i = 0; i < 1000; ++i) ca_allocate(get(), 16 + i % 300, CA_ALIGN_DEFAULT);
  }
  ~BenchTrees() { ca_multiple_binary_search_tree_destroy(&trees); }
  ca_allocator *get() { return ca_multiple_binary_search_tree_allocator(&trees); }
  std::vector<char> memory;
  ca_multiple_binary_search_tree trees;
};

// The cost that `adaptor` adds to each of allocate and deallocate through the table of `inner`.
inline void ReportAddedCost(benchmark::State &state, ca_allocator *inner, ca_allocator *adaptor,
                            std::size_t size = 64) {
  inner = Opaque(inner);
  adaptor = Opaque(adaptor);
  ReportAddedCost(
      state, [=] { AllocateAndDeallocate(inner, size); },
      [=] { AllocateAndDeallocate(adaptor, size); });
}

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ADDED_COST_H_
