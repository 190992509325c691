// What contexts take: how many can be alive at once, and what each keeps resident.
#ifndef CONTEXT_ALLOCATOR_BENCH_CONTEXTS_MEMORY_H_
#define CONTEXT_ALLOCATOR_BENCH_CONTEXTS_MEMORY_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>

#include "bench/contexts_backends.h"
#include "bench/measure.h"

namespace ca_bench {

struct Population {
  double reached;           // Contexts alive together, each with its blocks.
  double resident_of_each;  // Bytes.
};

// Nobody may take more for `most` contexts than the bar allows, and the machine must live.
inline double ResidentLimit(std::size_t most) {
  constexpr double kBar = 4.5 * 1024;
  constexpr double kLeast = 256 * 1024 * 1024;
  return std::min(std::max(kLeast, kBar * static_cast<double>(most)),
                  0.8 * KernelFigure("/proc/meminfo", "MemAvailable:"));
}

// Makes contexts with blocks of these sizes, every byte written, until one is refused, `most` live,
// or more than `limit` bytes are resident.
template <typename Backend>
Population Populate(std::size_t most, std::size_t budget, std::initializer_list<std::size_t> sizes,
                    double limit) {
  constexpr std::size_t kBetweenLooks = 64;
  Backend backend(most);
  const double before = ResidentExactly();
  const double stop = ResidentRoughly() + limit;
  std::size_t reached = 0;
  while (reached < most && (reached % kBetweenLooks != 0 || ResidentRoughly() < stop)) {
    const auto context = backend.Create(budget);
    if (backend.IsNone(context)) break;
    backend.Enter(context);
    bool served = true;
    for (const std::size_t size : sizes) {
      void *const ptr = backend.Allocate(size);
      if (ptr == nullptr) {
        served = false;
        break;
      }
      std::memset(ptr, 1, size);
    }
    backend.Leave();
    if (!served) break;
    ++reached;
  }
  const double count = static_cast<double>(reached);
  return {count, (ResidentExactly() - before) / std::max(count, 1.0)};
}

template <typename Backend>
Population WithOneBlock(std::size_t most) {
  return Populate<Backend>(most, kSmallBudget, {64}, ResidentLimit(most));
}

template <typename Backend>
Population WithTenBlocks(std::size_t most) {
  const std::size_t fewer = std::min(most, std::size_t{1000});
  return Populate<Backend>(fewer, 24 << 10, {16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192},
                           ResidentLimit(1 << 20));
}

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_CONTEXTS_MEMORY_H_
