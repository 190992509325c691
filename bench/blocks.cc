// Local allocators where all blocks are alike, and what surrounds an allocator's life: prints CSV
// `measure,backend,value,unit`.
//
//   bazel run -c opt //bench:blocks -- [--quick] [--max-live N] [--only PREFIX]
//
// Measures:
//   block_ORDER/SIZE/LIVE    ns for a free and an allocation with LIVE blocks of SIZE bytes live;
//                            ORDER is which one is freed. wave: all in, all out, per pair.
//   block_ORDER/geomean      of those, and its ratio to the plain bit set and to boost::pool.
//   run_RANK/HOLES/BLOCKS    ns for an allocation of 1 to 64 blocks, at random, in a set of BLOCKS
//                            blocks of which 90 % are live. holes_of_runs: after runs of 1 to 64
//                            came and went; holes_of_blocks: after single blocks did. The time that
//                            reading the clock takes, at the median, is taken off. The two sizes take
//                            turns, whose first 2000 steps don't count.
//   run_p99_undisturbed/...  of all rounds, the calls after 2000 steps without a break of 20 µs: on a
//                            busy machine others leave cold caches behind, and the p99 is of these.
//   run_p99_nothing/...      what the clock says of no call at all in the same steps.
//   run_clock/...            the clock's own step: no run_ figure is finer.
//   bump/...                 ns per allocation of 16 to 256 bytes.
//   reset/1000000            µs to forget 1,000,000 blocks of 64 bytes.
//   reset_of_holes/1000000   the same when every other block has been freed.
//   create_destroy/65536     ns in a slot of 64 KiB that is resident.
//   create_use_destroy/65536 the same with a block of 64 bytes allocated and freed in between: what
//                            creation puts off until the first use is in it.
// Every figure is the median of rounds in which the back-ends take turns.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <numeric>
#include <random>
#include <string>

#include "allocators/bump/bump.h"
#include "bench/blocks_backends.h"
#include "bench/blocks_lives.h"
#include "bench/blocks_table.h"

