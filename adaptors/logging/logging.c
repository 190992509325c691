#define _POSIX_C_SOURCE 200809L

#include "adaptors/logging/logging.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "adaptors/logging/logging_writer.h"

enum {
  PIECE_MAX = 16384, /* Records: their events, 256 KiB, stay in a cache, and cost few writes. */
  PIECES_MIN = 4,
  PIECES_OF_EVENTS = sizeof(ca_logging_event) / sizeof(ca_logging_record),
  LINE = 64 / sizeof(ca_logging_record),
  DEFAULT_MAX = 1 << 20, /* Bytes, which a second-level cache still holds. */
};

static ca_logging *from_base(ca_allocator *base) { return (ca_logging *)base; }

/* The file. Everything here requires the mutex. */

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

static bool has_failed(const ca_logging *self) {
  /* Relaxed: nothing is read because of it that it would have to guard. */
  return __atomic_load_n(&self->failed, __ATOMIC_RELAXED);
}

static void write_at(ca_logging *self, const void *bytes, size_t size, uint64_t offset) {
  const int before = errno;
  int cancelled;
  /* A thread may be cancelled in pwrite(), and would leave the mutex, and all above it, locked. */
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelled);
  if (!has_failed(self) && CA_UNLIKELY(!write_whole(self->file, bytes, size, (off_t)offset))) {
    __atomic_store_n(&self->failed, true, __ATOMIC_RELAXED);
  }
  (void)pthread_setcancelstate(cancelled, &cancelled);
  errno = before;
}

/* With the header that makes the file a whole trace so far. */
static void write_made(ca_logging *self, size_t events) {
  ca_logging_header *const header = &self->events.header;
  write_at(self, self->made, events * sizeof *self->made,
           sizeof *header + header->events * sizeof *self->made);
  header->events += events;
  write_at(self, header, sizeof *header, 0);
}

static void make_and_write(ca_logging *self, const ca_logging_record *begin,
                           const ca_logging_record *end) {
  write_made(self, ca_logging_events_make(&self->events, begin, end, self->made));
}

/* The ring. */

static ca_logging_record *next_piece(const ca_logging *self, ca_logging_record *piece) {
  ca_logging_record *const next = piece + self->piece_size;
  return next == self->records + self->pieces * self->piece_size ? self->records : next;
}

/* So that this processor alone has the lines of a piece that has been read. The one that makes the
 * calls fetches those ahead of its stores; but each store to a line that both have waits until this
 * one has given it up, and that was several times as long as the call. */
static void take_lines(ca_logging_record *piece, size_t records) {
  for (size_t i = 0; i < records; i += LINE) {
    piece[i] = 0;
  }
}

/* Writes a piece that is complete. Returns whether there was one. Requires the mutex. */
static bool write_piece(ca_logging *self) {
  if (ca_logging_complete(self) == 0) {
    return false;
  }
  make_and_write(self, self->oldest, self->oldest + self->piece_size);
  take_lines(self->oldest, self->piece_size);
  self->oldest = next_piece(self, self->oldest);
  /* Release: with the acquire of ca_logging_complete() in make_room(). */
  __atomic_store_n(&self->written, self->written + 1, __ATOMIC_RELEASE);
  return true;
}

/* None of these fails: the mutexes are of the default kind, and never taken twice. */

static void lock(ca_logging *self) {
  /* Who waits holds the turn: so a thread that writes run after run lets in a call that waits. */
  (void)pthread_mutex_lock(&self->turn);
  (void)pthread_mutex_lock(&self->mutex);
  (void)pthread_mutex_unlock(&self->turn);
}

static void unlock(ca_logging *self) { (void)pthread_mutex_unlock(&self->mutex); }

static bool lock_and_write(ca_logging *self, uint64_t at_least) {
  lock(self);
  const bool any = ca_logging_complete(self) >= at_least && write_piece(self);
  unlock(self);
  return any;
}

bool ca_logging_write(ca_logging *self) {
  return ca_logging_complete(self) > 0 && lock_and_write(self, 1);
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
  self->next = self->end = self->piece = NULL;
}

/* What the calls have put down, also in the piece that isn't complete. Requires the mutex. */
static void write_pending(ca_logging *self) {
  while (write_piece(self)) {
  }
  make_and_write(self, self->piece, self->next);
  self->next = self->piece;
}

static void write_ends(ca_logging *self) {
  size_t at = 0;
  size_t events = self->piece_size;
  while (events == self->piece_size) {
    events = ca_logging_events_end_all(&self->events, &at, self->made, self->piece_size);
    write_made(self, events);
  }
}

static bool flush(ca_logging *self, bool all_end) {
  if (self->next == NULL) { /* Ended, or never begun: the all-zero value. */
    return !has_failed(self);
  }
  lock(self);
  write_pending(self);
  if (all_end) {
    write_ends(self);
  }
  unlock(self);
  if (has_failed(self)) {
    end_logging(self);
  }
  return self->next != NULL;
}

