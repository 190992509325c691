#define _GNU_SOURCE
#include "sources/memory_map/memory_map.h"

#include <errno.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

static int protection_of(const ca_memory_map *self) {
  return self->settings.backing == CA_MEMORY_MAP_INACCESSIBLE ? PROT_NONE : PROT_READ | PROT_WRITE;
}

/* An inaccessible range is charged page by page, by commit(): hence not MAP_NORESERVE. */
static int flags_of(const ca_memory_map *self) {
  const int unreserved = self->settings.backing == CA_MEMORY_MAP_RESERVED ? MAP_NORESERVE : 0;
  return MAP_PRIVATE | MAP_ANONYMOUS | unreserved;
}

static char *map(size_t size, int protection, int flags) {
  void *const ptr = mmap(NULL, size, protection, flags, -1, 0);
  return ptr == MAP_FAILED ? NULL : ptr;
}

static void unmap(char *ptr, size_t size) {
  if (size > 0 && munmap(ptr, size) != 0) {
    (void)madvise(ptr, size, MADV_DONTNEED); /* Too many mappings: the memory at least. */
  }
}

/* Reserves more than is needed, trims it to the alignment, and opens what is between the guards. */
static ca_block obtain_trimmed(const ca_memory_map *self, size_t size, size_t align) {
  const size_t before = self->settings.guard_before;
  const size_t after = self->settings.guard_after;
  const size_t slack = align > self->page_size ? align - self->page_size : 0;
  size_t total;
  if (__builtin_add_overflow(size, slack, &total) ||
      __builtin_add_overflow(total, before, &total) ||
      __builtin_add_overflow(total, after, &total)) {
    return ca_block_none();
  }
  char *const start = map(total, PROT_NONE, flags_of(self));
  if (start == NULL) {
    return ca_block_none();
  }
  char *const ptr = start + before + ca_padding_to((uintptr_t)start + before, align);
  char *const first = ptr - before;
  char *const last = ptr + size + after;
  unmap(start, (size_t)(first - start));
  unmap(last, (size_t)(start + total - last));
  if (protection_of(self) != PROT_NONE && mprotect(ptr, size, protection_of(self)) != 0) {
    unmap(first, (size_t)(last - first));
    return ca_block_none();
  }
  return ca_block_make(ptr, size);
}

static ca_block op_obtain(ca_source *base, size_t size, size_t align) {
  const ca_memory_map *const self = (const ca_memory_map *)base;
  const int kept_errno = errno;
  const size_t rounded = ca_round_up(size, self->page_size);
  ca_block range = ca_block_none();
  if (rounded == 0) {
    return range;
  }
  if (align > self->page_size || self->settings.guard_before > 0 ||
      self->settings.guard_after > 0) {
    range = obtain_trimmed(self, rounded, align);
  } else {
    char *const ptr = map(rounded, protection_of(self), flags_of(self));
    range = ptr == NULL ? ca_block_none() : ca_block_make(ptr, rounded);
  }
  errno = kept_errno;
  return range;
}

static void op_release(ca_source *base, ca_block range) {
  const ca_memory_map *const self = (const ca_memory_map *)base;
  const int kept_errno = errno;
  CA_ASSERT(ca_is_aligned(range.ptr, self->page_size));
  CA_ASSERT(range.size % self->page_size == 0);
  unmap((char *)range.ptr - self->settings.guard_before,
        self->settings.guard_before + range.size + self->settings.guard_after);
  errno = kept_errno;
}

bool ca_memory_map_commit(ca_memory_map *self, void *ptr, size_t size) {
  const int kept_errno = errno;
  char *const first = (char *)ptr - ((uintptr_t)ptr & (self->page_size - 1));
  const size_t length = ca_round_up((size_t)((char *)ptr + size - first), self->page_size);
  const bool done = mprotect(first, length, PROT_READ | PROT_WRITE) == 0;
  errno = kept_errno;
  return done;
}

size_t ca_memory_map_decommit(ca_memory_map *self, void *ptr, size_t size) {
  const int kept_errno = errno;
  const size_t padding = ca_padding_to((uintptr_t)ptr, self->page_size);
  if (padding >= size || size - padding < self->page_size) {
    return 0;
  }
  char *const first = (char *)ptr + padding;
  const size_t length = ca_round_down(size - padding, self->page_size);
  bool done = madvise(first, length, MADV_DONTNEED) == 0;
  if (done && protection_of(self) == PROT_NONE) {
    done = mprotect(first, length, PROT_NONE) == 0;
  }
  errno = kept_errno;
  return done ? length : 0;
}

static size_t op_decommit(ca_source *base, void *ptr, size_t size) {
  return ca_memory_map_decommit((ca_memory_map *)base, ptr, size);
}

static const ca_source_ops ops = {
    .obtain = op_obtain,
    .release = op_release,
    .decommit = op_decommit,
    .zeroed = true,
    .name = "memory_map",
};

void ca_memory_map_init(ca_memory_map *self, const ca_memory_map_settings *settings) {
  *self = (ca_memory_map){.base = {.ops = &ops}, .page_size = (size_t)getauxval(AT_PAGESZ)};
  if (settings != NULL) {
    self->settings = *settings;
  }
  self->settings.guard_before = ca_round_up(self->settings.guard_before, self->page_size);
  self->settings.guard_after = ca_round_up(self->settings.guard_after, self->page_size);
}
