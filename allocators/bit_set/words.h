/* allocators/bit_set/words.h - find and mark bits in an array of 64-bit words.
 *
 * Bit i of the array is bit i % 64 of word i / 64; a range of bits is given by its first bit and
 * its length, which is not 0. prove.sh proves with Frama-C's WP, for all arrays and arguments, what
 * the ACSL contracts say: that nothing overflows, that nothing outside the given words is read and
 * nothing outside the range's is written, and that every loop ends; that the bit that next_set finds
 * is the lowest of its word at or above `from`, and that the word of `from` has none if it's in a
 * later one; the first half of that for next_clear, where it's in a later word; that set and clear
 * change exactly the range's bits of its first word. What isn't proved is left to free_map_test.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_WORDS_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_WORDS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*@ logic uint64_t bits_from(integer first) = (uint64_t)(0xFFFFFFFFFFFFFFFF << first);
    logic uint64_t bits_to(integer last) = (uint64_t)(0xFFFFFFFFFFFFFFFF >> (63 - last));

    // `at` is the lowest set bit.
    predicate is_lowest(integer at, uint64_t word) =
      0 <= at < 64 && (word & ((uint64_t)1 << at)) != 0 && (word & (((uint64_t)1 << at) - 1)) == 0; */

#ifdef __FRAMAC__
/*@ requires word != 0;
    assigns \nothing;
    ensures is_lowest(\result, word); */
unsigned ca_bits_lowest(uint64_t word);
#else
#include "base/bits.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The bits [first, 64) of a word. */
/*@ requires first < 64;
    assigns \nothing;
    ensures \result == bits_from(first); */
static inline uint64_t ca_words_from(size_t first) { return UINT64_MAX << first; }

/* The bits [0, last] of a word. */
/*@ requires last < 64;
    assigns \nothing;
    ensures \result == bits_to(last); */
static inline uint64_t ca_words_to(size_t last) { return UINT64_MAX >> (63 - last); }

/* Makes the words [begin, end) all alike. */
/*@ requires begin <= end ==> \valid(words + (begin .. end - 1));
    assigns words[begin .. end - 1]; */
static inline void ca_words_fill(uint64_t *words, size_t begin, size_t end, uint64_t value) {
  /*@ loop invariant begin <= end ==> begin <= i <= end;
      loop invariant begin > end ==> i == begin;
      loop assigns i, words[begin .. end - 1];
      loop variant end - i; */
  for (size_t i = begin; i < end; i++) {
    words[i] = value;
  }
}

/* Sets every bit of the range. O(count / 64). */
/*@ requires 0 < count && first + count <= SIZE_MAX;
    requires \valid(words + (first / 64 .. (first + count - 1) / 64));
    assigns words[first / 64 .. (first + count - 1) / 64];
    ensures first / 64 == (first + count - 1) / 64 ==> words[first / 64] ==
      (\old(words[first / 64]) | bits_from(first % 64) & bits_to((first + count - 1) % 64));
    ensures first / 64 < (first + count - 1) / 64 ==> words[first / 64] ==
      (\old(words[first / 64]) | bits_from(first % 64)); */
static inline void ca_words_set(uint64_t *words, size_t first, size_t count) {
  const size_t last = first + count - 1;
  const size_t first_word = first / 64;
  const size_t last_word = last / 64;
  if (first_word == last_word) {
    words[first_word] |= ca_words_from(first % 64) & ca_words_to(last % 64);
    //@ assert words[first_word] == (\at(words[first / 64], Pre) | bits_from(first % 64) & bits_to(last % 64));
    return;
  }
  words[first_word] |= ca_words_from(first % 64);
  //@ assert words[first_word] == (\at(words[first / 64], Pre) | bits_from(first % 64));
  ca_words_fill(words, first_word + 1, last_word, UINT64_MAX);
  //@ assert words[first_word] == (\at(words[first / 64], Pre) | bits_from(first % 64));
  words[last_word] |= ca_words_to(last % 64);
  //@ assert words[first_word] == (\at(words[first / 64], Pre) | bits_from(first % 64));
}

/* Clears every bit of the range. O(count / 64). */
/*@ requires 0 < count && first + count <= SIZE_MAX;
    requires \valid(words + (first / 64 .. (first + count - 1) / 64));
    assigns words[first / 64 .. (first + count - 1) / 64];
    ensures first / 64 == (first + count - 1) / 64 ==> words[first / 64] ==
      (\old(words[first / 64]) & (uint64_t)(~(bits_from(first % 64) & bits_to((first + count - 1) % 64))));
    ensures first / 64 < (first + count - 1) / 64 ==> words[first / 64] ==
      (\old(words[first / 64]) & (uint64_t)(~(bits_from(first % 64)))); */
