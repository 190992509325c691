#define _GNU_SOURCE /* mremap() */
#include "allocators/memory_map/memory_map.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static ca_memory_map_allocator *from_base(ca_allocator *base) {
  return (ca_memory_map_allocator *)base;
}
static const ca_memory_map_allocator *from_const_base(const ca_allocator *base) {
  return (const ca_memory_map_allocator *)base;
}

/* With sizes recorded, this stands at the end of the page before a block. */
typedef struct record {
  uint64_t seal; /* seal_of() the block's address. */
  size_t size;   /* The block's, whole pages. */
} record;

static uint64_t seal_of(const ca_memory_map_allocator *self, const void *ptr) {
  return ((uint64_t)(uintptr_t)ptr ^ (uint64_t)(uintptr_t)self) * UINT64_C(0x9E3779B97F4A7C15);
}

static record *record_of(const void *ptr) { return (record *)((uintptr_t)ptr - sizeof(record)); }

static bool is_recording(const ca_memory_map_allocator *self) {
  return self->settings.sizes == CA_SIZES_RECORDED;
}

/* Bytes mapped before each block, for its record. */
static size_t front_of(const ca_memory_map_allocator *self) {
  return is_recording(self) ? self->page_size : 0;
}

/* Whole pages; 0 if that is too much. */
static size_t pages_for(const ca_memory_map_allocator *self, size_t size) {
  return size > PTRDIFF_MAX - self->page_size ? 0 : ca_round_up(size, self->page_size);
}

static bool is_within_limit(const ca_memory_map_allocator *self, size_t more) {
  const size_t limit = self->settings.limit;
  return limit == 0 || (more <= limit && self->mapped <= limit - more);
}

static void account(ca_memory_map_allocator *self, size_t more, size_t less) {
  self->mapped += more;
  self->mapped -= less;
  self->peak = self->peak > self->mapped ? self->peak : self->mapped;
}

/* System calls that keep errno. */

static void *map(size_t size) {
  const int before = errno;
  void *const ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  errno = before;
  return ptr == MAP_FAILED ? NULL : ptr;
}

static void *remap(void *ptr, size_t size, size_t new_size, int flags) {
  const int before = errno;
  void *const moved = mremap(ptr, size, new_size, flags);
  errno = before;
  return moved == MAP_FAILED ? NULL : moved;
}

/* The mapping where it is, larger; or NULL. *lacks_room tells then whether only the addresses behind
 * were missed: whatever else refused it (a block of several mappings, a limit of locked pages) keeps
 * it from moving too, and many kernels notice that when the target of a move is gone already,
 * and perhaps another thread's. */
static void *extend(void *ptr, size_t size, size_t new_size, bool *lacks_room) {
  const int before = errno;
  void *const extended = mremap(ptr, size, new_size, 0);
  *lacks_room = errno == ENOMEM;
  errno = before;
  return extended == MAP_FAILED ? NULL : extended;
}

/* Of a part of a mapping this can fail, where the system's number of mappings is used up: the part
 * then stays mapped, unused. */
static void unmap(void *ptr, size_t size) {
  const int before = errno;
  if (size > 0) {
    (void)munmap(ptr, size);
  }
  errno = before;
}

/* Maps front + size bytes so that what follows front is aligned; returns the first byte of all. */
static char *map_aligned(const ca_memory_map_allocator *self, size_t front, size_t size,
                         size_t align) {
  if (align <= self->page_size) {
    return map(front + size);
  }
  const size_t slack = align - self->page_size;
  if (slack > PTRDIFF_MAX - front - size) {
    return NULL;
  }
  char *const first = map(front + size + slack);
  if (first == NULL) {
    return NULL;
  }
  const size_t before = ca_padding_to((uintptr_t)first + front, align);
  unmap(first, before);
  unmap(first + before + front + size, slack - before);
  return first + before;
}

/* Who prepares may allocate here too: the limit is asked again. */
static bool prepare(const ca_memory_map_allocator *self, void *first, size_t size) {
  const ca_memory_map_allocator_settings *const settings = &self->settings;
  if (settings->prepare == NULL) {
    return true;
  }
  const int before = errno;
  const bool prepared = settings->prepare(settings->context, first, size);
  errno = before;
  return prepared && is_within_limit(self, size);
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_memory_map_allocator *const self = from_base(base);
  const size_t front = front_of(self);
  const size_t pages = pages_for(self, size);
  if (pages == 0 || pages > PTRDIFF_MAX - front || !is_within_limit(self, front + pages)) {
    return ca_block_none();
  }
  char *const first = map_aligned(self, front, pages, align);
  if (first == NULL) {
    return ca_block_none();
  }
  char *const ptr = first + front;
  if (!prepare(self, first, front + pages)) {
    unmap(first, front + pages);
    return ca_block_none();
  }
  if (front > 0) {
    *record_of(ptr) = (record){.seal = seal_of(self, ptr), .size = pages};
  }
  self->blocks++;
  account(self, front + pages, 0);
  return ca_block_make(ptr, pages);
}

