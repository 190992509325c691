/* allocators/red_black_tree/red_black_tree.h - red-black trees whose nodes lie in free memory.
 *
 * Idea        the nodes are elements of one array, named by their 32-bit index, and the index is
 *             the key: a tree in address order, in 16 bytes a node. Index 0 means "none". The
 *             leftmost node is kept at hand. Any number of trees may share one array.
 * Cost        insert, erase: O(log n), at most 2 and 3 rotations. leftmost: O(1). next: O(log n),
 *             O(1) over a whole walk.
 * Overhead    16 bytes a node, 8 bytes a tree.
 * Alignment   of a node 16.
 * Errors      none; inserting a node twice or erasing one that isn't in the tree breaks it.
 * Ownership   the array is the caller's. Nodes are kept poisoned (base/poison.h).
 * Threads     not thread-safe.
 * Source      R. Bayer, "Symmetric binary B-trees", Acta Informatica 1, 1972; L. Guibas and
 *             R. Sedgewick, "A dichromatic framework for balanced trees", 1978: no path is longer
 *             than 2 log2(n + 1).
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_RED_BLACK_TREE_RED_BLACK_TREE_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_RED_BLACK_TREE_RED_BLACK_TREE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* may_alias: the memory was, and will again be, a caller's, of any type. */
typedef struct __attribute__((may_alias, aligned(16))) ca_red_black_node {
  uint32_t child[2]; /* Left, right. */
  uint32_t parent;
  uint32_t bits; /* Bit 0: red. The others are the owner's and stay as they are. */
} ca_red_black_node;

/* Invariant: an in-order walk meets ascending indices, the first of which is leftmost; each child's
 * parent is its parent; the root is black; a red node has no red child; every path from the root
 * to a missing child has the same number of black nodes. */
typedef struct ca_red_black_tree {
  uint32_t root;
  uint32_t leftmost; /* 0 iff the tree is empty. */
} ca_red_black_tree;

/* Adds the node at index. Requires index > 0, and that it is in no tree. Writes the node's links
 * and colour, and leaves its other bits. */
void ca_red_black_tree_insert(ca_red_black_tree *self, ca_red_black_node *nodes, uint32_t index);

/* Takes out the node at index, which must be in the tree. */
void ca_red_black_tree_erase(ca_red_black_tree *self, ca_red_black_node *nodes, uint32_t index);

/* The node after index in the tree that it is in, 0 after the last. */
uint32_t ca_red_black_tree_next(const ca_red_black_node *nodes, uint32_t index);

/* Returns whether the invariant holds and every index is in [first, end); then *count is the number
 * of nodes. Never reads another node than those, however damaged the links are. O(n). */
bool ca_red_black_tree_check(const ca_red_black_tree *self, const ca_red_black_node *nodes,
                             uint32_t first, uint32_t end, size_t *count);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_RED_BLACK_TREE_RED_BLACK_TREE_H_ */
