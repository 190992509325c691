#define _GNU_SOURCE
#include "sources/memory_map/memory_map.h"

#include <errno.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "sources/memory_map/mapping.h"
#include "sources/memory_map/wishes.h"

#define MIB ((size_t)1 << 20)

static bool is_inaccessible(const ca_memory_map *self) {
  return self->settings.backing == CA_MEMORY_MAP_INACCESSIBLE;
}

/* Bytes of the explicit huge page, 0 for other choices. */
static size_t explicit_size(ca_memory_map_huge_pages huge) {
  return huge == CA_MEMORY_MAP_HUGE_1_GIB   ? 1024 * MIB
         : huge == CA_MEMORY_MAP_HUGE_2_MIB ? 2 * MIB
                                            : 0;
}

/* Notes that a wish was refused; whether the call goes on without it. */
static bool goes_on(ca_memory_map *self, ca_memory_map_wish wish, int error,
                    ca_memory_map_report *report) {
  if (error == 0) {
    return true;
  }
  report->missed |= (unsigned)wish;
  report->error = error;
  return self->settings.effort == CA_MEMORY_MAP_BEST_EFFORT;
}

static void keep_report(ca_memory_map *self, const ca_memory_map_report *report) {
  if (report->error != 0) {
    __atomic_fetch_or(&self->missed, report->missed, __ATOMIC_RELAXED);
    __atomic_store_n(&self->error, report->error, __ATOMIC_RELAXED);
  }
}

/* One attempt, with this choice of pages and this hint. */
static int map_once(const ca_memory_map *self, size_t size, size_t align,
                    ca_memory_map_huge_pages huge, char *hint, ca_block *range) {
  const size_t explicit = explicit_size(huge);
  const size_t page_size = explicit > 0 ? explicit : self->page_size;
  const bool advised = huge == CA_MEMORY_MAP_HUGE_TRANSPARENT && size >= 2 * MIB;
  const int unreserved = self->settings.backing == CA_MEMORY_MAP_RESERVED ? MAP_NORESERVE : 0;
  const ca_mapping mapping = {
      .size = ca_round_up(size, page_size),
      .align = advised && align < 2 * MIB ? 2 * MIB : align,
      .before = self->settings.guard_before,
      .after = self->settings.guard_after,
      .page_size = page_size,
      .ordinary_page_size = self->page_size,
      .protection = is_inaccessible(self) ? PROT_NONE : PROT_READ | PROT_WRITE,
      .flags = MAP_PRIVATE | MAP_ANONYMOUS | unreserved,
      .huge_flags =
          explicit > 0 ? MAP_HUGETLB | (int)(ca_log2_floor(explicit) << MAP_HUGE_SHIFT) : 0,
      .hint = hint,
  };
  return mapping.size == 0 ? ENOMEM : ca_mapping_make(&mapping, range);
}

/* Attempts until one serves, leaving out the hint or the next kind of huge page after each. */
static ca_block map_range(ca_memory_map *self, size_t size, size_t align,
                          ca_memory_map_huge_pages *huge, ca_memory_map_report *report) {
  char *hint = self->settings.hint;
  for (;;) {
    ca_block range;
    const int error = map_once(self, size, align, *huge, hint, &range);
    if (error == 0) {
      return range;
    }
    const bool is_explicit = explicit_size(*huge) > 0;
    bool again = false;
    if (hint != NULL && (!is_explicit || error != ENOMEM)) {
      again = goes_on(self, CA_MEMORY_MAP_WISH_HINT, error, report);
      hint = NULL;
    } else if (is_explicit) {
      again = goes_on(self, CA_MEMORY_MAP_WISH_HUGE_PAGES, error, report);
      *huge = *huge == CA_MEMORY_MAP_HUGE_1_GIB ? CA_MEMORY_MAP_HUGE_2_MIB
                                                : CA_MEMORY_MAP_HUGE_TRANSPARENT;
    }
    if (!again) {
      report->error = error;
      return ca_block_none();
    }
  }
}

/* What is to be true of a fresh range; whether it may be handed out. */
static bool fulfil(ca_memory_map *self, ca_block range, ca_memory_map_huge_pages huge,
                   ca_memory_map_report *report) {
  const ca_memory_map_settings *const settings = &self->settings;
  const bool never_overcommit = settings->backing == CA_MEMORY_MAP_NEVER_OVERCOMMIT;
  if (!goes_on(self, CA_MEMORY_MAP_WISH_HUGE_PAGES, ca_wish_huge_pages(huge, range), report) ||
      !goes_on(self, CA_MEMORY_MAP_WISH_POLICY, ca_wish_policy(settings, range, 0), report) ||
      !goes_on(self, CA_MEMORY_MAP_WISH_NAME, ca_wish_name(settings, range), report) ||
      !goes_on(self, CA_MEMORY_MAP_WISH_LOCK, ca_wish_lock(settings, range), report)) {
    return false;
  }
  if (never_overcommit && explicit_size(huge) == 0) { /* Explicit ones were set aside. */
    bool enough = true;
    const int error = ca_wish_room(settings, range.size, &enough);
    if (!goes_on(self, CA_MEMORY_MAP_WISH_NEVER_OVERCOMMIT, error, report)) {
      return false;
    }
    if (!enough) {
      report->error = ENOMEM;
      return false;
    }
  }
  if (never_overcommit || (settings->prefault && !is_inaccessible(self))) {
    const int error = ca_wish_prefault(range, self->page_size);
    return goes_on(self, CA_MEMORY_MAP_WISH_PREFAULT, error, report) &&
           !(never_overcommit && error != 0);
  }
  return true;
}

