/* allocators/bit_set/words.h - find and mark bits in an array of 64-bit words.
 *
 * Bit i of the array is bit i % 64 of word i / 64; a range of bits is given by its first bit and
 * its length, which is not 0.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_WORDS_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_WORDS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bits [first, 64) of a word. */
static inline uint64_t ca_words_from(size_t first) { return UINT64_MAX << first; }

/* The bits [0, last] of a word. */
static inline uint64_t ca_words_to(size_t last) { return UINT64_MAX >> (63 - last); }

/* Sets every bit of the range. O(count / 64). */
static inline void ca_words_set(uint64_t *words, size_t first, size_t count) {
  const size_t last = first + count - 1;
  const size_t first_word = first / 64;
  const size_t last_word = last / 64;
  if (first_word == last_word) {
    words[first_word] |= ca_words_from(first % 64) & ca_words_to(last % 64);
    return;
  }
  words[first_word] |= ca_words_from(first % 64);
  for (size_t i = first_word + 1; i < last_word; i++) {
    words[i] = UINT64_MAX;
  }
  words[last_word] |= ca_words_to(last % 64);
}

/* Clears every bit of the range. O(count / 64). */
static inline void ca_words_clear(uint64_t *words, size_t first, size_t count) {
  const size_t last = first + count - 1;
  const size_t first_word = first / 64;
  const size_t last_word = last / 64;
  if (first_word == last_word) {
    words[first_word] &= ~(ca_words_from(first % 64) & ca_words_to(last % 64));
    return;
  }
  words[first_word] &= ~ca_words_from(first % 64);
  for (size_t i = first_word + 1; i < last_word; i++) {
    words[i] = 0;
  }
  words[last_word] &= ~ca_words_to(last % 64);
}

/* The lowest set bit at or above `from`, or 64 * word_count if there is none there.
 * from: at most 64 * word_count. O(words looked at). */
static inline size_t ca_words_next_set(const uint64_t *words, size_t word_count, size_t from) {
  size_t i = from / 64;
  if (i >= word_count) {
    return word_count * 64;
  }
  uint64_t word = words[i] & ca_words_from(from % 64);
  while (word == 0) {
    i++;
    if (i == word_count) {
      return word_count * 64;
    }
    word = words[i];
  }
  return i * 64 + ca_bits_lowest(word);
}

/* The lowest clear bit, likewise. */
static inline size_t ca_words_next_clear(const uint64_t *words, size_t word_count, size_t from) {
  size_t i = from / 64;
  if (i >= word_count) {
    return word_count * 64;
  }
  uint64_t word = ~words[i] & ca_words_from(from % 64);
  while (word == 0) {
    i++;
    if (i == word_count) {
      return word_count * 64;
    }
    word = ~words[i];
  }
  return i * 64 + ca_bits_lowest(word);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_WORDS_H_ */
