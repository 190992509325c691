// A recorded trace, made ready for replaying: ids become slots, frees and resizes bring the old size.
//
// The format is that of "CATRACE1" files (.ctr, or .ctr.xz, which is unpacked through `xz -dc`).
#ifndef CONTEXT_ALLOCATOR_BENCH_TRACE_H_
#define CONTEXT_ALLOCATOR_BENCH_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ca_bench {

enum class Op : std::uint8_t { kAllocate, kResize, kFree };  // calloc is an allocation.

struct Event {
  Op op;
  std::uint8_t align_log2;
  std::uint32_t slot;
  std::uint32_t size;      // New size; of kFree unused.
  std::uint32_t old_size;  // Of kResize and kFree.
};

struct Trace {
  std::string name;
  std::vector<Event> events;  // Ends with the freeing of what the program left.
  std::uint32_t slots = 0;
  std::size_t recorded = 0;     // Events of the program's own.
  std::uint64_t peak_live = 0;  // Highest sum of sizes asked for.
  std::uint64_t total = 0;      // Sum of all sizes asked for, each rounded up to 64.
};

// Returns false, with *error saying why, if the file can't be read or isn't a trace.
bool LoadTrace(const std::string &path, Trace *trace, std::string *error);

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_TRACE_H_