static void unmap_with_guards(const ca_memory_map *self, ca_block range) {
  const ca_memory_map_settings *const settings = &self->settings;
  ca_mapping_unmap((char *)range.ptr - settings->guard_before,
                   settings->guard_before + range.size + settings->guard_after);
}

ca_block ca_memory_map_obtain(ca_memory_map *self, size_t size, size_t align,
                              ca_memory_map_report *report) {
  const int kept_errno = errno;
  *report = (ca_memory_map_report){0};
  ca_memory_map_huge_pages huge = self->settings.huge_pages;
  const bool is_backed = self->settings.backing == CA_MEMORY_MAP_COMMITTED ||
                         self->settings.backing == CA_MEMORY_MAP_NEVER_OVERCOMMIT;
  ca_block range = ca_block_none();
  bool going = true;
  if (explicit_size(huge) > 0 && !is_backed) {
    going = goes_on(self, CA_MEMORY_MAP_WISH_HUGE_PAGES, EOPNOTSUPP, report);
    huge = CA_MEMORY_MAP_HUGE_TRANSPARENT;
  }
  if (going) {
    range = map_range(self, size, align, &huge, report);
  }
  if (!ca_block_is_none(range) && !fulfil(self, range, huge, report)) {
    unmap_with_guards(self, range);
    range = ca_block_none();
  }
  keep_report(self, report);
  errno = kept_errno;
  return range;
}

ca_memory_map_report ca_memory_map_report_so_far(const ca_memory_map *self) {
  return (ca_memory_map_report){.missed = __atomic_load_n(&self->missed, __ATOMIC_RELAXED),
                                .error = __atomic_load_n(&self->error, __ATOMIC_RELAXED)};
}

static ca_block op_obtain(ca_source *base, size_t size, size_t align) {
  ca_memory_map_report report;
  return ca_memory_map_obtain((ca_memory_map *)base, size, align, &report);
}

static void op_release(ca_source *base, ca_block range) {
  const ca_memory_map *const self = (const ca_memory_map *)base;
  const int kept_errno = errno;
  CA_ASSERT(ca_is_aligned(range.ptr, self->page_size));
  CA_ASSERT(range.size % self->page_size == 0);
  unmap_with_guards(self, range);
  errno = kept_errno;
}

bool ca_memory_map_commit(ca_memory_map *self, void *ptr, size_t size) {
  const int kept_errno = errno;
  ca_memory_map_report report = {0};
  char *const first = (char *)ptr - ((uintptr_t)ptr & (self->page_size - 1));
  const size_t length = ca_round_up((size_t)((char *)ptr + size - first), self->page_size);
  bool done = mprotect(first, length, PROT_READ | PROT_WRITE) == 0;
  if (!done) {
    report.error = errno;
  } else if (self->settings.prefault) {
    const int error = ca_wish_prefault(ca_block_make(first, length), self->page_size);
    done = goes_on(self, CA_MEMORY_MAP_WISH_PREFAULT, error, &report);
  }
  keep_report(self, &report);
  errno = kept_errno;
  return done;
}

/* The whole pages inside a part of a range, or none. */
static ca_block pages_inside(void *ptr, size_t size, size_t page_size) {
  const size_t padding = ca_padding_to((uintptr_t)ptr, page_size);
  if (padding >= size || size - padding < page_size) {
    return ca_block_none();
  }
  return ca_block_make((char *)ptr + padding, ca_round_down(size - padding, page_size));
}

static int give_back(const ca_memory_map *self, ca_block pages) {
  if (self->settings.contents_unspecified && !is_inaccessible(self) &&
      madvise(pages.ptr, pages.size, MADV_FREE) == 0) {
    return 0;
  }
  if (madvise(pages.ptr, pages.size, MADV_DONTNEED) != 0) {
    return errno;
  }
  if (is_inaccessible(self) && mprotect(pages.ptr, pages.size, PROT_NONE) != 0) {
    return errno;
  }
  return 0;
}

size_t ca_memory_map_decommit(ca_memory_map *self, void *ptr, size_t size) {
  const int kept_errno = errno;
  const size_t explicit = explicit_size(self->settings.huge_pages);
  const ca_block pages = pages_inside(ptr, size, explicit > 0 ? explicit : self->page_size);
  const bool done = !ca_block_is_none(pages) && give_back(self, pages) == 0;
  errno = kept_errno;
  return done ? pages.size : 0;
}

bool ca_memory_map_move(ca_memory_map *self, void *ptr, size_t size, ca_memory_map_report *report) {
  const int kept_errno = errno;
  *report = (ca_memory_map_report){0};
  const ca_block pages = pages_inside(ptr, size, self->page_size);
  const int error =
      ca_block_is_none(pages) ? 0 : ca_wish_policy(&self->settings, pages, CA_WISH_MOVE);
  (void)goes_on(self, CA_MEMORY_MAP_WISH_POLICY, error, report);
  keep_report(self, report);
  errno = kept_errno;
  return error == 0;
}

static size_t op_decommit(ca_source *base, void *ptr, size_t size) {
  return ca_memory_map_decommit((ca_memory_map *)base, ptr, size);
}

void ca_memory_map_init(ca_memory_map *self, const ca_memory_map_settings *settings) {
  *self = (ca_memory_map){
      .base = {.ops = &self->ops},
      .ops = {.obtain = op_obtain,
              .release = op_release,
              .decommit = op_decommit,
              .zeroed = settings == NULL || !settings->contents_unspecified,
              .name = "memory_map"},
      .page_size = (size_t)getauxval(AT_PAGESZ),
  };
  if (settings != NULL) {
    self->settings = *settings;
  }
  self->settings.guard_before = ca_round_up(self->settings.guard_before, self->page_size);
  self->settings.guard_after = ca_round_up(self->settings.guard_after, self->page_size);
}
