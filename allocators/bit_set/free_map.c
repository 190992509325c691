#include "allocators/bit_set/free_map.h"

#include <string.h>

/* So many that the words of a group share a cache line, if the storage is aligned to one. */
static size_t index_words(size_t words) { return (ca_run_index_words(words) + 7) & ~(size_t)7; }

size_t ca_free_map_bytes(size_t count) {
  const size_t words = ca_free_map_word_count(count);
  return (index_words(words) + words + 1) * sizeof(uint64_t);
}

void ca_free_map_init(ca_free_map *self, void *storage, size_t count) {
  const size_t words = ca_free_map_word_count(count);
  self->words = (uint64_t *)storage + index_words(words);
  self->count = count;
  self->known = 0;
  self->out = CA_FREE_MAP_NONE;
  self->put = CA_FREE_MAP_NONE;
  ca_run_index_init(&self->index, storage, words);
}

void ca_free_map_reset(ca_free_map *self) {
  ca_run_index_reset(&self->index);
  self->known = 0;
  self->out = CA_FREE_MAP_NONE;
  self->put = CA_FREE_MAP_NONE;
  self->words[0] = 0;
  self->words[self->index.word_count] = 0;
}

/* These bits of a word, but none if it's the one that is out. */
static inline uint64_t unless_out(const ca_free_map *self, size_t word, uint64_t bits) {
  return CA_UNLIKELY(word == self->out) ? 0 : bits;
}

/* The bits of the next word, as far as runs may reach into it. */
static inline uint64_t bits_behind(const ca_free_map *self, size_t word) {
  return unless_out(self, word + 1, self->words[word + 1]);
}

/* ca_bits_longest_run() of bits of which no run is longer than `most`; of a stale word one may be, and
 * then it's any run of more than that. That is a long way; most words of a map with long runs have
 * one or two, and those of one of scattered blocks have only short ones. All is guessed well, and
 * the guesses save the way. Always inline, as its callers: an allocation does little else. */
static inline __attribute__((always_inline)) unsigned longest_run(uint64_t bits, unsigned most,
                                                                  unsigned *place) {
  const uint64_t others = ca_bits_without_lowest_run(bits);
  if (CA_UNLIKELY(ca_bits_without_lowest_run(others) != 0)) {
    return most < 8 ? ca_bits_longest_short_run(bits, place) : ca_bits_longest_run(bits, place);
  }
  const unsigned first = ca_bits_lowest(bits | UINT64_C(1) << 63);
  const unsigned second = ca_bits_lowest(others | UINT64_C(1) << 63);
  const unsigned first_length = ca_bits_run_at_bottom(bits >> first);
  const unsigned second_length = ca_bits_run_at_bottom(others >> second);
  *place = second_length > first_length ? second : first;
  return second_length > first_length ? second_length : first_length;
}

/* What the index has to say of a word with these bits, and those `behind` it in the next one: the
 * length of its longest run, and where that begins. One of more than 64 blocks, which goes on in
 * the next word, counts as 64. */
static inline __attribute__((always_inline)) unsigned length_of(uint64_t bits, uint64_t behind,
                                                                unsigned most, unsigned *place) {
  const unsigned inside = longest_run(bits, most, place);
  const unsigned at_top = ca_bits_run_at_top(bits);
  const unsigned reach = at_top + ca_bits_run_at_bottom(behind);
  const unsigned across = (reach < 64 ? reach : 64) & (0U - (unsigned)(bits >> 63));
  const bool is_across = across > inside;
  *place = is_across ? 64 - at_top : *place;
  return is_across ? across : inside;
}

/* Without the run at the bottom, if that goes on from the word before: it began there. */
static inline uint64_t begun_within(uint64_t bits, uint64_t goes_on) {
  return bits & (bits + goes_on);
}

/* Whether runs that begin before the word may reach into it: 1 or 0. */
static inline uint64_t reaches(const ca_free_map *self, size_t word) {
  const size_t before = word - (word > 0);
  return unless_out(self, before, self->words[before]) >> 63 & (word > 0);
}

