// Replays recorded traces of real programs on each back-end, and prints CSV.
//
//   bazel run -c opt //bench:replay -- [--quick] [--backends a,b,...] TRACE...
//
// TRACE is NAME.ctr or NAME.ctr.xz. Without --backends all but two of them: `context`, whose calls are
// those of `trees`, and `memory_map`, where each event is a system call. Columns:
//   ns_per_event_warm     least of the rounds, in which the back-ends take turns, of a pass on a heap
//                         that has served a pass before. No block is written. The time of the same
//                         loop around calls that do nothing, measured in the same rounds, is taken
//                         off. Time is the process's own, on one processor;
//                         -1 where a pass was refused.
//   ns_per_event_cold     the first pass in a fresh process, one byte of each page written: with the
//                         page faults, without what starting the back-end costs. Least of three.
//   peak_footprint_ratio  most resident anonymous memory that the pass added, every byte written,
//                         by the peak of the bytes asked for.
//   smallest_region_ratio the smallest region that serves the whole trace, by the same; empty for
//                         what has no region.
// Sizes are given to frees, but for trees_unsized, whose region includes the marks; alignment is 16
// from 16 bytes on, else 8, or what the program asked for.
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "bench/replay_backends.h"
#include "bench/replay_trace.h"

namespace replay {
namespace {

enum Touch { kNothing, kPages, kEveryByte };

inline void Write(Touch touch, void *ptr, std::size_t size) {
  if (touch == kNothing) return;
  auto *const bytes = static_cast<volatile char *>(ptr);
  const std::size_t step = touch == kPages ? 4096 : 1;
  for (std::size_t i = 0; i < size; i += step) bytes[i] = 1;
}

// One pass. Returns false as soon as a request is refused. `each` is called before each event.
template <Touch kTouch, typename Backend, typename Each>
bool Replay(const Trace &trace, Backend *backend, Object *objects, Each each) {
  for (const Event &event : trace.events) {
    each();
    Object &object = objects[event.slot];
    const std::size_t align = std::size_t{1} << event.align_log2;
    switch (event.op) {
      case kAllocate:
        object = {backend->Allocate(event.size, align), event.size};
        break;
      case kReallocate: {
        const std::size_t old_align = std::size_t{1} << event.old_align_log2;
        void *const moved = backend->Reallocate(object, event.size, old_align, align);
        if (moved == nullptr) return false;
        object = {moved, event.size};
        break;
      }
      default:
        backend->Free(object, align);
        object.ptr = nullptr;
        continue;
    }
    if (object.ptr == nullptr) return false;
    Write(kTouch, object.ptr, object.size);
  }
  return true;
}

// Bytes of memory for a region, zeroed, unmapped at the end.
class Region {
 public:
  explicit Region(std::size_t size) : size_(size) {
    ptr_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (ptr_ == MAP_FAILED) {
      std::perror("mmap");
      std::exit(2);
    }
  }
  ~Region() { munmap(ptr_, size_); }
  Region(const Region &) = delete;
  ca_block first(std::size_t size) const { return ca_block_make(ptr_, size); }
  ca_block all() const { return first(size_); }

 private:
  std::size_t size_;
  void *ptr_;
};

// Nanoseconds of this process, in and out of the kernel: others on the machine don't count.
double Now() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e9 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec);
}

// The processor that it runs on now, for itself and the processes it starts.
void PinToOneProcessor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(std::max(0, sched_getcpu())), &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

std::size_t ResidentAnonymous() {
  std::FILE *const file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0, resident = 0, shared = 0;
  if (file == nullptr || std::fscanf(file, "%lu %lu %lu", &total, &resident, &shared) != 3) {
    std::exit(2);
  }
  std::fclose(file);
  return (resident - shared) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// What disturbs a pass (another program in the same caches) only ever adds to it.
// Negative as soon as one is: that pass was refused.
double Least(const std::vector<double> &values) {
  return *std::min_element(values.begin(), values.end());
}

// One figure, measured in a fresh process.
double InChild(const std::function<double()> &measure) {
  int ends[2];
  if (pipe(ends) != 0) std::exit(2);
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const double value = measure();
    const bool written = write(ends[1], &value, sizeof value) == sizeof value;
    _exit(written ? 0 : 2);
  }
  double value = -1;
  close(ends[1]);
  if (read(ends[0], &value, sizeof value) != sizeof value) value = -1;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return value;
}

// A back-end on a trace, with its type forgotten.
class Session {
 public:
  virtual ~Session() = default;
  virtual double TimeOfPass() = 0;  // ns; negative if a request was refused.
};

template <typename Backend>
class SessionOn : public Session {
 public:
  SessionOn(const Trace &trace, std::size_t region)
      : trace_(trace), region_(region), backend_(region_.all()), objects_(trace.slots) {}

  double TimeOfPass() override { return Time<kNothing>(); }

  template <Touch kTouch>
  double Time() {
    const double begin = Now();
    const bool served = Replay<kTouch>(trace_, &backend_, objects_.data(), [] {});
    const double end = Now();
    FreeAll();
    return served ? end - begin : -1;
  }

