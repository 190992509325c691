/* adaptors/logging/logging.h - writes down every call, in the trace format CATRACE1.
 *
 * Idea        a program's calls, recorded in order, can be replayed over any allocator. A call only
 *             puts down pointer and size in a buffer. When that is full, or flushed, each block
 *             gets a number, from 1 on, that is never used again; which block has which number is
 *             kept in a table of live blocks, in memory that the caller gives: open addressing with
 *             linear probing (W. W. Peterson, IBM J. Res. Dev. 1(2), 1957), deletion by moving
 *             later entries up (D. E. Knuth, TAOCP 3, 6.4, algorithm R). Nothing is put into the
 *             blocks, and the calls reach the inner allocator as they came.
 * Format      a header of 64 bytes: "CATRACE1", then as u64 the events, the numbers used + 1, the
 *             highest sum of live sizes, the sum of all sizes, the most blocks live at once, the
 *             threads, and 0. Then 16 bytes for each event: u8 op (0 allocate, 2 the same at an
 *             alignment above 16, 3 grow or shrink, 4 deallocate), u8 log2 of the alignment (op 2),
 *             u16 thread, u32 number, u32 old number (op 3), u32 size asked for (at most 2^32 - 1;
 *             0 for op 4). Little-endian machines only.
 * Cost        expected O(1), amortised: a call takes the inner allocator's time and two stores; one
 *             that finds the buffer full (up to 256 KiB, 16 bytes a call) turns it into events, with
 *             a probe of the table for each, and writes it, which costs each call several times
 *             what it took itself. logging_bench tells all three. So that none falls into a moment
 *             that matters, flush before it.
 * Overhead    0 bytes a block; in the caller's memory 16 bytes for each live block, and slack.
 * Alignment   as the inner allocator's.
 * Errors      as the inner allocator's. A block for which the table has no room (7/8 full) is left
 *             out of the trace, with all that is done to it, and counted when flushed. When the file can't be
 *             written, logging ends and the calls pass through. errno is kept.
 * Ownership   memory, file and the inner allocator must outlive the adaptor, or its finish.
 * Threads     not thread-safe; below adaptors/locked the order is that of the lock.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_H_

#include <stdint.h>

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* A live block in the table; ptr 0: a free entry. */
typedef struct ca_logging_entry {
  uint64_t ptr;
  uint32_t id;
  uint32_t size;
} ca_logging_entry;

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

/* Invariant: while file >= 0 the calls from records up to next, which isn't beyond end, wait to
 * become events; afterwards next and end are NULL. live is the number of entries in use, at most
 * 7/8 of them; each entry can be reached from its pointer's place without crossing a free one. */
typedef struct ca_logging {
  ca_wrapper wrapper; /* First. */
  ca_logging_record *next;
  ca_logging_record *end;
  uint64_t thread; /* Where a call has it. */
  ca_logging_record *records;
  ca_logging_entry *entries;
  size_t mask; /* Entries - 1, a power of two less one. */
  unsigned shift;
  uint32_t replaced; /* The number of the block that the next resize replaces; 0: none. */
  int file;          /* -1: logging has ended. */
  bool failed;       /* A write failed. */
  /* All of these as of the last flush. */
  uint64_t live;
  uint64_t live_bytes;
  uint64_t left_out; /* Blocks for which there was no entry. */
  ca_logging_header header;
} ca_logging;

/* The least memory that init takes. */
#define CA_LOGGING_MEMORY_MIN ((size_t)1024)

/* Starts a trace in `file`, a descriptor of a regular file, open for writing, whose contents it
 * replaces from the beginning on. Of the `size` bytes of memory a part buffers events, the rest is
 * the table: for a million live blocks give 40 MiB. Returns false if size is too small: calls then
 * pass through without being logged. */
bool ca_logging_init(ca_logging *self, ca_allocator *inner, int file, void *memory, size_t size);

/* Names the thread that makes the calls from now on; 0 at first. */
void ca_logging_set_thread(ca_logging *self, uint16_t thread);

/* Writes what is pending, with a header that makes the file a whole trace so far. Returns false if
 * a write has failed since init. */
bool ca_logging_flush(ca_logging *self);

/* Flushes and ends logging; calls pass through from then on. Twice is harmless, and so is the
 * all-zero value. */
bool ca_logging_finish(ca_logging *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_logging_allocator(ca_logging *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_H_ */
