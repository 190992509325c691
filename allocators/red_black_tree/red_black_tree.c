#include "allocators/red_black_tree/red_black_tree.h"

#include "base/check.h"
#include "base/poison.h"

enum { LEFT = 0, RIGHT = 1, RED = 1 };

/* Each access opens the poisoned node and closes it again; a plain build sees only the access. */

static ca_red_black_node load(const ca_red_black_node *nodes, uint32_t index) {
  ca_unpoison_defined(&nodes[index], sizeof *nodes);
  const ca_red_black_node node = nodes[index];
  ca_poison(&nodes[index], sizeof *nodes);
  return node;
}

static uint32_t child_of(const ca_red_black_node *nodes, uint32_t index, int side) {
  return load(nodes, index).child[side];
}

static uint32_t parent_of(const ca_red_black_node *nodes, uint32_t index) {
  return load(nodes, index).parent;
}

/* A missing node counts as black. */
static bool is_red(const ca_red_black_node *nodes, uint32_t index) {
  return index != 0 && (load(nodes, index).bits & RED) != 0;
}

static void set_child(ca_red_black_node *nodes, uint32_t index, int side, uint32_t child) {
  ca_unpoison_defined(&nodes[index], sizeof *nodes);
  nodes[index].child[side] = child;
  ca_poison(&nodes[index], sizeof *nodes);
}

static void set_parent(ca_red_black_node *nodes, uint32_t index, uint32_t parent) {
  ca_unpoison_defined(&nodes[index], sizeof *nodes);
  nodes[index].parent = parent;
  ca_poison(&nodes[index], sizeof *nodes);
}

static void set_red(ca_red_black_node *nodes, uint32_t index, bool red) {
  ca_unpoison_defined(&nodes[index], sizeof *nodes);
  nodes[index].bits = (nodes[index].bits & ~(uint32_t)RED) | (red ? RED : 0);
  ca_poison(&nodes[index], sizeof *nodes);
}

/* Puts `with` (maybe none) where `index` hangs. */
static void replace(ca_red_black_tree *self, ca_red_black_node *nodes, uint32_t index,
                    uint32_t with) {
  const uint32_t parent = parent_of(nodes, index);
  if (parent == 0) {
    self->root = with;
  } else {
    set_child(nodes, parent, child_of(nodes, parent, RIGHT) == index, with);
  }
  if (with != 0) {
    set_parent(nodes, with, parent);
  }
}

/* Moves index down to `side`; its child of the other side takes its place. */
static void rotate(ca_red_black_tree *self, ca_red_black_node *nodes, uint32_t index, int side) {
  const uint32_t up = child_of(nodes, index, !side);
  const uint32_t between = child_of(nodes, up, side);
  set_child(nodes, index, !side, between);
  if (between != 0) {
    set_parent(nodes, between, index);
  }
  replace(self, nodes, index, up);
  set_child(nodes, up, side, index);
  set_parent(nodes, index, up);
}

/* Repairs a red node under a red parent. */
static void repair_red(ca_red_black_tree *self, ca_red_black_node *nodes, uint32_t index) {
  uint32_t parent = parent_of(nodes, index);
  while (is_red(nodes, parent)) {
    const uint32_t grandparent = parent_of(nodes, parent); /* There is one: the root is black. */
    const int side = child_of(nodes, grandparent, RIGHT) == parent;
    const uint32_t uncle = child_of(nodes, grandparent, !side);
    if (is_red(nodes, uncle)) {
      set_red(nodes, parent, false);
      set_red(nodes, uncle, false);
      set_red(nodes, grandparent, true);
      index = grandparent;
      parent = parent_of(nodes, index);
      continue;
    }
    if (child_of(nodes, parent, !side) == index) {
      rotate(self, nodes, parent, side);
      parent = index;
    }
    set_red(nodes, parent, false);
    set_red(nodes, grandparent, true);
    rotate(self, nodes, grandparent, !side);
    break;
  }
  set_red(nodes, self->root, false);
}

void ca_red_black_tree_insert(ca_red_black_tree *self, ca_red_black_node *nodes, uint32_t index) {
  uint32_t parent = 0;
  int side = LEFT;
  for (uint32_t at = self->root; at != 0; at = child_of(nodes, at, side)) {
    parent = at;
    side = index > at;
  }
  ca_unpoison_defined(&nodes[index], sizeof *nodes);
  nodes[index].child[LEFT] = 0;
  nodes[index].child[RIGHT] = 0;
  nodes[index].parent = parent;
  nodes[index].bits |= RED;
  ca_poison(&nodes[index], sizeof *nodes);
  if (parent == 0) {
    self->root = index;
  } else {
    set_child(nodes, parent, side, index);
  }
  if (self->leftmost == 0 || index < self->leftmost) {
    self->leftmost = index;
  }
  repair_red(self, nodes, index);
}

