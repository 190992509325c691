/* allocators/multiple_binary_search_tree/check.h - whether the structure's invariant holds.
 *
 * Private to multiple_binary_search_tree. O(n); reads nothing outside the range, whatever the links
 * and sizes in it say.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_CHECK_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_CHECK_H_

#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

bool ca_multiple_binary_search_tree_check(const ca_multiple_binary_search_tree *self);

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_CHECK_H_ */