  double Footprint() {
    const std::size_t before = ResidentAnonymous();
    std::size_t peak = before;
    const std::size_t every = trace_.events.size() / 500 + 1;
    std::size_t at = 0;
    const bool served = Replay<kEveryByte>(trace_, &backend_, objects_.data(), [&] {
      if (at % every == 0 || at == trace_.peak_event + 1) {
        peak = std::max(peak, ResidentAnonymous());
      }
      ++at;
    });
    peak = std::max(peak, ResidentAnonymous());
    return served ? static_cast<double>(peak - before) : -1;
  }

 private:
  // What the program never freed: not part of the pass.
  void FreeAll() {
    std::vector<std::uint8_t> align_of(trace_.slots);
    for (const Event &event : trace_.events) align_of[event.slot] = event.align_log2;
    for (std::size_t slot = 0; slot < objects_.size(); ++slot) {
      if (objects_[slot].ptr == nullptr) continue;
      backend_.Free(objects_[slot], std::size_t{1} << align_of[slot]);
      objects_[slot].ptr = nullptr;
    }
    // Which takes back nothing else.
    if constexpr (std::is_same<Backend, Bump>::value) ca_bump_reset(&backend_.of.bump);
  }

  const Trace &trace_;
  Region region_;
  Backend backend_;
  std::vector<Object> objects_;
};

template <typename Backend>
bool Serves(const Trace &trace, const Region &memory, std::size_t size) {
  std::vector<Object> objects(trace.slots);
  const auto backend = std::make_unique<Backend>(memory.first(size));
  return Replay<kNothing>(trace, backend.get(), objects.data(), [] {});
}

// By bisection, to a thousandth of the peak.
template <typename Backend>
double SmallestRegion(const Trace &trace, std::size_t most) {
  const Region memory(most);
  std::size_t refused = trace.peak_live - 1;
  std::size_t served = most;
  if (!Serves<Backend>(trace, memory, served)) return -1;
  for (std::size_t guess = trace.peak_live + trace.peak_live / 8; guess < served; guess *= 2) {
    if (Serves<Backend>(trace, memory, guess)) {
      served = guess;
    } else {
      refused = guess;
    }
  }
  while (served - refused > trace.peak_live / 1000 + 16) {
    const std::size_t middle = refused + (served - refused) / 2;
    (Serves<Backend>(trace, memory, middle) ? served : refused) = middle;
  }
  return static_cast<double>(served);
}

std::size_t BytesInAll(const Trace &trace) {
  std::size_t sum = 1 << 20;
  for (const Event &event : trace.events) {
    sum += ca_round_up(event.size, 16) + (std::size_t{1} << event.align_log2);
  }
  return sum;
}

struct Kind {
  const char *name;
  bool has_region;
  std::size_t (*region)(const Trace &trace);
  std::unique_ptr<Session> (*open)(const Trace &trace, std::size_t region);
  double (*cold)(const Trace &trace, std::size_t region);
  double (*footprint)(const Trace &trace, std::size_t region);
  double (*smallest)(const Trace &trace, std::size_t most);
};

template <typename Backend>
Kind KindOf(const char *name) {
  Kind kind;
  kind.name = name;
  kind.has_region = Backend::kRegion;
  kind.region = [](const Trace &trace) -> std::size_t {
    if (!Backend::kRegion) return 4096;
    if (std::is_same<Backend, Bump>::value) return BytesInAll(trace);
    // Of a bit set each of the smallest objects takes a block of 64.
    const std::size_t times = std::is_same<Backend, BitSet>::value ? 16 : 2;
    return times * trace.peak_live + (std::size_t{1} << 20);
  };
  kind.open = [](const Trace &trace, std::size_t region) -> std::unique_ptr<Session> {
    return std::make_unique<SessionOn<Backend>>(trace, region);
  };
  kind.cold = [](const Trace &trace, std::size_t region) {
    return SessionOn<Backend>(trace, region).template Time<kPages>();
  };
  kind.footprint = [](const Trace &trace, std::size_t region) {
    return SessionOn<Backend>(trace, region).Footprint();
  };
  kind.smallest = [](const Trace &trace, std::size_t most) {
    return SmallestRegion<Backend>(trace, most);
  };
  return kind;
}

struct Options {
  bool quick = false;
  std::vector<Kind> kinds;
  std::vector<std::string> paths;
};

// What is measured in a fresh process: before this one has heaps of its own that a child would
// find already filled.
struct Fresh {
  double cold;
  double footprint;
};

Fresh MeasureFresh(const Trace &trace, const Kind &kind, const Options &options) {
  const std::size_t region = kind.region(trace);
  std::vector<double> cold;
  malloc_trim(0);
  for (int pass = 0; pass < (options.quick ? 1 : 3); ++pass) {
    cold.push_back(InChild([&] { return kind.cold(trace, region); }));
  }
  return {Least(cold), InChild([&] { return kind.footprint(trace, region); })};
}

