#include "allocators/multiple_binary_search_tree/runs.h"

#include <string.h>

/* In a class of several lengths, so many runs are asked whether they are long enough; then one of
 * the next class is, without being asked. */
enum { WALK_STEPS = 8 };

static inline void mark_free(trees *self, uint32_t number) {
  *free_word(self, number) |= bit_of(number);
}

static inline void unmark_free(trees *self, uint32_t number) {
  *free_word(self, number) &= ~bit_of(number);
}

static inline void set_length(trees *self, uint32_t begin, uint32_t length) {
  ca_red_black_node *const node = node_at(self, begin);
  ca_red_black_node *const last = node_at(self, begin + length - 1);
  ca_unpoison_defined(node, GRANULE);
  node->owner = length;
  ca_poison(node, GRANULE);
  ca_unpoison_defined(last, GRANULE);
  last->owner = length;
  ca_poison(last, GRANULE);
}

/* Into and out of the trees; the marks are the caller's. */

static void link(trees *self, unsigned class, uint32_t begin) {
  uint64_t *const word = &self->classes[class / 64];
  const uint64_t bit = UINT64_C(1) << (class % 64);
  if ((*word & bit) == 0) {
    *word |= bit;
    ca_red_black_insert_first(&self->trees[class], node_at(self, 0), begin);
  } else {
    ca_red_black_insert(&self->trees[class], node_at(self, 0), begin);
  }
}

/* Most trees that lose a node have no other: no call then. */
static void unlink(trees *self, unsigned class, uint32_t begin) {
  ca_red_black_tree *const tree = &self->trees[class];
  if (ca_red_black_is_only(tree, node_at(self, 0), begin)) {
    self->classes[class / 64] &= ~(UINT64_C(1) << (class % 64));
  } else {
    ca_red_black_erase(tree, node_at(self, 0), begin);
  }
}

/* A free run becomes another one that has granules in common with it or touches it: where the class
 * stays the same, so does the place in the tree. */
static inline void relink(trees *self, uint32_t begin, uint32_t length, uint32_t new_begin,
                          uint32_t new_length) {
  const unsigned class = class_of(length);
  const unsigned new_class = class_of(new_length);
  if (class != new_class) {
    unlink(self, class, begin);
    link(self, new_class, new_begin);
  } else if (begin != new_begin) {
    ca_red_black_replace(&self->trees[class], node_at(self, 0), begin, new_begin);
  }
}

static void insert(trees *self, uint32_t begin, uint32_t length) {
  mark_free(self, begin);
  mark_free(self, begin + length - 1);
  set_length(self, begin, length);
  self->free_granules += length;
  link(self, class_of(length), begin);
}

static void erase(trees *self, uint32_t begin, uint32_t length) {
  unmark_free(self, begin);
  unmark_free(self, begin + length - 1);
  self->free_granules -= length;
  unlink(self, class_of(length), begin);
}

/* A free run loses granules at its begin, or at its end, but not all. */
static void cut_begin(trees *self, uint32_t begin, uint32_t length, uint32_t rest) {
  const uint32_t new_begin = begin + (length - rest);
  unmark_free(self, begin);
  mark_free(self, new_begin);
  relink(self, begin, length, new_begin, rest);
  set_length(self, new_begin, rest);
  self->free_granules -= length - rest;
}

static void cut_end(trees *self, uint32_t begin, uint32_t length, uint32_t rest) {
  unmark_free(self, begin + length - 1);
  mark_free(self, begin + rest - 1);
  relink(self, begin, length, begin, rest);
  set_length(self, begin, rest);
  self->free_granules -= length - rest;
}

/* Top. */

/* Marks begin to be kept. The granule before the first one is asked for its own too. */
static CA_COLD void clear_first_marks(trees *self) {
  *free_word(self, self->first - 1) = 0;
  *free_word(self, self->first) = 0;
  if (self->recording != 0) {
    *begins_word(self, self->first - 1) = 0;
    *begins_word(self, self->first) = 0;
  }
}

static void set_top(trees *self, uint32_t to) {
  const uint32_t from = self->top;
  if (from == self->first) {
    clear_first_marks(self);
  } else if (self->recording != 0) {
    *begins_word(self, from) &= ~bit_of(from);
  }
  if ((to >> 6) > (from >> 6)) { /* Marks are kept up to top's word. */
    uint64_t *const next = free_word(self, (from & ~UINT32_C(63)) + 64);
    memset(next, 0, (size_t)((to >> 6) - (from >> 6)) * sizeof *next << self->recording);
  }
  if (self->recording != 0) {
    *begins_word(self, to) |= bit_of(to);
  }
  self->top = to;
  if (to > self->highest) {
    self->highest = to;
  }
}

/* Searching. */

unsigned runs_class_from(const trees *self, unsigned from) {
  unsigned at = from / 64;
  if (at >= MASK_WORDS) {
    return CLASSES;
  }
  uint64_t word = self->classes[at] & (~UINT64_C(0) << (from % 64));
  while (word == 0) {
    if (++at == MASK_WORDS) {
      return CLASSES;
    }
    word = self->classes[at];
  }
  return at * 64 + (unsigned)__builtin_ctzll(word);
}

