#include "allocators/bit_set/run_index.h"

#include <string.h>

#include "allocators/bit_set/words.h"

static size_t words_for(size_t bits) { return (bits + 63) / 64; }

/* length: 0 for the stale words. */
static uint64_t *set_of(const ca_run_index *self, unsigned length) {
  return self->sets + length * self->set_words;
}

static size_t words_per_set(size_t word_count) {
  size_t total = 0;
  size_t level = word_count;
  do {
    level = words_for(level);
    total += level;
  } while (level > 1);
  return total;
}

size_t ca_run_index_words(size_t word_count) {
  return (CA_RUN_LENGTHS + 1) * words_per_set(word_count);
}

void ca_run_index_init(ca_run_index *self, uint64_t *sets, unsigned char *lengths,
                       size_t word_count) {
  self->sets = sets;
  self->lengths = lengths;
  self->used = 0;
  self->written = 0;
  self->known = 0;
  self->word_count = word_count;
  self->level_count = 0;
  size_t total = 0;
  size_t level = word_count;
  do {
    self->level_begin[self->level_count++] = (uint32_t)total;
    level = words_for(level);
    total += level;
  } while (level > 1);
  self->set_words = total;
}

/* Sets that hold something now are garbage from here on; empty ones stay clean. */
void ca_run_index_reset(ca_run_index *self) {
  self->written &= ~self->used;
  self->used = 0;
  self->known = 0;
}

/* Takes the word out of the set, if it `was` in it (1 or 0); 1 if the set is empty now. */
static inline uint64_t set_remove(const ca_run_index *self, uint64_t *set, size_t word,
                                  uint64_t was) {
  for (unsigned level = 0; level < self->level_count; level++) {
    uint64_t *const at = set + self->level_begin[level] + word / 64;
    const uint64_t rest = *at & ~(was << (word % 64));
    *at = rest;
    was &= rest == 0;
    word /= 64;
  }
  return was;
}

/* Puts the word into the set, or not (1 or 0). */
static inline void set_add(const ca_run_index *self, uint64_t *set, size_t word, uint64_t is) {
  for (unsigned level = 0; level < self->level_count; level++) {
    set[self->level_begin[level] + word / 64] |= is << (word % 64);
    word /= 64;
  }
}

/* A set that was never used since the index was reset holds whatever the memory held. */
static uint64_t *written_set(ca_run_index *self, unsigned length) {
  const uint64_t bit = UINT64_C(1) << (length - 1);
  uint64_t *const set = set_of(self, length);
  if ((self->written & bit) == 0) {
    memset(set, 0, self->set_words * sizeof *set);
    self->written |= bit;
  }
  return set;
}

/* Without branches on the lengths and on what the sets hold, which nobody could foretell: a word
 * without a free run leaves or joins no set, but set 0 is written as it was. */
void ca_run_index_move(ca_run_index *self, size_t word, unsigned length) {
  const unsigned before = self->lengths[word];
  const uint64_t was = before != 0;
  const uint64_t is = length != 0;
  uint64_t *const to = length == 0 ? self->sets : written_set(self, length);
  const uint64_t empty = set_remove(self, set_of(self, before), word, was);
  set_add(self, to, word, is);
  self->lengths[word] = (unsigned char)length;
  self->used &= ~(empty << ((before - 1) & 63));
  self->used |= is << ((length - 1) & 63);
}

void ca_run_index_extend(ca_run_index *self, size_t words, unsigned length) {
  size_t fresh = self->known; /* Of each level, what nothing was told of; */
  size_t first = fresh;       /* what the words stand below; */
  size_t end = fresh + words; /* and what comes after them. */
  uint64_t *const set = length == 0 ? NULL : written_set(self, length);
  memset(self->lengths + first, (int)length, words);
  self->known = end;
  for (unsigned level = 0; level < self->level_count; level++) {
    uint64_t *const stale = self->sets + self->level_begin[level];
    fresh = words_for(fresh);
    for (size_t i = fresh; i < words_for(end); i++) {
      stale[i] = 0;
    }
    if (set != NULL) {
      ca_words_set(set + self->level_begin[level], first, end - first);
    }
    first /= 64;
    end = words_for(end);
  }
  if (set != NULL) {
    self->used |= UINT64_C(1) << (length - 1);
  }
}

