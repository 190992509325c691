/* allocators/bit_set/run_index.h - which words of a bit set hold a free run of which length.
 *
 * Idea        each word has a length from 0 to 64, of the longest free run that begins in it, and
 *             the place where that begins. The lengths of eight neighbouring words, a group, stand
 *             in one word and are compared at once; the places beside them. For each length from 1
 *             there is a set of the groups that have it, with summaries above: a bit for each 64 of
 *             what is below, up to one word; and one mask of the lengths that any word has. So the
 *             smallest length that serves a request is one tzcnt, and a word of that length one tzcnt
 *             per level: nothing is scanned. The same places of all 64 sets are neighbours: a word
 *             whose length changes by a little leaves one set and joins another in the same cache
 *             line. Of 2^20 blocks the whole index has 51 KiB. One more set, of words, holds the
 *             stale ones: those whose length may have become longer since it was put.
 * Cost        put, first, mark, take: O(log64 words). next: O(log64 words). reset: O(1). extend:
 *             O(words).
 * Overhead    25 bits a word, and 1/63 of 9 of these for the summaries.
 * Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_RUN_INDEX_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_RUN_INDEX_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/check.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CA_RUN_LENGTHS = 64, CA_RUN_LEVELS = 6, CA_RUN_GROUP = 8 };

/* No word; as a result: there is none. */
#define CA_RUN_INDEX_NONE SIZE_MAX

/* Of a set with summaries: level k begins at its word begin[k]; the last level is one word. */
typedef struct ca_run_levels {
  uint32_t begin[CA_RUN_LEVELS];
  unsigned count;
} ca_run_levels;

/* Of each word of a group its length, word i's in bits 8 i to 8 i + 7, and its place likewise. */
typedef struct ca_run_group {
  uint64_t lengths;
  uint64_t places;
} ca_run_group;

/* Invariant: known <= word_count; each word below `known` has a length of at most 64 and a
 * place below 64, and lengths beyond it in the last group that a known word is in are 0. Bit n - 1 of
 * `used` is set iff a word has length n > 0; then the lowest level of set n has exactly the groups
 * with such a word, and bit i of each level above is set iff word i of the level below isn't 0. The
 * sets of other lengths hold nothing in the levels that have a summary, as far as known groups are
 * concerned, and garbage in the last one. Levels: none where one group holds all words; then `used`
 * says it all. Likewise the stale words, all of them known, whose last level holds no garbage if a
 * word is known. */
typedef struct ca_run_index {
  uint64_t *sets; /* Of each level, the words 0 of the sets 1 to 64, their words 1 .. */
  ca_run_group *groups;
  uint64_t *stale;     /* A bit a word, and the levels above. */
  uint64_t used;       /* Lengths that a word has: bit n - 1 for length n. */
  size_t known;        /* Words that have a length. */
  size_t word_count;   /* Words that there may be. */
  ca_run_levels level; /* Of each of `sets`. */
  ca_run_levels stale_level;
} ca_run_index;

/* Words of storage for word_count words. Requires word_count <= 2^31. */
size_t ca_run_index_words(size_t word_count);

/* Lays the index over `storage`, ca_run_index_words() words, which stays the caller's. No word is
 * known. */
void ca_run_index_init(ca_run_index *self, uint64_t *storage, size_t word_count);

/* Forgets every word. */
void ca_run_index_reset(ca_run_index *self);

/* Makes the next `words` words known, all of length 0, none of them stale. */
void ca_run_index_extend(ca_run_index *self, size_t words);

/* Where the byte of a word begins in those of its group. */
static inline unsigned ca_run_index_shift(size_t word) { return word % CA_RUN_GROUP * 8; }

static inline unsigned ca_run_index_length(const ca_run_index *self, size_t word) {
  return self->groups[word / CA_RUN_GROUP].lengths >> ca_run_index_shift(word) & 0xFF;
}

static inline unsigned ca_run_index_place(const ca_run_index *self, size_t word) {
  return self->groups[word / CA_RUN_GROUP].places >> ca_run_index_shift(word) & 0xFF;
}

/* Bit 7 of each byte of a group's lengths that is this length. None has bit 7 set itself. */
static inline uint64_t ca_run_index_bytes_of(uint64_t lengths, unsigned length) {
  const uint64_t low_bits = UINT64_C(0x7F7F7F7F7F7F7F7F);
  const uint64_t difference = lengths ^ length * UINT64_C(0x0101010101010101);
  return ~(difference + low_bits) & ~low_bits;
}

/* Word `at` of a level of the set of this length; of length 0, which has none, it's that of 64. */
static inline uint64_t *ca_run_index_set_word(const ca_run_index *self, unsigned level, size_t at,
                                              unsigned length) {
  return self->sets + (self->level.begin[level] + at) * CA_RUN_LENGTHS + ((length - 1) & 63);
}

/* The group leaves the sets of length `before` and joins those of `length`, if `leaves` and `joins`
 * are 1 and not 0. Without branches on these and on what the sets hold, which nobody could
 * foretell: who leaves or joins nothing writes what was there, which the compiler leaves out where
 * it sees the 0. */