namespace {

using namespace ca_bench;

// Blocks.

enum class Order { kNewest, kOldest, kRandom, kWave };
constexpr const char *kOrderNames[] = {"newest", "oldest", "random", "wave"};

template <typename Backend>
double PairTime(Order order, std::size_t block_size, std::size_t live_count) {
  Backend backend(block_size, live_count);
  std::vector<void *> live(live_count);
  std::vector<std::uint32_t> random_order(1 << 16);
  std::mt19937 random(1);
  for (auto &at : random_order) at = static_cast<std::uint32_t>(random() % live_count);
  for (void *&ptr : live) ptr = backend.Allocate();
  const auto pair = [&](std::size_t at) {
    backend.Free(live[at]);
    live[at] = backend.Allocate();
    Keep(live[at]);
  };
  const std::size_t pairs = std::max<std::size_t>(live_count, g_options.quick ? 1000 : 200000);
  const auto run = [&] {
    switch (order) {
      case Order::kNewest:
        for (std::size_t i = 0; i < pairs; ++i) pair(live_count - 1);
        break;
      case Order::kOldest:
        for (std::size_t i = 0, at = 0; i < pairs; ++i) {
          pair(at);
          if (++at == live_count) at = 0;
        }
        break;
      case Order::kRandom:
        for (std::size_t i = 0; i < pairs; ++i) pair(random_order[i % random_order.size()]);
        break;
      case Order::kWave:
        for (std::size_t i = 0; i < pairs; i += live_count) {
          for (void *ptr : live) backend.Free(ptr);
          for (void *&ptr : live) ptr = backend.Allocate();
        }
        break;
    }
  };
  run();  // Warm.
  const auto begin = Clock::now();
  run();
  const std::size_t done =
      order == Order::kWave ? (pairs + live_count - 1) / live_count * live_count : pairs;
  const double time = Nanoseconds(begin) / static_cast<double>(done);
  for (void *ptr : live) backend.Free(ptr);
  return time;
}

struct TakePairTime {
  template <typename Tag>
  void operator()(Tag) {
    using Backend = typename Tag::Backend;
    table->Add(Backend::kName, PairTime<Backend>(order, block_size, live_count));
  }
  Table *table;
  Order order;
  std::size_t block_size;
  std::size_t live_count;
};

void PrintGeomeans(const std::string &measure, const std::map<std::string, double> &logs,
                   std::size_t count, const std::vector<std::string> &names) {
  const auto mean = [&](const std::string &name) {
    return std::exp(logs.at(name) / static_cast<double>(count));
  };
  for (const std::string &name : names) Print(measure + "/geomean", name, mean(name), "ns");
  for (const std::string &name : names) {
    Print(measure + "/to_plain_bit_set", name, mean(name) / mean("plain_bit_set"), "ratio");
    Print(measure + "/to_boost_pool", name, mean(name) / mean("boost_pool"), "ratio");
  }
}

void Blocks(Order order) {
  const std::string measure = std::string("block_") + kOrderNames[static_cast<int>(order)];
  if (!Wanted(measure)) return;
  std::map<std::string, double> logs;
  std::size_t count = 0;
  std::vector<std::string> names;
  for (const std::size_t block_size : {64, 1024}) {
    for (std::size_t live = 1000; live <= g_options.max_live; live *= 10) {
      Table table;
      const int rounds = g_options.quick ? 1 : live >= 1000000 ? 3 : 7;
      for (int round = 0; round < rounds; ++round) {
        ca_bench::ForEachBackend(TakePairTime{&table, order, block_size, live});
      }
      table.PrintMedians(measure + "/" + std::to_string(block_size) + "/" + std::to_string(live),
                         "ns");
      names = table.names();
      for (const std::string &name : names) logs[name] += std::log(table.Median(name));
      count++;
    }
  }
  PrintGeomeans(measure, logs, count, names);
}

// Runs.

#if defined(__x86_64__)
inline std::uint64_t Ticks() {
  std::uint32_t low, high;
  asm volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
  return std::uint64_t{high} << 32 | low;
}
#else
inline std::uint64_t Ticks() {
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
}
#endif

// What a tick is, and what taking the time twice costs.
struct Timer {
  Timer() {
    const auto begin = Clock::now();
    const std::uint64_t first = Ticks();
    while (Nanoseconds(begin) < 2e7) {
    }
    per_tick = Nanoseconds(begin) / static_cast<double>(Ticks() - first);
    std::vector<double> empty;
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t at = Ticks();
      empty.push_back(static_cast<double>(Ticks() - at));
    }
    overhead = Quantile(empty, 0.5);
    std::uint64_t step = 0;
    std::uint64_t before = Ticks();
    for (int i = 0; i < 10000; ++i) {
      const std::uint64_t now = Ticks();
      step = std::gcd(step, now - before);
      before = now;
    }
    granule = static_cast<double>(step) * per_tick;
  }
  double In(std::uint64_t ticks) const { return static_cast<double>(ticks) * per_tick; }
  double Since(std::uint64_t begin) const {
    return std::max(0.0, (static_cast<double>(Ticks() - begin) - overhead) * per_tick);
  }
  double per_tick;
  double overhead;
  double granule;  // What all differences are a multiple of, in ns.
};

// Small, so that it's the set's own memory and not this that fills the caches.
struct Run {
  std::uint32_t first : 26;
  std::uint32_t length_less_one : 6;
};

// Steps after which the caches hold what the set needs.
constexpr int kUndisturbed = 2000;

struct Sample {
  double time;
  double nothing;
  bool undisturbed;
};

class RunSet {
 public:
  RunSet(std::size_t blocks, std::size_t longest) : memory_(blocks * 64 + blocks + 65536) {
    // As many blocks as asked for: the others stay taken.
    ca_bit_set_init_range(&set_, memory_.block(), 64, CA_SIZES_FORGOTTEN);
    begin_ = static_cast<char *>(ca_bit_set_allocate(&set_, ca_bit_set_capacity(&set_), 16).ptr);
    ca_bit_set_deallocate(&set_, begin_, blocks * 64);
    total_ = blocks;
    for (std::size_t left = blocks; left > 0;) {
      const std::size_t length = std::min<std::size_t>(left, 1 + random_() % longest);
      Add(length);
      left -= length;
    }
    while (live_ > total_ / 10 * 9) FreeAny();
  }
  ~RunSet() { ca_bit_set_destroy(&set_); }

