/* sources/buffer/buffer.h - a memory source over a fixed buffer of the caller's.
 *
 * Idea        a mark moves up through the buffer; a range that is released while it is the newest
 *             moves it down again, and when nothing is out the whole buffer is free. Meant for one
 *             allocator, or a few, set up once: static, stack or heap memory.
 * Cost        obtain, release: O(1).
 * Overhead    up to align - 1 bytes a range.
 * Alignment   any power of two that the buffer has room for.
 * Errors      none iff what is left above the mark, after alignment, is smaller than `size`. A
 *             range released out of order is not used again before everything is released.
 * Ownership   the buffer stays the caller's and must outlive the source; nothing is written to it.
 * Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_BUFFER_BUFFER_H_
#define CONTEXT_ALLOCATOR_SOURCES_BUFFER_BUFFER_H_

#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Invariant: begin <= mark <= end; mark == begin when out == 0. Private to buffer.c. */
typedef struct ca_buffer {
  ca_source base; /* First. */
  char *begin;
  char *mark; /* Everything from here to end is free. */
  char *end;
  size_t out; /* Ranges obtained and not yet released. */
} ca_buffer;

/* Makes *self a source over [ptr, ptr + size). ptr may be NULL and size 0: every request is then
 * refused. A buffer that would reach past the top of the address space is cut there. */
void ca_buffer_init(ca_buffer *self, void *ptr, size_t size);

/* Forgets the buffer. Requires that every range was released. Twice is harmless. */
void ca_buffer_destroy(ca_buffer *self);

/* The source interface of *self; valid as long as *self is. */
static inline ca_source *ca_buffer_source(ca_buffer *self) { return &self->base; }

/* Whether the invariant holds. O(1). */
bool ca_buffer_check(const ca_buffer *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_BUFFER_BUFFER_H_ */
