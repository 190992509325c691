#include "adaptors/logging/logging_events.h"

#include <string.h>

#include "base/check.h"

static size_t place_of(const ca_logging_events *self, uint64_t ptr) {
  return (size_t)((ptr * UINT64_C(0x9E3779B97F4A7C15)) >> self->shift);
}

/* The entry of ptr, or the free one where it would go. */
static inline ca_logging_entry *find(const ca_logging_events *self, uint64_t ptr) {
  size_t at = place_of(self, ptr);
  while (self->entries[at].ptr != ptr && self->entries[at].ptr != 0) {
    at = (at + 1) & self->mask;
  }
  return &self->entries[at];
}

static inline void count_out(ca_logging_events *self, const ca_logging_entry *entry) {
  self->live--;
  self->live_bytes -= entry->size;
}

static inline void remove_entry(ca_logging_events *self, ca_logging_entry *entry) {
  size_t hole = (size_t)(entry - self->entries);
  count_out(self, entry);
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

static bool has_room(const ca_logging_events *self) {
  return self->live < self->mask - self->mask / 8 && self->header.ids <= UINT32_MAX;
}

/* Gives the block at ptr the next number, and counts its size. 0, and the block is left out, if there
 * is no room. */
static inline uint32_t add_entry(ca_logging_events *self, uint64_t ptr, uint32_t size) {
  if (CA_UNLIKELY(!has_room(self))) {
    self->left_out++;
    return 0;
  }
  ca_logging_entry *const entry = find(self, ptr);
  entry->ptr = ptr;
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
static inline uint32_t forget(ca_logging_events *self, uint64_t ptr) {
  ca_logging_entry *const entry = find(self, ptr);
  if (entry->ptr == 0) {
    return 0;
  }
  const uint32_t id = entry->id;
  remove_entry(self, entry);
  return id;
}

/* Makes the call an event, in which its number stands where the size was. Returns whether it is
 * one. */
static inline bool translate(ca_logging_events *self, ca_logging_call *call) {
  const unsigned op = (uint8_t)call->what;
  const uint64_t size = call->what >> 32;
  uint32_t old_id = 0;
  uint32_t id = 0;
  if (op == CA_LOGGING_DEALLOCATE) {
    id = forget(self, call->ptr);
  } else if (CA_UNLIKELY(op == CA_LOGGING_REPLACED)) {
    self->replaced = forget(self, call->ptr);
    return false;
  } else if (CA_LIKELY(op != CA_LOGGING_RESIZE) || (old_id = self->replaced) != 0) {
    id = add_entry(self, call->ptr, (uint32_t)size);
  }
  call->what = (uint32_t)call->what | (uint64_t)id << 32;
  call->ptr = old_id | size << 32;
  return id != 0;
}

/* An event never lies behind the call of which it came. */
static inline size_t translate_all(ca_logging_events *self, ca_logging_record *begin,
                                   const ca_logging_record *end) {
  enum { AHEAD = 8 }; /* So that an entry has been fetched when its call comes. */
  ca_logging_record *out = begin;
  for (const ca_logging_record *at = begin; at < end; ++at) {
    if (CA_LIKELY(end - at > AHEAD)) {
      __builtin_prefetch(&self->entries[place_of(self, at[AHEAD].call.ptr)]);
    }
    ca_logging_call call = at->call;
    if (CA_LIKELY(translate(self, &call))) {
      (out++)->call = call;
    }
  }
  return (size_t)(out - begin);
}

size_t ca_logging_events_make(ca_logging_events *self, ca_logging_record *begin,
                              const ca_logging_record *end) {
  ca_logging_events local = *self; /* Nobody else sees it: its counts can stay in registers. */
  const size_t events = translate_all(&local, begin, end);
  *self = local;
  return events;
}

size_t ca_logging_events_end_all(ca_logging_events *self, size_t *at, ca_logging_record *records,
                                 size_t room) {
  size_t events = 0;
  for (; *at <= self->mask && events < room; ++*at) {
    ca_logging_entry *const entry = &self->entries[*at];
    if (entry->ptr != 0) {
      records[events++].event = (ca_logging_event){.op = CA_LOGGING_DEALLOCATE, .id = entry->id};
      count_out(self, entry);
      entry->ptr = 0;
    }
  }
  return events;
}

bool ca_logging_events_check(const ca_logging_events *self) {
  uint64_t live = 0;
  for (size_t i = 0; i <= self->mask; ++i) {
    const ca_logging_entry *const entry = &self->entries[i];
    if (entry->ptr != 0 && find(self, entry->ptr) != entry) {
      return false;
    }
    live += entry->ptr != 0;
  }
  return live == self->live && live <= self->mask - self->mask / 8;
}

void ca_logging_events_init(ca_logging_events *self, ca_logging_entry *entries, unsigned bits) {
  *self = (ca_logging_events){.entries = entries,
                              .mask = ((size_t)1 << bits) - 1,
                              .shift = 64 - bits,
                              .header = {.magic = "CATRACE", .ids = 1, .threads = 1}};
  self->header.magic[7] = '1';
  memset(entries, 0, (self->mask + 1) * sizeof *entries);
}
