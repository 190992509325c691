#include "switchable/context_tree.h"

#include <string.h>

#include "switchable/context_family.h"
#include "switchable/holding.h"
#include "switchable/lock.h"

/* Links are written by who holds the lock. Children are added only by who also holds the parent, so
 * that its holder may trust that there will be no more; a child may leave at any time. */

static ca_context_header *first_child(const ca_context_header *self) {
  return __atomic_load_n(&self->first_child, __ATOMIC_RELAXED);
}

static void link_to(ca_context_header *self, ca_context_header *parent) {
  self->parent = parent;
  self->previous = NULL;
  self->next = first_child(parent);
  if (self->next != NULL) {
    self->next->previous = self;
  }
  __atomic_store_n(&parent->first_child, self, __ATOMIC_RELAXED);
}

static void unlink_from_parent(ca_context_header *self) {
  if (self->parent == NULL) {
    return;
  }
  if (self->next != NULL) {
    self->next->previous = self->previous;
  }
  if (self->previous != NULL) {
    self->previous->next = self->next;
  } else {
    /* Release: pairs with ca_context_is_related(); the parent isn't touched after this. */
    __atomic_store_n(&self->parent->first_child, self->next, __ATOMIC_RELEASE);
  }
  self->parent = NULL;
}

/* Walking, without recursion: a tree may be as deep as there are contexts. */

ca_context_header *ca_context_tree_next(ca_context_header *self, const ca_context_header *root) {
  if (first_child(self) != NULL) {
    return first_child(self);
  }
  while (self != root && self->next == NULL) {
    self = self->parent;
  }
  return self == root ? NULL : self->next;
}

static ca_context_header *deepest(ca_context_header *self) {
  while (first_child(self) != NULL) {
    self = first_child(self);
  }
  return self;
}

/* The next one after self, children before parents; NULL: that was the root. */
static ca_context_header *next_up(ca_context_header *self, const ca_context_header *root) {
  if (self == root) {
    return NULL;
  }
  return self->next != NULL ? deepest(self->next) : self->parent;
}

/* Requires the lock. Lets go of all descendants of root that come before `end`. */
static void let_go_until(ca_context_header *root, const ca_context_header *end) {
  ca_context_header *node = ca_context_tree_next(root, root);
  while (node != end) {
    ca_context_header *const next = ca_context_tree_next(node, root);
    ca_let_go(node);
    node = next;
  }
}

static bool refuses(ca_context_header *self) {
  if (self->on_destroy != CA_CONTEXT_REFUSE) {
    return false;
  }
  ca_take_in(self);
  return self->allocations != self->deallocations;
}

/* Whether one that is held may go, or be reset: not while it asks, as the block that is being
 * resized would be gone. */
static ca_context_result may_go(ca_context_header *self, bool to_destroy) {
  if (to_destroy) {
    return refuses(self) ? CA_CONTEXT_LIVE : CA_CONTEXT_DONE;
  }
  return self->asking ? CA_CONTEXT_HELD : CA_CONTEXT_DONE;
}

/* Requires the lock, and that the caller holds root. Holds all of its descendants, or none. */
static ca_context_result hold_descendants(ca_context_header *root, bool to_destroy) {
  ca_context_result result = may_go(root, to_destroy);
  for (ca_context_header *node = ca_context_tree_next(root, root);
       node != NULL && result == CA_CONTEXT_DONE; node = ca_context_tree_next(node, root)) {
    if (!ca_hold((ca_context){node, node->generation})) {
      let_go_until(root, node);
      return CA_CONTEXT_HELD;
    }
    result = may_go(node, to_destroy);
    if (result != CA_CONTEXT_DONE) {
      let_go_until(root, ca_context_tree_next(node, root));
    }
  }
  return result;
}

/* Each is taken off before it is called: it may lie in memory that it frees. */
static bool clean_up(ca_context_header *self) {
  bool all = true;
  while (self->cleanups != NULL) {
    ca_context_cleanup *const cleanup = self->cleanups;
    self->cleanups = cleanup->older;
    all = cleanup->callback(cleanup->argument) && all;
  }
  return all;
}

static void end_by_policy(ca_context_header *self, const char *parent) {
  switch ((ca_context_policy)self->on_destroy) {
    case CA_CONTEXT_ORPHAN:
      ca_context_header_orphan(self);
      break;
    case CA_CONTEXT_QUARANTINE:
      ca_quarantine(self, parent);
      break;
    case CA_CONTEXT_RELEASE:
    case CA_CONTEXT_REFUSE:
      ca_context_header_end(self);
      break;
  }
}

/* At once, as nobody may move the parent to another family between the two. */
static bool join_and_link(ca_context_header *self, ca_context_header *parent) {
  ca_lock_take(CA_LOCK_TREE);
  const bool joined = ca_family_join(self, ca_family_of(parent));
  if (joined) {
    link_to(self, parent);
  }
  ca_lock_release(CA_LOCK_TREE);
  return joined;
}

ca_context_result ca_context_tree_link(ca_context_header *self, ca_context parent) {
  bool here;
  const ca_context_result held = ca_hold_or_have(parent, &here);
  if (held != CA_CONTEXT_DONE) {
    return held;
  }
  bool linked;
  do {
    linked = join_and_link(self, parent.header);
  } while (!linked && ca_context_header_ask(parent.header, self->budget));
  if (!here) {
    ca_let_go(parent.header);
  }
  return linked ? CA_CONTEXT_DONE : CA_CONTEXT_OVER_BUDGET;
}