static void settle(ca_free_map *self, size_t word) {
  const uint64_t bits = unless_out(self, word, self->words[word]);
  unsigned place;
  const unsigned length =
      length_of(begun_within(bits, reaches(self, word)), bits_behind(self, word), 64, &place);
  ca_run_index_put(&self->index, word, length, place);
}

/* The words from `first` to `last`, some of whose bits have changed, and their neighbours: runs of
 * the one before may reach into them, and theirs into the one behind. */
static void settle_range(ca_free_map *self, size_t first, size_t last) {
  for (size_t word = first; word <= last; word++) {
    settle(self, word);
  }
  if (reaches(self, first)) {
    settle(self, first - 1);
  }
  if (bits_behind(self, last) & 1) {
    settle(self, last + 1);
  }
}

/* Where `length` blocks begin in the run that the index has for the word: at its end, so that what is
 * left begins in the same word as before; but at the beginning of one that may go on, beyond the
 * next word or among the unknown blocks. */
static inline __attribute__((always_inline)) unsigned part_of(const ca_free_map *self, size_t word,
                                                              unsigned longest, unsigned place,
                                                              uint64_t behind, unsigned length) {
  if (CA_LIKELY(longest < 64)) {
    const unsigned end = place + longest;
    return CA_UNLIKELY(word * 64 + end == self->known) ? place : end - length;
  }
  /* Where a long one ends nobody could foretell: no branch depends on it. */
  const unsigned end = 64 + ca_bits_lowest(~behind | UINT64_C(1) << 63) + (unsigned)(~behind == 0);
  const unsigned may_go_on = 0U - (end >> 7 | (unsigned)(word * 64 + end == self->known));
  return (place & may_go_on) | ((end - length) & ~may_go_on);
}

/* Whether the run that the index has for the word begins in the `end` blocks at its bottom; without a
 * branch. */
static inline bool is_listed_below(const ca_free_map *self, size_t word, unsigned end) {
  const unsigned has_one = ca_run_index_length(&self->index, word) != 0;
  const unsigned is_below = ca_run_index_place(&self->index, word) < end;
  return (has_one & is_below) != 0;
}

/* What was taken of a run, and what that leaves. */
typedef struct part {
  unsigned first; /* In blocks from the word's first, as is `end`, which is behind the last. */
  unsigned end;
  uint64_t left;        /* Bits of the word, */
  uint64_t left_behind; /* and of the next one. */
  uint64_t goes_on;     /* Whether a run reaches into the word from the one before: 1 or 0. */
  bool leaves_more;     /* The rest of the run begins in the next word. */
  bool was_listed;      /* The index had some of the part for the word in which it ends: stale. */
  bool was_rest;        /* The run begins before the word: what the index had was stale. */
} part;

/* `length` blocks of the free run that the index had for the word, and has forgotten, `longest`
 * blocks from `place` on. They may lie in the word, in the next one, or in both; nobody could foretell
 * where, so no branch depends on it. What the index says of the next word stays right, as the run
 * began before it; but for one that is longer than the index can say, and where stale. */
static inline __attribute__((always_inline)) part cut_part(ca_free_map *self, size_t word,
                                                           unsigned longest, unsigned place,
                                                           unsigned length) {
  const uint64_t before = self->words[word];
  const uint64_t behind = bits_behind(self, word);
  part taken;
  taken.first = part_of(self, word, longest, place, behind, length);
  taken.end = taken.first + length;
  const uint64_t run = UINT64_MAX >> (64 - length);
  const uint64_t lower = run << (taken.first & 63);
  const uint64_t in_next = (uint64_t)0 - (taken.first >> 6);
  const uint64_t taken_behind = run >> 1 >> (~taken.first & 63) | (lower & in_next);
  taken.goes_on = reaches(self, word);
  taken.left = before & ~(lower & ~in_next);
  taken.left_behind = behind & ~taken_behind;
  taken.leaves_more = (taken.end >> 6 & behind >> (taken.end & 63) & 1) != 0;
  taken.was_listed =
      is_listed_below(self, word + (taken.end > 64), taken.end & 63); /* The word's isn't. */
  taken.was_rest = (~before << (63 - place) | (taken.goes_on ^ 1)) == 0;
  self->words[word] = taken.left;
  self->words[word + 1] &= ~taken_behind;
  return taken;
}

