#include "allocators/red_black_tree/red_black_tree.h"

/* Every access to a node goes through load and store, for the poison's sake. */

typedef uint32_t __attribute__((may_alias)) field_of_node;

static inline uint32_t load(const field_of_node *field, const ca_red_black_node *node) {
  ca_unpoison_defined(node, sizeof *node);
  const uint32_t value = *field;
  ca_poison(node, sizeof *node);
  return value;
}

static inline void store(field_of_node *field, const ca_red_black_node *node, uint32_t value) {
  ca_unpoison_defined(node, sizeof *node);
  *field = value;
  ca_poison(node, sizeof *node);
}

static inline uint32_t left_of(const ca_red_black_node *nodes, uint32_t at) {
  return load(&nodes[at].left, &nodes[at]);
}

static inline uint32_t right_of(const ca_red_black_node *nodes, uint32_t at) {
  return load(&nodes[at].right, &nodes[at]);
}

static inline uint32_t link_up_of(const ca_red_black_node *nodes, uint32_t at) {
  return load(&nodes[at].parent, &nodes[at]);
}

static inline uint32_t parent_of(const ca_red_black_node *nodes, uint32_t at) {
  return link_up_of(nodes, at) >> 1;
}

static inline bool is_red(const ca_red_black_node *nodes, uint32_t at) {
  return at != 0 && (link_up_of(nodes, at) & 1) != 0;
}

static inline void set_left(ca_red_black_node *nodes, uint32_t at, uint32_t to) {
  store(&nodes[at].left, &nodes[at], to);
}

static inline void set_right(ca_red_black_node *nodes, uint32_t at, uint32_t to) {
  store(&nodes[at].right, &nodes[at], to);
}

static inline void set_link_up(ca_red_black_node *nodes, uint32_t at, uint32_t link) {
  store(&nodes[at].parent, &nodes[at], link);
}

static inline void set_parent(ca_red_black_node *nodes, uint32_t at, uint32_t to) {
  set_link_up(nodes, at, to << 1 | (link_up_of(nodes, at) & 1));
}

static inline void set_red(ca_red_black_node *nodes, uint32_t at) {
  set_link_up(nodes, at, link_up_of(nodes, at) | 1);
}

static inline void set_black(ca_red_black_node *nodes, uint32_t at) {
  set_link_up(nodes, at, link_up_of(nodes, at) & ~UINT32_C(1));
}

/* Makes `by` what `parent` has in the place of `at`; parent 0 is the tree itself. */
static inline void set_child(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t parent,
                             uint32_t at, uint32_t by) {
  if (parent == 0) {
    tree->root = by;
  } else if (left_of(nodes, parent) == at) {
    set_left(nodes, parent, by);
  } else {
    set_right(nodes, parent, by);
  }
}

/* `at` goes down to the left, its right child up; the colours stay with the nodes. */
static void rotate_left(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t at) {
  const uint32_t up = right_of(nodes, at);
  const uint32_t middle = left_of(nodes, up);
  const uint32_t parent = parent_of(nodes, at);
  set_right(nodes, at, middle);
  if (middle != 0) {
    set_parent(nodes, middle, at);
  }
  set_child(tree, nodes, parent, at, up);
  set_parent(nodes, up, parent);
  set_left(nodes, up, at);
  set_parent(nodes, at, up);
}

static void rotate_right(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t at) {
  const uint32_t up = left_of(nodes, at);
  const uint32_t middle = right_of(nodes, up);
  const uint32_t parent = parent_of(nodes, at);
  set_left(nodes, at, middle);
  if (middle != 0) {
    set_parent(nodes, middle, at);
  }
  set_child(tree, nodes, parent, at, up);
  set_parent(nodes, up, parent);
  set_right(nodes, up, at);
  set_parent(nodes, at, up);
}

/* `at` is red and so, perhaps, is its parent: the only thing that may be wrong. */
static void repair_red(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t at) {
  uint32_t parent = parent_of(nodes, at);
  while (is_red(nodes, parent)) {
    const uint32_t grandparent = parent_of(nodes, parent); /* Exists: the root is black. */
    const bool on_left = left_of(nodes, grandparent) == parent;
    const uint32_t uncle = on_left ? right_of(nodes, grandparent) : left_of(nodes, grandparent);
    if (is_red(nodes, uncle)) {
      set_black(nodes, parent);
      set_black(nodes, uncle);
      set_red(nodes, grandparent);
      at = grandparent;
      parent = parent_of(nodes, at);
      continue;
    }
    if (on_left) {
      if (right_of(nodes, parent) == at) {
        rotate_left(tree, nodes, parent);
        parent = at;
      }
      rotate_right(tree, nodes, grandparent);
    } else {
      if (left_of(nodes, parent) == at) {
        rotate_right(tree, nodes, parent);
        parent = at;
      }
      rotate_left(tree, nodes, grandparent);
    }
    set_black(nodes, parent);
    set_red(nodes, grandparent);
    return;
  }
  set_black(nodes, tree->root);
}