/* A run of at least `length`, lowest address of its class; 0 if none was found. */
static uint32_t find(const trees *self, uint32_t length) {
  unsigned class = class_of(length);
  if (class >= EXACT_CLASSES && (self->classes[class / 64] >> (class % 64) & 1) != 0) {
    uint32_t at = self->trees[class].leftmost;
    for (int step = 0; step < WALK_STEPS && at != 0; ++step) {
      if (length_at(self, at) >= length) {
        return at;
      }
      at = ca_red_black_next(node_at(self, 0), at);
    }
  }
  class = runs_class_from(self, class < EXACT_CLASSES ? class : class + 1);
  return class == CLASSES ? 0 : self->trees[class].leftmost;
}

/* Granules from `number` up to the next one aligned. */
static inline size_t granules_to(const trees *self, uint32_t number, size_t align) {
  return ca_padding_to((uintptr_t)address_of(self, number), align) / GRANULE;
}

/* Takes [at, at + length) out of the free run at `run`. */
static void carve(trees *self, uint32_t run, uint32_t at, uint32_t length) {
  const uint32_t run_length = length_at(self, run);
  const uint32_t head = at - run;
  const uint32_t tail = run_length - head - length;
  if (head != 0) {
    cut_end(self, run, run_length, head);
    if (tail != 0) {
      insert(self, at + length, tail);
    }
  } else if (tail != 0) {
    cut_begin(self, run, run_length, tail);
  } else {
    erase(self, run, run_length);
  }
}

static uint32_t take_from_top(trees *self, uint32_t length, size_t align) {
  const uint32_t begin = self->top;
  const size_t padding = granules_to(self, begin, align);
  const size_t room = self->end - begin;
  if (room < length || room - length < padding) {
    return 0;
  }
  const uint32_t at = begin + (uint32_t)padding;
  set_top(self, at + length);
  if (at != begin) {
    insert(self, begin, at - begin); /* The granule before top is never free. */
  }
  return at;
}

/* A run of so many granules has a place for any block of the length and the alignment. */
static size_t padded_for(uint32_t length, size_t align) { return length + (align / GRANULE - 1); }

uint32_t runs_take(trees *self, uint32_t length, size_t align) {
  const size_t padded = padded_for(length, align);
  const uint32_t run = padded < self->end ? find(self, (uint32_t)padded) : 0;
  if (run == 0) {
    return take_from_top(self, length, align);
  }
  const uint32_t at = run + (uint32_t)granules_to(self, run, align);
  carve(self, run, at, length);
  return at;
}

bool runs_could_take(const trees *self, uint32_t length, size_t align) {
  const size_t padded = padded_for(length, align);
  return self->end - self->top >= padded ||
         (padded < self->end && find(self, (uint32_t)padded) != 0);
}

uint32_t runs_take_any(trees *self, uint32_t length, size_t align) {
  for (unsigned class = runs_class_from(self, class_of(length)); class < CLASSES;
       class = runs_class_from(self, class + 1)) {
    uint32_t run = self->trees[class].leftmost;
    for (; run != 0; run = ca_red_black_next(node_at(self, 0), run)) {
      const uint32_t room = length_at(self, run);
      const size_t padding = granules_to(self, run, align);
      if (room >= length && room - length >= padding) {
        const uint32_t at = run + (uint32_t)padding;
        carve(self, run, at, length);
        return at;
      }
    }
  }
  return 0;
}

bool runs_take_at(trees *self, uint32_t begin, uint32_t end) {
  if (begin == self->top) {
    if (end > self->end) {
      return false;
    }
    set_top(self, end);
    return true;
  }
  if (!is_edge(self, begin) || length_at(self, begin) < end - begin) {
    return false;
  }
  carve(self, begin, begin, end - begin);
  return true;
}

/* The marks where two runs meet vanish, but not those that are also a merged run's end: of a run of
 * one granule. */
void runs_give(trees *self, uint32_t begin, uint32_t end) {
  const uint32_t left = is_edge(self, begin - 1) ? length_at(self, begin - 1) : 0;
  if (end == self->top) {
    if (left != 0) {
      erase(self, begin - left, left);
    }
    set_top(self, begin - left);
    return;
  }
  const uint32_t right = is_edge(self, end) ? length_at(self, end) : 0;
  const uint32_t length = left + (end - begin) + right;
  const uint32_t merged = begin - left;
  if (left > 1) {
    unmark_free(self, begin - 1);
  } else if (left == 0) {
    mark_free(self, begin);
  }
  if (right > 1) {
    unmark_free(self, end);
  } else if (right == 0) {
    mark_free(self, end - 1);
  }
  if (left != 0) {
    if (right != 0) {
      unlink(self, class_of(right), end);
    }
    relink(self, merged, left, merged, length);
  } else if (right != 0) {
    relink(self, end, right, merged, length);
  } else {
    link(self, class_of(length), merged);
  }
  set_length(self, merged, length);
  self->free_granules += end - begin;
}