/* Bytes mapped for the block from ptr on: what was recorded, or else what the size says. */
static size_t pages_of(const ca_memory_map_allocator *self, const void *ptr, size_t size,
                       const char *call) {
  if (CA_UNLIKELY(!ca_is_aligned(ptr, self->page_size) || self->blocks == 0)) {
    ca_panic_misuse(call, ptr, "not a block (memory map)");
  }
  const size_t pages = pages_for(self, size);
  if (!is_recording(self)) {
    if (CA_UNLIKELY(pages == 0 || pages > self->mapped)) {
      ca_panic_misuse(call, ptr, "wrong size (memory map)");
    }
    return pages;
  }
  const record *const written = record_of(ptr);
  if (CA_UNLIKELY(written->seal != seal_of(self, ptr))) {
    ca_panic_misuse(call, ptr, "not a block (memory map)");
  }
  if (CA_UNLIKELY(size != 0 && pages != written->size)) {
    ca_panic_misuse(call, ptr, "wrong size (memory map)");
  }
  return written->size;
}

static void give_back(ca_memory_map_allocator *self, void *ptr, size_t pages) {
  const size_t front = front_of(self);
  unmap((char *)ptr - front, front + pages);
  self->blocks--;
  account(self, 0, front + pages);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  ca_memory_map_allocator *const self = from_base(base);
  give_back(self, ptr, pages_of(self, ptr, size, "deallocate"));
}

static void recording_deallocate_unsized(ca_allocator *base, void *ptr) {
  ca_memory_map_allocator *const self = from_base(base);
  give_back(self, ptr, pages_of(self, ptr, 0, "deallocate"));
}

static size_t recording_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  ca_memory_map_allocator *const self = from_base(base);
  const size_t pages = pages_of(self, ptr, size, "deallocate");
  give_back(self, ptr, pages);
  return pages;
}

static size_t recording_usable_size(const ca_allocator *base, const void *ptr) {
  return pages_of(from_const_base(base), ptr, 0, "usable_size");
}

/* Moves the whole mapping, record and all, to the right alignment; NULL if it can't be. */
static char *move(ca_memory_map_allocator *self, char *first, size_t front, size_t size,
                  size_t new_size, size_t align) {
  if (align <= self->page_size) {
    return remap(first, front + size, front + new_size, MREMAP_MAYMOVE);
  }
  char *const target = map_aligned(self, front, new_size, align);
  if (target == NULL) {
    return NULL;
  }
  const int before = errno;
  void *const moved =
      mremap(first, front + size, front + new_size, MREMAP_MAYMOVE | MREMAP_FIXED, target);
  errno = before;
  if (moved == MAP_FAILED) {
    unmap(target, front + new_size);
    return NULL;
  }
  return moved;
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move may_move) {
  ca_memory_map_allocator *const self = from_base(base);
  const size_t pages = pages_of(self, ptr, size, "grow");
  const size_t new_pages = pages_for(self, new_size);
  const size_t front = front_of(self);
  if (new_pages == pages) {
    return ca_block_make(ptr, pages);
  }
  if (new_pages == 0 || new_pages > PTRDIFF_MAX - front ||
      !is_within_limit(self, new_pages - pages)) {
    return ca_block_none();
  }
  char *const first = (char *)ptr - front;
  bool lacks_room;
  char *moved = extend(first, front + pages, front + new_pages, &lacks_room);
  if (moved == NULL && lacks_room && may_move == CA_MOVE_ALLOWED) {
    moved = move(self, first, front, pages, new_pages, align);
  }
  if (moved == NULL) {
    return ca_block_none();
  }
  char *const block = moved + front;
  if (front > 0) {
    *record_of(block) = (record){.seal = seal_of(self, block), .size = new_pages};
  }
  account(self, new_pages, pages);
  return ca_block_make(block, new_pages);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move may_move) {
  (void)align;
  (void)may_move;
  ca_memory_map_allocator *const self = from_base(base);
  const size_t pages = pages_of(self, ptr, size, "shrink");
  const size_t new_pages = pages_for(self, new_size);
  const size_t front = front_of(self);
  if (new_pages == pages ||
      remap((char *)ptr - front, front + pages, front + new_pages, 0) == NULL) {
    return ca_block_make(ptr, pages);
  }
  if (front > 0) {
    record_of(ptr)->size = new_pages;
  }
  account(self, 0, pages - new_pages);
  return ca_block_make(ptr, new_pages);
}

static bool op_check(const ca_allocator *base) {
  const ca_memory_map_allocator *const self = from_const_base(base);
  const size_t limit = self->settings.limit;
  return self->page_size == (size_t)sysconf(_SC_PAGESIZE) && self->mapped <= self->peak &&
         ca_round_down(self->mapped, self->page_size) == self->mapped &&
         (self->mapped == 0) == (self->blocks == 0) && (limit == 0 || self->mapped <= limit);
}

static const ca_allocator_ops forgetting_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = NULL,
    .deallocate_unsized = NULL,
    .owns = NULL,
    .check = op_check,
    .name = "memory map",
};

static const ca_allocator_ops recording_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = recording_usable_size,
    .deallocate_unsized = recording_deallocate_unsized,
    .owns = NULL,
    .check = op_check,
    .name = "memory map, sizes recorded",
    .deallocate_recorded = recording_deallocate_recorded,
};

void ca_memory_map_allocator_init(ca_memory_map_allocator *self,
                                  const ca_memory_map_allocator_settings *settings) {
  *self = (ca_memory_map_allocator){.page_size = (size_t)sysconf(_SC_PAGESIZE)};
  if (settings != NULL) {
    self->settings = *settings;
  }
  self->base.ops = is_recording(self) ? &recording_ops : &forgetting_ops;
}

void ca_memory_map_allocator_destroy(ca_memory_map_allocator *self) {
  CA_ASSERT(self->blocks == 0);
  self->blocks = self->mapped = self->peak = 0;
}