/* Left or right by arithmetic: which one it is, no processor can guess. */
static inline uint32_t child_towards(const ca_red_black_node *nodes, uint32_t at, uint32_t number) {
  const field_of_node *const left = &nodes[at].left;
  return load(left + (number > at ? 1 : 0), &nodes[at]);
}
_Static_assert(offsetof(ca_red_black_node, right) ==
                   sizeof(uint32_t) + offsetof(ca_red_black_node, left),
               "right follows left");

void ca_red_black_insert(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t number) {
  if (tree->root == 0) {
    ca_red_black_insert_first(tree, nodes, number);
    return;
  }
  uint32_t parent = tree->root;
  uint32_t next = number < tree->leftmost ? 0 : parent;
  if (next == 0) {
    parent = tree->leftmost;
    tree->leftmost = number;
  }
  while (next != 0) {
    parent = next;
    next = child_towards(nodes, parent, number);
  }
  if (number < parent) {
    set_left(nodes, parent, number);
  } else {
    set_right(nodes, parent, number);
  }
  set_left(nodes, number, 0);
  set_right(nodes, number, 0);
  set_link_up(nodes, number, parent << 1 | 1);
  repair_red(tree, nodes, number);
}

/* Every path through `at` (a child of `parent`, maybe missing) lacks one black node. */
static void repair_black(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t at,
                         uint32_t parent) {
  while (parent != 0 && !is_red(nodes, at)) {
    const bool on_left = left_of(nodes, parent) == at;
    uint32_t sibling = on_left ? right_of(nodes, parent) : left_of(nodes, parent);
    if (is_red(nodes, sibling)) {
      set_black(nodes, sibling);
      set_red(nodes, parent);
      (on_left ? rotate_left : rotate_right)(tree, nodes, parent);
      sibling = on_left ? right_of(nodes, parent) : left_of(nodes, parent);
    }
    const uint32_t near = on_left ? left_of(nodes, sibling) : right_of(nodes, sibling);
    uint32_t far = on_left ? right_of(nodes, sibling) : left_of(nodes, sibling);
    if (!is_red(nodes, near) && !is_red(nodes, far)) {
      set_red(nodes, sibling);
      at = parent;
      parent = parent_of(nodes, at);
      continue;
    }
    if (!is_red(nodes, far)) {
      set_black(nodes, near);
      set_red(nodes, sibling);
      (on_left ? rotate_right : rotate_left)(tree, nodes, sibling);
      far = sibling;
      sibling = near;
    }
    set_link_up(nodes, sibling,
                (link_up_of(nodes, sibling) & ~UINT32_C(1)) | (link_up_of(nodes, parent) & 1));
    set_black(nodes, parent);
    set_black(nodes, far);
    (on_left ? rotate_left : rotate_right)(tree, nodes, parent);
    return;
  }
  if (at != 0) {
    set_black(nodes, at);
  }
}

static uint32_t lowest_below(const ca_red_black_node *nodes, uint32_t at) {
  for (uint32_t left = left_of(nodes, at); left != 0; left = left_of(nodes, at)) {
    at = left;
  }
  return at;
}

/* Puts `by` in the place of `at` with its colour and children. */
static void take_place(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t at,
                       uint32_t by) {
  const uint32_t left = left_of(nodes, at);
  const uint32_t right = right_of(nodes, at);
  const uint32_t link_up = link_up_of(nodes, at);
  set_child(tree, nodes, link_up >> 1, at, by);
  set_link_up(nodes, by, link_up);
  set_left(nodes, by, left);
  set_right(nodes, by, right);
  if (left != 0) {
    set_parent(nodes, left, by);
  }
  if (right != 0) {
    set_parent(nodes, right, by);
  }
}

void ca_red_black_replace(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t number,
                          uint32_t by) {
  take_place(tree, nodes, number, by);
  if (tree->leftmost == number) {
    tree->leftmost = by;
  }
}