// Each back-end's least time of a warm pass, and last the loop's own.
std::vector<double> MeasureWarm(const Trace &trace, const Options &options) {
  SessionOn<Nothing> loop(trace, 4096);
  std::vector<std::unique_ptr<Session>> sessions;
  for (const Kind &kind : options.kinds) {
    sessions.push_back(kind.open(trace, kind.region(trace)));
    sessions.back()->TimeOfPass();
  }
  std::vector<std::vector<double>> times(sessions.size() + 1);
  for (int round = 0; round < (options.quick ? 1 : 9); ++round) {
    for (std::size_t i = 0; i < sessions.size(); ++i) times[i].push_back(sessions[i]->TimeOfPass());
    times.back().push_back(loop.TimeOfPass());
  }
  std::vector<double> least;
  for (const auto &of_one : times) least.push_back(Least(of_one));
  return least;
}

void Report(const Trace &trace, const Options &options) {
  std::vector<Fresh> fresh;
  for (const Kind &kind : options.kinds) fresh.push_back(MeasureFresh(trace, kind, options));
  const std::vector<double> warm = MeasureWarm(trace, options);
  const auto events = static_cast<double>(trace.events.size());
  const auto peak = static_cast<double>(trace.peak_live);
  for (std::size_t i = 0; i < options.kinds.size(); ++i) {
    const Kind &kind = options.kinds[i];
    const auto per_event = [&](double time) {
      return time < 0 ? -1 : (time - warm.back()) / events;
    };
    std::printf("%s,%s,%.2f,%.2f,%.4f,", trace.name.c_str(), kind.name, per_event(warm[i]),
                per_event(fresh[i].cold), fresh[i].footprint / peak);
    if (kind.has_region) std::printf("%.4f", kind.smallest(trace, kind.region(trace)) / peak);
    std::printf("\n");
    std::fflush(stdout);
  }
}

std::vector<Kind> AllKinds() {
  return {KindOf<Glibc>("glibc"),
          KindOf<Mimalloc>("mimalloc"),
          KindOf<Jemalloc>("jemalloc"),
          KindOf<PmrPools>("pmr_pools"),
          KindOf<Bump>("bump"),
          KindOf<Trees>("trees"),
          KindOf<TreesUnsized>("trees_unsized"),
          KindOf<BitSet>("bit_set"),
          KindOf<Context>("context"),
          KindOf<MemoryMap>("memory_map")};
}

std::vector<Kind> UsualKinds() {
  std::vector<Kind> kinds = AllKinds();
  kinds.resize(kinds.size() - 2);
  return kinds;
}

[[noreturn]] void Usage() {
  std::fprintf(stderr, "usage: replay [--quick] [--backends a,b,...] TRACE...\nback-ends:");
  for (const Kind &kind : AllKinds()) std::fprintf(stderr, " %s", kind.name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

std::vector<Kind> KindsNamed(const std::string &names) {
  std::vector<Kind> kinds;
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t comma = std::min(names.find(',', at), names.size());
    const std::string name = names.substr(at, comma - at);
    bool found = false;
    for (const Kind &kind : AllKinds()) {
      if (name == kind.name) {
        kinds.push_back(kind);
        found = true;
      }
    }
    if (!found) Usage();
    at = comma + 1;
  }
  return kinds;
}

// bazel run starts programs elsewhere; paths are meant from where it was called.
std::string FromCaller(const std::string &path) {
  const char *const caller = std::getenv("BUILD_WORKING_DIRECTORY");
  return caller == nullptr || path[0] == '/' ? path : std::string(caller) + "/" + path;
}

// jemalloc's library has more thread-local memory than libc keeps for one that is opened later.
void RestartWithRoomForPeers(char **argv) {
  if (std::getenv("GLIBC_TUNABLES") != nullptr) return;
  setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536", 1);
  execv("/proc/self/exe", argv);
}

Options Parse(int argc, char **argv) {
  Options options;
  options.kinds = UsualKinds();
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--backends" && i + 1 < argc) {
      options.kinds = KindsNamed(argv[++i]);
    } else if (argument.rfind("--backends=", 0) == 0) {
      options.kinds = KindsNamed(argument.substr(11));
    } else if (argument.empty() || argument[0] == '-') {
      Usage();
    } else {
      options.paths.push_back(FromCaller(argument));
    }
  }
  if (options.paths.empty()) Usage();
  return options;
}

}  // namespace
}  // namespace replay

int main(int argc, char **argv) {
  replay::RestartWithRoomForPeers(argv);
  const replay::Options options = replay::Parse(argc, argv);
  replay::PinToOneProcessor();
  std::printf(
      "trace,backend,ns_per_event_warm,ns_per_event_cold,peak_footprint_ratio,"
      "smallest_region_ratio\n");
  // Each trace in a process of its own, or it would find the heaps of the one before.
  for (const std::string &path : options.paths) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      replay::Report(replay::ReadTrace(path), options);
      std::exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 2;
  }
  return 0;
}
