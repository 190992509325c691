/* switchable/context_tree.h - contexts that go with their parents, and what is called before they go.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_TREE_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_TREE_H_

#include "switchable/context_header.h"

/* Whether ending it concerns more than itself. Requires that the caller holds self: its children are
 * then only becoming fewer. */
static inline bool ca_context_is_related(const ca_context_header *self) {
  /* Acquire: pairs with the release that took out the last child. */
  return self->parent != NULL || self->cleanups != NULL ||
         __atomic_load_n(&self->first_child, __ATOMIC_ACQUIRE) != NULL;
}

/* Makes self, which the caller holds and which has no parent, a child of `parent`. GONE or HELD if
 * that is; OVER_BUDGET if a family budget has no room, also not after the parent was asked. */
ca_context_result ca_context_tree_link(ca_context_header *self, ca_context parent);

/* ca_context_destroy() of a context that the caller holds: it is let go of if that is refused. */
ca_context_result ca_context_tree_destroy(ca_context_header *self);

/* ca_context_reset() of a context that the caller holds, and goes on holding. */
ca_context_result ca_context_tree_reset(ca_context_header *self);

/* The next one in the tree of `root` after self, parents before children; NULL: that was the last.
 * Requires the lock of the tree. */
ca_context_header *ca_context_tree_next(ca_context_header *self, const ca_context_header *root);

/* Ends a context that the caller holds, and keeps its memory from being touched (quarantine.h).
 * `parent` is a name, CA_CONTEXT_NAME_SIZE bytes. */
void ca_quarantine(ca_context_header *self, const char *parent);

/* The header's page stays readable, so that a block that is freed too late is reported by name. */
size_t ca_quarantine_page_size(void);

/* Calls visitor(argument, self, depth) for `root`, which has no parent and isn't ending, and its
 * descendants, parents first. */
typedef void ca_tree_visitor(void *argument, const ca_context_header *self, unsigned depth);
void ca_tree_visit(const ca_context_header *root, ca_tree_visitor *visitor, void *argument);

/* Keeps the links as they are, for ca_tree_visit(). False if somebody is changing them. */
bool ca_tree_try_lock(void);
void ca_tree_unlock(void);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_TREE_H_ */
