// Replays recorded allocation traces on several back-ends.
//
//   bazel run -c opt //bench:replay -- [--backends a,b,...] [--rounds N] TRACE...
//
// Prints CSV: trace,backend,ns_per_event_warm,ns_per_event_cold,peak_footprint_ratio,
// smallest_region_ratio. Times are medians over rounds in which the back-ends take turns, each in a
// fresh process, pinned to one processor; the loop's own time is taken off. cold: the first pass; warm: the
// fastest of the next two passes. Each block's first byte is written. Footprint: peak resident memory, every
// byte written, above what was resident before, over the peak of live bytes. Smallest region: the
// smallest range that serves the whole trace, over the same.
#include <getopt.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "bench/replay_backends.h"
#include "bench/trace.h"

namespace ca_bench {
namespace {

enum class Write { kFirstByte, kEveryByte };

void WriteTo(void *ptr, std::size_t from, std::size_t size, Write write) {
  auto *bytes = static_cast<volatile char *>(ptr);
  if (write == Write::kFirstByte) {
    bytes[0] = 1;
  } else if (size > from) {
    std::memset(static_cast<char *>(ptr) + from, 1, size - from);
  }
}

// Returns false as soon as the back-end has no memory.
template <Write kWrite, typename Backend>
bool Pass(Backend &backend, const Trace &trace, std::vector<void *> &slots) {
  for (const Event &event : trace.events) {
    void *&slot = slots[event.slot];
    const std::size_t align = std::size_t{1} << event.align_log2;
    if (event.op == Op::kFree) {
      backend.Free(slot, event.old_size, align);
      continue;
    }
    slot = event.op == Op::kAllocate ? backend.Allocate(event.size, align)
                                     : backend.Resize(slot, event.old_size, event.size, align);
    if (slot == nullptr) return false;
    WriteTo(slot, event.op == Op::kAllocate ? 0 : event.old_size, event.size, kWrite);
  }
  return true;
}

template <typename Backend>
auto EndPass(Backend &backend, int) -> decltype(backend.EndPass()) {
  backend.EndPass();
}
template <typename Backend>
void EndPass(Backend &, long) {}

// Bytes of range that a pass surely fits in.
template <typename Backend>
std::size_t RoomFor(const Trace &trace) {
  const bool total = std::is_same_v<Backend, Bump>;
  return (total ? trace.total : 2 * trace.peak_live) + (std::size_t{16} << 20);
}

// Nanoseconds of this process, in and out of the kernel: others on the machine don't count.
double ProcessorTime() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e9 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec);
}

template <typename Backend>
double TimedPass(Backend &backend, const Trace &trace, std::vector<void *> &slots) {
  const double start = ProcessorTime();
  if (!Pass<Write::kFirstByte>(backend, trace, slots)) std::exit(1);
  const double time = ProcessorTime() - start;
  EndPass(backend, 0);
  return time / static_cast<double>(trace.events.size());
}

struct Times {
  double cold = 0, warm = 0;
};

template <typename Backend>
Times MeasureTimes(const Trace &trace) {
  std::vector<void *> slots(trace.slots, nullptr);
  Backend backend(RoomFor<Backend>(trace));
  Times times;
  times.cold = TimedPass(backend, trace, slots);
  const double second = TimedPass(backend, trace, slots);
  times.warm = std::min(second, TimedPass(backend, trace, slots));
  return times;
}

// Of this process, in bytes: VmRSS, or VmHWM, the highest it was since the last reset.
double Resident(const char *field) {
  std::FILE *file = std::fopen("/proc/self/status", "r");
  char line[256];
  double kib = 0;
  while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, field, std::strlen(field)) == 0) {
      kib = std::strtod(line + std::strlen(field) + 1, nullptr);
    }
  }
  if (file != nullptr) std::fclose(file);
  return kib * 1024;
}

template <typename Backend>
double MeasureFootprint(const Trace &trace) {
  std::vector<void *> slots(trace.slots, nullptr);
  Nothing nothing(0);
  Pass<Write::kFirstByte>(nothing, trace, slots);  // Brings in the trace and the slots.
  const double before = Resident("VmRSS:");
  std::FILE *reset = std::fopen("/proc/self/clear_refs", "w");
  if (reset != nullptr) {
    std::fputs("5", reset);
    std::fclose(reset);
  }
  Backend backend(RoomFor<Backend>(trace));
  if (!Pass<Write::kEveryByte>(backend, trace, slots)) return 0;
  return (Resident("VmHWM:") - before) / static_cast<double>(trace.peak_live);
}

