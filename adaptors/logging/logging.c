#define _POSIX_C_SOURCE 200809L

#include "adaptors/logging/logging.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { OP_ALLOCATE = 0, OP_ALIGNED = 2, OP_RESIZE = 3, OP_DEALLOCATE = 4 };

static ca_logging *from_base(ca_allocator *base) { return (ca_logging *)base; }

/* The file. */

static bool write_whole(int file, const void *bytes, size_t size, off_t offset) {
  const char *at = bytes;
  while (size > 0) {
    const ssize_t written = pwrite(file, at, size, offset);
    if (written <= 0) {
      if (written < 0 && errno == EINTR) {
        continue;
      }
      return false;
    }
    at += written;
    size -= (size_t)written;
    offset += written;
  }
  return true;
}

bool ca_logging_flush(ca_logging *self) {
  if (self->file < 0) {
    return !self->failed;
  }
  const int before = errno;
  const uint64_t written = self->header.events - self->pending;
  const off_t offset = (off_t)(sizeof self->header + written * sizeof(ca_logging_event));
  self->failed =
      !write_whole(self->file, self->events, self->pending * sizeof(ca_logging_event), offset) ||
      !write_whole(self->file, &self->header, sizeof self->header, 0);
  self->pending = 0;
  if (self->failed) {
    self->file = -1;
  }
  errno = before;
  return !self->failed;
}

bool ca_logging_finish(ca_logging *self) {
  const bool whole = ca_logging_flush(self);
  self->file = -1;
  return whole;
}

static void add_event(ca_logging *self, ca_logging_event event) {
  event.thread = self->thread;
  self->events[self->pending++] = event;
  self->header.events++;
  if (CA_UNLIKELY(self->pending == self->room)) {
    ca_logging_flush(self);
  }
}

/* The table. */

static size_t place_of(const ca_logging *self, uint64_t ptr) {
  return (size_t)((ptr * UINT64_C(0x9E3779B97F4A7C15)) >> self->shift);
}

/* The entry of ptr, or the free one where it would go. */
static ca_logging_entry *find(const ca_logging *self, const void *ptr) {
  const uint64_t wanted = (uint64_t)(uintptr_t)ptr;
  size_t at = place_of(self, wanted);
  while (self->entries[at].ptr != wanted && self->entries[at].ptr != 0) {
    at = (at + 1) & self->mask;
  }
  return &self->entries[at];
}

static void remove_entry(ca_logging *self, ca_logging_entry *entry) {
  size_t hole = (size_t)(entry - self->entries);
  self->live--;
  self->live_bytes -= entry->size;
  for (size_t at = (hole + 1) & self->mask; self->entries[at].ptr != 0;
       at = (at + 1) & self->mask) {
    const size_t place = place_of(self, self->entries[at].ptr);
    /* It may move up if its own place doesn't lie between the hole and it. */
    if (((at - place) & self->mask) >= ((at - hole) & self->mask)) {
      self->entries[hole] = self->entries[at];
      hole = at;
    }
  }
  self->entries[hole].ptr = 0;
}

static bool has_room(const ca_logging *self) {
  return self->live < self->mask - self->mask / 8 && self->header.ids <= UINT32_MAX;
}

/* Gives the block at ptr the next number, and counts its size. Requires has_room(). */
static ca_logging_entry *add_entry(ca_logging *self, const void *ptr, size_t size) {
  ca_logging_entry *const entry = find(self, ptr);
  entry->ptr = (uint64_t)(uintptr_t)ptr;
  entry->id = (uint32_t)self->header.ids++;
  entry->size = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
  self->live++;
  self->live_bytes += entry->size;
  self->header.total_bytes += entry->size;
  if (self->live_bytes > self->header.peak_live) {
    self->header.peak_live = self->live_bytes;
  }
  if (self->live > self->header.peak_objects) {
    self->header.peak_objects = self->live;
  }
  return entry;
}

/* The calls. */

/* Apart, like the deallocation below, so that calls which pass through need no large frame. */
static __attribute__((noinline)) ca_block log_allocation(ca_logging *self, ca_block block,
                                                         size_t size, size_t align) {
  if (CA_UNLIKELY(!has_room(self))) {
    self->left_out++;
    return block;
  }
  const ca_logging_entry *const entry = add_entry(self, block.ptr, size);
  const bool usual = align <= CA_ALIGN_DEFAULT;
  add_event(self, (ca_logging_event){.op = usual ? OP_ALLOCATE : OP_ALIGNED,
                                     .align_log2 = usual ? 0 : (uint8_t)ca_log2_floor(align),
                                     .id = entry->id,
                                     .size = entry->size});
  return block;
}

