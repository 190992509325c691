/* adaptors/logging/logging.h - writes down every call, in the trace format CATRACE1.
 *
 * Idea        a program's calls, recorded in order, can be replayed over any allocator. A call only
 *             puts down pointer and size, as one word, in a buffer, a ring of pieces. What has been
 *             put down is turned into events (logging_events.h) and written by a thread of the
 *             adaptor's own, which ca_logging_init() starts, or by a flush, or, where neither came in
 *             time, by the call that finds no room. Nothing is put into the blocks, and the calls
 *             reach the inner allocator as they came.
 * Format      a header of 64 bytes: "CATRACE1", then as u64 the events, the numbers used + 1, the
 *             highest sum of live sizes, the sum of all sizes, the most blocks live at once, the
 *             threads, and 0. Then 16 bytes for each event: u8 op (0 allocate, 2 the same at an
 *             alignment above 16, 3 grow or shrink, 4 deallocate), u8 log2 of the alignment (op 2),
 *             u16 thread, u32 number, u32 old number (op 3), u32 size asked for (at most 2^32 - 1;
 *             0 for op 4). Little-endian machines only.
 * Cost        a call: the inner allocator's time, a store and three comparisons, and O(1) work more
 *             at the end of each piece, which at times wakes the thread. To turn one call into an
 *             event and write that takes several times as long, expected O(1): logging_bench tells
 *             both. A call that finds no room does so for up to 16384 calls, or waits while another
 *             thread does. None has to where the thread keeps up, as it does if calls come slower
 *             than it writes, with a buffer for the bursts (1 MiB in the benchmark); without the
 *             thread, if you flush before the moments that matter. full_waits tells how many had to.
 *             A call takes 8 bytes of the buffer, a resize 24; up to 24 takes what is rare: an
 *             allocation of 2 MiB or more, an alignment above 16, and an address that isn't a
 *             multiple of 16 below 2^47.
 * Overhead    0 bytes a block; in the caller's memory 16 bytes for each live block, and slack; and
 *             the buffer.
 * Alignment   as the inner allocator's.
 * Errors      as the inner allocator's. A block for which the table has no room (7/8 full) is left
 *             out of the trace, with all that is done to it, and counted when written. When the file
 *             can't be written, logging ends and the calls pass through. errno is kept, and no call
 *             is cancelled in a write. (One beyond RLIMIT_FSIZE raises SIGXFSZ, as anybody's.)
 * Ownership   memory, file and the inner allocator must outlive the adaptor, or its finish; so must
 *             *self, and every ca_logging_write() must have returned.
 * Threads     as the inner allocator's, but one call at a time; below adaptors/locked the order is
 *             that of the lock. Only ca_logging_write() may be called by any thread at any time
 *             between init and the end of *self; the adaptor's own thread does nothing else, and
 *             takes no signals. Not for signal handlers; after a fork() the child
 *             must not use it: both would write the same file.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_H_

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

#include "adaptors/logging/logging_events.h"
#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The buffer: `pieces` pieces of piece_size records, used in turn. The calls fill one piece, from
 * piece on; those before it, up to the number `filled`, are complete, and those up to `written` are
 * free again. A call whose records don't fit goes on in the next piece.
 *
 * Invariant: written <= filled < written + pieces, but for the moment in which a call finds no room.
 * While logging, piece <= next <= end, the end of that piece; afterwards all three are NULL. piece
 * is the place of number `filled`, oldest that of number `written`. Before another thread sees a
 * piece as complete all of it has been put down, and before a call sees one as free all of it has
 * been written. */
