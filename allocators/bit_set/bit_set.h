/* allocators/bit_set/bit_set.h - blocks of one power-of-two size, and runs of them.
 *
 * Idea        a range is cut into blocks of one size; an allocation takes the fewest neighbouring
 *             blocks that hold it. A bit a block tells whether it's free, and an index of the
 *             longest free run that begins in each word of 64 bits finds a place at once (free_map.h).
 *             The bits stand behind the blocks, so blocks are never touched. Single blocks come from one
 *             word at a time, and the block freed last waits in front of all of them.
 * Cost        one block, allocate and deallocate: O(1), a few instructions; once in up to 64 times
 *             O(log64 blocks), and then words that got single blocks back, but are full again, are
 *             passed over, each once. A run of up to 64 blocks: O(log64 blocks), amortised: words
 *             that got single blocks back are looked at when a run isn't found without them; the
 *             worst call, after single blocks came back in every word, looks at each: O(blocks / 64),
 *             once. A longer run: O(blocks of it / 64), and allocation visits the free areas of 64
 *             and more blocks that are too short for it. An alignment above the block size: the words
 *             that have a free run of the length are visited in turn, and the rest of such a run as
 *             far as the alignment. grow, shrink: O(blocks that change hands / 64). init, reset,
 *             destroy: O(1); bits are written when their blocks are first needed.
 * Overhead    a request is rounded up to the block size. Per block 1.4 bits, 2.4 with sizes
 *             recorded, and up to 130 bytes a range, 660 where there are more than 512 blocks, or
 *             1,150 where more than 32,768;
 *             up to block_size - 1 bytes to align the range.
 * Alignment   any power of two: up to the block size always; above it while a free run begins at
 *             such an address.
 * Errors      none iff no free run of the length begins at the alignment, or size exceeds the
 *             range. Grow: also iff the blocks behind aren't free. It never asks the source again.
 * Misuse      freeing a free block ("double free", also where it never was allocated), a pointer
 *             outside the range or inside a block ("not a block") are reported by name in every
 *             build; with sizes recorded also a pointer into the middle of a run ("not a block")
 *             and a size that doesn't fit ("wrong size").
 * Ownership   the source must outlive the allocator; destroy() returns the range to it.
 * Threads     not thread-safe.
 * Statistics  ca_bit_set_live(), derived from the bits, and ca_bit_set_peak(), from how far they
 *             were needed; live allocations, where sizes are recorded, by the interface's walk. The
 *             most that was live at once would cost every call: see adaptors/tracking.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_BIT_SET_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_BIT_SET_H_

#include "allocators/allocator.h"
#include "allocators/bit_set/free_map.h"
#include "base/bits.h"
#include "base/poison.h"
#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The smallest block size: what AddressSanitizer can tell apart. */
#define CA_BIT_SET_BLOCK_SIZE_MIN ((size_t)8)

#define CA_BIT_SET_COUNT_MAX ((size_t)UINT32_MAX)

/* Invariant: everything is where the layout of `range` puts it, and the map's invariant holds.
 * `current` is the map's word that is checked out, and current_begin the address of that word's
 * first block; or `current` is the word behind the map's last one, which is 0. `last`, if not NULL,
 * is a block below `known` that is free, though the map takes it for allocated. `plain` is
 * `known`, or 0 with sizes recorded. With sizes recorded,
 * the words of `borders` up to and with the one that the first block beyond `known` has its bit in
 * hold no garbage: there bits 0 and `count` are set, and so are both bits beside each free block. A
 * count of 0 holds nothing: range is none then, block_size and the map's `known` are 0. All-zero may
 * be destroyed and direct calls made. The members are for this header's inline functions only. */
typedef struct ca_bit_set {
  ca_allocator base;    /* First. */
  char *last;           /* The block freed last, if it's free still. */
  uint64_t *current;    /* The word that single blocks come from .. */
  char *current_begin;  /* .. and where its first block stands. */
  char *begin;          /* The first block, aligned to the block size. */
  size_t block_size;    /* A power of two. */
  size_t plain;         /* Blocks below it are freed by their bits alone. */
  unsigned block_shift; /* log2(block_size). */
  uint64_t *borders;    /* Bit i: no allocation reaches across from block i - 1 to i. Or NULL. */
  ca_free_map map;
  ca_block range;    /* As it was given, whole. */
  ca_source *source; /* What gets it back; NULL where it's the caller's. */
} ca_bit_set;