static void log_resize(ca_logging *self, const void *old, const void *ptr, size_t size) {
  ca_logging_entry *const entry = find(self, old);
  if (entry->ptr == 0 || self->header.ids > UINT32_MAX) {
    return;
  }
  const uint32_t old_id = entry->id;
  remove_entry(self, entry);
  const ca_logging_entry *const added = add_entry(self, ptr, size);
  add_event(self, (ca_logging_event){
                      .op = OP_RESIZE, .id = added->id, .old_id = old_id, .size = added->size});
}

/* Before the memory goes back, as the format asks. */
static void log_deallocation(ca_logging *self, const void *ptr) {
  ca_logging_entry *const entry = find(self, ptr);
  if (CA_UNLIKELY(entry->ptr == 0)) {
    return;
  }
  const uint32_t id = entry->id;
  remove_entry(self, entry);
  add_event(self, (ca_logging_event){.op = OP_DEALLOCATE, .id = id});
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  if (CA_LIKELY(!ca_block_is_none(block) && from_base(base)->file >= 0)) {
    return log_allocation(from_base(base), block, size, align);
  }
  return block;
}

static __attribute__((noinline)) void deallocate_logged(ca_allocator *base, void *ptr, size_t size,
                                                        size_t align) {
  log_deallocation(from_base(base), ptr);
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  if (from_base(base)->file >= 0) {
    deallocate_logged(base, ptr, size, align);
    return;
  }
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static void op_deallocate_unsized(ca_allocator *base, void *ptr) {
  if (CA_LIKELY(from_base(base)->file >= 0)) {
    log_deallocation(from_base(base), ptr);
  }
  ca_wrapper_deallocate_unsized(base, ptr);
}

static size_t op_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  if (CA_LIKELY(from_base(base)->file >= 0)) {
    log_deallocation(from_base(base), ptr);
  }
  return ca_wrapper_deallocate_recorded(base, ptr, size);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  const ca_block block = ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (!ca_block_is_none(block) && from_base(base)->file >= 0) {
    log_resize(from_base(base), ptr, block.ptr, new_size);
  }
  return block;
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  const ca_block block = ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (!ca_block_is_none(block) && from_base(base)->file >= 0) {
    log_resize(from_base(base), ptr, block.ptr, new_size);
  }
  return block;
}

static bool entries_hold(const ca_logging *self) {
  uint64_t live = 0;
  for (size_t i = 0; i <= self->mask; ++i) {
    const ca_logging_entry *const entry = &self->entries[i];
    if (entry->ptr != 0 && find(self, (const void *)(uintptr_t)entry->ptr) != entry) {
      return false;
    }
    live += entry->ptr != 0;
  }
  return live == self->live;
}

static bool op_check(const ca_allocator *base) {
  const ca_logging *const self = (const ca_logging *)base;
  return (self->entries == NULL ||
          (self->pending < self->room && self->live <= self->mask - self->mask / 8 &&
           entries_hold(self))) &&
         ca_wrapper_check(base);
}

static const ca_wrapper_tables tables =
    CA_WRAPPER_ROWS("logging", op_allocate, op_deallocate, op_grow, op_shrink,
                    op_deallocate_unsized, op_deallocate_recorded, op_check);

bool ca_logging_init(ca_logging *self, ca_allocator *inner, int file, void *memory, size_t size) {
  *self = (ca_logging){.file = -1};
  ca_wrapper_init(&self->wrapper, inner, CA_SIZES_RECORDED, tables);
  const size_t padding = ca_padding_to((uintptr_t)memory, sizeof(ca_logging_entry));
  if (size < CA_LOGGING_MEMORY_MIN) {
    return false;
  }
  const size_t buffer = ca_round_down((size - padding) / 8, sizeof(ca_logging_event));
  const size_t buffer_max = (size_t)1 << 20;
  const size_t events = (buffer < buffer_max ? buffer : buffer_max) / sizeof(ca_logging_event);
  const size_t rest = (size - padding) / sizeof(ca_logging_entry) - events;
  const unsigned bits = ca_log2_floor(rest);
  self->entries = (ca_logging_entry *)((char *)memory + padding);
  self->mask = ((size_t)1 << bits) - 1;
  self->shift = 64 - bits;
  memset(self->entries, 0, (self->mask + 1) * sizeof(ca_logging_entry));
  self->events = (ca_logging_event *)(self->entries + self->mask + 1);
  self->room = (uint32_t)events;
  self->file = file;
  self->header = (ca_logging_header){.magic = "CATRACE", .ids = 1, .threads = 1};
  self->header.magic[7] = '1';
  return true;
}

void ca_logging_set_thread(ca_logging *self, uint16_t thread) {
  self->thread = thread;
  if (self->header.threads <= thread) {
    self->header.threads = (uint64_t)thread + 1;
  }
}
