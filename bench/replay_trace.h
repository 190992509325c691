// A recorded trace of a program's calls, ready to be replayed. The format is that of CATRACE1: a
// header of 64 bytes, then records of 16.
#ifndef CONTEXT_ALLOCATOR_BENCH_REPLAY_TRACE_H_
#define CONTEXT_ALLOCATOR_BENCH_REPLAY_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace replay {

enum Op : std::uint8_t { kAllocate = 0, kCalloc = 1, kAligned = 2, kReallocate = 3, kFree = 4 };

// What the loop needs and nothing else: the alignment is worked out, the ids are slots that are
// used again, so that the table of slots stays small.
struct Event {
  std::uint8_t op;  // kAllocate, kReallocate or kFree.
  std::uint8_t align_log2;
  std::uint8_t old_align_log2;  // Of the object resized.
  std::uint32_t slot;           // Of the object made, resized or freed.
  std::uint32_t size;           // Of the object made, or what it is resized to.
};

struct Trace {
  std::string name;
  std::vector<Event> events;
  std::size_t slots = 0;
  std::size_t peak_live = 0;   // Bytes asked for.
  std::size_t peak_event = 0;  // The event that reaches it.
};

// Reads NAME.ctr, or NAME.ctr.xz through `xz -dc`. Ends the program with a message if it is none.
Trace ReadTrace(const std::string &path);

}  // namespace replay

#endif  // CONTEXT_ALLOCATOR_BENCH_REPLAY_TRACE_H_