ca_context_result ca_context_tree_destroy(ca_context_header *self) {
  ca_lock_take(CA_LOCK_TREE);
  const ca_context_result held = hold_descendants(self, true);
  char parent[CA_CONTEXT_NAME_SIZE] = "";
  if (held == CA_CONTEXT_DONE) {
    if (self->parent != NULL) {
      memcpy(parent, self->parent->name, sizeof parent);
    }
    unlink_from_parent(self);
    for (ca_context_header *node = self; node != NULL; node = ca_context_tree_next(node, self)) {
      __atomic_store_n(&node->ending, true, __ATOMIC_RELAXED);
    }
  }
  ca_lock_release(CA_LOCK_TREE);
  if (held != CA_CONTEXT_DONE) {
    ca_let_go(self);
    return held;
  }
  /* All are held and cut off from others: from here on the links are ours, without the lock. */
  bool all = true;
  ca_context_header *node = deepest(self);
  while (node != NULL) {
    ca_context_header *const next = next_up(node, self);
    all = clean_up(node) && all;
    const char *const name = node == self ? parent : node->parent->name;
    node->parent = NULL;
    __atomic_store_n(&node->first_child, NULL, __ATOMIC_RELAXED);
    end_by_policy(node, name);
    node = next;
  }
  return all ? CA_CONTEXT_DONE : CA_CONTEXT_DONE_BUT_CLEANUP_FAILED;
}

ca_context_result ca_context_tree_reset(ca_context_header *self) {
  ca_lock_take(CA_LOCK_TREE);
  const ca_context_result held = hold_descendants(self, false);
  ca_lock_release(CA_LOCK_TREE);
  if (held != CA_CONTEXT_DONE) {
    return held;
  }
  bool all = true;
  for (ca_context_header *node = deepest(self); node != NULL; node = next_up(node, self)) {
    all = clean_up(node) && all;
    ca_context_header_reset(node);
  }
  ca_lock_take(CA_LOCK_TREE);
  let_go_until(self, NULL);
  ca_lock_release(CA_LOCK_TREE);
  return all ? CA_CONTEXT_DONE : CA_CONTEXT_DONE_BUT_CLEANUP_FAILED;
}

/* Requires the lock. */
static bool is_ancestor_or_self(const ca_context_header *ancestor, const ca_context_header *self) {
  while (self != NULL && self != ancestor) {
    self = self->parent;
  }
  return self != NULL;
}

static ca_context_result move(ca_context_header *self, ca_context_header *parent) {
  if (parent != NULL && is_ancestor_or_self(self, parent)) {
    return CA_CONTEXT_CYCLE;
  }
  ca_thread_state *const state = ca_thread_state_get();
  if (!ca_family_move(self, parent == NULL ? ca_family_of_thread(state) : ca_family_of(parent))) {
    return CA_CONTEXT_OVER_BUDGET;
  }
  unlink_from_parent(self);
  if (parent != NULL) {
    link_to(self, parent);
  }
  return CA_CONTEXT_DONE;
}

ca_context_result ca_context_set_parent(ca_context context, ca_context parent) {
  bool here;
  bool parent_here = true;
  ca_context_result result = ca_hold_or_have(context, &here);
  if (result != CA_CONTEXT_DONE) {
    return result;
  }
  const bool same = parent.header == context.header && parent.generation == context.generation;
  if (!ca_context_is_none(parent) && !same) {
    result = ca_hold_or_have(parent, &parent_here);
  }
  if (result == CA_CONTEXT_DONE) {
    ca_lock_take(CA_LOCK_TREE);
    result = move(context.header, parent.header);
    ca_lock_release(CA_LOCK_TREE);
    if (!parent_here) {
      ca_let_go(parent.header);
    }
  }
  if (!here) {
    ca_let_go(context.header);
  }
  return result;
}

ca_context_result ca_context_add_cleanup(ca_context context, ca_context_cleanup *cleanup) {
  bool here;
  const ca_context_result result = ca_hold_or_have(context, &here);
  if (result == CA_CONTEXT_DONE) {
    cleanup->older = context.header->cleanups;
    context.header->cleanups = cleanup;
    if (!here) {
      ca_let_go(context.header);
    }
  }
  return result;
}

ca_context_result ca_context_remove_cleanup(ca_context context, ca_context_cleanup *cleanup) {
  bool here;
  const ca_context_result result = ca_hold_or_have(context, &here);
  if (result != CA_CONTEXT_DONE) {
    return result;
  }
  ca_context_cleanup **link = &context.header->cleanups;
  while (*link != NULL && *link != cleanup) {
    link = &(*link)->older;
  }
  if (*link == cleanup) {
    *link = cleanup->older;
  }
  if (!here) {
    ca_let_go(context.header);
  }
  return result;
}

bool ca_tree_try_lock(void) { return ca_lock_try(CA_LOCK_TREE); }

void ca_tree_unlock(void) { ca_lock_release(CA_LOCK_TREE); }

void ca_tree_visit(const ca_context_header *root, ca_tree_visitor *visitor, void *argument) {
  const ca_context_header *self = root;
  unsigned depth = 0;
  while (self != NULL) {
    visitor(argument, self, depth);
    if (first_child(self) != NULL) {
      self = first_child(self);
      depth++;
      continue;
    }
    while (self != root && self->next == NULL) {
      self = self->parent;
      depth--;
    }
    self = self == root ? NULL : self->next;
  }
}