template <typename Backend>
double MeasureSmallestRegion(const Trace &trace) {
  std::vector<void *> slots(trace.slots, nullptr);
  std::size_t fails = trace.peak_live - 1;
  std::size_t serves = RoomFor<Backend>(trace);
  while (serves - fails > trace.peak_live / 2000 + 16) {
    const std::size_t size = fails + (serves - fails) / 2;
    Backend backend(size);
    (Pass<Write::kFirstByte>(backend, trace, slots) ? serves : fails) = size;
  }
  return static_cast<double>(serves) / static_cast<double>(trace.peak_live);
}

// Runs `measure` in a process of its own; a result of zeros if that failed.
template <typename Result, typename Measure>
Result InOwnProcess(Measure measure) {
  int ends[2];
  Result result = {};
  if (pipe(ends) != 0) return result;
  const pid_t child = fork();
  if (child == 0) {
    const Result made = measure();
    const bool wrote = write(ends[1], &made, sizeof made) == sizeof made;
    _exit(wrote ? 0 : 1);
  }
  close(ends[1]);
  if (read(ends[0], &result, sizeof result) != sizeof result) result = {};
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return result;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

struct Options {
  std::vector<std::string> backends;  // Empty: all.
  int rounds = 5;
  bool Wants(const char *name) const {
    return backends.empty() || std::find(backends.begin(), backends.end(), name) != backends.end();
  }
};

class Comparison {
 public:
  Comparison(const Trace &trace, const Options &options) : trace_(trace), options_(options) {}

  void Run() {
    for (round_ = 0; round_ < options_.rounds; ++round_) {
      Time<Nothing>();
      ForEachBackend(*this);
    }
    print_ = true;
    ForEachBackend(*this);
  }

  template <typename Backend>
  void operator()() {
    if (!options_.Wants(Backend::kName)) return;
    if (print_) {
      Print<Backend>();
    } else {
      Time<Backend>();
    }
  }

 private:
  template <typename Backend>
  void Time() {
    const Times times = InOwnProcess<Times>([this] { return MeasureTimes<Backend>(trace_); });
    cold_[Backend::kName].push_back(times.cold);
    warm_[Backend::kName].push_back(times.warm);
  }

  template <typename Backend>
  void Print() {
    const double loop = Median(warm_[Nothing::kName]);
    const double cold_loop = Median(cold_[Nothing::kName]);
    std::printf("%s,%s,%.2f,%.2f,%.3f,", trace_.name.c_str(), Backend::kName,
                Median(warm_[Backend::kName]) - loop, Median(cold_[Backend::kName]) - cold_loop,
                InOwnProcess<double>([this] { return MeasureFootprint<Backend>(trace_); }));
    if constexpr (Backend::kRegion) {
      std::printf("%.4f",
                  InOwnProcess<double>([this] { return MeasureSmallestRegion<Backend>(trace_); }));
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  const Trace &trace_;
  const Options &options_;
  int round_ = 0;
  bool print_ = false;
  std::map<std::string, std::vector<double>> cold_;
  std::map<std::string, std::vector<double>> warm_;
};

bool ParseOptions(int argc, char **argv, Options *options) {
  static const option kOptions[] = {{"backends", required_argument, nullptr, 'b'},
                                    {"rounds", required_argument, nullptr, 'r'},
                                    {nullptr, 0, nullptr, 0}};
  for (int found; (found = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (found == 'r') {
      options->rounds = std::max(1, std::atoi(optarg));
    } else if (found == 'b') {
      std::string names = optarg;
      for (std::size_t at = 0; at <= names.size();) {
        const std::size_t comma = std::min(names.find(',', at), names.size());
        options->backends.push_back(names.substr(at, comma - at));
        at = comma + 1;
      }
    } else {
      return false;
    }
  }
  return optind < argc;
}

// The processor that it runs on now, for itself and the processes it starts.
void PinToOneProcessor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(std::max(0, sched_getcpu())), &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

int Main(int argc, char **argv) {
  Options options;
  if (!ParseOptions(argc, argv, &options)) {
    std::fprintf(stderr, "usage: replay [--backends a,b,...] [--rounds N] TRACE...\n");
    return 2;
  }
  PinToOneProcessor();
  std::printf(
      "trace,backend,ns_per_event_warm,ns_per_event_cold,peak_footprint_ratio,"
      "smallest_region_ratio\n");
  for (int i = optind; i < argc; ++i) {
    Trace trace;
    std::string error;
    if (!LoadTrace(argv[i], &trace, &error)) {
      std::fprintf(stderr, "%s\n", error.c_str());
      return 1;
    }
    std::fflush(stdout);
    malloc_trim(0);  // So that no back-end starts in what loading the trace left free.
    Comparison(trace, options).Run();
  }
  return 0;
}

}  // namespace
}  // namespace ca_bench

int main(int argc, char **argv) { return ca_bench::Main(argc, argv); }
