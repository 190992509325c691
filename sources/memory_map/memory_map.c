#define _GNU_SOURCE
#include "sources/memory_map/memory_map.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void *map(size_t size, ca_memory_map_reserve reserve) {
  const int protection = reserve == CA_MEMORY_MAP_RESERVED ? PROT_NONE : PROT_READ | PROT_WRITE;
  const int flags =
      MAP_PRIVATE | MAP_ANONYMOUS | (reserve == CA_MEMORY_MAP_COMMITTED ? 0 : MAP_NORESERVE);
  void *const ptr = mmap(NULL, size, protection, flags, -1, 0);
  return ptr == MAP_FAILED ? NULL : ptr;
}

static void unmap(char *ptr, size_t size) {
  if (size > 0) {
    (void)munmap(ptr, size); /* Refused only if the process may have no more mappings: a leak. */
  }
}

/* Maps more than is asked, and gives back what lies before and after the aligned part. */
static void *map_aligned(size_t size, size_t align, ca_memory_map_reserve reserve) {
  const size_t slack = align - page_size();
  if (size > SIZE_MAX - slack) {
    return NULL;
  }
  char *const ptr = map(size + slack, reserve);
  if (ptr == NULL) {
    return NULL;
  }
  const size_t before = ca_padding_to((uintptr_t)ptr, align);
  unmap(ptr, before);
  unmap(ptr + before + size, slack - before);
  return ptr + before;
}

static ca_block op_obtain(ca_source *base, size_t size, size_t align) {
  const ca_memory_map *const self = (const ca_memory_map *)base;
  const size_t whole = ca_round_up(size, page_size());
  if (whole == 0) {
    return ca_block_none();
  }
  const int saved = errno;
  void *const ptr = align <= page_size() ? map(whole, self->settings.reserve)
                                         : map_aligned(whole, align, self->settings.reserve);
  errno = saved;
  return ptr == NULL ? ca_block_none() : ca_block_make(ptr, whole);
}

static void op_release(ca_source *base, ca_block range) {
  (void)base;
  const int saved = errno;
  unmap(range.ptr, range.size);
  errno = saved;
}

/* The whole pages within [ptr, ptr + size); none if there are none. */
static ca_block whole_pages(void *ptr, size_t size) {
  const size_t padding = ca_padding_to((uintptr_t)ptr, page_size());
  const size_t whole = padding > size ? 0 : ca_round_down(size - padding, page_size());
  return whole == 0 ? ca_block_none() : ca_block_make((char *)ptr + padding, whole);
}

static size_t op_decommit(ca_source *base, void *ptr, size_t size) {
  (void)base;
  const ca_block pages = whole_pages(ptr, size);
  if (ca_block_is_none(pages)) {
    return 0;
  }
  const int saved = errno;
  const bool given = madvise(pages.ptr, pages.size, MADV_DONTNEED) == 0;
  errno = saved;
  return given ? pages.size : 0;
}

static const ca_source_ops ops = {
    .obtain = op_obtain,
    .release = op_release,
    .decommit = op_decommit,
    .zeroed = true,
    .name = "memory map",
};

static const ca_source_ops reserving_ops = {
    .obtain = op_obtain,
    .release = op_release,
    .decommit = op_decommit,
    .zeroed = false, /* Nothing can be read before it is committed. */
    .name = "memory map, reserved",
};

void ca_memory_map_init(ca_memory_map *self, const ca_memory_map_settings *settings) {
  const ca_memory_map_settings sane = {.reserve = CA_MEMORY_MAP_COMMITTED};
  self->settings = settings == NULL ? sane : *settings;
  self->base.ops = self->settings.reserve == CA_MEMORY_MAP_RESERVED ? &reserving_ops : &ops;
}

bool ca_memory_map_commit(void *ptr, size_t size) {
  const size_t before = (uintptr_t)ptr & (page_size() - 1);
  const int saved = errno;
  const bool done = mprotect((char *)ptr - before, ca_round_up(size + before, page_size()),
                             PROT_READ | PROT_WRITE) == 0;
  errno = saved;
  return done;
}

/* A new mapping over the old: also takes the pages off the kernel's commit count. */
bool ca_memory_map_uncommit(void *ptr, size_t size) {
  const ca_block pages = whole_pages(ptr, size);
  if (ca_block_is_none(pages)) {
    return true;
  }
  const int saved = errno;
  const bool done =
      mmap(pages.ptr, pages.size, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
  errno = saved;
  return done;
}