  void FreeAny() {
    std::swap(runs_[random_() % runs_.size()], runs_.back());
    const Run run = runs_.back();
    const std::size_t length = run.length_less_one + std::size_t{1};
    ca_bit_set_deallocate(&set_, begin_ + std::size_t{run.first} * 64, length * 64);
    live_ -= length;
    runs_.pop_back();
  }
  // Times one allocation, and nothing right before.
  Sample Step(const Timer &timer, bool keep) {
    constexpr double kBreak = 20e3;
    const std::size_t length = 1 + random_() % 64;
    const std::uint64_t now = Ticks();
    since_break_ = timer.In(now - last_) > kBreak ? 0 : since_break_ + 1;
    last_ = now;
    Sample sample;
    sample.undisturbed = since_break_ >= kUndisturbed;
    const std::uint64_t before = Ticks();
    sample.nothing = timer.Since(before);
    const std::uint64_t begin = Ticks();
    ca_block block = ca_allocate(&set_.base, length * 64, 16);
    Keep(block.ptr);
    sample.time = timer.Since(begin);
    if (ca_block_is_none(block)) return sample;
    if (keep) {
      Note(block.ptr, length);
      while (live_ > total_ / 10 * 9) FreeAny();
    } else {
      ca_bit_set_deallocate(&set_, block.ptr, length * 64);
    }
    return sample;
  }

 private:
  void Add(std::size_t length) {
    void *ptr = ca_bit_set_allocate(&set_, length * 64, 16).ptr;
    if (ptr != nullptr) Note(ptr, length);
  }
  void Note(const void *ptr, std::size_t length) {
    const std::size_t first =
        static_cast<std::size_t>(static_cast<const char *>(ptr) - begin_) / 64;
    runs_.push_back({static_cast<std::uint32_t>(first) & 0x3FFFFFF,
                     static_cast<std::uint32_t>(length - 1) & 63});
    live_ += length;
  }
  Mapping memory_;
  char *begin_;
  ca_bit_set set_;
  std::mt19937 random_{5};
  std::vector<Run> runs_;
  std::size_t live_ = 0;
  std::size_t total_;
  std::uint64_t last_ = 0;
  int since_break_ = 0;
};

// Of one set, in all rounds.
struct RunTimes {
  void Add(const std::vector<Sample> &samples) {
    std::vector<double> times;
    std::vector<double> nothing;
    for (const Sample &sample : samples) {
      times.push_back(sample.time);
      nothing.push_back(sample.nothing);
      if (sample.undisturbed) undisturbed.push_back(sample.time);
    }
    medians.push_back(Quantile(times, 0.5));
    tails.push_back(Quantile(times, 0.99));
    nothings.push_back(Quantile(nothing, 0.99));
  }
  bool HasUndisturbed() const { return undisturbed.size() >= 1000; }
  std::vector<double> medians, tails, nothings, undisturbed;
};

void PrintRunTimes(const std::string &which, const RunTimes &times) {
  Print("run_median/" + which, "bit_set", Quantile(times.medians, 0.5), "ns");
  Print("run_p99/" + which, "bit_set", Quantile(times.tails, 0.5), "ns");
  if (times.HasUndisturbed()) {
    Print("run_p99_undisturbed/" + which, "bit_set", Quantile(times.undisturbed, 0.99), "ns");
  }
  Print("run_p99_nothing/" + which, "none", Quantile(times.nothings, 0.5), "ns");
}

void Runs(const std::string &holes, std::size_t longest, bool keep) {
  if (!Wanted("run_")) return;
  const Timer timer;
  Print("run_clock/" + holes, "none", timer.granule, "ns");
  RunTimes times[2];
  const std::string sizes[] = {"16384", "1048576"};
  RunSet small(1 << 14, longest);
  RunSet large(1 << 20, longest);
  // Written before the steps, whose caches a page fault between two of them would empty.
  std::vector<Sample> samples(g_options.quick ? 500 : 20000, Sample());
  for (int round = 0; round < (g_options.quick ? 1 : 9); ++round) {
    for (int which = 0; which < 2; ++which) {
      RunSet &set = which == 0 ? small : large;
      for (int step = 0; step < kUndisturbed; ++step) set.Step(timer, keep);  // Its turn: warm.
      for (Sample &sample : samples) sample = set.Step(timer, keep);
      times[which].Add(samples);
    }
  }
  for (int which = 0; which < 2; ++which) PrintRunTimes(holes + "/" + sizes[which], times[which]);
  const auto print_ratio = [&](const char *measure, const std::vector<double> &of_small,
                               const std::vector<double> &of_large, double rank) {
    Print(measure + ("/" + holes) + "/1048576_to_16384", "bit_set",
          Quantile(of_large, rank) / Quantile(of_small, rank), "ratio");
  };
  print_ratio("run_p99", times[0].tails, times[1].tails, 0.5);
  print_ratio("run_median", times[0].medians, times[1].medians, 0.5);
  if (times[0].HasUndisturbed() && times[1].HasUndisturbed()) {
    print_ratio("run_p99_undisturbed", times[0].undisturbed, times[1].undisturbed, 0.99);
  }
}