bool ca_logging_flush(ca_logging *self) { return flush(self, false); }

bool ca_logging_reset(ca_logging *self) { return flush(self, true); }

bool ca_logging_finish(ca_logging *self) {
  if (self->has_writer) {
    ca_logging_stop_writer(self);
  }
  const bool whole = ca_logging_flush(self);
  if (self->next != NULL) {
    end_logging(self);
  }
  return whole;
}

/* Requires next == end. Makes room; false: logging has ended. */
CA_COLD static bool make_room(ca_logging *self) {
  if (self->next == NULL) {
    return false;
  }
  /* Release: with the acquire of ca_logging_complete() in another thread. */
  __atomic_store_n(&self->filled, self->filled + 1, __ATOMIC_RELEASE);
  if (self->has_writer && ca_logging_is_half_full(self)) {
    ca_logging_wake_writer(self);
  }
  if (ca_logging_complete(self) == self->pieces) {
    self->full_waits++;
    (void)lock_and_write(self, self->pieces); /* Unless another thread did meanwhile. */
  }
  if (has_failed(self)) {
    end_logging(self);
    return false;
  }
  self->next = self->piece = next_piece(self, self->piece);
  self->end = self->next + self->piece_size;
  return true;
}

/* The calls: each is put down as it comes. Whatever isn't the usual case stands apart, to be
 * reached by a jump, so that the usual one needs the smallest stack frame, or none. */

static void put_down_record(ca_logging *self, ca_logging_record record) {
  if (self->next != self->end || make_room(self)) {
    *self->next++ = record;
  }
}

static void put_down_prefix(ca_logging *self, ca_logging_prefix kind, uint64_t what) {
  put_down_record(self, ca_logging_make_prefix(kind, what));
}

static void put_down_what(ca_logging *self, unsigned op, size_t size, size_t align) {
  const uint64_t shown = size < UINT32_MAX ? size : UINT32_MAX;
  put_down_prefix(self, CA_LOGGING_WHAT, op | (uint64_t)ca_log2_floor(align) << 3 | shown << 9);
}

static void put_down_pointer(ca_logging *self, const void *ptr) {
  const uint64_t key = ca_logging_key(ptr);
  const uint64_t rest = ca_logging_rest(key);
  if (rest != 0) {
    put_down_prefix(self, CA_LOGGING_KEY, rest);
  }
  put_down_record(self, key - rest);
}

static bool is_usual_size(size_t size) { return size - 1 < CA_LOGGING_PREFIX - 1; }

CA_COLD static ca_block log_allocation_late(ca_logging *self, ca_block block, size_t size) {
  const uint64_t key = ca_logging_key(block.ptr);
  if (ca_block_is_none(block)) {
    return block;
  }
  if (is_usual_size(size) && ca_logging_rest(key) == 0) {
    put_down_record(self, key | size);
  } else {
    put_down_what(self, CA_LOGGING_ALLOCATE, size, 1);
    put_down_pointer(self, block.ptr);
  }
  return block;
}

CA_COLD static ca_block allocate_rare(ca_allocator *base, size_t size, size_t align) {
  ca_logging *const self = from_base(base);
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  if (align <= CA_ALIGN_DEFAULT) {
    return log_allocation_late(self, block, size);
  }
  if (!ca_block_is_none(block)) {
    put_down_what(self, CA_LOGGING_ALIGNED, size, align);
    put_down_pointer(self, block.ptr);
  }
  return block;
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  if (CA_UNLIKELY(align > CA_ALIGN_DEFAULT || !is_usual_size(size))) {
    return allocate_rare(base, size, align);
  }
  ca_logging *const self = from_base(base);
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  const uint64_t key = ca_logging_key(block.ptr);
  if (CA_UNLIKELY(ca_block_is_none(block) || ca_logging_rest(key) != 0 ||
                  self->next == self->end)) {
    return log_allocation_late(self, block, size);
  }
  *self->next++ = key | size;
  return block;
}

/* Before the memory goes back, as the format asks. */
CA_COLD static void log_deallocation_late(ca_logging *self, const void *ptr) {
  if (ca_logging_rest(ca_logging_key(ptr)) != 0) {
    put_down_what(self, CA_LOGGING_DEALLOCATE, 0, 1);
  }
  put_down_pointer(self, ptr);
}

static inline bool log_usual_deallocation(ca_logging *self, const void *ptr) {
  const uint64_t key = ca_logging_key(ptr);
  if (CA_UNLIKELY(ca_logging_rest(key) != 0 || self->next == self->end)) {
    return false;
  }
  *self->next++ = key;
  return true;
}