/* Takes a range of `size` bytes, bits and all, from source, and cuts it into blocks. Returns false,
 * and *self holds nothing and refuses every request, also through the interface, if the source has
 * none, block_size isn't a power of two from CA_BIT_SET_BLOCK_SIZE_MIN, or not even one block
 * and its bits fit. */
bool ca_bit_set_init(ca_bit_set *self, ca_source *source, size_t size, size_t block_size,
                     ca_sizes sizes);

/* Likewise over the caller's own range, which destroy() leaves alone. The range may be none. */
bool ca_bit_set_init_range(ca_bit_set *self, ca_block range, size_t block_size, ca_sizes sizes);

/* Gives the range back. Blocks still held by callers become invalid. Twice is harmless. */
void ca_bit_set_destroy(ca_bit_set *self);

/* Forgets every block at once and keeps the range. O(1). */
void ca_bit_set_reset(ca_bit_set *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_bit_set_allocator(ca_bit_set *self) { return &self->base; }

/* Bytes in blocks that are allocated. O(blocks / 64). */
size_t ca_bit_set_live(const ca_bit_set *self);

/* Bytes in blocks, allocated or not. O(1). */
static inline size_t ca_bit_set_capacity(const ca_bit_set *self) {
  return self->map.count << self->block_shift;
}

/* Bytes up to the highest block that was ever handed out since init or reset, rounded up to 64
 * blocks: what was needed at most. O(1). */
static inline size_t ca_bit_set_peak(const ca_bit_set *self) {
  return self->map.known << self->block_shift;
}

/* What the inline functions leave to bit_set.c. */
ca_block ca_bit_set_allocate_run(ca_bit_set *self, size_t size, size_t align);
void ca_bit_set_deallocate_run(ca_bit_set *self, void *ptr, size_t size);

/* The number of the block at ptr. Of a pointer into a block the low bits end up at the top, and of
 * one outside the range the number is too large: one comparison finds both. */
static inline size_t ca_bit_set_block_at(const ca_bit_set *self, const void *ptr) {
  const size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)self->begin);
  return offset >> self->block_shift | offset << (-self->block_shift & 63);
}

/* ca_allocate() for callers that know what they hold. */
static inline ca_block ca_bit_set_allocate(ca_bit_set *self, size_t size, size_t align) {
  if (CA_UNLIKELY(((size - 1) | (align - 1)) >= self->block_size)) {
    return ca_bit_set_allocate_run(self, size, align);
  }
  char *ptr = self->last;
  if (ptr != NULL) {
    self->last = NULL;
  } else {
    const uint64_t bits = *self->current;
    if (CA_UNLIKELY(bits == 0)) {
      return ca_bit_set_allocate_run(self, size, align);
    }
    ptr = self->current_begin + ((size_t)ca_bits_lowest(bits) << self->block_shift);
    *self->current = ca_bits_clear_lowest(bits);
  }
  ca_unpoison(ptr, self->block_size);
  return ca_block_make(ptr, self->block_size);
}

/* ca_deallocate() for callers that know what they hold. */
static inline void ca_bit_set_deallocate(ca_bit_set *self, void *ptr, size_t size) {
  const size_t block = ca_bit_set_block_at(self, ptr);
  if (CA_UNLIKELY(block >= self->plain || size - 1 >= self->block_size)) {
    ca_bit_set_deallocate_run(self, ptr, size);
    return;
  }
  uint64_t *const word = &self->map.words[block / 64];
  const uint64_t before = *word;
  const uint64_t after = before | UINT64_C(1) << (block % 64);
  if (CA_UNLIKELY(after == before || ptr == (void *)self->last)) {
    ca_bit_set_deallocate_run(self, ptr, size);
    return;
  }
  ca_poison(ptr, self->block_size);
  if (CA_UNLIKELY(self->last == NULL)) { /* Not seldom; but the other case is the slower one. */
    self->last = (char *)ptr;
    return;
  }
  *word = after;
  ca_free_map_note_put(&self->map, block / 64);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_BIT_SET_H_ */
