/* adaptors/logging/logging_writer.h - the thread that writes what the calls have put down.
 *
 * Private to //adaptors/logging.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_WRITER_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_WRITER_H_

#include "adaptors/logging/logging.h"

/* Pieces complete and not yet written; may be told to whoever calls. */
static inline uint64_t ca_logging_complete(const ca_logging *self) {
  /* Acquire, `filled`: with the release of make_room(), so that what was put down in a piece is
   * seen. Acquire, `written`: with the release of write_run(), so that a piece isn't put down in
   * again before it has been read. Read first, it is never beyond `filled`. */
  const uint64_t written = __atomic_load_n(&self->written, __ATOMIC_ACQUIRE);
  return __atomic_load_n(&self->filled, __ATOMIC_ACQUIRE) - written;
}

static inline bool ca_logging_is_half_full(const ca_logging *self) {
  return ca_logging_complete(self) >= self->pieces / 2;
}

/* Called when the buffer is half full. */
void ca_logging_wake_writer(ca_logging *self);

/* Requires that there is one. */
void ca_logging_stop_writer(ca_logging *self);

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_LOGGING_LOGGING_WRITER_H_ */
