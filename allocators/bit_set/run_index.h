/* allocators/bit_set/run_index.h - which words of a bit set hold a free run of which length.
 *
 * Idea        each word has a length from 0 to 64: of the longest free run that begins in it. For
 *             each length from 1 there is a set of the words that have it, with summaries above:
 *             a word of 64 bits over 64 words over 64 words ... up to one word; and one mask of the
 *             lengths that any word has. So the smallest length that serves a request is one
 *             tzcnt, and a word of that length one tzcnt per level: nothing is scanned.
 * Cost        put, first: O(log64 words). next: O(log64 words). clear: O(words / 64) for each
 *             length in use; a set's memory is first written when its length is first met.
 * Overhead    64 bits and a byte a word, and 1/63 of it for the summaries.
 * Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_RUN_INDEX_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_RUN_INDEX_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CA_RUN_LENGTHS = 64, CA_RUN_LEVELS = 6 };

/* No word; as a result: there is none. */
#define CA_RUN_INDEX_NONE SIZE_MAX

/* Invariant: lengths[w] <= 64 for each word w; w is in the set of lengths[w], and in no other, if
 * that isn't 0; bit i of each level above the lowest is set iff word i of the level below is not
 * 0; bit n - 1 of `used` is set iff the set of length n isn't empty; used & ~written == 0. */
typedef struct ca_run_index {
  uint64_t used;                       /* Lengths that a word has: bit n - 1 for length n. */
  uint64_t written;                    /* Lengths whose sets hold no garbage. */
  uint64_t *sets;                      /* The 64 sets, one after the other. */
  unsigned char *lengths;              /* One a word. */
  size_t word_count;                   /* Words of the bit set. */
  size_t set_words;                    /* Words of a set, all levels together. */
  uint32_t level_begin[CA_RUN_LEVELS]; /* Of level k, its first word in a set. */
  unsigned level_count;
} ca_run_index;

/* Words that `sets` needs for word_count words. Requires word_count <= 2^31. */
size_t ca_run_index_words(size_t word_count);

/* Lays the index over `sets` (ca_run_index_words() words) and `lengths` (word_count bytes), which
 * stay the caller's. Nothing may be asked before clear(). */
void ca_run_index_init(ca_run_index *self, uint64_t *sets, unsigned char *lengths,
                       size_t word_count);

/* Makes every word's length 64, but the last one's `last`. */
void ca_run_index_fill(ca_run_index *self, unsigned last);

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

/* Whether the invariant holds. Reads nothing outside `sets` and `lengths`. O(words). */
bool ca_run_index_check(const ca_run_index *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_RUN_INDEX_H_ */
