// What malloc's face costs over the trees on a program's trace: the ratio of to_malloc's time to
// the trees' own, with sizes recorded. The bar is 1.15.
//
//   CA_TRACE=FILE.ctr bazel run -c opt //adaptors/to_malloc:to_malloc_trace_bench
//
// FILE is unpacked, of the format in adaptors/logging/logging.h. Without it, a made-up trace serves.
// Each turn replays the whole trace both ways, on a fresh heap each. `own` names the trees' way:
// `unsized` as malloc's callers call, `sized` with the sizes that the replayer knows.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "adaptors/logging/logging.h"
#include "adaptors/to_malloc/to_malloc.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

namespace {

struct Event {
  enum Op : std::uint32_t { kAllocate, kResize, kFree } op;
  std::uint32_t slot;
  std::size_t size;
  std::size_t old_size;
};

struct Trace {
  std::vector<Event> events;
  std::size_t slots = 0;
  std::size_t peak = 0;  // Of the sizes live at once.
};

// Gives ids the slots that are free, the last freed first, and completes the sizes.
class Builder {
 public:
  void Add(const ca_logging_event &event) {
    constexpr int kAligned = 2, kResize = 3, kFree = 4;
    if (event.op == kFree) {
      const std::uint32_t slot = Leave(event.id);
      trace_.events.push_back({Event::kFree, slot, 0, sizes_[slot]});
      live_ -= sizes_[slot];
    } else if (event.op == kResize && event.old_id != 0) {
      const std::uint32_t slot = Leave(event.old_id);
      const std::size_t before = sizes_[slot];
      Enter(event.id, event.size);
      trace_.events.push_back({Event::kResize, slot, sizes_[slot], before});
      live_ -= before;
    } else if (event.op <= kAligned || event.op == kResize) {
      const std::uint32_t slot = Enter(event.id, event.size);
      trace_.events.push_back({Event::kAllocate, slot, sizes_[slot], 0});
    }
    trace_.peak = std::max(trace_.peak, live_);
  }
  Trace Finish() {
    trace_.slots = sizes_.size();
    return std::move(trace_);
  }

 private:
  std::uint32_t Enter(std::uint32_t id, std::size_t size) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(sizes_.size()));
      sizes_.push_back(0);
    }
    if (id >= slot_of_.size()) slot_of_.resize(id * 2 + 1);
    const std::uint32_t slot = slot_of_[id] = free_.back();
    free_.pop_back();
    sizes_[slot] = std::max<std::size_t>(size, 1);
    live_ += sizes_[slot];
    return slot;
  }
  std::uint32_t Leave(std::uint32_t id) {
    free_.push_back(slot_of_[id]);
    return slot_of_[id];
  }

  Trace trace_;
  std::vector<std::uint32_t> slot_of_, free_;
  std::vector<std::size_t> sizes_;
  std::size_t live_ = 0;
};

Trace MakeUp() {
  Builder builder;
  std::mt19937 random(1);
  std::vector<std::uint32_t> live;
  std::uint32_t last = 0;
  for (int i = 0; i < 20000; ++i) {
    ca_logging_event event = {};
    const std::size_t at = live.empty() ? 0 : random() % live.size();
    if (live.size() < 300 || random() % 2 == 0) {
      event.id = ++last;
      event.size = 1 + (random() % 16 == 0 ? random() % 5000 : random() % 200);
      live.push_back(last);
    } else if (random() % 8 == 0) {
      event.op = 3;
      event.old_id = live[at];
      event.id = live[at] = ++last;
      event.size = 1 + random() % 400;
    } else {
      event.op = 4;
      event.id = live[at];
      live[at] = live.back();
      live.pop_back();
    }
    builder.Add(event);
  }
  return builder.Finish();
}

