// For the arena's test and benchmark: what a source of the operating system's memory owes it.
#ifndef CONTEXT_ALLOCATOR_SOURCES_ARENA_MAPPINGS_H_
#define CONTEXT_ALLOCATOR_SOURCES_ARENA_MAPPINGS_H_

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "sources/memory_source.h"

// Mappings of the operating system that are counted, and refused on request.
struct Mappings {
  Mappings() { base.ops = &kOps; }
  ca_source *get() { return &base; }

  ca_source base;
  int out = 0;            // Ranges obtained and not released.
  int refuse_in = -1;     // The how manieth request from now on is refused; 0: the next.
  bool decommits = true;  // Whether the operating system takes pages back.
  std::atomic<std::size_t> given{0};  // Bytes that went back to the operating system.
  std::atomic<int> asked{0};          // Calls of decommit.

  static Mappings *From(ca_source *base) { return reinterpret_cast<Mappings *>(base); }

  static ca_block Obtain(ca_source *base, std::size_t size, std::size_t align) {
    Mappings *self = From(base);
    if (self->refuse_in == 0) return ca_block_none();
    if (self->refuse_in > 0) --self->refuse_in;
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    size = ca_round_up(size, page);
    align = align < page ? page : align;
    if (size == 0 || size > SIZE_MAX / 2 || align > SIZE_MAX / 4) return ca_block_none();
    const int error = errno;
    char *mapped = static_cast<char *>(mmap(nullptr, size + align, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    errno = error;
    if (mapped == MAP_FAILED) return ca_block_none();
    const std::size_t before = ca_padding_to(reinterpret_cast<std::uintptr_t>(mapped), align);
    if (before > 0) munmap(mapped, before);
    munmap(mapped + before + size, align - before);
    ++self->out;
    return ca_block_make(mapped + before, size);
  }
  static void Release(ca_source *base, ca_block range) {
    munmap(range.ptr, range.size);
    --From(base)->out;
  }
  static std::size_t Decommit(ca_source *base, void *ptr, std::size_t size) {
    ++From(base)->asked;
    if (!From(base)->decommits) return 0;
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    char *const begin =
        static_cast<char *>(ptr) + ca_padding_to(reinterpret_cast<std::uintptr_t>(ptr), page);
    char *const end =
        reinterpret_cast<char *>(ca_round_down(reinterpret_cast<std::uintptr_t>(ptr) + size, page));
    if (begin >= end || madvise(begin, static_cast<std::size_t>(end - begin), MADV_DONTNEED) != 0) {
      return 0;
    }
    From(base)->given += static_cast<std::size_t>(end - begin);
    return static_cast<std::size_t>(end - begin);
  }
  static constexpr ca_source_ops kOps = {Obtain, Release, Decommit, true, "mappings"};
};

#endif  // CONTEXT_ALLOCATOR_SOURCES_ARENA_MAPPINGS_H_
