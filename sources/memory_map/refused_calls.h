// Refuses the system calls of the libraries in a test program, one by one.
//
// The linker's --wrap hands the calls that memory_map makes (not those of the C and C++ libraries)
// to this library, which counts them and refuses the one, or all from the one, that a plan names.
// One thread at a time.
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_REFUSED_CALLS_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_REFUSED_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ca_testing {

struct CallPlan {
  std::size_t refuse_nth = 0;   // Counted from 1; 0: none.
  std::size_t refuse_from = 0;  // This call and all later ones that ask for something, which giving
                                // back (munmap, and madvise that drops pages) does not.
  int error = 12;               // ENOMEM.
  // MAP_HUGETLB is granted with ordinary pages, as if the administrator had set some aside.
  bool pretend_huge_pages = false;
};

struct CallLog {
  std::size_t count = 0;
  std::string refused;  // The name of the last call that was refused.
  bool refused_munmap = false;
  std::size_t mapped = 0;  // Bytes that were mapped and not unmapped: unmapping what is not there,
                           // which might be another thread's, shows here.
};

// From now on. Calls that are made before Arm() or after Disarm() pass uncounted.
void ArmCalls(const CallPlan &plan);
CallLog DisarmCalls();

// What the process has mapped, ranges that touch joined. Heap and stack, which grow as they like,
// are left out.
using Ranges = std::vector<std::pair<std::uintptr_t, std::uintptr_t>>;
Ranges MappedRanges();

// What is in `now` and not in `before`.
Ranges Added(const Ranges &before, const Ranges &now);

// Bytes of the ranges that are in memory.
std::size_t ResidentBytes(const Ranges &ranges);

// Unmaps for good what a refused munmap() left.
void Unmap(const Ranges &ranges);

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_REFUSED_CALLS_H_
