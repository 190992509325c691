#include "adaptors/logging/logging_events.h"

#include <string.h>

#include "base/check.h"

static inline size_t place_of(const ca_logging_events *self, uint64_t key) {
  /* 2^43 times the golden section: a usual key's lowest 21 bits are 0. */
  return (size_t)((key * UINT64_C(0x4F1BBCDCBFB)) >> self->shift);
}

/* The entry of key, or the free one where it would go. */
static inline ca_logging_entry *find(const ca_logging_events *self, uint64_t key) {
  size_t at = place_of(self, key);
  while (self->entries[at].key != key && self->entries[at].key != 0) {
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
  for (size_t at = (hole + 1) & self->mask; self->entries[at].key != 0;
       at = (at + 1) & self->mask) {
    const size_t place = place_of(self, self->entries[at].key);
    /* It may move up if its own place doesn't lie between the hole and it. */
    if (((at - place) & self->mask) >= ((at - hole) & self->mask)) {
      self->entries[hole] = self->entries[at];
      hole = at;
    }
  }
  self->entries[hole].key = 0;
}

/* How many blocks there is room for. */
static size_t room(const ca_logging_events *self) {
  const uint64_t numbers = UINT64_C(1) + UINT32_MAX - self->header.ids;
  const uint64_t entries = self->mask - self->mask / 8 - self->live;
  return (size_t)(entries < numbers ? entries : numbers);
}

/* Gives the block the next number, and counts its size. Requires room. */
static inline uint32_t add_entry(ca_logging_events *self, uint64_t key, uint32_t size) {
  ca_logging_entry *const entry = find(self, key);
  entry->key = key;
  entry->id = (uint32_t)self->header.ids++;
  entry->size = size;
  self->live++;
  self->live_bytes += size;
  self->header.total_bytes += size;
  if (CA_UNLIKELY(self->live_bytes > self->header.peak_live)) {
    self->header.peak_live = self->live_bytes;
  }
  if (CA_UNLIKELY(self->live > self->header.peak_objects)) {
    self->header.peak_objects = self->live;
  }
  return entry->id;
}

/* Returns the number that the block had; 0 if none. */
static inline uint32_t forget(ca_logging_events *self, uint64_t key) {
  ca_logging_entry *const entry = find(self, key);
  if (entry->key == 0) {
    return 0;
  }
  const uint32_t id = entry->id;
  remove_entry(self, entry);
  return id;
}

/* As two words, which take two stores. */
static inline void put_event(ca_logging_event *to, uint64_t what, uint32_t id, uint32_t old_id,
                             uint32_t size) {
  const uint64_t words[2] = {what | (uint64_t)id << 32, old_id | (uint64_t)size << 32};
  memcpy(to, words, sizeof *to);
}

static void read_prefix(ca_logging_events *self, uint64_t prefix) {
  const uint64_t what = prefix >> CA_LOGGING_KIND_BITS;
  switch ((ca_logging_prefix)(prefix & ((1 << CA_LOGGING_KIND_BITS) - 1))) {
    case CA_LOGGING_THREAD:
      self->thread = what << 16;
      self->header.threads = self->header.threads > what ? self->header.threads : what + 1;
      break;
    case CA_LOGGING_KEY:
      self->rest = what;
      break;
    case CA_LOGGING_WHAT:
      self->op = what & 7;
      self->align_log2 = what >> 3 & 63;
      self->size = (uint32_t)(what >> 9);
      break;
  }
}

/* Any record, of any call. Returns how many events it makes, 0 or 1. */
static size_t make_any(ca_logging_events *self, ca_logging_record record, ca_logging_event *to) {
  const uint32_t rest = (uint32_t)ca_logging_rest(record);
  if (rest == CA_LOGGING_PREFIX) {
    read_prefix(self, record >> CA_LOGGING_REST_BITS);
    return 0;
  }
  if (self->op == CA_LOGGING_NONE) {
    self->op = rest == 0 ? CA_LOGGING_DEALLOCATE : CA_LOGGING_ALLOCATE;
    self->align_log2 = 0;
    self->size = rest;
  }
  const uint64_t key = (record - rest) | self->rest;
  const unsigned op = self->op;
  self->rest = 0;
  self->op = op == CA_LOGGING_REPLACED ? CA_LOGGING_RESIZE : CA_LOGGING_NONE;
  uint32_t id = 0;
  if (op == CA_LOGGING_REPLACED) {
    self->replaced = forget(self, key);
    return 0;
  }
  if (op == CA_LOGGING_DEALLOCATE) {
    id = forget(self, key);
  } else if (op != CA_LOGGING_RESIZE || self->replaced != 0) {
    if (room(self) > 0) {
      id = add_entry(self, key, self->size);
    } else {
      self->left_out++;
    }
  }
  put_event(to, op | self->align_log2 << 8 | self->thread, id,
            op == CA_LOGGING_RESIZE ? self->replaced : 0, self->size);
  return id != 0;
}

/* Makes the calls from *at on events, until one isn't usual; *at is that one then, or end. Requires
 * that none has begun, and room for all. */
static inline size_t make_usual(ca_logging_events *self, const ca_logging_record **at,
                                const ca_logging_record *end, ca_logging_event *to) {
  enum { AHEAD = 8 }; /* So that an entry has been fetched when its call comes. */
  const ca_logging_event *const begin = to;
  for (; *at < end; ++*at) {
    if (CA_LIKELY(end - *at > AHEAD)) {
      const uint64_t ahead = (*at)[AHEAD];
      __builtin_prefetch(&self->entries[place_of(self, ahead - ca_logging_rest(ahead))]);
    }
    const uint32_t rest = (uint32_t)ca_logging_rest(**at);
    const uint64_t key = **at - rest;
    if (rest == 0) {
      const uint32_t id = forget(self, key);
      put_event(to, CA_LOGGING_DEALLOCATE | self->thread, id, 0, 0);
      to += id != 0;
    } else if (CA_LIKELY(rest != CA_LOGGING_PREFIX)) {
      put_event(to++, CA_LOGGING_ALLOCATE | self->thread, add_entry(self, key, rest), 0, rest);
    } else {
      break;
    }
  }
  return (size_t)(to - begin);
}

size_t ca_logging_events_make(ca_logging_events *self, const ca_logging_record *begin,
                              const ca_logging_record *end, ca_logging_event *to) {
  const ca_logging_event *const first = to;
  const ca_logging_record *at = begin;
  while (at < end) {
    if (self->op == CA_LOGGING_NONE) {
      ca_logging_events local = *self; /* Nobody else sees it: its counts can stay in registers. */
      const size_t most = room(self);
      to += make_usual(&local, &at, (size_t)(end - at) < most ? end : at + most, to);
      *self = local;
    }
    if (at < end) {
      to += make_any(self, *at++, to);
    }
  }
  return (size_t)(to - first);
}

size_t ca_logging_events_end_all(ca_logging_events *self, size_t *at, ca_logging_event *to,
                                 size_t most) {
  size_t events = 0;
  for (; *at <= self->mask && events < most; ++*at) {
    ca_logging_entry *const entry = &self->entries[*at];
    if (entry->key != 0) {
      put_event(&to[events++], CA_LOGGING_DEALLOCATE, entry->id, 0, 0);
      count_out(self, entry);
      entry->key = 0;
    }
  }
  return events;
}

bool ca_logging_events_check(const ca_logging_events *self) {
  uint64_t live = 0;
  for (size_t i = 0; i <= self->mask; ++i) {
    const ca_logging_entry *const entry = &self->entries[i];
    if (entry->key != 0 && find(self, entry->key) != entry) {
      return false;
    }
    live += entry->key != 0;
  }
  return live == self->live && live <= self->mask - self->mask / 8;
}

void ca_logging_events_init(ca_logging_events *self, ca_logging_entry *entries, unsigned bits) {
  *self = (ca_logging_events){.entries = entries,
                              .op = CA_LOGGING_NONE,
                              .mask = ((size_t)1 << bits) - 1,
                              .shift = 64 - bits,
                              .header = {.magic = "CATRACE", .ids = 1, .threads = 1}};
  self->header.magic[7] = '1';
  memset(entries, 0, (self->mask + 1) * sizeof *entries);
}
