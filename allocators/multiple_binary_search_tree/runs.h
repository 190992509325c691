/* allocators/multiple_binary_search_tree/runs.h - the free runs of a region and its marks.
 *
 * An inner part of multiple_binary_search_tree.c, whose header has the invariant. Numbers are of
 * granules, a run is [begin, end). Nothing here knows of the lists.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_RUNS_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_RUNS_H_

#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

typedef ca_multiple_binary_search_tree trees;

enum {
  GRANULE = CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE,
  WORDS_OF_GRANULE = GRANULE / (int)sizeof(uint32_t),
  LISTED_MAX = CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX,
  CLASSES = CA_MULTIPLE_BINARY_SEARCH_TREE_CLASSES,
  MASK_WORDS = CA_MULTIPLE_BINARY_SEARCH_TREE_MASK_WORDS,
  EXACT_CLASSES = 64,
};

/* The interface's tables; private to this component. */
extern const ca_allocator_ops runs_forgetting_ops;
extern const ca_allocator_ops runs_recording_ops;

/* Marks. */

static inline uint64_t *free_word(const trees *self, uint32_t number) {
  return (uint64_t *)(void *)self->memory + ((size_t)(number >> 6) << self->recording);
}

/* Only where sizes are recorded. */
static inline uint64_t *begins_word(const trees *self, uint32_t number) {
  return (uint64_t *)(void *)self->memory + ((size_t)(number >> 6) << 1) + 1;
}

static inline uint64_t bit_of(uint32_t number) { return UINT64_C(1) << (number & 63); }

/* Whether a free run begins or ends at `number`. */
static inline bool is_edge(const trees *self, uint32_t number) {
  uint64_t word = *free_word(self, number);
  if (self->recording != 0) {
    word &= ~*begins_word(self, number);
  }
  return (word & bit_of(number)) != 0;
}

/* Where the block that begins at `number` ends. Sizes recorded. */
static inline uint32_t end_of_block(const trees *self, uint32_t number) {
  const uint64_t *pair = free_word(self, number);
  uint64_t marks = (pair[0] | pair[1]) >> (number & 63) >> 1;
  if (CA_LIKELY(marks != 0)) {
    return number + 1 + (uint32_t)__builtin_ctzll(marks);
  }
  uint32_t at = number & ~UINT32_C(63);
  do { /* Ends at top at the latest, which has a mark. */
    pair += 2;
    at += 64;
    marks = pair[0] | pair[1];
  } while (marks == 0);
  return at + (uint32_t)__builtin_ctzll(marks);
}

/* Nodes. */

static inline ca_red_black_node *node_at(const trees *self, uint32_t number) {
  return (ca_red_black_node *)(void *)self->memory + number;
}

static inline uint32_t length_at(const trees *self, uint32_t edge) {
  const ca_red_black_node *const node = node_at(self, edge);
  ca_unpoison_defined(node, GRANULE);
  const uint32_t length = node->owner;
  ca_poison(node, GRANULE);
  return length;
}

static inline char *address_of(const trees *self, uint32_t number) {
  return self->memory + (size_t)number * GRANULE;
}

static inline unsigned class_of(uint32_t length) {
  if (length <= EXACT_CLASSES) {
    return length - 1;
  }
  const unsigned log = 31U - (unsigned)__builtin_clz(length);
  return EXACT_CLASSES + (log - 6) * 8 + ((length >> (log - 3)) & 7);
}

/* The first non-empty class from `from` on, or CLASSES. */
unsigned runs_class_from(const trees *self, unsigned from);

/* Takes `length` granules out, the first one's address a multiple of align (at least GRANULE), and
 * returns its number; or 0, and nothing has changed. May miss a run that fits only just. */
uint32_t runs_take(trees *self, uint32_t length, size_t align);

/* The same, but misses none: a walk over all runs that are long enough. */
uint32_t runs_take_any(trees *self, uint32_t length, size_t align);

/* Puts [begin, end), which has no marks, back, and merges it with its neighbours. */
void runs_give(trees *self, uint32_t begin, uint32_t end);

/* Takes [begin, end) from the free granules that begin at `begin`; false if they don't reach. */
bool runs_take_at(trees *self, uint32_t begin, uint32_t end);

/* Whether runs_take() is certain to find something, wherever that lies. */
bool runs_could_take(const trees *self, uint32_t length, size_t align);

/* Whether marks and trees lie where their number of granules and the mode say, in the region that
 * was obtained. Reads no more than *self. */
bool runs_are_laid_out(const trees *self);

/* Whether the invariant of marks, runs, trees and top holds. */
bool runs_check(const trees *self);

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_RUNS_H_ */
