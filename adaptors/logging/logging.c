#define _POSIX_C_SOURCE 200809L

#include "adaptors/logging/logging.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  OP_ALLOCATE = 0,
  OP_ALIGNED = 2,
  OP_RESIZE = 3,
  OP_DEALLOCATE = 4,
  OP_REPLACED = 5, /* Of a call only: the block that the resize behind it replaces. */
};

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

/* The table. */

static size_t place_of(const ca_logging *self, uint64_t ptr) {
  return (size_t)((ptr * UINT64_C(0x9E3779B97F4A7C15)) >> self->shift);
}

/* The entry of ptr, or the free one where it would go. */
static inline ca_logging_entry *find(const ca_logging *self, const void *ptr) {
  const uint64_t wanted = (uint64_t)(uintptr_t)ptr;
  size_t at = place_of(self, wanted);
  while (self->entries[at].ptr != wanted && self->entries[at].ptr != 0) {
    at = (at + 1) & self->mask;
  }
  return &self->entries[at];
}

static inline void remove_entry(ca_logging *self, ca_logging_entry *entry) {
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

/* Gives the block at ptr the next number, and counts its size. 0, and the block is left out, if there
 * is no room. */
static inline uint32_t add_entry(ca_logging *self, const void *ptr, uint32_t size) {
  if (CA_UNLIKELY(!has_room(self))) {
    self->left_out++;
    return 0;
  }
  ca_logging_entry *const entry = find(self, ptr);
  entry->ptr = (uint64_t)(uintptr_t)ptr;
  entry->id = (uint32_t)self->header.ids++;
  entry->size = size;
  self->live++;
  self->live_bytes += size;
  self->header.total_bytes += size;
  if (self->live_bytes > self->header.peak_live) {
    self->header.peak_live = self->live_bytes;
  }
  if (self->live > self->header.peak_objects) {
    self->header.peak_objects = self->live;
  }
  return entry->id;
}

/* Returns the number that the block had; 0 if none. */
static inline uint32_t forget(ca_logging *self, const void *ptr) {
  ca_logging_entry *const entry = find(self, ptr);
  if (entry->ptr == 0) {
    return 0;
  }
  const uint32_t id = entry->id;
  remove_entry(self, entry);
  return id;
}

/* From calls to events. */

/* Makes the call an event, in which its number stands where the size was. Returns whether it is
 * one. */
static inline bool translate(ca_logging *self, ca_logging_call *call) {
  const void *const ptr = (const void *)(uintptr_t)call->ptr;
  const unsigned op = (uint8_t)call->what;
  const uint64_t size = call->what >> 32;
  uint32_t old_id = 0;
  uint32_t id = 0;
  if (op == OP_DEALLOCATE) {
    id = forget(self, ptr);
  } else if (CA_UNLIKELY(op == OP_REPLACED)) {
    self->replaced = forget(self, ptr);
    return false;
  } else if (CA_LIKELY(op != OP_RESIZE) || (old_id = self->replaced) != 0) {
    id = add_entry(self, ptr, (uint32_t)size);
  }
  call->what = (uint32_t)call->what | (uint64_t)id << 32;
  call->ptr = old_id | size << 32;
  return id != 0;
}

/* In place: an event never lies behind the call of which it came. Returns how many there are. */
static inline size_t translate_pending(ca_logging *self) {
  enum { AHEAD = 8 }; /* So that an entry has been fetched when its call comes. */
  const ca_logging_record *const end = self->next;
  ca_logging_record *out = self->records;
  for (const ca_logging_record *at = self->records; at < end; ++at) {
    if (CA_LIKELY(end - at > AHEAD)) {
      __builtin_prefetch(&self->entries[place_of(self, at[AHEAD].call.ptr)]);
    }
    ca_logging_call call = at->call;
    if (CA_LIKELY(translate(self, &call))) {
      (out++)->call = call;
    }
  }
  return (size_t)(out - self->records);
}

static size_t translate_all(ca_logging *self) {
  ca_logging local = *self; /* Nobody else sees it: its counts can stay in registers. */
  const size_t events = translate_pending(&local);
  *self = local;
  return events;
}

static bool op_check(const ca_allocator *base);

static const ca_wrapper_tables passing_tables = CA_WRAPPER_ROWS(
    "logging", ca_wrapper_allocate, ca_wrapper_deallocate, ca_wrapper_grow, ca_wrapper_shrink,
    ca_wrapper_deallocate_unsized, ca_wrapper_deallocate_recorded, op_check);

/* From now on the table's functions are those that pass on. Also while a call runs, if what is below
 * calls back: it then finds no room. */
static void end_logging(ca_logging *self) {
  const ca_allocator_ops *const ops = self->wrapper.base.ops;
  self->wrapper.base.ops = &passing_tables[ops->usable_size != NULL][ops->owns != NULL];
  self->file = -1;
  self->next = self->end = NULL;
}

bool ca_logging_flush(ca_logging *self) {
  if (self->next == NULL) { /* Ended, or never begun: the all-zero value. */
    return !self->failed;
  }
  const int before = errno;
  const size_t events = translate_all(self);
  const off_t offset =
      (off_t)(sizeof self->header + self->header.events * sizeof(ca_logging_event));
  self->header.events += events;
  self->next = self->records;
  self->failed =
      !write_whole(self->file, self->records, events * sizeof(ca_logging_event), offset) ||
      !write_whole(self->file, &self->header, sizeof self->header, 0);
  if (self->failed) {
    end_logging(self);
  }
  errno = before;
  return !self->failed;
}

bool ca_logging_finish(ca_logging *self) {
  const bool whole = ca_logging_flush(self);
  if (self->next != NULL) {
    end_logging(self);
  }
  return whole;
}

/* The calls: each is put down as it comes. Whatever isn't the usual case stands apart, to be
 * reached by a jump, so that the usual one needs the smallest stack frame, or none. */

static uint64_t what(const ca_logging *self, unsigned op, size_t size) {
  const uint64_t shown = size < UINT32_MAX ? size : UINT32_MAX;
  return self->thread | op | shown << 32;
}

/* Requires next < end. */
static inline void put_down(ca_logging *self, uint64_t call, const void *ptr) {
  ca_logging_record *const record = self->next;
  self->next = record + 1;
  record->call = (ca_logging_call){.what = call, .ptr = (uint64_t)(uintptr_t)ptr};
}

/* Makes room for `records`; false: logging has ended. */
CA_COLD static bool make_room(ca_logging *self, ptrdiff_t records) {
  return self->next != NULL && (self->end - self->next >= records || ca_logging_flush(self));
}

CA_COLD static ca_block log_allocation_late(ca_logging *self, ca_block block, uint64_t call) {
  if (!ca_block_is_none(block) && make_room(self, 1)) {
    put_down(self, call, block.ptr);
  }
  return block;
}

CA_COLD static ca_block allocate_aligned(ca_allocator *base, size_t size, size_t align) {
  const uint64_t call = what(from_base(base), OP_ALIGNED, size) | (uint64_t)ca_log2_floor(align)
                                                                      << 8;
  return log_allocation_late(from_base(base), ca_allocate(ca_wrapper_inner(base), size, align),
                             call);
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  if (CA_UNLIKELY(align > CA_ALIGN_DEFAULT)) {
    return allocate_aligned(base, size, align);
  }
  ca_logging *const self = from_base(base);
  const uint64_t call = what(self, OP_ALLOCATE, size);
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  if (CA_UNLIKELY(ca_block_is_none(block) || self->next == self->end)) {
    return log_allocation_late(self, block, call);
  }
  put_down(self, call, block.ptr);
  return block;
}

/* Before the memory goes back, as the format asks. */
CA_COLD static void log_deallocation_late(ca_logging *self, const void *ptr) {
  if (make_room(self, 1)) {
    put_down(self, what(self, OP_DEALLOCATE, 0), ptr);
  }
}

static inline void log_deallocation(ca_logging *self, const void *ptr) {
  if (CA_UNLIKELY(self->next == self->end)) {
    log_deallocation_late(self, ptr);
    return;
  }
  put_down(self, what(self, OP_DEALLOCATE, 0), ptr);
}

CA_COLD static void deallocate_late(ca_allocator *base, void *ptr, size_t size, size_t align) {
  log_deallocation_late(from_base(base), ptr);
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  ca_logging *const self = from_base(base);
  if (CA_UNLIKELY(self->next == self->end)) {
    deallocate_late(base, ptr, size, align);
    return;
  }
  put_down(self, what(self, OP_DEALLOCATE, 0), ptr);
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static void op_deallocate_unsized(ca_allocator *base, void *ptr) {
  log_deallocation(from_base(base), ptr);
  ca_wrapper_deallocate_unsized(base, ptr);
}

static size_t op_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  log_deallocation(from_base(base), ptr);
  return ca_wrapper_deallocate_recorded(base, ptr, size);
}

static ca_block log_resize(ca_logging *self, const void *old, ca_block block, size_t size) {
  if (!ca_block_is_none(block) && make_room(self, 2)) {
    put_down(self, what(self, OP_REPLACED, 0), old);
    put_down(self, what(self, OP_RESIZE, size), block.ptr);
  }
  return block;
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  const ca_block block = ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  return log_resize(from_base(base), ptr, block, new_size);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  const ca_block block = ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  return log_resize(from_base(base), ptr, block, new_size);
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
  const bool writing = self->file >= 0;
  return (self->entries == NULL ||
          (self->live <= self->mask - self->mask / 8 && entries_hold(self))) &&
         (writing ? self->records <= self->next && self->next <= self->end
                  : self->next == NULL && self->end == NULL) &&
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
    end_logging(self);
    return false;
  }
  const size_t buffer = (size - padding) / 8;
  const size_t buffer_max = (size_t)256 << 10; /* Stays in a cache, and costs few writes. */
  const size_t records = (buffer < buffer_max ? buffer : buffer_max) / sizeof(ca_logging_record);
  const size_t rest = (size - padding) / sizeof(ca_logging_entry) - records;
  const unsigned bits = ca_log2_floor(rest);
  self->entries = (ca_logging_entry *)((char *)memory + padding);
  self->mask = ((size_t)1 << bits) - 1;
  self->shift = 64 - bits;
  memset(self->entries, 0, (self->mask + 1) * sizeof(ca_logging_entry));
  self->records = (ca_logging_record *)(void *)(self->entries + self->mask + 1);
  self->next = self->records;
  self->end = self->records + records;
  self->file = file;
  self->header = (ca_logging_header){.magic = "CATRACE", .ids = 1, .threads = 1};
  self->header.magic[7] = '1';
  if (file < 0) {
    end_logging(self);
  }
  return true;
}

void ca_logging_set_thread(ca_logging *self, uint16_t thread) {
  self->thread = (uint64_t)thread << 16;
  if (self->header.threads <= thread) {
    self->header.threads = (uint64_t)thread + 1;
  }
}
