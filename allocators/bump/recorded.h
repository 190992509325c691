/* allocators/bump/recorded.h - the common cases of a bump that records sizes, inline, for callers that
 * know what they hold. Whatever isn't common is left to the interface, and so are reports of misuse.
 *
 * Cost        a dozen instructions each; no call, no loop.
 * Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BUMP_RECORDED_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BUMP_RECORDED_H_

#include <string.h>

#include "allocators/bump/bump.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The record is the word in front of a block: its size in the lower 44 bits, and above the seal of its
 * address while it lives, the same with the uppermost bit turned once it is freed. So the size is what
 * is left when the seal is taken away, and with another address's seal, or of a freed block, it is
 * beyond any range. */

enum { CA_BUMP_RECORD_SIZE = 8, CA_BUMP_SIZE_BITS = 44, CA_BUMP_RECORDED_ALIGN = 16 };

/* What ca_bump_init() installs where sizes are recorded. */
extern const ca_allocator_ops ca_bump_recording_ops;

/* The address's lowest 20 bits: 16 that differ from block to block, and 4 that are 0 of any block. A
 * hash of more of them costs every call an instruction or two, and tells no more from what programs
 * write: few words of theirs have anything there. */
static inline uint64_t ca_bump_seal_of(const void *ptr) {
  return (uint64_t)(uintptr_t)ptr << CA_BUMP_SIZE_BITS;
}

static inline uint64_t *ca_bump_record_of(const void *ptr) {
  return (uint64_t *)((uintptr_t)ptr - CA_BUMP_RECORD_SIZE);
}

static inline uint64_t ca_bump_load_record(const void *ptr) {
  uint64_t record;
  ca_unpoison_defined(ca_bump_record_of(ptr), CA_BUMP_RECORD_SIZE);
  memcpy(&record, ca_bump_record_of(ptr), sizeof record); /* Of a wild pointer it isn't aligned. */
  ca_poison(ca_bump_record_of(ptr), CA_BUMP_RECORD_SIZE);
  return record;
}

static inline void ca_bump_store_record(const void *ptr, uint64_t record) {
  ca_unpoison(ca_bump_record_of(ptr), CA_BUMP_RECORD_SIZE);
  *ca_bump_record_of(ptr) = record;
  ca_poison(ca_bump_record_of(ptr), CA_BUMP_RECORD_SIZE);
}

static inline uint64_t ca_bump_live_record(const void *ptr, size_t size) {
  return ca_bump_seal_of(ptr) + size;
}

/* No block has size 0. */
static inline bool ca_bump_record_lives(uint64_t record, const void *ptr) {
  return record - ca_bump_seal_of(ptr) - 1 < ((uint64_t)1 << CA_BUMP_SIZE_BITS) - 1;
}

static inline uint64_t ca_bump_freed_record(uint64_t live) { return live ^ (uint64_t)1 << 63; }

static inline void ca_bump_mark_freed(const void *ptr, uint64_t live) {
  ca_bump_store_record(ptr, ca_bump_freed_record(live));
}

static inline size_t ca_bump_recorded_size(uint64_t record) {
  return (size_t)(record & (((uint64_t)1 << CA_BUMP_SIZE_BITS) - 1));
}

/* Whether a block can be at ptr: whatever its alignment, 16 at least, so that from one allocation to
 * the next only a size is added to the cursor, and waits for the last one's store. */
static inline bool ca_bump_may_be_recorded(const void *ptr) {
  return ca_is_aligned(ptr, CA_BUMP_RECORDED_ALIGN);
}

/* What a block takes, with the next one's record. Wraps above SIZE_MAX - 23. */
static inline size_t ca_bump_recorded_stride(size_t size) {
  return ca_round_up(size + CA_BUMP_RECORD_SIZE, CA_BUMP_RECORDED_ALIGN);
}

/* A block aligned to 16, as ca_allocate() would give it. NULL, and nothing done, if size is 0 or
 * beyond 2 GiB, or if the range has no room: the interface may still find some. Requires that sizes
 * are recorded. */
static inline void *ca_bump_allocate_recorded(ca_bump *self, size_t size) {
  /* A sum of numbers: of a size that is refused it wraps, or is beyond any object. */
  const uintptr_t behind = (uintptr_t)self->cursor + ca_bump_recorded_stride(size);
  if (CA_UNLIKELY(size - 1 > INT32_MAX || behind > (uintptr_t)self->end)) {
    return NULL;
  }
  char *const ptr = self->cursor + CA_BUMP_RECORD_SIZE;
  self->cursor = (char *)behind;
  ca_bump_store_record(ptr, ca_bump_live_record(ptr, size));
  ca_unpoison(ptr, size);
  return ptr;
}

/* Moves the cursor, and keeps in mind how far it was. */
static inline void ca_bump_set_back(ca_bump *self, char *cursor) {
  if (self->cursor > self->highest) {
    self->highest = self->cursor;
  }
  self->cursor = cursor;
}

/* Ends the life of the live block at ptr, whose record this is; its size. */
static inline size_t ca_bump_end_life(ca_bump *self, void *ptr, uint64_t record) {
  const size_t size = ca_bump_recorded_size(record);
  ca_bump_mark_freed(ptr, record);
  char *const record_place = (char *)ca_bump_record_of(ptr);
  if (record_place + ca_bump_recorded_stride(size) == self->cursor) {
    ca_bump_set_back(self, record_place);
  }
  ca_poison(ptr, size);
  return size;
}

/* Ends the life of the block at ptr. False, and nothing done, if it isn't a live block of this
 * range. Requires that sizes are recorded. */
static inline bool ca_bump_deallocate_recorded(ca_bump *self, void *ptr) {
  const uintptr_t place = (uintptr_t)ptr - CA_BUMP_RECORD_SIZE;
  if (CA_UNLIKELY(place - (uintptr_t)self->begin >= (size_t)(self->cursor - self->begin))) {
    return false;
  }
  const uint64_t record = ca_bump_load_record(ptr);
  const size_t size = (size_t)(record - ca_bump_seal_of(ptr));
  const size_t room = (size_t)((uintptr_t)self->cursor - place);
  /* Also of any record that isn't alive, and of 0, which stands before many a wild pointer whose seal
   * is 0. Not the stride is compared, as it wraps: of a record that is -1 there, to 16. */
  if (CA_UNLIKELY(size - 1 >= room)) {
    return false;
  }
  ca_bump_mark_freed(ptr, record);
  if (ca_bump_recorded_stride(size) == room) {
    ca_bump_set_back(self, (char *)ca_bump_record_of(ptr));
  }
  ca_poison(ptr, size);
  return true;
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BUMP_RECORDED_H_ */
