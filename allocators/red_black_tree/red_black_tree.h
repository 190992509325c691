/* allocators/red_black_tree/red_black_tree.h - an intrusive red-black tree of numbered nodes.
 *
 * Idea        nodes are the 16-byte granules of a region that are free, named by their number from
 *             the region's begin instead of by a pointer, so that three links and a word of the
 *             owner's fit in one granule. A node's key is its number: the order is the address's.
 *             The lowest number is cached.
 * Cost        insert: O(log n), at most 2 rotations; erase: O(log n), at most 3 rotations; first,
 *             replace: O(1). A tree of n nodes is at most 2 log2(n + 1) deep.
 * Overhead    12 bytes inside each node, 8 for the tree.
 * Poison      nodes are memory that nobody may touch: each access unpoisons the granule and
 *             poisons it again (base/poison.h).
 * Errors      none; nothing is allocated.
 * Ownership   a node belongs to the tree from insert to erase.
 * Threads     not thread-safe.
 * Source      L. J. Guibas and R. Sedgewick, "A dichromatic framework for balanced trees", FOCS
 *             1978; the cases of erase as in Cormen, Leiserson, Rivest and Stein, "Introduction to
 *             Algorithms", chapter 13.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_RED_BLACK_TREE_RED_BLACK_TREE_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_RED_BLACK_TREE_RED_BLACK_TREE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/poison.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers go up to this; the top bit of a link to the parent is the colour's. 0 is no node. */
#define CA_RED_BLACK_NUMBER_MAX UINT32_C(0x7FFFFFFF)

/* may_alias: the memory was, and will again be, a caller's, of any type. */
typedef struct __attribute__((may_alias)) ca_red_black_node {
  uint32_t left;   /* Lower numbers, or 0. */
  uint32_t right;  /* Higher numbers, or 0. */
  uint32_t parent; /* 0 at the root; shifted up by one, with the lowest bit set in a red node. */
  uint32_t owner;  /* The owner's; never touched here. */
} ca_red_black_node;

/* Invariant: for each node, every number in its left subtree is lower and in its right higher; its
 * children's parent is it; a red node's children are black; every path from the root to a missing
 * child has equally many black nodes; the root is black; leftmost is the lowest number of all, and
 * means nothing in an empty tree (root == 0). */
typedef struct ca_red_black_tree {
  uint32_t root;
  uint32_t leftmost;
} ca_red_black_tree;

/* Adds node `number`, which must not be in a tree. */
void ca_red_black_insert(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t number);

/* Makes `number` the tree's only node, whatever *tree held: saves clearing it beforehand. */
static inline void ca_red_black_insert_first(ca_red_black_tree *tree, ca_red_black_node *nodes,
                                             uint32_t number) {
  ca_red_black_node *const node = &nodes[number];
  ca_unpoison_defined(node, sizeof *node);
  node->left = 0;
  node->right = 0;
  node->parent = 0;
  ca_poison(node, sizeof *node);
  tree->root = number;
  tree->leftmost = number;
}

/* Whether node `number`, which must be in this tree, is its only one. O(1). */
static inline bool ca_red_black_is_only(const ca_red_black_tree *tree,
                                        const ca_red_black_node *nodes, uint32_t number) {
  const ca_red_black_node *const node = &nodes[number];
  if (tree->root != number || tree->leftmost != number) {
    return false;
  }
  ca_unpoison_defined(node, sizeof *node);
  const bool has_higher = node->right != 0;
  ca_poison(node, sizeof *node);
  return !has_higher;
}

/* Takes node `number`, which must be in this tree, out of it. */
void ca_red_black_erase(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t number);

/* Puts node `by` in the place of `number`. Requires that no other node's number lies between the
 * two. The granules may not be the same one. */
void ca_red_black_replace(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t number,
                          uint32_t by);

/* The next higher number in the tree that `number` is in, or 0. O(log n), O(1) on average over a
 * whole walk. */
uint32_t ca_red_black_next(const ca_red_black_node *nodes, uint32_t number);

/* Whether the invariant holds, every number lies in [begin, end) and `holds`, if not NULL, answers
 * true for each, called in their order. A link is checked before it is followed, and no more than
 * end - begin nodes are visited: a damaged tree is found, not followed. O(n). */
bool ca_red_black_check(const ca_red_black_tree *tree, const ca_red_black_node *nodes,
                        uint32_t begin, uint32_t end, bool (*holds)(void *context, uint32_t number),
                        void *context);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_RED_BLACK_TREE_RED_BLACK_TREE_H_ */
