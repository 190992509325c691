#include "allocators/bit_set/run_index.h"

#include <string.h>

#include "allocators/bit_set/words.h"

static size_t words_for(size_t bits) { return (bits + 63) / 64; }
static size_t groups_for(size_t words) { return (words + CA_RUN_GROUP - 1) / CA_RUN_GROUP; }

/* Of a set of up to `bits` things, how many words all levels have. */
static size_t lay_out(ca_run_levels *levels, size_t bits) {
  size_t total = 0;
  levels->count = 0;
  while (bits > 1) {
    bits = words_for(bits);
    levels->begin[levels->count++] = (uint32_t)total;
    total += bits;
  }
  return total;
}

/* Stale words have one level even if there's only one word. */
static size_t lay_out_stale(ca_run_levels *levels, size_t words) {
  return lay_out(levels, words > 1 ? words : 2);
}

size_t ca_run_index_words(size_t word_count) {
  ca_run_levels levels;
  const size_t stale = lay_out_stale(&levels, word_count);
  const size_t groups = groups_for(word_count);
  return lay_out(&levels, groups) * CA_RUN_LENGTHS +
         groups * (sizeof(ca_run_group) / sizeof(uint64_t)) + stale;
}

void ca_run_index_init(ca_run_index *self, uint64_t *storage, size_t word_count) {
  const size_t groups = groups_for(word_count);
  self->sets = storage;
  self->groups = (ca_run_group *)(void *)(storage + lay_out(&self->level, groups) * CA_RUN_LENGTHS);
  self->stale = (uint64_t *)(void *)(self->groups + groups);
  self->used = 0;
  self->known = 0;
  self->word_count = word_count;
  lay_out_stale(&self->stale_level, word_count);
}

void ca_run_index_reset(ca_run_index *self) {
  self->used = 0;
  self->known = 0;
}

/* What was never told of the sets' words, below their last level, and of the stale ones'. */
static void clear_fresh(ca_run_index *self, size_t first, size_t end) {
  size_t from = groups_for(first);
  size_t to = groups_for(end);
  for (unsigned level = 0; level + 1 < self->level.count; level++) {
    from = words_for(from);
    to = words_for(to);
    memset(ca_run_index_set_word(self, level, from, 1), 0,
           (to - from) * CA_RUN_LENGTHS * sizeof(uint64_t));
  }
  from = first;
  to = end;
  for (unsigned level = 0; level < self->stale_level.count; level++) {
    from = words_for(from);
    to = words_for(to);
    ca_words_fill(self->stale + self->stale_level.begin[level], from, to, 0);
  }
}

void ca_run_index_extend(ca_run_index *self, size_t words) {
  const size_t end = self->known + words;
  clear_fresh(self, self->known, end);
  for (size_t group = groups_for(self->known); group < groups_for(end); group++) {
    self->groups[group] = (ca_run_group){.lengths = 0};
  }
  self->known = end;
}

void ca_run_index_mark_stale_above(ca_run_index *self, size_t word) {
  for (unsigned level = 1; level < self->stale_level.count; level++) {
    word /= 64;
    uint64_t *const at = self->stale + self->stale_level.begin[level] + word / 64;
    const uint64_t before = *at;
    *at = before | UINT64_C(1) << (word % 64);
    if (before != 0) {
      return;
    }
  }
}

size_t ca_run_index_take_stale(ca_run_index *self) {
  const ca_run_levels *const levels = &self->stale_level;
  unsigned level = levels->count - 1;
  if (self->known == 0 || self->stale[levels->begin[level]] == 0) {
    return CA_RUN_INDEX_NONE;
  }
  size_t word = ca_bits_lowest(self->stale[levels->begin[level]]);
  while (level-- > 0) {
    word = word * 64 + ca_bits_lowest(self->stale[levels->begin[level] + word]);
  }
  size_t at = word;
  for (level = 0; level < levels->count; level++) {
    uint64_t *const of = self->stale + levels->begin[level] + at / 64;
    *of = ca_bits_clear_lowest(*of);
    if (*of != 0) {
      break;
    }
    at /= 64;
  }
  return word;
}

/* The lowest group at or above `from` that has a word of this length, which is in use. */
static size_t next_group(const ca_run_index *self, unsigned length, size_t from) {
  size_t bits = groups_for(self->known); /* Of the level. */
  unsigned level = 0;
  uint64_t rest = 0;
  while (from < bits && level < self->level.count) { /* Up, to the first word that has a bit .. */
    rest = *ca_run_index_set_word(self, level, from / 64, length) & UINT64_MAX << (from % 64);
    if (rest != 0) {
      break;
    }
    level++;
    from = from / 64 + 1;
    bits = words_for(bits);
  }
  if (rest == 0) {
    return CA_RUN_INDEX_NONE;
  }
  size_t at = from / 64 * 64 + ca_bits_lowest(rest);
  while (level-- > 0) { /* .. and down to its lowest group. */
    at = at * 64 + ca_bits_lowest(*ca_run_index_set_word(self, level, at, length));
  }
  return at;
}