static inline void log_deallocation(ca_logging *self, const void *ptr) {
  if (CA_UNLIKELY(!log_usual_deallocation(self, ptr))) {
    log_deallocation_late(self, ptr);
  }
}

CA_COLD static void deallocate_late(ca_allocator *base, void *ptr, size_t size, size_t align) {
  log_deallocation_late(from_base(base), ptr);
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  if (CA_UNLIKELY(!log_usual_deallocation(from_base(base), ptr))) {
    deallocate_late(base, ptr, size, align);
    return;
  }
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
  if (!ca_block_is_none(block)) { /* These may fall into two pieces. */
    put_down_what(self, CA_LOGGING_REPLACED, size, 1);
    put_down_pointer(self, old);
    put_down_pointer(self, block.ptr);
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

static bool ring_holds(const ca_logging *self) {
  if (self->piece == NULL) {
    return self->next == NULL && self->end == NULL;
  }
  return self->piece <= self->next && self->next <= self->end &&
         self->end == self->piece + self->piece_size && ca_logging_complete(self) < self->pieces &&
         self->piece == self->records + self->filled % self->pieces * self->piece_size &&
         self->oldest == self->records + self->written % self->pieces * self->piece_size;
}

static bool op_check(const ca_allocator *base) {
  ca_logging *const self = (ca_logging *)(uintptr_t)base; /* Waits for who writes. */
  bool holds = self->records == NULL;                     /* Logging never began. */
  if (!holds) {
    lock(self);
    holds = ring_holds(self) && ca_logging_events_check(&self->events);
    unlock(self);
  }
  return holds && ca_wrapper_check(base);
}

static const ca_wrapper_tables tables =
    CA_WRAPPER_ROWS("logging", op_allocate, op_deallocate, op_grow, op_shrink,
                    op_deallocate_unsized, op_deallocate_recorded, op_check);

/* Cuts memory into table, ring, and events of a piece. Requires that they have room. */
static void divide(ca_logging *self, char *memory, size_t size, size_t buffer) {
  const size_t records = buffer / sizeof(ca_logging_record);
  const unsigned bits = ca_log2_floor((size - buffer) / sizeof(ca_logging_entry));
  ca_logging_entry *const entries = (ca_logging_entry *)(void *)memory;
  ca_logging_events_init(&self->events, entries, bits);
  const size_t piece = records / (PIECES_MIN + PIECES_OF_EVENTS);
  self->piece_size = piece < PIECE_MAX ? piece : PIECE_MAX;
  self->pieces = records / self->piece_size - PIECES_OF_EVENTS;
  self->records = (ca_logging_record *)(void *)(entries + ((size_t)1 << bits));
  self->made = (ca_logging_event *)(void *)(self->records + self->pieces * self->piece_size);
  self->next = self->piece = self->oldest = self->records;
  self->end = self->next + self->piece_size;
}

/* To a file that is open for appending, pwrite() appends, whatever the offset. */
static bool can_be_placed_in(int file) {
  const int kept = errno;
  const int flags = fcntl(file, F_GETFL);
  errno = kept;
  return file >= 0 && (flags < 0 || (flags & O_APPEND) == 0);
}

bool ca_logging_init_alone(ca_logging *self, ca_allocator *inner, int file, void *memory,
                           size_t size, size_t buffer) {
  *self = (ca_logging){.file = file,
                       .failed = !can_be_placed_in(file),
                       .turn = PTHREAD_MUTEX_INITIALIZER,
                       .mutex = PTHREAD_MUTEX_INITIALIZER};
  ca_wrapper_init(&self->wrapper, inner, CA_SIZES_RECORDED, tables);
  const size_t padding = ca_padding_to((uintptr_t)memory, sizeof(ca_logging_entry));
  const size_t table_min = CA_LOGGING_MEMORY_MIN / 2;
  if (buffer == 0) {
    buffer = size / 8 < DEFAULT_MAX ? size / 8 : DEFAULT_MAX;
  }
  buffer = buffer < CA_LOGGING_BUFFER_MIN ? CA_LOGGING_BUFFER_MIN : buffer;
  const bool enough = size >= CA_LOGGING_MEMORY_MIN && buffer <= size - padding - table_min;
  if (enough) {
    divide(self, (char *)memory + padding, size - padding, buffer);
  }
  if (!enough || self->failed) {
    end_logging(self);
  }
  return enough;
}

bool ca_logging_init(ca_logging *self, ca_allocator *inner, int file, void *memory, size_t size,
                     size_t buffer) {
  if (!ca_logging_init_alone(self, inner, file, memory, size, buffer)) {
    return false;
  }
  (void)ca_logging_start_writer(self); /* If it can't be: as alone. */
  return true;
}

void ca_logging_set_thread(ca_logging *self, uint16_t thread) {
  if (self->thread != thread) {
    self->thread = thread;
    put_down_prefix(self, CA_LOGGING_THREAD, thread);
  }
}