/* Tells the index what else begins in the word. */
static inline __attribute__((always_inline)) void put_left(ca_free_map *self, size_t word,
                                                           const part *taken, unsigned longest) {
  unsigned place;
  const unsigned length =
      length_of(begun_within(taken->left, taken->goes_on), taken->left_behind, longest, &place);
  ca_run_index_put_back(&self->index, word, length, place);
}

/* Tells it of the rest of a run of 64 or more, if that begins in the next word, and the index has nothing
 * of that, as is right while a run reaches through it. (Else what it has is stale, and stays unless it
 * was taken.) Without a branch. */
static inline __attribute__((always_inline)) void put_rest(ca_free_map *self, size_t word,
                                                           const part *taken) {
  const bool has_none = ca_run_index_length(&self->index, word + taken->leaves_more) == 0;
  const bool is_there = taken->leaves_more & has_none;
  const size_t next = word + is_there;
  const unsigned place = taken->end & 63;
  const unsigned inside = ca_bits_run_at_bottom(taken->left_behind >> place);
  const unsigned beyond = ca_bits_lowest(~bits_behind(self, next) | UINT64_C(1) << 63);
  const unsigned reach = inside + beyond; /* Behind one that ends inside nothing is free. */
  const unsigned length = (reach < 64 ? reach : 64) & (0U - (unsigned)is_there);
  ca_run_index_put_back(&self->index, next, length, place);
}

/* Takes `length` blocks of the lowest run known as `longest`, which is in use; returns the first of them.
 * If that is 64, the rest begins in the next word often enough that a guess would fail often. That it
 * is 64 is known long before the bits are. */
static inline __attribute__((always_inline)) size_t take_of(ca_free_map *self, unsigned longest,
                                                            unsigned length) {
  const size_t group = ca_run_index_first_group(&self->index, longest);
  /* While the word is being found: its bits, and the set that it joins if it has no other run. */
  __builtin_prefetch(self->words + group * CA_RUN_GROUP);
  if (self->index.level.count > 0) { /* Else there are no sets. */
    __builtin_prefetch(ca_run_index_set_word(&self->index, 0, group / 64, longest - length), 1);
  }
  unsigned place;
  const size_t word = ca_run_index_take_first_in(&self->index, group, longest, &place);
  const part taken = cut_part(self, word, longest, place, length);
  bool is_unsettled = taken.leaves_more | taken.was_listed;
  if (CA_UNLIKELY(longest == 64)) {
    put_rest(self, word, &taken);
    is_unsettled = taken.was_listed;
  }
  if (CA_UNLIKELY(is_unsettled)) {
    settle(self, word + 1);
  }
  if (CA_UNLIKELY(taken.was_rest)) {
    settle(self, word - 1);
  }
  put_left(self, word, &taken, longest);
  return word * 64 + taken.first;
}

void ca_free_map_take(ca_free_map *self, size_t first, size_t length) {
  ca_words_clear(self->words, first, length);
  settle_range(self, first / 64, (first + length - 1) / 64);
}

void ca_free_map_give(ca_free_map *self, size_t first, size_t length) {
  ca_words_set(self->words, first, length);
  settle_range(self, first / 64, (first + length - 1) / 64);
}

static inline size_t take_stale(ca_free_map *self) {
  self->put = CA_FREE_MAP_NONE;
  return ca_run_index_take_stale(&self->index);
}

/* Puts one stale word right; whether there was one. */
static bool settle_stale(ca_free_map *self) {
  const size_t word = take_stale(self);
  if (word == CA_RUN_INDEX_NONE) {
    return false;
  }
  settle_range(self, word, word);
  return true;
}