static inline void ca_run_index_move(ca_run_index *self, size_t group, unsigned before,
                                     uint64_t leaves, unsigned length, uint64_t joins) {
  /* Where the length isn't in use its sets' words may be garbage, and mean 0. */
  const uint64_t used = self->used;
  const uint64_t mask = ((uint64_t)0 - (used >> ((length - 1) & 63) & 1)) | (joins - 1);
  size_t at = group;
  for (unsigned level = 0; level < self->level.count; level++) {
    const uint64_t bit = UINT64_C(1) << (at % 64);
    uint64_t *const from = ca_run_index_set_word(self, level, at / 64, before);
    uint64_t *const to = ca_run_index_set_word(self, level, at / 64, length);
    const uint64_t had = *from;
    *from = had & ~(leaves << (at % 64));
    *to = (*to & mask) | joins << (at % 64);
    leaves &= (had & ~bit) == 0; /* Of `had`: it needn't wait for the level below. */
    at /= 64;
  }
  self->used = (used & ~(leaves << ((before - 1) & 63))) | joins << ((length - 1) & 63);
}

static inline void ca_run_index_set_place(ca_run_group *of, unsigned shift, unsigned place) {
  of->places = (of->places & ~(UINT64_C(0xFF) << shift)) | (uint64_t)place << shift;
}

/* Gives the word this length and place. One that keeps its length leaves its set and joins it
 * again, which costs less than a wrong guess. */
static inline void ca_run_index_put(ca_run_index *self, size_t word, unsigned length,
                                    unsigned place) {
  const unsigned shift = ca_run_index_shift(word);
  ca_run_group *const of = &self->groups[word / CA_RUN_GROUP];
  const uint64_t lengths = of->lengths;
  const unsigned before = lengths >> shift & 0xFF;
  const uint64_t others = ca_run_index_bytes_of(lengths, before) & ~(UINT64_C(0x80) << shift);
  of->lengths = lengths ^ (uint64_t)(before ^ length) << shift;
  ca_run_index_set_place(of, shift, place);
  ca_run_index_move(self, word / CA_RUN_GROUP, before, (before != 0) & (others == 0), length,
                    length != 0);
}

/* The same of a word whose length is 0. */
static inline void ca_run_index_put_back(ca_run_index *self, size_t word, unsigned length,
                                         unsigned place) {
  const unsigned shift = ca_run_index_shift(word);
  ca_run_group *const of = &self->groups[word / CA_RUN_GROUP];
  of->lengths |= (uint64_t)length << shift;
  ca_run_index_set_place(of, shift, place);
  ca_run_index_move(self, word / CA_RUN_GROUP, 0, 0, length, length != 0);
}

/* The shortest length in use that is at least `length` (1 to 64); 0 if there is none. */
static inline unsigned ca_run_index_fitting(const ca_run_index *self, unsigned length) {
  const uint64_t fitting = self->used >> (length - 1);
  return fitting == 0 ? 0U : length + ca_bits_lowest(fitting);
}

/* The lowest group with a word of this length, which is in use; and the lowest such word in a group
 * that has one. */
static inline size_t ca_run_index_first_group(const ca_run_index *self, unsigned length) {
  size_t at = 0;
  for (unsigned level = self->level.count; level-- > 0;) {
    at = at * 64 + ca_bits_lowest(*ca_run_index_set_word(self, level, at, length));
  }
  return at;
}
static inline size_t ca_run_index_first_in(const ca_run_index *self, size_t group,
                                           unsigned length) {
  const uint64_t bytes = ca_run_index_bytes_of(self->groups[group].lengths, length);
  return group * CA_RUN_GROUP + ca_bits_lowest(bytes) / 8;
}

/* The same word, whose length becomes 0; its place was *place. */
static inline size_t ca_run_index_take_first_in(ca_run_index *self, size_t group, unsigned length,
                                                unsigned *place) {
  ca_run_group *const of = &self->groups[group];
  const uint64_t lengths = of->lengths;
  const uint64_t bytes = ca_run_index_bytes_of(lengths, length);
  const unsigned at = ca_bits_lowest(bytes) - 7;
  *place = of->places >> at & 0xFF;
  of->lengths = lengths ^ (uint64_t)length << at;
  ca_run_index_move(self, group, length, ca_bits_clear_lowest(bytes) == 0, 0, 0);
  return group * CA_RUN_GROUP + at / 8;
}

/* The lowest word of this length that is at least `from`, or CA_RUN_INDEX_NONE. */
size_t ca_run_index_next(const ca_run_index *self, unsigned length, size_t from);

/* What mark_stale() leaves to run_index.c: the levels above the lowest. */
void ca_run_index_mark_stale_above(ca_run_index *self, size_t word);

/* Puts the word among the stale ones. */
static inline void ca_run_index_mark_stale(ca_run_index *self, size_t word) {
  uint64_t *const at = &self->stale[word / 64];
  const uint64_t before = *at;
  *at = before | UINT64_C(1) << (word % 64);
  if (CA_UNLIKELY(before == 0)) {
    ca_run_index_mark_stale_above(self, word);
  }
}

/* Takes the lowest stale word out of them and returns it, or CA_RUN_INDEX_NONE. */
size_t ca_run_index_take_stale(ca_run_index *self);

static inline bool ca_run_index_is_stale(const ca_run_index *self, size_t word) {
  return self->stale[word / 64] >> (word % 64) & 1;
}

/* Whether the invariant holds. Reads nothing outside the storage. O(words). */
bool ca_run_index_check(const ca_run_index *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_RUN_INDEX_H_ */
