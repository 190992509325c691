// An allocator's life in //bench:blocks: creation, reset, end. To add one: a struct like these, and a
// line in ForEachLife().
#ifndef CONTEXT_ALLOCATOR_BENCH_BLOCKS_LIVES_H_
#define CONTEXT_ALLOCATOR_BENCH_BLOCKS_LIVES_H_

#include <cstdlib>
#include <cstring>
#include <vector>

#include "allocators/bit_set/bit_set.h"
#include "allocators/bump/bump.h"
#include "allocators/context/context.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"
#include "bench/blocks_backends.h"
#include "bench/blocks_table.h"

namespace ca_bench {

struct BumpLife {
  static constexpr const char *kName = "bump";
  void Create(ca_block range) { ca_bump_init_range(&self, range, CA_SIZES_FORGOTTEN); }
  void Reset() { ca_bump_reset(&self); }
  void Destroy() { ca_bump_destroy(&self); }
  ca_allocator *base() { return ca_bump_allocator(&self); }
  ca_bump self;
};

struct BitSetLife {
  static constexpr const char *kName = "bit_set";
  void Create(ca_block range) { ca_bit_set_init_range(&self, range, 64, CA_SIZES_FORGOTTEN); }
  void Reset() { ca_bit_set_reset(&self); }
  void Destroy() { ca_bit_set_destroy(&self); }
  ca_allocator *base() { return ca_bit_set_allocator(&self); }
  ca_bit_set self;
};

template <ca_sizes kSizes>
struct TreesLife {
  static constexpr const char *kName = kSizes == CA_SIZES_FORGOTTEN ? "trees" : "trees_recording";
  void Create(ca_block range) { ca_multiple_binary_search_tree_init_range(&self, range, kSizes); }
  void Reset() { ca_multiple_binary_search_tree_reset(&self); }
  void Destroy() { ca_multiple_binary_search_tree_destroy(&self); }
  ca_allocator *base() { return ca_multiple_binary_search_tree_allocator(&self); }
  ca_multiple_binary_search_tree self;
};

// Of the kind with the longest life; the others are as those above.
struct ContextLife {
  static constexpr const char *kName = "context_of_trees";
  void Create(ca_block range) {
    ca_context_allocator_init_range(&self, range, CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE, nullptr);
  }
  void Reset() { ca_context_allocator_reset(&self); }
  void Destroy() { ca_context_allocator_destroy(&self); }
  ca_allocator *base() { return ca_context_allocator_allocator(&self); }
  ca_context_allocator self;
};

template <typename Visitor>
void ForEachLife(Visitor &&visit) {
  visit(Tag<BumpLife>{});
  visit(Tag<BitSetLife>{});
  visit(Tag<TreesLife<CA_SIZES_FORGOTTEN>>{});
  visit(Tag<TreesLife<CA_SIZES_RECORDED>>{});
  visit(Tag<ContextLife>{});
}

// One reset, in microseconds. `step`: each block whose number is a multiple of it is freed before.
template <typename Life>
double ResetTime(ca_block range, std::size_t count, std::size_t step) {
  Life life;
  life.Create(range);
  std::vector<ca_block> live(count);
  for (ca_block &block : live) block = ca_allocate(life.base(), 64, 16);
  for (std::size_t i = 0; i < count; i += step) {
    ca_deallocate(life.base(), live[i].ptr, live[i].size, 16);
  }
  const auto begin = Clock::now();
  life.Reset();
  const double time = Nanoseconds(begin) / 1000;
  life.Destroy();
  return time;
}

struct TakeResetTime {
  template <typename T>
  void operator()(Tag<T>) {
    table->Add(T::kName, ResetTime<T>(range, count, step));
  }
  Table *table;
  ca_block range;
  std::size_t count;
  std::size_t step;
};

inline void PrintResetsOf(const char *measure, std::size_t step) {
  if (!Wanted(measure)) return;
  const std::size_t count = g_options.quick ? 1000 : 1000000;
  const Mapping memory(count * 66 + 65536);
  Table table;
  for (int round = 0; round < (g_options.quick ? 1 : 7); ++round) {
    ForEachLife(TakeResetTime{&table, memory.block(), count, step});
    std::vector<void *> live(count);
    for (void *&ptr : live) ptr = std::malloc(64);
    auto begin = Clock::now();
    for (void *ptr : live) std::free(ptr);
    table.Add("glibc", Nanoseconds(begin) / 1000);
    std::vector<char> bits(count / 8);
    begin = Clock::now();
    std::memset(bits.data(), round, bits.size());
    table.Add("memset_of_a_bit_a_block", Nanoseconds(begin) / 1000);
    asm volatile("" : : "r"(bits.data()) : "memory");
  }
  table.PrintMedians(measure + ("/" + std::to_string(count)), "us");
}

inline void PrintResets() {
  PrintResetsOf("reset", SIZE_MAX);
  PrintResetsOf("reset_of_holes", 2);
}

// Nanoseconds for a life in which one block is asked for and freed, or none.
template <typename Life>
double LifeTime(ca_block range, bool used) {
  const int loops = g_options.quick ? 100 : 50000;
  const auto begin = Clock::now();
  for (int i = 0; i < loops; ++i) {
    Life life;
    Keep(range.ptr);
    life.Create(range);
    if (used) {
      const ca_block block = ca_allocate(life.base(), 64, 16);
      asm volatile("" : : "r"(block.ptr) : "memory");
      ca_deallocate(life.base(), block.ptr, block.size, 16);
    }
    asm volatile("" : : "r"(&life) : "memory");
    life.Destroy();
  }
  return Nanoseconds(begin) / loops;
}

struct TakeLifeTime {
  template <typename T>
  void operator()(Tag<T>) {
    table->Add(T::kName, LifeTime<T>(range, used));
  }
  Table *table;
  ca_block range;
  bool used;
};

inline void PrintLivesOf(const char *measure, bool used) {
  if (!Wanted(measure)) return;
  alignas(4096) static char slot[65536];
  std::memset(slot, 1, sizeof slot);
  Table table;
  for (int round = 0; round < (g_options.quick ? 1 : 11); ++round) {
    ForEachLife(TakeLifeTime{&table, ca_block_make(slot, sizeof slot), used});
  }
  table.PrintMedians(measure + std::string("/65536"), "ns");
}

inline void PrintLives() {
  PrintLivesOf("create_destroy", false);
  PrintLivesOf("create_use_destroy", true);
}

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_BLOCKS_LIVES_H_
