/* base/bits.h - what the machine can do with the bits of one 64-bit word.
 *
 * Bit 0 is the lowest. Written so that the compiler takes tzcnt, lzcnt, blsr and popcnt where the
 * target has them (-mbmi -mlzcnt -mpopcnt) and stays right, and nearly as fast, where it hasn't.
 * No function has undefined results: zero and 64 are answered as their comments say.
 *
 * Source      the doubling of shifts in find_run: H. S. Warren, "Hacker's Delight", 2nd edition,
 *             section 6-3: O(log length) steps.
 */
#ifndef CONTEXT_ALLOCATOR_BASE_BITS_H_
#define CONTEXT_ALLOCATOR_BASE_BITS_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CA_BITS_PER_WORD 64U

/* The index of the lowest set bit; 64 for 0. */
static inline unsigned ca_bits_trailing_zeros(uint64_t word) {
  return word == 0 ? 64U : (unsigned)__builtin_ctzll(word);
}

/* The same where the caller knows that word != 0: one instruction, no test. */
static inline unsigned ca_bits_lowest(uint64_t word) { return (unsigned)__builtin_ctzll(word); }

/* Zero bits above the highest set one; 64 for 0. */
static inline unsigned ca_bits_leading_zeros(uint64_t word) {
  return word == 0 ? 64U : (unsigned)__builtin_clzll(word);
}

/* The word without its lowest set bit; 0 for 0. */
static inline uint64_t ca_bits_clear_lowest(uint64_t word) { return word & (word - 1); }

/* How many bits are set. Without popcnt the compiler would call a function of libgcc. */
static inline unsigned ca_bits_count(uint64_t word) {
#if defined(__POPCNT__) || defined(__aarch64__)
  return (unsigned)__builtin_popcountll(word);
#else
  word -= (word >> 1) & UINT64_C(0x5555555555555555);
  word = (word & UINT64_C(0x3333333333333333)) + ((word >> 2) & UINT64_C(0x3333333333333333));
  word = (word + (word >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
  return (unsigned)((word * UINT64_C(0x0101010101010101)) >> 56);
#endif
}

/* The `count` lowest bits set. count: 0 to 64. */
static inline uint64_t ca_bits_low(unsigned count) {
  return count == 0 ? 0 : ~UINT64_C(0) >> (64U - count);
}

/* Set bits from bit 0 upwards: 0 to 64. */
static inline unsigned ca_bits_run_at_bottom(uint64_t word) {
  return ca_bits_trailing_zeros(~word);
}

/* Set bits from bit 63 downwards: 0 to 64. */
static inline unsigned ca_bits_run_at_top(uint64_t word) { return ca_bits_leading_zeros(~word); }

/* The word without its lowest run of set bits: what is added to its lowest bit carries it away. */
static inline uint64_t ca_bits_without_lowest_run(uint64_t word) {
  return word & (word + (word & (0 - word)));
}

/* The length of the run of set bits that contains bit `at`, which is set. at: 0 to 63. */
static inline unsigned ca_bits_run_around(uint64_t word, unsigned at) {
  const unsigned from_here_up = ca_bits_run_at_bottom(word >> at);
  const unsigned from_here_down = ca_bits_run_at_top(word << (63U - at));
  return from_here_up + from_here_down - 1;
}

/* Of the 128 bits high:low, a bit in the result for each i below 64 such that `length` set bits
 * begin at bit i. length: 1 to 64. */
static inline uint64_t ca_bits_run_starts(uint64_t low, uint64_t high, unsigned length) {
  /* Before each step bit i means: `have` set bits begin here. All six steps, though short lengths
   * need fewer, as nobody could foretell how many. */
  unsigned have = 1;
  for (unsigned k = 0; k < 6; k++) {
    const unsigned step = have < length - have ? have : length - have;
    low &= (low >> step) | (high << 1 << (63U - step));
    high &= high >> step;
    have += step;
  }
  return low;
}

/* Where the lowest run of `length` set bits begins; 64 if there is none. length: 1 to 64. */
static inline unsigned ca_bits_find_run(uint64_t word, unsigned length) {
  return ca_bits_trailing_zeros(ca_bits_run_starts(word, 0, length));
}

/* One step of the search below: *found has bit i set where *length set bits begin, `runs` where
 * `more` do. Extends all by `more` if any can be. Written so that gcc and clang move conditionally
 * and don't branch. */
static inline void ca_bits_lengthen(uint64_t *found, unsigned *length, uint64_t runs,
                                    unsigned more) {
  const uint64_t longer = *found & (runs >> *length);
  *length += (unsigned)(longer != 0) * more;
  *found = longer != 0 ? longer : *found;
}

/* The length of the longest run of set bits, 0 to 64, and in *at where the lowest of that length
 * begins; 0 for 0. Without branches, as nobody could foretell them. */
static inline unsigned ca_bits_longest_run(uint64_t word, unsigned *at) {
  const uint64_t of2 = word & (word >> 1); /* Bit i: 2 set bits begin here. */
  const uint64_t of4 = of2 & (of2 >> 2);
  const uint64_t of8 = of4 & (of4 >> 4);
  const uint64_t of16 = of8 & (of8 >> 8);
  const uint64_t of32 = of16 & (of16 >> 16);
  const uint64_t any32 = (of32 | (0 - of32)) >> 63; /* As a comparison it would be a branch. */
  uint64_t found = of32 | (any32 - 1);
  unsigned length = (unsigned)any32 * 32;
  ca_bits_lengthen(&found, &length, of16, 16);
  ca_bits_lengthen(&found, &length, of8, 8);
  ca_bits_lengthen(&found, &length, of4, 4);
  ca_bits_lengthen(&found, &length, of2, 2);
  ca_bits_lengthen(&found, &length, word, 1);
  *at = ca_bits_lowest(found);
  return length + (~word == 0 ? 1U : 0U);
}

/* The same of a word without a run of more than 7: a shorter way. */
static inline unsigned ca_bits_longest_short_run(uint64_t word, unsigned *at) {
  const uint64_t of2 = word & (word >> 1);
  const uint64_t of4 = of2 & (of2 >> 2);
  const uint64_t any4 = (of4 | (0 - of4)) >> 63;
  uint64_t found = of4 | (any4 - 1);
  unsigned length = (unsigned)any4 * 4;
  ca_bits_lengthen(&found, &length, of2, 2);
  ca_bits_lengthen(&found, &length, word, 1);
  *at = ca_bits_lowest(found);
  return length;
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_BASE_BITS_H_ */
