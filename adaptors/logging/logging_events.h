/* adaptors/logging/logging_events.h - from calls, as they were put down, to a trace's events.
 *
 * Idea        each block gets a number, from 1 on, that is never used again; which live block has
 *             which number is kept in a table: open addressing with linear probing (W. W. Peterson,
 *             IBM J. Res. Dev. 1(2), 1957), deletion by moving later entries up (D. E. Knuth, TAOCP
 *             3, 6.4, algorithm R).
 * Cost        expected O(1) a call: a probe of the table, fetched ahead.
 * Overhead    16 bytes a live block, and slack.
 * Errors      a block for which the table has no room (7/8 full) is left out, with all that is done
 *             to it, and counted.
 * Ownership   the table's memory is the caller's.
 * Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_EVENTS_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_EVENTS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The format's; see logging.h. */
typedef struct ca_logging_header {
  char magic[8];
  uint64_t events;
  uint64_t ids;
  uint64_t peak_live;
  uint64_t total_bytes;
  uint64_t peak_objects;
  uint64_t threads;
  uint64_t reserved;
} ca_logging_header;

typedef struct ca_logging_event {
  uint8_t op;
  uint8_t align_log2;
  uint16_t thread;
  uint32_t id;
  uint32_t old_id;
  uint32_t size;
} ca_logging_event;

enum {
  CA_LOGGING_ALLOCATE = 0,
  CA_LOGGING_ALIGNED = 2,
  CA_LOGGING_RESIZE = 3,
  CA_LOGGING_DEALLOCATE = 4,
  CA_LOGGING_REPLACED = 5, /* Of a call only: the block that the resize behind it replaces. */
  CA_LOGGING_NONE = 7,     /* No event's. */
};

/* A call as it is put down: one word in the usual case, which holds the pointer's key but for its
 * rest, and in the rest's place the size, 0 for a deallocation. Usual is a size below PREFIX and a
 * rest of 0: an address of 47 bits that is a multiple of 16. Any other call's word, with 0 for the
 * size, comes behind prefixes: a WHAT, and behind that, if the rest isn't 0, a KEY. A resize is a
 * WHAT, the old block's word and the new one's, each with its KEY.
 *
 * A prefix is known by PREFIX in the rest's place; above it are two bits for its kind and 41 for
 * what it says. The thread has a prefix of its own, for all calls to come. */
typedef uint64_t ca_logging_record;

enum {
  CA_LOGGING_REST_BITS = 21,
  CA_LOGGING_PREFIX = (1 << CA_LOGGING_REST_BITS) - 1,
  CA_LOGGING_KIND_BITS = 2,
};

typedef enum ca_logging_prefix {
  CA_LOGGING_THREAD, /* Its number. */
  CA_LOGGING_KEY,    /* The rest of the next pointer's key. */
  CA_LOGGING_WHAT,   /* op, then from bit 3 on log2 of the alignment, from bit 9 on the size. */
} ca_logging_prefix;

static inline uint64_t ca_logging_key(const void *ptr) {
  const uint64_t bits = (uint64_t)(uintptr_t)ptr;
  return bits << 17 | bits >> 47;
}

static inline uint64_t ca_logging_rest(uint64_t key) { return key & CA_LOGGING_PREFIX; }

static inline ca_logging_record ca_logging_make_prefix(ca_logging_prefix kind, uint64_t what) {
  return (what << CA_LOGGING_KIND_BITS | kind) << CA_LOGGING_REST_BITS | CA_LOGGING_PREFIX;
}

/* A live block in the table; key 0: a free entry. */
typedef struct ca_logging_entry {
  uint64_t key;
  uint32_t id;
  uint32_t size;
} ca_logging_entry;

/* Invariant: live is the number of entries in use, at most 7/8 of them; each entry can be reached
 * from its key's place without crossing a free one. */
typedef struct ca_logging_events {
  ca_logging_entry *entries;
  size_t mask; /* Entries - 1, a power of two less one. */
  unsigned shift;
  uint64_t live;
  uint64_t live_bytes;
  uint64_t left_out;        /* Blocks for which there was no entry. */
  ca_logging_header header; /* Its events aren't counted here. */
  uint64_t thread;          /* Where an event has it. */
  /* Of the call whose first prefixes have been read. */
  unsigned op; /* CA_LOGGING_NONE: there is none. */
  unsigned align_log2;
  uint32_t size;
  uint32_t replaced; /* The number that the resized block had; 0: none. */
  uint64_t rest;
} ca_logging_events;

/* Starts with a table of 2^bits entries, bits from 1 to 48, none in use. */
void ca_logging_events_init(ca_logging_events *self, ca_logging_entry *entries, unsigned bits);

/* Makes the calls from begin up to end events, at most one a record, and puts these down from `to`
 * on. Returns how many. A call may begin in one run of records and end in the next. */
size_t ca_logging_events_make(ca_logging_events *self, const ca_logging_record *begin,
                              const ca_logging_record *end, ca_logging_event *to);

/* Puts the end of up to `most` live blocks down as events, and forgets these; returns how many
 * there were. The first call is given *at = 0, and each the one before's: until less than `most`
 * are left, and the table is empty, nothing else may be called. */
size_t ca_logging_events_end_all(ca_logging_events *self, size_t *at, ca_logging_event *to,
                                 size_t most);

/* Whether the invariant holds. O(entries). */
bool ca_logging_events_check(const ca_logging_events *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_EVENTS_H_ */
