/* allocators/bit_set/free_map.h - a bit for each of many blocks, set while the block is free, and
 * the index by which a free run of any length is found.
 *
 * Idea        words of 64 bits; for each word the length of the longest free run that begins in it
 *             (it may end in the next word) is kept in a run index, exactly: so a run of up to 64
 *             blocks is found, or found not to exist, without looking at words that can't hold it.
 *             Of a longer run it is known that its first word has length 64.
 *             A word can be checked out: its owner then allocates and frees in a register's worth
 * of bits without telling the index, and the map takes its blocks for allocated. Cost        find
 * up to 64 blocks, check out, check in, give one: O(log64 words). take, give: O(length / 64 + log64
 * words). find of a longer or a specially aligned run: the areas that are long enough for its first
 * word are visited in turn, O(length / 64) each. Overhead    2 bits a block and 9 bits a word of 64
 * blocks. Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_FREE_MAP_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_FREE_MAP_H_

#include "allocators/bit_set/run_index.h"
#include "allocators/bit_set/words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* No block. */
#define CA_FREE_MAP_NONE SIZE_MAX

/* Invariant: bits from `count` on are 0, also those of the word behind the last one; the index has
 * for each word the length of the longest run of set bits that begins in it and ends in it or in
 * the next one, cut to 64. */
typedef struct ca_free_map {
  uint64_t *words; /* word_count and one more, which stays 0. */
  size_t count;    /* Blocks. */
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

/* Lays the map over `storage`, 8-byte aligned, which stays the caller's. fill() comes next. */
void ca_free_map_init(ca_free_map *self, void *storage, size_t count);

/* Makes every block free. O(count / 64). */
void ca_free_map_fill(ca_free_map *self);

/* The first block of a free run of `length` blocks, or CA_FREE_MAP_NONE iff there is none. Of runs
 * that serve equally well it takes the lowest in the words whose longest run is shortest.
 * Requires length > 0. */
size_t ca_free_map_find(const ca_free_map *self, size_t length);
size_t ca_free_map_find_placed(const ca_free_map *self, size_t length, ca_free_map_places places);

/* Marks a free run as allocated, an allocated one as free. */
void ca_free_map_take(ca_free_map *self, size_t first, size_t length);
void ca_free_map_give(ca_free_map *self, size_t first, size_t length);

/* give() of one block. */
void ca_free_map_give_one(ca_free_map *self, size_t block);

/* Takes every free block of the word, and returns them; puts them back. */
uint64_t ca_free_map_check_out(ca_free_map *self, size_t word);
void ca_free_map_check_in(ca_free_map *self, size_t word, uint64_t bits);

static inline bool ca_free_map_is_free(const ca_free_map *self, size_t block) {
  return self->words[block / 64] >> (block % 64) & 1;
}

/* Whether all blocks of the run are free, or all are allocated. O(length / 64). */
bool ca_free_map_all_free(const ca_free_map *self, size_t first, size_t length);
bool ca_free_map_all_taken(const ca_free_map *self, size_t first, size_t length);

/* How many are free. O(count / 64). */
size_t ca_free_map_count_free(const ca_free_map *self);

/* Whether the invariant holds. Reads nothing outside the storage. O(count / 64). */
bool ca_free_map_check(const ca_free_map *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_FREE_MAP_H_ */