static inline void ca_words_clear(uint64_t *words, size_t first, size_t count) {
  const size_t last = first + count - 1;
  const size_t first_word = first / 64;
  const size_t last_word = last / 64;
  if (first_word == last_word) {
    words[first_word] &= ~(ca_words_from(first % 64) & ca_words_to(last % 64));
    //@ assert words[first_word] == (\at(words[first / 64], Pre) & (uint64_t)(~(bits_from(first % 64) & bits_to(last % 64))));
    return;
  }
  words[first_word] &= ~ca_words_from(first % 64);
  //@ assert words[first_word] == (\at(words[first / 64], Pre) & (uint64_t)(~(bits_from(first % 64))));
  ca_words_fill(words, first_word + 1, last_word, 0);
  //@ assert words[first_word] == (\at(words[first / 64], Pre) & (uint64_t)(~(bits_from(first % 64))));
  words[last_word] &= ~ca_words_to(last % 64);
  //@ assert words[first_word] == (\at(words[first / 64], Pre) & (uint64_t)(~(bits_from(first % 64))));
}

/* The lowest set bit at or above `from`, or 64 * word_count if there is none there.
 * from: at most 64 * word_count. O(words looked at). */
/*@ requires word_count <= SIZE_MAX / 64 && from <= word_count * 64;
    requires \valid_read(words + (0 .. word_count - 1));
    assigns \nothing;
    ensures \result <= word_count * 64;
    ensures \result < word_count * 64 ==> from / 64 <= \result / 64;
    ensures \result < word_count * 64 && \result / 64 == from / 64 ==>
      is_lowest(\result % 64, (uint64_t)(words[from / 64] & bits_from(from % 64)));
    ensures \result < word_count * 64 && \result / 64 > from / 64 ==>
      is_lowest(\result % 64, words[\result / 64]);
    ensures from / 64 < \result / 64 ==> (words[from / 64] & bits_from(from % 64)) == 0; */
static inline size_t ca_words_next_set(const uint64_t *words, size_t word_count, size_t from) {
  size_t i = from / 64;
  if (i >= word_count) {
    return word_count * 64;
  }
  uint64_t word = words[i] & ca_words_from(from % 64);
  /*@ loop invariant from / 64 <= i < word_count;
      loop invariant i == from / 64 ==> word == (words[i] & bits_from(from % 64));
      loop invariant i > from / 64 ==> word == words[i];
      loop invariant i > from / 64 ==> (words[from / 64] & bits_from(from % 64)) == 0;
      loop invariant \forall integer k; from / 64 < k < i ==> words[k] == 0;
      loop assigns i, word;
      loop variant word_count - i; */
  while (word == 0) {
    i++;
    if (i == word_count) {
      //@ assert (word_count * 64) / 64 == word_count;
      return word_count * 64;
    }
    word = words[i];
  }
  const size_t low = ca_bits_lowest(word);
  const size_t found = i * 64 + low;
  //@ assert found / 64 == i;
  //@ assert found % 64 == low;
  //@ assert is_lowest(found % 64, word);
  //@ assert i == from / 64 ==> word == (words[from / 64] & bits_from(from % 64));
  //@ assert i > from / 64 ==> word == words[found / 64];
  return found;
}

/* The lowest clear bit, likewise. */
/*@ requires word_count <= SIZE_MAX / 64 && from <= word_count * 64;
    requires \valid_read(words + (0 .. word_count - 1));
    assigns \nothing;
    ensures \result <= word_count * 64;
    ensures \result < word_count * 64 ==> from / 64 <= \result / 64;
    ensures \result < word_count * 64 && \result / 64 > from / 64 ==>
      is_lowest(\result % 64, (uint64_t)(~words[\result / 64])); */
static inline size_t ca_words_next_clear(const uint64_t *words, size_t word_count, size_t from) {
  size_t i = from / 64;
  if (i >= word_count) {
    return word_count * 64;
  }
  uint64_t word = ~words[i] & ca_words_from(from % 64);
  /*@ loop invariant from / 64 <= i < word_count;
      loop invariant i == from / 64 ==> word == ((uint64_t)(~words[i]) & bits_from(from % 64));
      loop invariant i > from / 64 ==> word == (uint64_t)(~words[i]);
      loop invariant i > from / 64 ==>
                     ((uint64_t)(~words[from / 64]) & bits_from(from % 64)) == 0;
      loop invariant \forall integer k; from / 64 < k < i ==> (uint64_t)(~words[k]) == 0;
      loop assigns i, word;
      loop variant word_count - i; */
  while (word == 0) {
    i++;
    if (i == word_count) {
      //@ assert (word_count * 64) / 64 == word_count;
      return word_count * 64;
    }
    word = ~words[i];
  }
  const size_t low = ca_bits_lowest(word);
  const size_t found = i * 64 + low;
  //@ assert found / 64 == i;
  //@ assert found % 64 == low;
  //@ assert is_lowest(found % 64, word);
  //@ assert i == from / 64 ==> word == ((uint64_t)(~words[from / 64]) & bits_from(from % 64));
  //@ assert i > from / 64 ==> word == (uint64_t)(~words[found / 64]);
  return found;
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_BIT_SET_WORDS_H_ */
