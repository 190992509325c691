// What the measures of //bench:blocks print with: options, clock, medians.
#ifndef CONTEXT_ALLOCATOR_BENCH_BLOCKS_TABLE_H_
#define CONTEXT_ALLOCATOR_BENCH_BLOCKS_TABLE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace ca_bench {

using Clock = std::chrono::steady_clock;

struct Options {
  bool quick = false;
  std::size_t max_live = 1000000;
  std::string only;
};
inline Options g_options;

inline double Nanoseconds(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

inline double Quantile(std::vector<double> values, double rank) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(rank * static_cast<double>(values.size() - 1))];
}

inline bool Wanted(const std::string &measure) { return measure.rfind(g_options.only, 0) == 0; }

inline void Print(const std::string &measure, const std::string &backend, double value,
                  const char *unit) {
  std::printf("%s,%s,%.3f,%s\n", measure.c_str(), backend.c_str(), value, unit);
  std::fflush(stdout);
}

template <typename T>
inline void Keep(T &value) {
  asm volatile("" : "+r"(value) : : "memory");
}

// Figures by back-end, in the order of their first appearance.
class Table {
 public:
  void Add(const std::string &backend, double value) {
    if (values_.count(backend) == 0) names_.push_back(backend);
    values_[backend].push_back(value);
  }
  const std::vector<std::string> &names() const { return names_; }
  double Median(const std::string &backend) const { return Quantile(values_.at(backend), 0.5); }
  void PrintMedians(const std::string &measure, const char *unit) const {
    for (const std::string &name : names_) Print(measure, name, Median(name), unit);
  }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::vector<double>> values_;
};

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_BLOCKS_TABLE_H_
