/* allocators/bump/bump.h - a bump allocator over one range.
 *
 * Idea        a cursor moves up through one range; only the newest block can be given back or
 *             resized, everything else lives until reset(). With CA_SIZES_RECORDED a word in front
 *             of each block holds its size and a seal made of its address, so that free() without
 *             a size works and misuse is recognised.
 * Cost        allocate, deallocate, grow, shrink, reset: O(1), no loops, and no writes to the
 *             memory handed out. init touches no page of the range.
 * Overhead    sizes forgotten: 0 bytes a block, and padding up to align - 1.
 *             sizes recorded: 8 bytes a block, and padding of the sum up to a multiple of 16 and
 *             of align; blocks whose size is 8 more than a multiple of 16 pack with none. Up to 23
 *             bytes of the range are left at its ends.
 * Alignment   any power of two; with sizes recorded 16 at least.
 * Errors      none iff what is left of the range, after alignment and record, is less than `size`;
 *             it never asks the source again; with sizes recorded also for a size of 2^44 or more.
 *             Grow: also iff the block isn't the newest.
 * Misuse      sizes recorded: a double free, a size above the block's, an interior or a wild pointer
 *             is reported by name in every build; the last two unless the word in front of them
 *             holds their seal, of 16 bits, by chance or because it was made to. So is a block from
 *             before a reset, where it is freed without its size. Sizes forgotten: unseen.
 * Ownership   the source must outlive the allocator; destroy() returns the range to it.
 * Threads     not thread-safe.
 * Statistics  ca_bump_used() and ca_bump_peak(), from where the cursor is and was; live blocks, where
 *             sizes are recorded, by the interface's walk. Live bytes would cost every call: what
 *             was freed and isn't the newest counts as used. See adaptors/tracking.
 * Source      D. R. Hanson, "Fast allocation and deallocation of memory based on object
 *             lifetimes", Software: Practice and Experience 20(1), 1990.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BUMP_BUMP_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BUMP_BUMP_H_

#include <stdint.h>

#include "allocators/allocator.h"
#include "base/poison.h"
#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Invariant: begin <= cursor <= end < 2^63, all inside the region when there is one; with sizes
 * recorded all three are 8 below a multiple of 16, unless they are one. begin <= highest; with sizes
 * recorded it is where the cursor was highest, since init or reset, when it was last set back; and
 * from begin to cursor stand records, of live or freed blocks or of padding, each of which tells where
 * the next one is, so that check is O(blocks) there.
 * All-zero holds nothing: destroy() and ca_bump_allocate() may be called, the interface not.
 * The members are for this header's inline functions only. */
typedef struct ca_bump {
  ca_allocator base; /* First. */
  char *cursor;      /* Next free byte. */
  char *end;         /* One past the last byte. */
  char *begin;       /* First byte ever handed out. */
  ca_block region;   /* What goes back to the source; none where the range is the caller's. */
  ca_source *source;
  char *highest;
} ca_bump;

/* Takes a range of `size` bytes from source. Returns false if it has none, or if size is 0 or, with
 * sizes recorded, too small for a block and its record: *self then holds nothing and refuses every
 * request, through the interface too. */
bool ca_bump_init(ca_bump *self, ca_source *source, size_t size, ca_sizes sizes);

/* Allocates from the caller's own range, which destroy() leaves alone. The range may be none, or
 * reach beyond 2^63 (where no program has memory): every request is then refused. */
void ca_bump_init_range(ca_bump *self, ca_block range, ca_sizes sizes);

/* Gives the range back. Blocks still held by callers become invalid. Twice is harmless. */
void ca_bump_destroy(ca_bump *self);

/* Forgets every block at once and keeps the range. O(1), whatever was allocated. */
static inline void ca_bump_reset(ca_bump *self) {
  ca_poison(self->begin, (size_t)(self->end - self->begin));
  self->cursor = self->begin;
  self->highest = self->begin;
}

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_bump_allocator(ca_bump *self) { return &self->base; }

/* Bytes between the range's begin and the cursor: what blocks, records and padding take. */
static inline size_t ca_bump_used(const ca_bump *self) {
  return (size_t)(self->cursor - self->begin);
}

/* The most that ca_bump_used() was since init or reset; with sizes forgotten, only what it is now.
 */
static inline size_t ca_bump_peak(const ca_bump *self) {
  return (size_t)((self->highest > self->cursor ? self->highest : self->cursor) - self->begin);
}

/* ca_allocate() for callers that know what they hold. Only where sizes are forgotten. */
static inline ca_block ca_bump_allocate(ca_bump *self, size_t size, size_t align) {
  /* Cannot wrap: cursor and align - 1 are both below 2^63. Alignment may carry `at` past the end:
   * the room is then negative. The first test vanishes where the compiler knows a bound of size. */
  const uintptr_t at = ((uintptr_t)self->cursor + (align - 1)) & ~(uintptr_t)(align - 1);
  const intptr_t room = (intptr_t)((uintptr_t)self->end - at);
  if (CA_UNLIKELY(size > INTPTR_MAX || (intptr_t)size > room)) {
    return ca_block_none();
  }
  char *const ptr = (char *)at;
  self->cursor = ptr + size;
  ca_unpoison(ptr, size);
  return ca_block_make(ptr, size);
}

/* ca_deallocate() for callers that know what they hold: takes back the newest block, leaves others
 * where they are. Only where sizes are forgotten. */
static inline void ca_bump_deallocate(ca_bump *self, void *ptr, size_t size) {
  if ((char *)ptr + size == self->cursor) {
    self->cursor = (char *)ptr;
  }
  ca_poison(ptr, size);
}

/* Has the range end elsewhere from now on, but not before what was handed out. Requires `end`
 * inside the range that init was given, and with sizes recorded a multiple of 16 before that range's
 * own end. What is behind it stays poisoned, and where the range is the caller's, after destroy()
 * too: for the caller to unpoison. */
static inline void ca_bump_move_end(ca_bump *self, char *end) {
  __atomic_store_n(&self->end, end < self->cursor ? self->cursor : end, __ATOMIC_RELAXED);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BUMP_BUMP_H_ */