/* Writes down what is known of the next words: that all of their blocks are free. */
static void know_words(ca_free_map *self, size_t words) {
  const size_t first = self->index.known;
  const size_t end = first + words;
  const unsigned tail = (unsigned)((self->count - 1) % 64) + 1;
  memset(self->words + first, 0xFF, words * sizeof *self->words);
  self->words[end] = 0;
  ca_run_index_extend(&self->index, words);
  self->known = end * 64;
  if (end == self->index.word_count) {
    self->words[end - 1] = ca_bits_low(tail);
    self->known = self->count;
  }
}

static void know_free(ca_free_map *self, size_t words) {
  const size_t first = self->index.known;
  know_words(self, words);
  settle_range(self, first, first);
}

void ca_free_map_know(ca_free_map *self, size_t end) {
  if (end > self->known) {
    know_free(self, ca_free_map_word_count(end) - self->index.known);
  }
}

/* The word that is out goes to the index, whatever is free in it. */
void ca_free_map_check_in(ca_free_map *self) {
  const size_t word = self->out;
  self->out = CA_FREE_MAP_NONE;
  if (word != CA_FREE_MAP_NONE && self->words[word] != 0) {
    settle_range(self, word, word);
  }
}

/* A word with a free block, which the index has forgotten. */
static size_t word_for_singles(ca_free_map *self) {
  size_t word;
  while ((word = take_stale(self)) != CA_RUN_INDEX_NONE) {
    if (self->words[word] != 0) {
      ca_run_index_put(&self->index, word, 0, 0);
      return word;
    }
  }
  const unsigned shortest = ca_run_index_fitting(&self->index, 1);
  if (shortest != 0) {
    unsigned place;
    const size_t group = ca_run_index_first_group(&self->index, shortest);
    return ca_run_index_take_first_in(&self->index, group, shortest, &place);
  }
  if (self->index.known == self->index.word_count) {
    return CA_FREE_MAP_NONE;
  }
  know_words(self, 1);
  return self->index.known - 1;
}

/* So that no run reaches into the word, and what it cut off begins behind it: of a stale word that can
 * wait. */
static void cut_out(ca_free_map *self, size_t word) {
  if (self->words[word] & reaches(self, word)) {
    settle(self, word - 1);
  }
  if ((self->words[word] >> 63 & bits_behind(self, word)) &&
      !ca_run_index_is_stale(&self->index, word + 1)) {
    settle(self, word + 1);
  }
}

size_t ca_free_map_check_out(ca_free_map *self) {
  ca_free_map_check_in(self);
  const size_t word = word_for_singles(self);
  self->out = word;
  if (word != CA_FREE_MAP_NONE) {
    cut_out(self, word);
  }
  return word;
}

/* The blocks of the word at which a run may begin. */
static uint64_t places_in(ca_free_map_places places, size_t word) {
  const size_t first = (places.stride - places.offset) & (places.stride - 1);
  if (places.stride >= 64) {
    return ((word ^ (first / 64)) & (places.stride / 64 - 1)) == 0 ? UINT64_C(1) << (first % 64)
                                                                   : 0;
  }
  uint64_t bits = 1;
  for (size_t step = places.stride; step < 64; step *= 2) {
    bits |= bits << step;
  }
  return bits << first;
}

/* The lowest block of the word at which such a run begins, if there is one. */
static inline size_t find_within(const ca_free_map *self, size_t word, unsigned length,
                                 uint64_t places) {
  const uint64_t starts =
      ca_bits_run_starts(self->words[word], bits_behind(self, word), length) & places;
  return starts == 0 ? CA_FREE_MAP_NONE : word * 64 + ca_bits_lowest(starts);
}

/* Where the set bits from `begin` on end, or the word that is out begins; at `end` at the latest. */
static size_t end_of_run(const ca_free_map *self, size_t begin, size_t end) {
  const size_t clear = ca_words_next_clear(self->words, ca_free_map_word_count(end), begin);
  const bool is_cut = self->out > begin / 64 && self->out < ca_free_map_word_count(clear);
  return is_cut ? self->out * 64 : clear;
}

/* The same behind the word, in the run that leaves it by the top. If there is none, then *end is a
 * block behind the word below which no such run begins. */
