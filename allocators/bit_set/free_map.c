#include "allocators/bit_set/free_map.h"

#include <string.h>

#include "base/check.h"

size_t ca_free_map_bytes(size_t count) {
  const size_t words = ca_free_map_word_count(count);
  return (words + 1 + ca_run_index_words(words)) * sizeof(uint64_t) + words;
}

void ca_free_map_init(ca_free_map *self, void *storage, size_t count) {
  const size_t words = ca_free_map_word_count(count);
  uint64_t *const sets = (uint64_t *)storage + words + 1;
  self->words = storage;
  self->count = count;
  ca_run_index_init(&self->index, sets, NULL, words);
  self->index.lengths = (unsigned char *)(sets + CA_RUN_LENGTHS * self->index.set_words);
}

void ca_free_map_fill(ca_free_map *self) {
  const size_t words = self->index.word_count;
  const unsigned tail = (unsigned)((self->count - 1) % 64) + 1;
  memset(self->words, 0xFF, words * sizeof *self->words);
  self->words[words - 1] = ca_bits_low(tail);
  self->words[words] = 0;
  ca_run_index_fill(&self->index, tail);
}

/* What the index has to say of the word. */
static inline unsigned longest_from(const ca_free_map *self, size_t word) {
  const uint64_t bits = self->words[word];
  if (bits == 0) {
    return 0;
  }
  const unsigned inside = ca_bits_longest_run(bits);
  const unsigned at_top = ca_bits_run_at_top(bits);
  if (at_top == 0) {
    return inside;
  }
  const unsigned across = at_top + ca_bits_run_at_bottom(self->words[word + 1]);
  const unsigned longest = across > inside ? across : inside;
  return longest < 64 ? longest : 64;
}

static inline void settle(ca_free_map *self, size_t word) {
  ca_run_index_put(&self->index, word, longest_from(self, word));
}

/* Runs that begin in the word before may reach into this one, whose lowest bits have changed. */
static inline void settle_before(ca_free_map *self, size_t word) {
  if (word > 0 && self->words[word - 1] >> 63) {
    settle(self, word - 1);
  }
}

static void settle_range(ca_free_map *self, size_t first, size_t length) {
  const size_t last_word = (first + length - 1) / 64;
  for (size_t word = first / 64; word <= last_word; word++) {
    settle(self, word);
  }
  settle_before(self, first / 64);
}

void ca_free_map_take(ca_free_map *self, size_t first, size_t length) {
  ca_words_clear(self->words, first, length);
  settle_range(self, first, length);
}

void ca_free_map_give(ca_free_map *self, size_t first, size_t length) {
  ca_words_set(self->words, first, length);
  settle_range(self, first, length);
}

/* The run that has grown is the one around the block: if it's not longer than the word's longest,
 * nothing is to be told. */
void ca_free_map_give_one(ca_free_map *self, size_t block) {
  const size_t word = block / 64;
  const unsigned at = (unsigned)(block % 64);
  const uint64_t bits = self->words[word] | UINT64_C(1) << at;
  self->words[word] = bits;
  const unsigned below = ca_bits_run_at_top(bits << (63 - at));
  const unsigned above = ca_bits_run_at_bottom(bits >> at);
  unsigned length = below + above - 1;
  if (CA_UNLIKELY(at + above == 64)) {
    length += ca_bits_run_at_bottom(self->words[word + 1]);
    length = length < 64 ? length : 64;
  }
  if (length > self->index.lengths[word]) {
    ca_run_index_move(&self->index, word, length);
  }
  if (CA_UNLIKELY(below == at + 1)) {
    settle_before(self, word);
  }
}

uint64_t ca_free_map_check_out(ca_free_map *self, size_t word) {
  const uint64_t bits = self->words[word];
  self->words[word] = 0;
  ca_run_index_put(&self->index, word, 0);
  if (bits & 1) {
    settle_before(self, word);
  }
  return bits;
}

void ca_free_map_check_in(ca_free_map *self, size_t word, uint64_t bits) {
  if (bits != 0) {
    self->words[word] = bits;
    settle(self, word);
    if (bits & 1) {
      settle_before(self, word);
    }
  }
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

/* Up to 64 blocks, within a word and the next one. */
static size_t find_short(const ca_free_map *self, unsigned length, ca_free_map_places places) {
  for (unsigned longest = ca_run_index_fitting(&self->index, length); longest != 0;
       longest = longest == 64 ? 0 : ca_run_index_fitting(&self->index, longest + 1)) {
    size_t word = ca_run_index_next(&self->index, longest, 0);
    while (word != CA_RUN_INDEX_NONE) {
      const uint64_t starts = ca_bits_run_starts(self->words[word], self->words[word + 1], length) &
                              places_in(places, word);
      if (starts != 0) {
        return word * 64 + ca_bits_lowest(starts);
      }
      word = ca_run_index_next(&self->index, longest, word + 1);
    }
  }
  return CA_FREE_MAP_NONE;
}

/* More than 64 blocks: such a run leaves its first word by the top, and that word's length is 64.
 */
static size_t find_long(const ca_free_map *self, size_t length, ca_free_map_places places) {
  const size_t word_count = self->index.word_count;
  size_t word = ca_run_index_next(&self->index, 64, 0);
  while (word != CA_RUN_INDEX_NONE) {
    const size_t begin = word * 64 + 64 - ca_bits_run_at_top(self->words[word]);
    const size_t first = begin + ((places.stride - begin - places.offset) & (places.stride - 1));
    if (first > self->count || length > self->count - first) {
      break;
    }
    const size_t words_needed = ca_free_map_word_count(first + length);
    const size_t end = ca_words_next_clear(self->words, words_needed, begin);
    if (end >= first + length) {
      return first;
    }
    word =
        end / 64 < word_count ? ca_run_index_next(&self->index, 64, end / 64) : CA_RUN_INDEX_NONE;
  }
  return CA_FREE_MAP_NONE;
}

size_t ca_free_map_find(const ca_free_map *self, size_t length) {
  if (length > 64) {
    return find_long(self, length, (ca_free_map_places){.stride = 1, .offset = 0});
  }
  const unsigned longest = ca_run_index_fitting(&self->index, (unsigned)length);
  if (longest == 0) {
    return CA_FREE_MAP_NONE;
  }
  const size_t word = ca_run_index_first(&self->index, longest);
  return word * 64 + ca_bits_lowest(ca_bits_run_starts(self->words[word], self->words[word + 1],
                                                       (unsigned)length));
}

size_t ca_free_map_find_placed(const ca_free_map *self, size_t length, ca_free_map_places places) {
  return length > 64 ? find_long(self, length, places) : find_short(self, (unsigned)length, places);
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
  size_t count = 0;
  for (size_t word = 0; word < self->index.word_count; word++) {
    count += ca_bits_count(self->words[word]);
  }
  return count;
}

bool ca_free_map_check(const ca_free_map *self) {
  const size_t words = self->index.word_count;
  const unsigned tail = (unsigned)((self->count - 1) % 64) + 1;
  if ((self->words[words - 1] & ~ca_bits_low(tail)) != 0 || self->words[words] != 0) {
    return false;
  }
  for (size_t word = 0; word < words; word++) {
    if (self->index.lengths[word] != longest_from(self, word)) {
      return false;
    }
  }
  return ca_run_index_check(&self->index);
}
