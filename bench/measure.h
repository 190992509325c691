// What a comparison measures with: clocks, resident memory, processes of their own, medians.
#ifndef CONTEXT_ALLOCATOR_BENCH_MEASURE_H_
#define CONTEXT_ALLOCATOR_BENCH_MEASURE_H_

#include <dlfcn.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace ca_bench {

// Peers define malloc: linked in, they would take its place. So they are loaded by hand, each into a
// scope of its own.
template <typename Function>
Function *LoadFrom(const char *library, const char *name) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  void *function = handle == nullptr ? nullptr : dlsym(handle, name);
  if (function == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(1);
  }
  return reinterpret_cast<Function *>(function);
}

inline double Nanoseconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return 1e9 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec);
}

// A system call: for what happens once and takes long. Others on the machine don't count.
inline double ProcessorTime() { return Nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }

// No system call: for what is short and can be repeated, so that the fastest can be taken.
inline double WallTime() { return Nanoseconds(CLOCK_MONOTONIC); }

// What two readings of the clock see of themselves.
inline double ClockTime() {
  double fastest = 1e9;
  for (int i = 0; i < 100; ++i) {
    const double start = WallTime();
    fastest = std::min(fastest, WallTime() - start);
  }
  return fastest;
}

// Nanoseconds for one call of what is repeated: the fastest of some runs, each too short to be
// interrupted often.
template <typename Repeated>
double FastestTime(Repeated repeated) {
  constexpr int kRuns = 20;
  constexpr double kRunTime = 50e3;
  const auto run = [&repeated](std::size_t calls) {
    const double start = WallTime();
    for (std::size_t i = 0; i < calls; ++i) repeated();
    return WallTime() - start;
  };
  std::size_t calls = 1;
  while (run(calls) < kRunTime) calls *= 2;
  double fastest = run(calls);
  for (int i = 1; i < kRuns; ++i) fastest = std::min(fastest, run(calls));
  return fastest / static_cast<double>(calls);
}

// The number behind `field` in a file of lines "field: number kB", in bytes; 0 if it isn't there.
inline double KernelFigure(const char *path, const char *field) {
  std::FILE *file = std::fopen(path, "r");
  char line[256];
  double kib = 0;
  while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, field, std::strlen(field)) == 0) {
      kib = std::strtod(line + std::strlen(field), nullptr);
    }
  }
  if (file != nullptr) std::fclose(file);
  return kib * 1024;
}

// Of this process, in bytes. Counted page by page: exact, but takes its time.
inline double ResidentExactly() { return KernelFigure("/proc/self/smaps_rollup", "Rss:"); }

// The same within some pages, at once.
inline double ResidentRoughly() { return KernelFigure("/proc/self/status", "VmRSS:"); }

// Runs `measure` in a process of its own. Returns false if that ended early.
template <typename Result, typename Measure>
bool InOwnProcess(Measure measure, Result *result) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const Result made = measure();
    const bool wrote = write(ends[1], &made, sizeof made) == sizeof made;
    _exit(wrote ? 0 : 1);
  }
  close(ends[1]);
  const bool came = read(ends[0], result, sizeof *result) == sizeof *result;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return came;
}

inline double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// The processor that it runs on now, for itself and the processes it starts.
inline void PinToOneProcessor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(std::max(0, sched_getcpu())), &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_MEASURE_H_