/* Repairs a path that misses a black node: the one to `index` (maybe none) below `parent`. */
static void repair_black(ca_red_black_tree *self, ca_red_black_node *nodes, uint32_t index,
                         uint32_t parent) {
  while (index != self->root && !is_red(nodes, index)) {
    const int side = child_of(nodes, parent, RIGHT) == index;
    uint32_t sibling = child_of(nodes, parent, !side); /* There is one: it has more black nodes. */
    if (is_red(nodes, sibling)) {
      set_red(nodes, sibling, false);
      set_red(nodes, parent, true);
      rotate(self, nodes, parent, side);
      sibling = child_of(nodes, parent, !side);
    }
    const bool far_is_red = is_red(nodes, child_of(nodes, sibling, !side));
    if (!far_is_red && !is_red(nodes, child_of(nodes, sibling, side))) {
      set_red(nodes, sibling, true);
      index = parent;
      parent = parent_of(nodes, index);
      continue;
    }
    if (!far_is_red) {
      set_red(nodes, child_of(nodes, sibling, side), false);
      set_red(nodes, sibling, true);
      rotate(self, nodes, sibling, !side);
      sibling = child_of(nodes, parent, !side);
    }
    set_red(nodes, sibling, is_red(nodes, parent));
    set_red(nodes, parent, false);
    set_red(nodes, child_of(nodes, sibling, !side), false);
    rotate(self, nodes, parent, side);
    return;
  }
  if (index != 0) {
    set_red(nodes, index, false);
  }
}

static uint32_t first_below(const ca_red_black_node *nodes, uint32_t index) {
  for (uint32_t left = index; left != 0; left = child_of(nodes, index, LEFT)) {
    index = left;
  }
  return index;
}

uint32_t ca_red_black_tree_next(const ca_red_black_node *nodes, uint32_t index) {
  const ca_red_black_node node = load(nodes, index);
  if (node.child[RIGHT] != 0) {
    return first_below(nodes, node.child[RIGHT]);
  }
  uint32_t parent = node.parent;
  while (parent != 0 && child_of(nodes, parent, RIGHT) == index) {
    index = parent;
    parent = parent_of(nodes, index);
  }
  return parent;
}

void ca_red_black_tree_erase(ca_red_black_tree *self, ca_red_black_node *nodes, uint32_t index) {
  if (self->leftmost == index) {
    self->leftmost = ca_red_black_tree_next(nodes, index);
  }
  const ca_red_black_node node = load(nodes, index);
  bool lost_red = (node.bits & RED) != 0;
  uint32_t moved;        /* What hangs where a node is missing now, maybe none, */
  uint32_t moved_parent; /* and below whom. */
  if (node.child[LEFT] == 0 || node.child[RIGHT] == 0) {
    moved = node.child[LEFT] != 0 ? node.child[LEFT] : node.child[RIGHT];
    moved_parent = node.parent;
    replace(self, nodes, index, moved);
  } else {
    const uint32_t next = first_below(nodes, node.child[RIGHT]);
    const bool next_red = is_red(nodes, next);
    moved = child_of(nodes, next, RIGHT);
    moved_parent = next;
    if (next != node.child[RIGHT]) {
      moved_parent = parent_of(nodes, next);
      replace(self, nodes, next, moved);
      set_child(nodes, next, RIGHT, node.child[RIGHT]);
      set_parent(nodes, node.child[RIGHT], next);
    }
    replace(self, nodes, index, next);
    set_child(nodes, next, LEFT, node.child[LEFT]);
    set_parent(nodes, node.child[LEFT], next);
    set_red(nodes, next, lost_red);
    lost_red = next_red;
  }
  if (!lost_red) {
    repair_black(self, nodes, moved, moved_parent);
  }
}

/* What a walk has to bring to the next node. A node is valid when its index lies in (low, high),
 * which also means that no damaged link can lead round in a circle. */
typedef struct walk {
  const ca_red_black_node *nodes;
  size_t count;
  unsigned black; /* Black nodes on each path so far finished; 0: none yet. */
} walk;

/* Deeper than any red-black tree of 2^32 nodes. */
enum { DEPTH_MAX = 66 };

/* Recursion is bounded by DEPTH_MAX. */
static bool check_below(walk *self, uint32_t index, uint32_t parent, uint64_t low, uint64_t high,
                        unsigned depth, unsigned black) {
  if (index == 0) {
    const bool same = self->black == 0 || self->black == black + 1;
    self->black = black + 1;
    return same;
  }
  if (depth > DEPTH_MAX || index <= low || index >= high) {
    return false;
  }
  const ca_red_black_node node = load(self->nodes, index);
  const bool red = (node.bits & RED) != 0;
  self->count++;
  /* The bounds are tested before the colours of the parent, which lies in bounds by then. */
  return node.parent == parent && !(red && (parent == 0 || is_red(self->nodes, parent))) &&
         check_below(self, node.child[LEFT], index, low, index, depth + 1, black + !red) &&
         check_below(self, node.child[RIGHT], index, index, high, depth + 1, black + !red);
}

bool ca_red_black_tree_check(const ca_red_black_tree *self, const ca_red_black_node *nodes,
                             uint32_t first, uint32_t end, size_t *count) {
  walk down = {.nodes = nodes};
  if (first == 0 || !check_below(&down, self->root, 0, first - 1, end, 0, 0)) {
    return false;
  }
  *count = down.count;
  return self->leftmost == (self->root == 0 ? 0 : first_below(nodes, self->root));
}
