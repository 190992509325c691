/* allocators/bit_set/run_index.h - which words of a bit set hold a free run of which length.
 *
 * Idea        each word has a length from 0 to 64: of the longest free run that begins in it. For
 *             each length from 1 there is a set of the words that have it, with summaries above:
 *             a word of 64 bits over 64 words over 64 words ... up to one word; and one mask of the
 *             lengths that any word has. So the smallest length that serves a request is one
 *             tzcnt, and a word of that length one tzcnt per level: nothing is scanned.
 *             One more such set, number 0, holds the stale words: those whose length may have
 *             become longer since it was put.
 * Cost        put, first, mark, take: O(log64 words). next: O(log64 words). reset: O(1). extend:
 *             O(words / 64). A set's memory is first written when its length is first met.
 * Overhead    65 bits and a byte a word, and 1/63 of it for the summaries.
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

enum { CA_RUN_LENGTHS = 64, CA_RUN_LEVELS = 6 };

/* No word; as a result: there is none. */
#define CA_RUN_INDEX_NONE SIZE_MAX

/* Invariant: known <= word_count; lengths[w] <= 64 for each word w below `known`; w is in the set of
 * lengths[w], and in no other but perhaps number 0, if that isn't 0; nothing from `known` on is in
 * a set; bit i of each level above the lowest is set iff word i of the level below is not 0; bit
 * n - 1 of `used` is set iff the set of length n isn't empty; used & ~written == 0. Of set 0 only
 * the words over words below `known` hold no garbage. */
typedef struct ca_run_index {
  uint64_t *sets;                      /* The 65 sets, one after the other. */
  unsigned char *lengths;              /* One a word. */
  uint64_t used;                       /* Lengths that a word has: bit n - 1 for length n. */
  uint64_t written;                    /* Lengths whose sets hold no garbage. */
  size_t known;                        /* Words that have a length. */
  size_t word_count;                   /* Words that there may be. */
  size_t set_words;                    /* Words of a set, all levels together. */
  uint32_t level_begin[CA_RUN_LEVELS]; /* Of level k, its first word in a set. */
  unsigned level_count;
} ca_run_index;

/* Words that `sets` needs for word_count words. Requires word_count <= 2^31. */
size_t ca_run_index_words(size_t word_count);

/* Lays the index over `sets` (ca_run_index_words() words) and `lengths` (word_count bytes), which
 * stay the caller's. No word is known. */
void ca_run_index_init(ca_run_index *self, uint64_t *sets, unsigned char *lengths,
                       size_t word_count);

/* Forgets every word. */
void ca_run_index_reset(ca_run_index *self);

/* Makes the next `words` words known, all of this length (0 or 64), none of them stale. */
void ca_run_index_extend(ca_run_index *self, size_t words, unsigned length);

/* Gives the word another length. */
void ca_run_index_move(ca_run_index *self, size_t word, unsigned length);

static inline void ca_run_index_put(ca_run_index *self, size_t word, unsigned length) {
  if (self->lengths[word] != length) {
    ca_run_index_move(self, word, length);
  }
}

/* The shortest length in use that is at least `length` (1 to 64); 0 if there is none. */
static inline unsigned ca_run_index_fitting(const ca_run_index *self, unsigned length) {
  const uint64_t fitting = self->used >> (length - 1);
  return fitting == 0 ? 0U : length + ca_bits_lowest(fitting);
}

/* The lowest word of this length, which is in use. */
size_t ca_run_index_first(const ca_run_index *self, unsigned length);

/* The lowest word of this length that is at least `from`, or CA_RUN_INDEX_NONE. */
size_t ca_run_index_next(const ca_run_index *self, unsigned length, size_t from);

/* What mark_stale() leaves to run_index.c: the levels above the lowest. */
void ca_run_index_mark_stale_above(ca_run_index *self, size_t word);

/* Puts the word among the stale ones. */
static inline void ca_run_index_mark_stale(ca_run_index *self, size_t word) {
  uint64_t *const at = &self->sets[word / 64];
  const uint64_t before = *at;
  *at = before | UINT64_C(1) << (word % 64);
  if (CA_UNLIKELY(before == 0)) {
    ca_run_index_mark_stale_above(self, word);
  }
}

/* Takes the lowest stale word out of them and returns it, or CA_RUN_INDEX_NONE. */
size_t ca_run_index_take_stale(ca_run_index *self);

static inline bool ca_run_index_is_stale(const ca_run_index *self, size_t word) {
  return self->sets[word / 64] >> (word % 64) & 1;
}

/* Whether the invariant holds. Reads nothing outside `sets` and `lengths`. O(words). */
bool ca_run_index_check(const ca_run_index *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_RUN_INDEX_H_ */
