// What the kernel tells of one mapping.
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_SMAPS_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_SMAPS_H_

#include <cstdint>
#include <fstream>
#include <ios>
#include <sstream>
#include <string>

namespace ca_testing {

// The value of a line of /proc/self/smaps for the mapping that begins at ptr; with
// an empty key the mapping's head.
inline std::string SmapsOf(const void *ptr, const std::string &key) {
  std::ostringstream begin;
  begin << std::hex << reinterpret_cast<std::uintptr_t>(ptr) << '-';
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  bool here = false;
  while (std::getline(smaps, line)) {
    if (line.find('-') != std::string::npos && line.find(':') > line.find('-')) {
      here = line.compare(0, begin.str().size(), begin.str()) == 0;
      if (here && key.empty()) return line;
    }
    if (here && !key.empty() && line.compare(0, key.size(), key) == 0) return line;
  }
  return "";
}

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_SMAPS_H_