size_t ca_run_index_next(const ca_run_index *self, unsigned length, size_t from) {
  if (from >= self->known || (self->used >> (length - 1) & 1) == 0) {
    return CA_RUN_INDEX_NONE;
  }
  const size_t group = from / CA_RUN_GROUP;
  const uint64_t here = ca_run_index_bytes_of(self->groups[group].lengths, length) &
                        UINT64_MAX << (from % CA_RUN_GROUP * 8);
  if (here != 0) {
    return group * CA_RUN_GROUP + ca_bits_lowest(here) / 8;
  }
  const size_t next = next_group(self, length, group + 1);
  return next == CA_RUN_INDEX_NONE ? CA_RUN_INDEX_NONE : ca_run_index_first_in(self, next, length);
}

static bool lengths_are_right(const ca_run_index *self) {
  for (size_t word = 0; word < groups_for(self->known) * CA_RUN_GROUP; word++) {
    if (ca_run_index_length(self, word) > (word < self->known ? CA_RUN_LENGTHS : 0U) ||
        (word < self->known && ca_run_index_place(self, word) >= 64)) {
      return false;
    }
  }
  return true;
}

static bool group_has(const ca_run_index *self, size_t group, unsigned length) {
  return ca_run_index_bytes_of(self->groups[group].lengths, length) != 0;
}

/* Whether any word has the length, and its set's lowest level says which groups. */
static bool groups_agree(const ca_run_index *self, unsigned length, bool *any) {
  const size_t groups = groups_for(self->known);
  for (size_t group = 0; group < groups; group++) {
    *any |= group_has(self, group, length);
  }
  if (!*any || self->level.count == 0) {
    return true;
  }
  for (size_t group = 0; group < words_for(groups) * 64; group++) {
    const bool said = *ca_run_index_set_word(self, 0, group / 64, length) >> (group % 64) & 1;
    if (said != (group < groups && group_has(self, group, length))) {
      return false;
    }
  }
  return true;
}

/* Whether each bit of a level says if the word below it isn't 0. `below`: how many words that are
 * known there. */
static bool summary_agrees(const uint64_t *level, const uint64_t *under, size_t stride,
                           size_t below) {
  for (size_t i = 0; i < words_for(below) * 64; i++) {
    const bool said = level[i / 64 * stride] >> (i % 64) & 1;
    if (said != (i < below && under[i * stride] != 0)) {
      return false;
    }
  }
  return true;
}

static bool set_agrees(const ca_run_index *self, unsigned length) {
  bool any = false;
  if (!groups_agree(self, length, &any) || any != (self->used >> (length - 1) & 1)) {
    return false;
  }
  size_t below = words_for(groups_for(self->known));
  for (unsigned level = 0; level + 1 < self->level.count; level++) {
    if (any) {
      if (!summary_agrees(ca_run_index_set_word(self, level + 1, 0, length),
                          ca_run_index_set_word(self, level, 0, length), CA_RUN_LENGTHS, below)) {
        return false;
      }
    } else {
      for (size_t at = 0; at < below; at++) {
        if (*ca_run_index_set_word(self, level, at, length) != 0) {
          return false;
        }
      }
    }
    below = words_for(below);
  }
  return true;
}

static bool stale_agree(const ca_run_index *self) {
  const size_t last = words_for(self->known) - 1;
  if ((self->stale[last] & ~ca_bits_low((unsigned)((self->known - 1) % 64) + 1)) != 0) {
    return false;
  }
  size_t below = last + 1;
  for (unsigned level = 0; level + 1 < self->stale_level.count; level++) {
    if (!summary_agrees(self->stale + self->stale_level.begin[level + 1],
                        self->stale + self->stale_level.begin[level], 1, below)) {
      return false;
    }
    below = words_for(below);
  }
  return true;
}

bool ca_run_index_check(const ca_run_index *self) {
  if (self->known > self->word_count) {
    return false;
  }
  if (self->known == 0) {
    return self->used == 0;
  }
  if (!lengths_are_right(self) || !stale_agree(self)) {
    return false;
  }
  for (unsigned length = 1; length <= CA_RUN_LENGTHS; length++) {
    if (!set_agrees(self, length)) {
      return false;
    }
  }
  return true;
}