static size_t find_behind(const ca_free_map *self, size_t word, size_t length,
                          ca_free_map_places places, size_t *end) {
  const size_t begin = word * 64 + 64;
  *end = begin;
  if ((self->words[word] >> 63 & bits_behind(self, word)) == 0) {
    return CA_FREE_MAP_NONE;
  }
  const size_t first = begin + ((places.stride - begin - places.offset) & (places.stride - 1));
  if (first > self->known || length > self->known - first) {
    *end = self->index.known * 64;
    return CA_FREE_MAP_NONE;
  }
  *end = end_of_run(self, begin, first + length);
  return *end >= first + length ? first : CA_FREE_MAP_NONE;
}

/* Up to 64 blocks, in the words that have a run as long. */
static size_t find_short(const ca_free_map *self, unsigned length, ca_free_map_places places) {
  for (unsigned longest = ca_run_index_fitting(&self->index, length); longest != 0;
       longest = longest == 64 ? 0 : ca_run_index_fitting(&self->index, longest + 1)) {
    size_t word = ca_run_index_next(&self->index, longest, 0);
    while (word != CA_RUN_INDEX_NONE) {
      size_t first = find_within(self, word, length, places_in(places, word));
      size_t end = 0;
      if (first == CA_FREE_MAP_NONE) {
        first = find_behind(self, word, length, places, &end);
      }
      if (first != CA_FREE_MAP_NONE) {
        return first;
      }
      word = ca_run_index_next(&self->index, longest, end / 64);
    }
  }
  return CA_FREE_MAP_NONE;
}

/* More than 64 blocks: such a run leaves its first word by the top, and that word's length is 64.
 */
static size_t find_long(const ca_free_map *self, size_t length, ca_free_map_places places) {
  size_t word = ca_run_index_next(&self->index, 64, 0);
  while (word != CA_RUN_INDEX_NONE) {
    const size_t begin = word * 64 + 64 - ca_bits_run_at_top(self->words[word]);
    const size_t first = begin + ((places.stride - begin - places.offset) & (places.stride - 1));
    if (first > self->known || length > self->known - first) {
      break;
    }
    const size_t end = end_of_run(self, begin, first + length);
    if (end >= first + length) {
      return first;
    }
    word = end / 64 < self->index.known ? ca_run_index_next(&self->index, 64, end / 64)
                                        : CA_RUN_INDEX_NONE;
  }
  return CA_FREE_MAP_NONE;
}

/* Up to 64 blocks, anywhere. */
static inline size_t find_simple(const ca_free_map *self, unsigned length) {
  const unsigned longest = ca_run_index_fitting(&self->index, length);
  if (CA_UNLIKELY(longest == 0)) {
    return CA_FREE_MAP_NONE;
  }
  const size_t group = ca_run_index_first_group(&self->index, longest);
  __builtin_prefetch(self->words + group * CA_RUN_GROUP); /* While the word is being found. */
  const size_t word = ca_run_index_first_in(&self->index, group, longest);
  return word * 64 + part_of(self, word, longest, ca_run_index_place(&self->index, word),
                             bits_behind(self, word), length);
}

static size_t find_known(const ca_free_map *self, size_t length, ca_free_map_places places) {
  if (length > 64) {
    return find_long(self, length, places);
  }
  return places.stride > 1 ? find_short(self, (unsigned)length, places)
                           : find_simple(self, (unsigned)length);
}

/* Where a run would end that begins in the free blocks before the unknown ones, or among them; NONE if
 * there is no room for it. No such run ends below `known`, and not all words are known. */
static size_t end_ahead(const ca_free_map *self, size_t length, ca_free_map_places places) {
  size_t begin = self->known;
  for (size_t word = self->index.known; word > 0 && begin == word * 64; word--) {
    begin -= ca_bits_run_at_top(unless_out(self, word - 1, self->words[word - 1]));
  }
  const size_t padding = (places.stride - begin - places.offset) & (places.stride - 1);
  const size_t room = self->count - begin;
  return padding > room || length > room - padding ? CA_FREE_MAP_NONE : begin + padding + length;
}

/* Looks again with more known: stale words put right, and then words that were never used, but no
 * more of these than serve. */