// Bump.

struct HandWritten {
  char *cursor;
  char *end;
  void *Allocate(std::size_t size, std::size_t align) {
    char *const ptr = reinterpret_cast<char *>(
        (reinterpret_cast<std::uintptr_t>(cursor) + align - 1) & ~(align - 1));
    if (size > static_cast<std::size_t>(end - ptr)) return nullptr;
    cursor = ptr + size;
    return ptr;
  }
};

constexpr std::size_t kBumpCount = 1000;

std::vector<std::uint16_t> BumpSizes() {
  std::vector<std::uint16_t> sizes(kBumpCount);
  std::mt19937 random(1);
  for (auto &size : sizes) size = static_cast<std::uint16_t>(16 + random() % 241);
  return sizes;
}

template <typename Reset, typename Allocate>
__attribute__((noinline)) double BumpTime(const std::vector<std::uint16_t> &sizes, Reset reset,
                                          Allocate allocate) {
  const int loops = g_options.quick ? 10 : 2000;
  const auto begin = Clock::now();
  for (int loop = 0; loop < loops; ++loop) {
    reset();
    for (const std::size_t size : sizes) {
      void *ptr = allocate(size);
      asm volatile("" : : "r"(ptr));
    }
  }
  return Nanoseconds(begin) / loops / static_cast<double>(sizes.size());
}

void Bump() {
  if (!Wanted("bump")) return;
  const Mapping memory(kBumpCount * 512);
  const std::vector<std::uint16_t> sizes = BumpSizes();
  std::memset(memory.begin(), 1, kBumpCount * 512);
  Table table;
  for (int round = 0; round < (g_options.quick ? 1 : 21); ++round) {
    HandWritten hand = {memory.begin(), memory.begin() + kBumpCount * 512};
    table.Add("hand_written", BumpTime(
                                  sizes, [&] { hand.cursor = memory.begin(); },
                                  [&](std::size_t size) { return hand.Allocate(size, 16); }));
    ca_bump bump;
    ca_bump_init_range(&bump, memory.block(), CA_SIZES_FORGOTTEN);
    table.Add("bump", BumpTime(
                          sizes, [&] { ca_bump_reset(&bump); },
                          [&](std::size_t size) { return ca_bump_allocate(&bump, size, 16).ptr; }));
    std::pmr::monotonic_buffer_resource monotonic(memory.begin(), kBumpCount * 512,
                                                  std::pmr::null_memory_resource());
    table.Add("pmr_monotonic", BumpTime(
                                   sizes,
                                   [&] {
                                     monotonic.~monotonic_buffer_resource();
                                     new (&monotonic) std::pmr::monotonic_buffer_resource(
                                         memory.begin(), kBumpCount * 512,
                                         std::pmr::null_memory_resource());
                                   },
                                   [&](std::size_t size) { return monotonic.allocate(size, 16); }));
    ca_bump_destroy(&bump);
  }
  table.PrintMedians("bump/16_to_256", "ns");
  Print("bump/to_hand_written", "bump", table.Median("bump") / table.Median("hand_written"),
        "ratio");
}

bool Parse(int argc, char **argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      g_options.quick = true;
      g_options.max_live = 1000;
    } else if (argument == "--max-live" && i + 1 < argc) {
      g_options.max_live = std::strtoul(argv[++i], nullptr, 10);
    } else if (argument == "--only" && i + 1 < argc) {
      g_options.only = argv[++i];
    } else {
      std::fprintf(stderr, "usage: %s [--quick] [--max-live N] [--only PREFIX]\n", argv[0]);
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char **argv) {
  if (!Parse(argc, argv)) return 2;
  std::printf("measure,backend,value,unit\n");
  for (const Order order : {Order::kNewest, Order::kOldest, Order::kRandom, Order::kWave}) {
    Blocks(order);
  }
  Runs("holes_of_runs", 64, true);
  Runs("holes_of_blocks", 1, false);
  Bump();
  PrintResets();
  PrintLives();
  return 0;
}
