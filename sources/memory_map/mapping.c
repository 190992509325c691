#define _GNU_SOURCE
#include "sources/memory_map/mapping.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/align.h"

/* Of the kernel's interface, where libc's headers are older. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

void ca_mapping_unmap(char *ptr, size_t size) {
  if (size == 0 || munmap(ptr, size) == 0) {
    return;
  }
  /* Too many mappings: the memory at least. A locked range takes the second only (Linux 5.18). */
  if (madvise(ptr, size, MADV_DONTNEED) != 0) {
    (void)madvise(ptr, size, MADV_DONTNEED_LOCKED);
  }
}

static int trim(char *ptr, size_t size) { return size == 0 || munmap(ptr, size) == 0 ? 0 : errno; }

/* At `wanted` and nowhere else, unless that is NULL. Kernels before 4.17 take MAP_FIXED_NOREPLACE
 * for a mere hint: hence the comparison. */
static int map(char *wanted, size_t size, int protection, int flags, char **ptr) {
  const int exact = wanted == NULL ? 0 : MAP_FIXED_NOREPLACE;
  void *const got = mmap(wanted, size, protection, flags | exact, -1, 0);
  if (got == MAP_FAILED) {
    return errno;
  }
  if (wanted != NULL && got != wanted) {
    ca_mapping_unmap(got, size);
    return EEXIST;
  }
  *ptr = got;
  return 0;
}

/* Makes the reserved addresses at ptr what was asked for. On refusal nothing that is ours is
 * mapped there if the range is huge, and the reservation if not: *left says how much.
 *
 * Huge pages need a mapping of their own. MAP_FIXED over the reservation could fail with the
 * reservation half gone, and unmapping it again might then hit another thread's mapping; a hole
 * that is filled by MAP_FIXED_NOREPLACE is at every moment known to be ours or not. */
static int open_reserved(const ca_mapping *self, char *ptr, size_t *left) {
  *left = self->size;
  if (self->huge_flags != 0) {
    char *got;
    if (munmap(ptr, self->size) != 0) {
      return errno;
    }
    *left = 0;
    return map(ptr, self->size, self->protection, self->flags | self->huge_flags, &got);
  }
  if (self->protection == PROT_NONE) {
    return 0;
  }
  return mprotect(ptr, self->size, self->protection) == 0 ? 0 : errno;
}

/* Reserves more than is needed, trims it to the alignment, and opens what is between the guards. */
static int make_within_reservation(const ca_mapping *self, ca_block *range) {
  const size_t stricter = self->align > self->page_size ? self->align : self->page_size;
  const size_t slack = self->hint == NULL ? stricter - self->ordinary_page_size : 0;
  size_t total;
  if (__builtin_add_overflow(self->size, slack, &total) ||
      __builtin_add_overflow(total, self->before, &total) ||
      __builtin_add_overflow(total, self->after, &total)) {
    return ENOMEM;
  }
  char *start;
  char *const wanted = self->hint == NULL ? NULL : self->hint - self->before;
  int error = map(wanted, total, PROT_NONE, self->flags, &start);
  if (error != 0) {
    return error;
  }
  char *const ptr = start + self->before + ca_padding_to((uintptr_t)start + self->before, stricter);
  char *const first = ptr - self->before;
  char *const last = ptr + self->size + self->after;
  char *end = start + total;
  size_t left = self->size;
  error = trim(start, (size_t)(first - start));
  if (error == 0) {
    start = first;
    error = trim(last, (size_t)(end - last));
  }
  if (error == 0) {
    end = last;
    error = open_reserved(self, ptr, &left);
  }
  if (error == 0) {
    *range = ca_block_make(ptr, self->size);
  } else if (left > 0) {
    ca_mapping_unmap(start, (size_t)(end - start));
  } else {
    ca_mapping_unmap(start, self->before);
    ca_mapping_unmap(ptr + self->size, self->after);
  }
  return error;
}

int ca_mapping_make(const ca_mapping *self, ca_block *range) {
  if (self->hint != NULL &&
      (!ca_is_aligned(self->hint, self->align) || !ca_is_aligned(self->hint, self->page_size))) {
    return EINVAL;
  }
  if (self->align > self->page_size || self->before > 0 || self->after > 0) {
    return make_within_reservation(self, range);
  }
  char *ptr;
  const int error =
      map(self->hint, self->size, self->protection, self->flags | self->huge_flags, &ptr);
  if (error == 0) {
    *range = ca_block_make(ptr, self->size);
  }
  return error;
}