static CA_COLD size_t find_further(ca_free_map *self, size_t length, ca_free_map_places places) {
  const bool is_simple = length <= 64 && places.stride == 1;
  bool is_news = false;
  size_t first = CA_FREE_MAP_NONE;
  while (first == CA_FREE_MAP_NONE && settle_stale(self)) {
    first = is_simple ? find_known(self, length, places) : first;
    is_news = true;
  }
  first = is_simple || !is_news ? first : find_known(self, length, places);
  if (first == CA_FREE_MAP_NONE && self->index.known < self->index.word_count) {
    const size_t end = end_ahead(self, length, places);
    if (end != CA_FREE_MAP_NONE) {
      know_free(self, ca_free_map_word_count(end) - self->index.known);
      first = find_known(self, length, places);
    }
  }
  return first;
}

size_t ca_free_map_find(ca_free_map *self, size_t length, ca_free_map_places places) {
  const size_t first = find_known(self, length, places);
  return CA_LIKELY(first != CA_FREE_MAP_NONE) ? first : find_further(self, length, places);
}

size_t ca_free_map_take_known(ca_free_map *self, unsigned length) {
  const unsigned longest = ca_run_index_fitting(&self->index, length);
  if (CA_UNLIKELY(longest == 0)) {
    return CA_FREE_MAP_NONE;
  }
  return take_of(self, longest, length);
}

bool ca_free_map_all_free(const ca_free_map *self, size_t first, size_t length) {
  const size_t words = ca_free_map_word_count(first + length);
  return ca_words_next_clear(self->words, words, first) >= first + length;
}

bool ca_free_map_all_taken(const ca_free_map *self, size_t first, size_t length) {
  const size_t words = ca_free_map_word_count(first + length);
  return ca_words_next_set(self->words, words, first) >= first + length;
}

size_t ca_free_map_count_free(const ca_free_map *self) {
  size_t count = self->count - self->known;
  for (size_t word = 0; word < self->index.known; word++) {
    count += ca_bits_count(self->words[word]);
  }
  return count;
}

static bool is_stale(const ca_free_map *self, size_t word) {
  return word < self->index.known && ca_run_index_is_stale(&self->index, word);
}

/* Whether what the index has for the word is there, and begins there; and nothing longer does, or it
 * may not know. */
static bool length_holds(const ca_free_map *self, size_t word) {
  const uint64_t bits = unless_out(self, word, self->words[word]);
  const uint64_t behind = bits_behind(self, word);
  const uint64_t begun = bits & ~(bits << 1 | reaches(self, word));
  const unsigned said = ca_run_index_length(&self->index, word);
  const unsigned place = ca_run_index_place(&self->index, word);
  const uint64_t runs = said == 0 ? 0 : ca_bits_run_starts(bits, behind, said);
  if (said != 0 && (runs >> place & 1) == 0) {
    return false;
  }
  if (is_stale(self, word) || is_stale(self, word + 1) || (word > 0 && is_stale(self, word - 1))) {
    return true;
  }
  return (said == 0 || (begun >> place & 1)) &&
         (said == 64 || (ca_bits_run_starts(bits, behind, said + 1) & begun) == 0);
}

static bool lengths_hold(const ca_free_map *self) {
  for (size_t word = 0; word < self->index.known; word++) {
    if (!length_holds(self, word)) {
      return false;
    }
  }
  return true;
}

bool ca_free_map_check(const ca_free_map *self) {
  const size_t words = self->index.word_count;
  const size_t known = self->index.known;
  const unsigned tail = (unsigned)((self->count - 1) % 64) + 1;
  if (known > words || self->known != (known == words ? self->count : known * 64) ||
      self->words[known] != 0 || self->words[words] != 0 ||
      (known == words && (self->words[words - 1] & ~ca_bits_low(tail)) != 0) ||
      (self->out != CA_FREE_MAP_NONE && self->out >= known) ||
      (self->put != CA_FREE_MAP_NONE &&
       (self->put >= known || !ca_run_index_is_stale(&self->index, self->put)))) {
    return false;
  }
  return ca_run_index_check(&self->index) && lengths_hold(self);
}
