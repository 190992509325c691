/* allocators/bit_set/free_map.h - a bit for each of many blocks, set while the block is free, and
 * the index by which a free run of any length is found.
 *
 * Idea        words of 64 bits; for each word the length and the place of the longest free run that
 *             begins in it (it may end in another word) are kept in a run index: so a run of up to
 *             64 blocks is found, or found not to exist, without looking at words that can't hold it.
 *             Of a longer run it is known that its first word has length 64. A run is known in one
 *             word only, the one in which it begins: who takes its end, or all of it, changes what is
 *             known of that word, and of no other. Who gives single blocks only marks their word as
 *             stale: its length is put right when a run is wanted that isn't found otherwise, or
 *             never. One word can be checked out: single blocks are taken from it by its bits alone.
 *             Words are written when they are first needed: reset costs nothing.
 * Cost        find up to 64 blocks, take and give them, check out, check in: O(log64 words); find may
 *             put stale words right, and check out pass over those that are full again, each at most
 *             once for each time that it got a single block back. put: O(1), seldom O(log64 words).
 *             Longer runs: O(length / 64 + log64 words). find of a longer or a specially aligned run:
 *             the areas that are long enough for its first word are visited in turn, O((length +
 *             stride) / 64) each, for each length that the index has of it.
 * Overhead    a bit a block, and 25 1/7 bits a word of 64 blocks.
 * Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_FREE_MAP_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_FREE_MAP_H_

#include "allocators/bit_set/run_index.h"
#include "allocators/bit_set/words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* No block, no word. */
#define CA_FREE_MAP_NONE SIZE_MAX

/* Invariant: `known` is 64 times the words that the index knows, or `count` if that is less.
 * Blocks from `known` on are free, and nothing is written about them. In the words that the index
 * knows a block's bit is set iff it is free, and bits from `count` on are 0; the word behind them
 * is 0, and so is the one behind the last word. `out` is the word checked out, known, or
 * CA_FREE_MAP_NONE. `put` is a stale word or CA_FREE_MAP_NONE. A run is a sequence of set bits, where
 * the bits of `out` count as 0. The index has for each word the length and the place of the longest
 * run that begins in it and isn't the rest of one that begins before it, cut to 64; or, if the word,
 * the one before or the next one is stale, of any run in it or in it and the next one, up to 64. */
typedef struct ca_free_map {
  uint64_t *words; /* word_count and one more. */
  size_t known;
  size_t count; /* Blocks. */
  size_t out;
  size_t put;
  ca_run_index index;
} ca_free_map;

/* Which blocks may begin a run: those whose (number + offset) is a multiple of `stride`, a power of
 * two. */
typedef struct ca_free_map_places {
  size_t stride;
  size_t offset; /* Below stride. */
} ca_free_map_places;

static inline size_t ca_free_map_word_count(size_t count) { return (count + 63) / 64; }

/* Bytes that the map needs for `count` blocks. Requires 0 < count <= 2^32. */
size_t ca_free_map_bytes(size_t count);

/* Lays the map over `storage`, 8-byte aligned, better 64, which stays the caller's, and writes nothing there.
 * reset() comes next. */
void ca_free_map_init(ca_free_map *self, void *storage, size_t count);

/* Makes every block free. O(1). */
void ca_free_map_reset(ca_free_map *self);

/* The first block of a free run of `length` blocks, or CA_FREE_MAP_NONE iff there is none; blocks of
 * the word checked out are not looked at. Of runs that serve it takes one in the words whose longest
 * run is shortest, in the lowest of these; if it may be anywhere and is of up to 64 blocks, the end
 * of what is known of that run, or its beginning where that ends with the next word or with `known`:
 * it may go on. Requires length > 0. */
size_t ca_free_map_find(ca_free_map *self, size_t length, ca_free_map_places places);

/* find() and take() of up to 64 blocks, but none also where find() would have had to look further
 * than at what the index says: CA_FREE_MAP_NONE, and find() is to be asked. Requires length to be 1
 * to 64. */
size_t ca_free_map_take_known(ca_free_map *self, unsigned length);

/* Marks a free run as allocated, an allocated one as free. Both below `known`. */
void ca_free_map_take(ca_free_map *self, size_t first, size_t length);
void ca_free_map_give(ca_free_map *self, size_t first, size_t length);

/* Tells the index that single blocks of the word have become free, for when it matters. */
static inline void ca_free_map_note_put(ca_free_map *self, size_t word) {
  if (CA_UNLIKELY(word != self->put)) {
    self->put = word;
    ca_run_index_mark_stale(&self->index, word);
  }
}

/* give() of one block, of which the index hears later. */
static inline void ca_free_map_put(ca_free_map *self, size_t block) {
  self->words[block / 64] |= UINT64_C(1) << (block % 64);
  ca_free_map_note_put(self, block / 64);
}

/* Checks the word that is out in, if there is one. */
void ca_free_map_check_in(ca_free_map *self);

/* The same, and checks out another word, with at least one free block, if there is one: one in
 * which single blocks came back; else of those in which only short runs begin, so that long runs
 * stay whole, but for the rest of one that begins before; else one that was never used. Returns it,
 * or CA_FREE_MAP_NONE. */
size_t ca_free_map_check_out(ca_free_map *self);

/* Of a block below `known`. */
static inline bool ca_free_map_is_free(const ca_free_map *self, size_t block) {
  return self->words[block / 64] >> (block % 64) & 1;
}

/* Makes all blocks below `end` known. Requires end <= count. */
void ca_free_map_know(ca_free_map *self, size_t end);

/* Whether all blocks of the run, below `known`, are free, or all are allocated. O(length / 64). */
bool ca_free_map_all_free(const ca_free_map *self, size_t first, size_t length);
bool ca_free_map_all_taken(const ca_free_map *self, size_t first, size_t length);

/* How many are free. O(known / 64). */
size_t ca_free_map_count_free(const ca_free_map *self);

/* Whether the invariant holds. Reads nothing outside the storage. O(known / 64). */
bool ca_free_map_check(const ca_free_map *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_FREE_MAP_H_ */
