/* allocators/bit_set/bit_set.h - blocks of one power-of-two size, and runs of them.
 *
 * Idea        a range is cut into blocks of one size; an allocation takes the fewest neighbouring
 *             blocks that hold it. A bit a block tells whether it's free, and an index of the
 *             longest free run in each word of 64 bits finds a place at once (free_map.h). The bits
 *             stand behind the blocks, so blocks are never touched. Single blocks come from one
 * word at a time, whose bits are held in the allocator itself; the blocks of a word that is being
 * emptied go into a second such word. Cost        one block, allocate and deallocate: O(1), a few
 * instructions; once in up to 64 times O(log64 blocks). A run of up to 64 blocks: O(log64 blocks),
 * nothing is scanned. A longer run: O(blocks of it / 64), and allocation visits the free areas of
 * 64 and more blocks that are too short for it. An alignment above the block size: the words that
 * have a free run of the length are visited in turn. grow, shrink: O(blocks that change hands /
 * 64). init, reset: a memset of 2 1/8 bits a block (3 1/8 with sizes recorded), and of 1/64 bit a
 * block for each length of free run there is. Overhead    a request is rounded up to the block
 * size. Per block 3 1/6 bits, 4 1/6 with sizes recorded, but at least 550 bytes a range; up to
 * block_size - 1 bytes to align the range. Alignment   any power of two: up to the block size
 * always; above it while a free run begins at such an address. Errors      none iff no free run of
 * the length begins at the alignment, or size exceeds the range. Grow: also iff the blocks behind
 * aren't free. It never asks the source again. Misuse      freeing a free block ("double free",
 * also where it never was allocated), a pointer outside the range or inside a block ("not a block")
 * are reported by name in every build; with sizes recorded also a pointer into the middle of a run
 * ("not a block") and a size that doesn't fit ("wrong size"). Ownership   the source must outlive
 * the allocator; destroy() returns the range to it. Threads     not thread-safe. Statistics
 * ca_bit_set_live(), derived from the bits. A peak would cost every call: see adaptors/tracking.
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

/* How many freed blocks wait to serve again before the map hears of them. */
enum { CA_BIT_SET_WAITING = 16 };

#define CA_BIT_SET_COUNT_MAX ((size_t)UINT32_MAX)

/* Invariant: everything is where the layout of `range` puts it, and the map's invariant holds.
 * `word` and `given_word`, if they aren't CA_FREE_MAP_NONE, are different words of the map, checked
 * out: no bit of them is set there; else bits and given_bits are 0. word_begin is the address of
 * the first block of `word`. Each block is in exactly one of these: `live`, the map, bits,
 * given_bits, the first waiting_count entries of `waiting`; and nothing from `count` on in any of
 * them. With sizes recorded, bits 0 and `count` of `borders` are set, and so are both bits beside
 * each block that isn't live. A count of 0 holds nothing: range is none then. All-zero may be
 * destroyed and direct calls made. The members are for this header's inline functions only. */
typedef struct ca_bit_set {
  ca_allocator base;      /* First. */
  uint64_t bits;          /* The free blocks of the word that single blocks come from .. */
  char *word_begin;       /* .. where its first block stands .. */
  size_t word;            /* .. and which it is. */
  size_t block_mask;      /* Block size - 1. */
  char *begin;            /* The first block, aligned to the block size. */
  uint64_t *live;         /* Bit i: block i is a caller's. */
  uint64_t *borders;      /* Bit i: no allocation reaches across from block i - 1 to i. Or NULL. */
  unsigned block_shift;   /* log2(block size). */
  uint32_t waiting_count; /* Freed single blocks, the newest last, that serve first. */
  uint32_t waiting[CA_BIT_SET_WAITING];
  uint64_t given_bits; /* The free blocks of the word that the last ones that waited went to .. */
  size_t given_word;   /* .. and which it is. */
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

/* Forgets every block at once and keeps the range. */
void ca_bit_set_reset(ca_bit_set *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_bit_set_allocator(ca_bit_set *self) { return &self->base; }

/* Bytes in blocks that are allocated. O(blocks / 64). */
size_t ca_bit_set_live(const ca_bit_set *self);

/* Bytes in blocks, allocated or not. O(1). */
static inline size_t ca_bit_set_capacity(const ca_bit_set *self) {
  return self->map.count << self->block_shift;
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

static inline bool ca_bit_set_has_border(const ca_bit_set *self, size_t block) {
  return self->borders[block / 64] >> (block % 64) & 1;
}

/* Whether nothing that was recorded says that the block is a part of a run. */
static inline bool ca_bit_set_stands_alone(const ca_bit_set *self, size_t block) {
  return self->borders == NULL ||
         (ca_bit_set_has_border(self, block) && ca_bit_set_has_border(self, block + 1));
}

/* ca_allocate() for callers that know what they hold. */
static inline ca_block ca_bit_set_allocate(ca_bit_set *self, size_t size, size_t align) {
  char *ptr;
  if (CA_UNLIKELY(((size - 1) | (align - 1)) > self->block_mask)) {
    return ca_bit_set_allocate_run(self, size, align);
  }
  if (self->waiting_count > 0) {
    const size_t block = self->waiting[--self->waiting_count];
    ptr = self->begin + (block << self->block_shift);
    self->live[block / 64] |= UINT64_C(1) << (block % 64);
  } else {
    const uint64_t bits = self->bits;
    if (CA_UNLIKELY(bits == 0)) {
      return ca_bit_set_allocate_run(self, size, align);
    }
    ptr = self->word_begin + ((size_t)ca_bits_lowest(bits) << self->block_shift);
    self->bits = ca_bits_clear_lowest(bits);
    self->live[self->word] |= bits ^ self->bits;
  }
  ca_unpoison(ptr, self->block_mask + 1);
  return ca_block_make(ptr, self->block_mask + 1);
}

/* ca_deallocate() for callers that know what they hold. */
static inline void ca_bit_set_deallocate(ca_bit_set *self, void *ptr, size_t size) {
  const size_t block = ca_bit_set_block_at(self, ptr);
  const uint64_t bit = UINT64_C(1) << (block % 64);
  if (CA_UNLIKELY(size - 1 > self->block_mask || block >= self->map.count ||
                  (self->live[block / 64] & bit) == 0 || !ca_bit_set_stands_alone(self, block))) {
    ca_bit_set_deallocate_run(self, ptr, size);
    return;
  }
  if (block / 64 == self->given_word) {
    self->given_bits |= bit;
  } else if (CA_LIKELY(self->waiting_count < CA_BIT_SET_WAITING)) {
    self->waiting[self->waiting_count++] = (uint32_t)block;
  } else {
    ca_bit_set_deallocate_run(self, ptr, size);
    return;
  }
  self->live[block / 64] &= ~bit;
  ca_poison(ptr, self->block_mask + 1);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_BIT_SET_H_ */