void ca_run_index_mark_stale_above(ca_run_index *self, size_t word) {
  for (unsigned level = 1; level < self->level_count; level++) {
    word /= 64;
    uint64_t *const at = self->sets + self->level_begin[level] + word / 64;
    const uint64_t before = *at;
    *at = before | UINT64_C(1) << (word % 64);
    if (before != 0) {
      return;
    }
  }
}

size_t ca_run_index_take_stale(ca_run_index *self) {
  if (self->known == 0 || self->sets[self->set_words - 1] == 0) {
    return CA_RUN_INDEX_NONE;
  }
  const size_t word = ca_run_index_first(self, 0);
  set_remove(self, self->sets, word, 1);
  return word;
}

size_t ca_run_index_first(const ca_run_index *self, unsigned length) {
  const uint64_t *const set = set_of(self, length);
  size_t at = 0;
  for (unsigned level = self->level_count; level-- > 0;) {
    at = at * 64 + ca_bits_lowest(set[self->level_begin[level] + at]);
  }
  return at;
}

size_t ca_run_index_next(const ca_run_index *self, unsigned length, size_t from) {
  if ((self->used >> (length - 1) & 1) == 0) {
    return CA_RUN_INDEX_NONE;
  }
  const uint64_t *const set = set_of(self, length);
  size_t bits = self->word_count; /* Of the level. */
  unsigned level = 0;
  uint64_t rest = 0;
  while (from < bits) { /* Up, to the first word that has a bit at or above `from` .. */
    rest = set[self->level_begin[level] + from / 64] & UINT64_MAX << (from % 64);
    if (rest != 0 || ++level == self->level_count) {
      break;
    }
    from = from / 64 + 1;
    bits = words_for(bits);
  }
  if (rest == 0) {
    return CA_RUN_INDEX_NONE;
  }
  size_t at = from / 64 * 64 + ca_bits_lowest(rest);
  while (level-- > 0) { /* .. and down to its lowest word. */
    at = at * 64 + ca_bits_lowest(set[self->level_begin[level] + at]);
  }
  return at;
}

/* `known` things stand below the lowest level: of a set without garbage all that it may have. */
static bool summaries_agree(const ca_run_index *self, const uint64_t *set, size_t known) {
  size_t below = words_for(known);
  for (unsigned level = 1; level < self->level_count; level++) {
    for (size_t i = 0; i < words_for(below) * 64; i++) {
      const bool summary = set[self->level_begin[level] + i / 64] >> (i % 64) & 1;
      if (summary != (i < below && set[self->level_begin[level - 1] + i] != 0)) {
        return false;
      }
    }
    below = words_for(below);
  }
  return true;
}

static bool members_have_length(const ca_run_index *self, unsigned length, size_t *members) {
  const uint64_t *const set = set_of(self, length);
  for (size_t i = 0; i < words_for(self->word_count); i++) {
    for (uint64_t rest = set[i]; rest != 0; rest = ca_bits_clear_lowest(rest)) {
      const size_t word = i * 64 + ca_bits_lowest(rest);
      if (word >= self->known || self->lengths[word] != length) {
        return false;
      }
      (*members)++;
    }
  }
  return true;
}

static bool stale_are_known(const ca_run_index *self) {
  const size_t last = words_for(self->known) - 1;
  const unsigned tail = (unsigned)((self->known - 1) % 64) + 1;
  return (self->sets[last] & ~ca_bits_low(tail)) == 0 &&
         summaries_agree(self, self->sets, self->known);
}

bool ca_run_index_check(const ca_run_index *self) {
  size_t members = 0;
  size_t expected = 0;
  if ((self->used & ~self->written) != 0 || self->known > self->word_count ||
      (self->known > 0 && !stale_are_known(self))) {
    return false;
  }
  for (unsigned length = 1; length <= CA_RUN_LENGTHS; length++) {
    if ((self->written >> (length - 1) & 1) == 0) {
      continue;
    }
    const bool used = self->used >> (length - 1) & 1;
    const uint64_t *const set = set_of(self, length);
    if (used != (set[self->set_words - 1] != 0) || !summaries_agree(self, set, self->word_count) ||
        !members_have_length(self, length, &members)) {
      return false;
    }
  }
  for (size_t word = 0; word < self->known; word++) {
    if (self->lengths[word] > CA_RUN_LENGTHS) {
      return false;
    }
    expected += self->lengths[word] != 0;
  }
  return members == expected;
}
