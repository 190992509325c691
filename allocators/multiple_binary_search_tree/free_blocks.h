/* allocators/multiple_binary_search_tree/free_blocks.h - the trees, and how neighbours are found.
 *
 * Private to multiple_binary_search_tree. A free block holds its records inside itself, poisoned:
 *   - its first granule is the node of its tree, with the bits below;
 *   - of two granules or more, the first word of the second granule and the third word of the last
 *     are its size, and the fourth word of the last is 0; one granule is told by FREE_BLOCK_SINGLE,
 *     which stands in the same word.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_FREE_BLOCKS_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_FREE_BLOCKS_H_

#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

typedef ca_multiple_binary_search_tree heap;

enum {
  GRANULE = CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE,
  LISTED_MAX = CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX,
  CELL_SHIFT = 6, /* 64 granules: 1 KiB. */
  CELL = 1 << CELL_SHIFT,

  /* Of a node's bits; bit 0 is the tree's colour. */
  FREE_BLOCK_IN_TREE = 2,
  FREE_BLOCK_SINGLE = 4,
  FREE_BLOCK_NEXT_SHIFT = 8, /* The next free block of its KiB, as in a cell. */
};

static inline ca_red_black_node *ca_free_blocks_nodes(const heap *self) {
  return (ca_red_black_node *)(void *)self->origin;
}

/* The granule at `at`, whatever it holds, and storing it. */
static inline ca_red_black_node ca_free_blocks_load(const heap *self, uint32_t at) {
  ca_red_black_node *const node = ca_free_blocks_nodes(self) + at;
  ca_unpoison_defined(node, sizeof *node);
  const ca_red_black_node copy = *node;
  ca_poison(node, sizeof *node);
  return copy;
}

static inline void ca_free_blocks_store(heap *self, uint32_t at, ca_red_black_node value) {
  ca_red_black_node *const node = ca_free_blocks_nodes(self) + at;
  ca_unpoison(node, sizeof *node);
  *node = value;
  ca_poison(node, sizeof *node);
}

/* The class of blocks of that many granules: exact below 16, then 8 classes a doubling. */
static inline unsigned ca_free_blocks_class(uint32_t granules) {
  if (granules < 16) {
    return granules;
  }
  const unsigned log2 = 31U - (unsigned)__builtin_clz(granules);
  return 16 + (log2 - 4) * 8 + ((granules >> (log2 - 3)) & 7);
}

/* The first class at or above `from` whose tree isn't empty, or 256. */
unsigned ca_free_blocks_next_class(const heap *self, unsigned from);

/* Granules of the free block at `at`. */
uint32_t ca_free_blocks_size(const heap *self, uint32_t at);

/* Granules of the free block that begins at `at`; 0: none does. Requires at <= top. */
uint32_t ca_free_blocks_at(const heap *self, uint32_t at);

/* Frees [at, at + granules), which carries no marks, merging it with what is free around it. */
void ca_free_blocks_put(heap *self, uint32_t at, uint32_t granules);

/* Cuts `granules` off the end, or off the beginning, of the free block at `at`. */
void ca_free_blocks_cut_end(heap *self, uint32_t at, uint32_t granules);
void ca_free_blocks_cut_begin(heap *self, uint32_t at, uint32_t granules);

/* Looks at up to `look` blocks of the class of `granules`, lowest first, for one large enough. */
uint32_t ca_free_blocks_find_in_class(const heap *self, uint32_t granules, uint32_t look);

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_FREE_BLOCKS_H_ */