typedef struct ca_logging {
  ca_wrapper wrapper; /* First. */
  /* Of the calls alone. */
  ca_logging_record *next;
  ca_logging_record *end;
  ca_logging_record *piece;
  uint16_t thread;
  uint64_t full_waits; /* How many calls found no room, */
  uint64_t wakes;      /* and how many woke the writer. */
  char apart[64];      /* From the line that each call stores to. */
  /* Of both sides; each atomic has its order where it is used, in logging.c. */
  uint64_t filled;  /* Stored by the calls. */
  uint64_t written; /* Stored under the mutex. */
  bool failed;      /* A write failed. Stored under the mutex. */
  bool asleep;      /* The writer waits for `wake`, and nobody has posted it. */
  bool stops;       /* The writer is to end. */
  sem_t wake;
  /* Set by init. */
  int file;
  size_t pieces;
  size_t piece_size;
  ca_logging_record *records;
  ca_logging_event *made; /* Under the mutex: a piece's events, on their way into the file. */
  bool has_writer;        /* Of the calls. */
  pthread_t writer;
  pthread_mutex_t turn; /* Held by the one that waits for the mutex next. */
  pthread_mutex_t mutex;
  /* Under the mutex. */
  ca_logging_record *oldest;
  ca_logging_events events;
} ca_logging;

/* The least memory that init takes, and the least that it uses as a buffer. */
#define CA_LOGGING_MEMORY_MIN ((size_t)1024)
#define CA_LOGGING_BUFFER_MIN ((size_t)128)

/* Starts a trace in `file`, a descriptor of a regular file, open for writing, whose contents it
 * replaces from the beginning on. A negative one, and one that is open for appending (O_APPEND),
 * can't be written: logging ends at once, and flush and finish return false. Of the `size` bytes of
 * memory about `buffer` are the buffer (0: an eighth, at most 1 MiB; less than
 * CA_LOGGING_BUFFER_MIN: as much as that), the rest is the table: for a million live blocks give it
 * 40 MiB. Two thirds of the buffer or more hold calls; in the rest a piece's events are made.
 * Starts the thread that writes, where pthread_create() lets it, which takes some memory of libc's
 * malloc: so finish must be called before *self or its memory ends. Where it doesn't,
 * self->has_writer is false, and the calls write.
 * Returns false if size is too small, or buffer leaves less than half of CA_LOGGING_MEMORY_MIN:
 * calls then pass through without being logged. */
bool ca_logging_init(ca_logging *self, ca_allocator *inner, int file, void *memory, size_t size,
                     size_t buffer);

/* The same without the thread: for a program that can't have one, or has one that writes. */
bool ca_logging_init_alone(ca_logging *self, ca_allocator *inner, int file, void *memory,
                           size_t size, size_t buffer);

/* Names the thread that makes the calls from now on; 0 at first. Counts as a call
 * where it is another than before. */
void ca_logging_set_thread(ca_logging *self, uint16_t thread);

/* Starts the thread that writes what is complete, until finish ends it: it looks again in the time in
 * which a piece is filled, and sleeps where that is beyond 10 ms. From then on finish must be called
 * before *self or its memory ends. Returns 0, or an errno value, and nothing has changed then: EINVAL
 * if logging has ended or never began, EALREADY if there is such a thread, as after
 * ca_logging_init(), or as pthread_create(). */
int ca_logging_start_writer(ca_logging *self);

/* For a thread of your own. Writes a piece of the buffer that is complete: a sixth of it,
 * at most 16384 calls. Returns whether there was one: a thread that calls this in a loop may sleep
 * when there wasn't, for as long as the calls take to fill a third of the buffer. Harmless after
 * finish, and of the all-zero value. */
bool ca_logging_write(ca_logging *self);

/* Writes all that is pending, with a header that makes the file a whole trace so far; waits for a
 * ca_logging_write() at work. Returns false if a write has failed since init. */
bool ca_logging_flush(ca_logging *self);

/* Logs the end of every live block; for use after the inner allocator's reset. Flushes, and returns
 * the same. O(the table). */
bool ca_logging_reset(ca_logging *self);

/* Ends the thread, which may take a millisecond, flushes, and ends logging; calls pass through from
 * then on. Twice is harmless, and so is the all-zero value. */
bool ca_logging_finish(ca_logging *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_logging_allocator(ca_logging *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_H_ */
