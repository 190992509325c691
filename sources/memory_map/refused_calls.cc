#include "sources/memory_map/refused_calls.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace ca_testing {
namespace {

bool armed = false;
CallPlan plan;
CallLog call_log;

// Whether the call that is being made is to be refused; errno is then set.
bool IsRefused(const char *name, bool gives_back = false) {
  if (!armed) return false;
  const std::size_t number = ++call_log.count;
  const bool from = plan.refuse_from != 0 && number >= plan.refuse_from && !gives_back;
  if (number != plan.refuse_nth && !from) return false;
  call_log.refused = name;
  call_log.refused_munmap = call_log.refused_munmap || call_log.refused == "munmap";
  errno = plan.error;
  return true;
}

}  // namespace

void ArmCalls(const CallPlan &wanted) {
  plan = wanted;
  call_log = CallLog();
  armed = true;
}

CallLog DisarmCalls() {
  armed = false;
  return call_log;
}

Ranges MappedRanges() {
  Ranges ranges;
  ranges.reserve(1000);  // Before looking, so that it is seen or not in every call alike.
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    std::istringstream(line) >> std::hex >> begin >> dash >> end;
    if (line.find("[heap]") != std::string::npos || line.find("[stack]") != std::string::npos) {
      continue;
    }
    if (!ranges.empty() && ranges.back().second == begin) {
      ranges.back().second = end;
    } else {
      ranges.emplace_back(begin, end);
    }
  }
  return ranges;
}

Ranges Added(const Ranges &before, const Ranges &now) {
  Ranges added;
  for (const auto &[begin, end] : now) {
    std::uintptr_t at = begin;
    for (const auto &[old_begin, old_end] : before) {
      if (old_end <= at || old_begin >= end) continue;
      if (old_begin > at) added.emplace_back(at, old_begin);
      at = std::max(at, old_end);
    }
    if (at < end) added.emplace_back(at, end);
  }
  return added;
}

std::size_t ResidentBytes(const Ranges &ranges) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::size_t bytes = 0;
  for (const auto &[begin, end] : ranges) {
    std::vector<unsigned char> there((end - begin) / page);
    if (mincore(reinterpret_cast<void *>(begin), end - begin, there.data()) != 0) return SIZE_MAX;
    for (const unsigned char one : there) bytes += (one & 1) * page;
  }
  return bytes;
}

void Unmap(const Ranges &ranges) {
  for (const auto &[begin, end] : ranges) munmap(reinterpret_cast<void *>(begin), end - begin);
}

}  // namespace ca_testing

// What the linker puts in the calls' place. Names are its own.
#pragma GCC diagnostic ignored "-Wmissing-declarations"
extern "C" {

using ca_testing::IsRefused;

void *__real_mmap(void *, std::size_t, int, int, int, off_t);
void *__wrap_mmap(void *ptr, std::size_t size, int protection, int flags, int file, off_t offset) {
  if (IsRefused("mmap")) return MAP_FAILED;
  if (ca_testing::armed && ca_testing::plan.pretend_huge_pages) {
    const int kinds = MAP_HUGETLB | MAP_HUGE_MASK << MAP_HUGE_SHIFT;
    if ((flags & MAP_HUGETLB) != 0) flags &= ~kinds;
  }
  void *const got = __real_mmap(ptr, size, protection, flags, file, offset);
  if (got != MAP_FAILED) ca_testing::call_log.mapped += size;
  return got;
}

int __real_munmap(void *, std::size_t);
int __wrap_munmap(void *ptr, std::size_t size) {
  if (IsRefused("munmap", true)) return -1;
  const int result = __real_munmap(ptr, size);
  if (result == 0) ca_testing::call_log.mapped -= size;
  return result;
}

int __real_mprotect(void *, std::size_t, int);
int __wrap_mprotect(void *ptr, std::size_t size, int protection) {
  return IsRefused("mprotect") ? -1 : __real_mprotect(ptr, size, protection);
}

int __real_madvise(void *, std::size_t, int);
int __wrap_madvise(void *ptr, std::size_t size, int advice) {
  const bool drops = advice == MADV_DONTNEED;
  return IsRefused("madvise", drops) ? -1 : __real_madvise(ptr, size, advice);
}

int __real_mlock2(const void *, std::size_t, unsigned);
int __wrap_mlock2(const void *ptr, std::size_t size, unsigned flags) {
  return IsRefused("mlock2") ? -1 : __real_mlock2(ptr, size, flags);
}

int __real_prctl(int, unsigned long, unsigned long, unsigned long, unsigned long);
int __wrap_prctl(int what, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  return IsRefused("prctl") ? -1 : __real_prctl(what, a, b, c, d);
}

// Weak: not every program has libnuma.
__attribute__((weak)) long __real_mbind(void *, unsigned long, int, const unsigned long *,
                                        unsigned long, unsigned);
long __wrap_mbind(void *ptr, unsigned long size, int mode, const unsigned long *nodes,
                  unsigned long bits, unsigned flags) {
  return IsRefused("mbind") ? -1 : __real_mbind(ptr, size, mode, nodes, bits, flags);
}

__attribute__((weak)) int __real_get_mempolicy(int *, unsigned long *, unsigned long, void *,
                                               unsigned);
int __wrap_get_mempolicy(int *mode, unsigned long *nodes, unsigned long bits, void *ptr,
                         unsigned flags) {
  return IsRefused("get_mempolicy") ? -1 : __real_get_mempolicy(mode, nodes, bits, ptr, flags);
}

long __real_syscall(long, ...);
long __wrap_syscall(long number, ...) {
  std::va_list rest;
  va_start(rest, number);
  long arguments[6];
  for (long &one : arguments) one = va_arg(rest, long);
  va_end(rest);
  if (IsRefused("syscall")) return -1;
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}

int __real_open(const char *, int, ...);
int __wrap_open(const char *path, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return IsRefused("open") ? -1 : __real_open(path, flags, mode);
}

ssize_t __real_read(int, void *, std::size_t);
ssize_t __wrap_read(int file, void *bytes, std::size_t size) {
  return IsRefused("read") ? -1 : __real_read(file, bytes, size);
}

}  // extern "C"