void ca_red_black_erase(ca_red_black_tree *tree, ca_red_black_node *nodes, uint32_t number) {
  if (tree->leftmost == number) {
    tree->leftmost = ca_red_black_next(nodes, number);
  }
  const uint32_t left = left_of(nodes, number);
  const uint32_t right = right_of(nodes, number);
  /* Of two children, the next higher node, which has at most one, gives up its own place. */
  const uint32_t out = left != 0 && right != 0 ? lowest_below(nodes, right) : number;
  const uint32_t child = left_of(nodes, out) != 0 ? left_of(nodes, out) : right_of(nodes, out);
  uint32_t parent = parent_of(nodes, out);
  const bool lacks_black = !is_red(nodes, out);
  set_child(tree, nodes, parent, out, child);
  if (child != 0) {
    set_parent(nodes, child, parent);
  }
  if (out != number) {
    take_place(tree, nodes, number, out);
    parent = parent == number ? out : parent;
  }
  if (lacks_black) {
    repair_black(tree, nodes, child, parent);
  }
}

uint32_t ca_red_black_next(const ca_red_black_node *nodes, uint32_t number) {
  const uint32_t right = right_of(nodes, number);
  if (right != 0) {
    return lowest_below(nodes, right);
  }
  uint32_t parent = parent_of(nodes, number);
  while (parent != 0 && right_of(nodes, parent) == number) {
    number = parent;
    parent = parent_of(nodes, number);
  }
  return parent;
}

/* Check: one walk in order, without recursion, that enters each node only by a link whose target
 * is in bounds and names the node it came from as its parent. */

typedef struct walk {
  const ca_red_black_node *nodes;
  uint32_t begin;
  uint32_t end;
  uint32_t last;    /* Highest number visited. */
  uint32_t visited; /* Nodes entered. */
  uint32_t blacks;  /* From the root down to where the walk is. */
  uint32_t height;  /* Black nodes of a whole path, UINT32_MAX before the first. */
} walk;

/* Whether the link from `from` down to `to` may be followed. */
static bool enters(walk *self, uint32_t from, uint32_t to) {
  if (to < self->begin || to >= self->end || ++self->visited > self->end - self->begin) {
    return false;
  }
  const uint32_t link_up = link_up_of(self->nodes, to);
  const bool red = (link_up & 1) != 0;
  self->blacks += red ? 0 : 1;
  return link_up >> 1 == from && !(red && (from == 0 || is_red(self->nodes, from)));
}

static bool ends_path(walk *self) {
  if (self->height == UINT32_MAX) {
    self->height = self->blacks;
  }
  return self->height == self->blacks;
}

/* Down to the lowest node below *at, entered already. */
static bool descend_left(walk *self, uint32_t *at) {
  for (uint32_t left = left_of(self->nodes, *at); left != 0; left = left_of(self->nodes, *at)) {
    if (left >= *at || !enters(self, *at, left)) {
      return false;
    }
    *at = left;
  }
  return ends_path(self);
}

/* From *at, whose left side is done, to the next in order; 0 behind the last. */
static bool advance(walk *self, uint32_t *at) {
  const uint32_t right = right_of(self->nodes, *at);
  if (right != 0) {
    const bool entered = right > *at && enters(self, *at, right);
    *at = right;
    return entered && descend_left(self, at);
  }
  if (!ends_path(self)) {
    return false;
  }
  uint32_t from;
  do { /* Up along links that were checked on the way down. */
    from = *at;
    self->blacks -= is_red(self->nodes, from) ? 0 : 1;
    *at = parent_of(self->nodes, from);
  } while (*at != 0 && from > *at);
  return true;
}

bool ca_red_black_check(const ca_red_black_tree *tree, const ca_red_black_node *nodes,
                        uint32_t begin, uint32_t end, bool (*holds)(void *context, uint32_t number),
                        void *context) {
  if (tree->root == 0) {
    return true;
  }
  walk self = {.nodes = nodes, .begin = begin, .end = end, .height = UINT32_MAX};
  uint32_t at = tree->root;
  if (begin == 0 || !enters(&self, 0, at) || !descend_left(&self, &at) || at != tree->leftmost) {
    return false;
  }
  while (at != 0) {
    if (at <= self.last || (holds != NULL && !holds(context, at))) {
      return false;
    }
    self.last = at;
    if (!advance(&self, &at)) {
      return false;
    }
  }
  return true;
}