Trace Load(const char *path) {
  std::FILE *file = std::fopen(path, "rb");
  ca_logging_header header;
  if (file == nullptr || std::fread(&header, sizeof header, 1, file) != 1 ||
      std::memcmp(header.magic, "CATRACE1", sizeof header.magic) != 0) {
    std::fprintf(stderr, "%s is no trace\n", path);
    std::exit(1);
  }
  Builder builder;
  ca_logging_event event;
  while (std::fread(&event, sizeof event, 1, file) == 1) builder.Add(event);
  std::fclose(file);
  return builder.Finish();
}

const Trace &TheTrace() {
  static const char *path = std::getenv("CA_TRACE");
  static const Trace trace = path == nullptr ? MakeUp() : Load(path);
  return trace;
}

struct Through {
  explicit Through(ca_allocator *allocator) { ca_to_malloc_init(&it, allocator); }
  void *Allocate(std::size_t size) { return ca_to_malloc_malloc(&it, size); }
  void *Resize(void *ptr, std::size_t, std::size_t size) {
    return ca_to_malloc_realloc(&it, ptr, size);
  }
  void Free(void *ptr, std::size_t) { ca_to_malloc_free(&it, ptr); }
  ca_to_malloc it;
};

template <bool kSized>
struct Own {
  explicit Own(ca_allocator *allocator) : it(allocator) {}
  void *Allocate(std::size_t size) { return ca_allocate(it, size, 16).ptr; }
  void *Resize(void *ptr, std::size_t old_size, std::size_t size) {
    return ca_reallocate(it, ptr, kSized ? old_size : it->ops->usable_size(it, ptr), size, 16).ptr;
  }
  void Free(void *ptr, std::size_t size) {
    if (kSized) {
      ca_deallocate(it, ptr, size, 16);
    } else {
      it->ops->deallocate_unsized(it, ptr);
    }
  }
  ca_allocator *it;
};

double ProcessorTime() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e9 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec);
}

// Replays the trace over trees in `memory` and returns the time per event.
template <typename Way>
double Replay(std::vector<char> *memory) {
  const Trace &trace = TheTrace();
  ca_multiple_binary_search_tree trees;
  ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory->data(), memory->size()),
                                            CA_SIZES_RECORDED);
  Way way(ca_multiple_binary_search_tree_allocator(&trees));
  std::vector<void *> slots(trace.slots);
  const double begin = ProcessorTime();
  for (const Event &event : trace.events) {
    void *&slot = slots[event.slot];
    if (event.op == Event::kFree) {
      way.Free(slot, event.old_size);
      continue;
    }
    slot = event.op == Event::kAllocate ? way.Allocate(event.size)
                                        : way.Resize(slot, event.old_size, event.size);
    if (slot == nullptr) std::abort();
    *static_cast<volatile char *>(slot) = 1;
  }
  const double elapsed = ProcessorTime() - begin;
  ca_multiple_binary_search_tree_destroy(&trees);
  return elapsed / static_cast<double>(trace.events.size());
}

double Median(std::vector<double> *values) {
  const auto middle = values->begin() + static_cast<std::ptrdiff_t>(values->size() / 2);
  std::nth_element(values->begin(), middle, values->end());
  return *middle;
}

template <bool kSized>
void BM_RatioOverTrees(benchmark::State &state) {
  std::vector<char> memory(TheTrace().peak * 2 + (std::size_t{16} << 20));
  std::vector<double> own, through, ratio;
  bool first = false;
  for (auto _ : state) {
    first = !first;  // Whoever is second meets warm caches.
    if (first) own.push_back(Replay<Own<kSized>>(&memory));
    through.push_back(Replay<Through>(&memory));
    if (!first) own.push_back(Replay<Own<kSized>>(&memory));
    ratio.push_back(through.back() / own.back());
  }
  state.counters["own_ns"] = Median(&own);
  state.counters["through_ns"] = Median(&through);
  state.counters["ratio"] = Median(&ratio);
}
constexpr bool kBesideUnsized = false, kBesideSized = true;
BENCHMARK_TEMPLATE(BM_RatioOverTrees, kBesideUnsized);
BENCHMARK_TEMPLATE(BM_RatioOverTrees, kBesideSized);

}  // namespace
