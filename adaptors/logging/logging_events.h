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
};

/* A call as it comes: op, log2 of the alignment and thread where an event has them, and the size
 * where that has its number. */
typedef struct ca_logging_call {
  uint64_t what;
  uint64_t ptr;
} ca_logging_call;

typedef union ca_logging_record {
  ca_logging_call call;
  ca_logging_event event;
} ca_logging_record;

/* A live block in the table; ptr 0: a free entry. */
typedef struct ca_logging_entry {
  uint64_t ptr;
  uint32_t id;
  uint32_t size;
} ca_logging_entry;

/* Invariant: live is the number of entries in use, at most 7/8 of them; each entry can be reached
 * from its pointer's place without crossing a free one. */
typedef struct ca_logging_events {
  ca_logging_entry *entries;
  size_t mask; /* Entries - 1, a power of two less one. */
  unsigned shift;
  uint32_t replaced; /* The number of the block that the next resize replaces; 0: none. */
  uint64_t live;
  uint64_t live_bytes;
  uint64_t left_out;        /* Blocks for which there was no entry. */
  ca_logging_header header; /* Its threads aren't kept here, nor are its events. */
} ca_logging_events;

/* Starts with a table of 2^bits entries, bits from 1 to 48, none in use. */
void ca_logging_events_init(ca_logging_events *self, ca_logging_entry *entries, unsigned bits);

/* Makes the calls from begin up to end events, in place, from begin on. Returns how many: at most one
 * a call. */
size_t ca_logging_events_make(ca_logging_events *self, ca_logging_record *begin,
                              const ca_logging_record *end);

/* Puts the end of up to `room` live blocks down as events, and forgets these; returns how many there
 * were. The first call is given *at = 0, and each the one before's: until less than `room` are left,
 * and the table is empty, nothing else may be called. */
size_t ca_logging_events_end_all(ca_logging_events *self, size_t *at, ca_logging_record *records,
                                 size_t room);

/* Whether the invariant holds. O(entries). */
bool ca_logging_events_check(const ca_logging_events *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_EVENTS_H_ */
