#include "allocators/multiple_binary_search_tree/check.h"

#include "allocators/multiple_binary_search_tree/free_blocks.h"

static bool has_victim(const heap *self) { return self->victim != self->victim_end; }

static bool bounds_hold(const heap *self) {
  return self->first > 0 && self->first <= self->top && self->top <= self->touched &&
         self->touched <= self->end && self->victim <= self->victim_end &&
         (!has_victim(self) || (self->victim >= self->first && self->victim_end <= self->top)) &&
         (self->cells == NULL) != (self->marks == NULL) && self->lists[0] == 0;
}

/* Whether granules [at, at + granules) lie below top and beside the victim. */
static bool lies_right(const heap *self, uint32_t at, uint32_t granules) {
  return at >= self->first && at < self->top && granules > 0 && granules <= self->top - at &&
         (!has_victim(self) || at >= self->victim_end || at + granules <= self->victim);
}

static bool begin_marked(const heap *self, uint32_t at) {
  return (self->marks[at >> CELL_SHIFT].begins >> (at & (CELL - 1)) & 1) != 0;
}

static bool end_marked(const heap *self, uint32_t at) {
  return (self->marks[at >> CELL_SHIFT].ends >> (at & (CELL - 1)) & 1) != 0;
}

/* A damaged list that runs in a circle ends by its count. */
static bool lists_hold(const heap *self) {
  uint64_t listed = 0;
  for (uint32_t granules = 1; granules <= LISTED_MAX; ++granules) {
    for (uint32_t at = self->lists[granules]; at != 0;
         at = ca_free_blocks_load(self, at).child[0]) {
      listed += granules;
      if (listed > self->listed || !lies_right(self, at, granules)) {
        return false;
      }
      if (self->marks != NULL && (begin_marked(self, at) || !end_marked(self, at + granules - 1))) {
        return false;
      }
    }
  }
  return listed == self->listed;
}

/* Whether the records of the free block at `at` agree; *granules is then its size. */
static bool free_block_holds(const heap *self, uint32_t at, uint32_t *granules) {
  if (!lies_right(self, at, 1)) {
    return false;
  }
  const uint32_t bits = ca_free_blocks_load(self, at).bits;
  const bool single = (bits & FREE_BLOCK_SINGLE) != 0;
  if ((bits & FREE_BLOCK_IN_TREE) == 0 || (!single && !lies_right(self, at, 2))) {
    return false;
  }
  *granules = ca_free_blocks_size(self, at);
  if (!lies_right(self, at, *granules) || (single ? 1 : 2) > *granules) {
    return false;
  }
  const uint32_t end = at + *granules;
  const ca_red_black_node last = ca_free_blocks_load(self, end - 1);
  const bool beside_victim = has_victim(self) && (end == self->victim || at == self->victim_end);
  return (single || (last.parent == *granules && last.bits == 0)) && end != self->top &&
         !beside_victim;
}

/* Whether the free block is where its neighbours will look for it. */
static bool is_found(const heap *self, uint32_t at, uint32_t granules) {
  const uint32_t last = at + granules - 1;
  if (self->marks != NULL) {
    return !begin_marked(self, at) && !end_marked(self, last) &&
           (at == self->first || end_marked(self, at - 1)) &&
           ca_free_blocks_at(self, at + granules) == 0;
  }
  if (last >> CELL_SHIFT != at >> CELL_SHIFT &&
      self->cells[last >> CELL_SHIFT].last != (last & (CELL - 1)) + 1) {
    return false;
  }
  return true;
}

static bool trees_hold(const heap *self, size_t *blocks) {
  uint64_t sum = 0;
  *blocks = 0;
  const unsigned classes = ca_free_blocks_class(self->end) + 1;
  for (unsigned class = ca_free_blocks_next_class(self, 0); class < 256;
       class = ca_free_blocks_next_class(self, class + 1)) {
    size_t count = 0;
    if (class >= classes || self->trees[class].root == 0 ||
        !ca_red_black_tree_check(&self->trees[class], ca_free_blocks_nodes(self), self->first,
                                 self->top, &count)) {
      return false;
    }
    for (uint32_t at = self->trees[class].leftmost; at != 0;
         at = ca_red_black_tree_next(ca_free_blocks_nodes(self), at)) {
      uint32_t granules = 0;
      if (!free_block_holds(self, at, &granules) || ca_free_blocks_class(granules) != class ||
          !is_found(self, at, granules)) {
        return false;
      }
      sum += granules;
    }
    *blocks += count;
  }
  return sum == self->free;
}

/* Sizes forgotten: the cells' chains have every free block, in address order and apart. */
static bool cells_hold(const heap *self, size_t blocks) {
  if (self->touched == self->first) {
    return blocks == 0; /* No cell is set up yet. */
  }
  uint32_t free_end = 0; /* Where the free block last met ends. */
  for (uint32_t low = self->first & ~(uint32_t)(CELL - 1); low < self->touched; low += CELL) {
    const ca_multiple_binary_search_tree_cell cell = self->cells[low >> CELL_SHIFT];
    /* 0 where none from before ends here. */
    const uint32_t last = free_end > low && free_end - low <= CELL ? free_end - low : 0;
    if (cell.last != last) {
      return false;
    }
    for (uint32_t link = cell.first; link != 0;) {
      const uint32_t at = low + link - 1;
      uint32_t granules = 0;
      if (link > CELL || blocks-- == 0 || (free_end != 0 && at <= free_end) ||
          !free_block_holds(self, at, &granules)) {
        return false;
      }
      free_end = at + granules;
      link = ca_free_blocks_load(self, at).bits >> FREE_BLOCK_NEXT_SHIFT;
    }
  }
  return blocks == 0;
}

/* Sizes recorded: each granule below top belongs to one block. */
static bool marks_hold(const heap *self) {
  uint32_t at = self->first;
  while (at < self->top) {
    if (has_victim(self) && at == self->victim) {
      at = self->victim_end;
      continue;
    }
    const uint32_t free = ca_free_blocks_at(self, at);
    uint32_t next = at + 1;
    if (free != 0) {
      next = at + (lies_right(self, at, free) ? free : 0);
      if (next == at) {
        return false;
      }
      for (uint32_t inside = at; inside < next; ++inside) {
        if (begin_marked(self, inside) || end_marked(self, inside)) {
          return false;
        }
      }
    } else {
      while (next < self->top && !end_marked(self, next - 1)) {
        if (begin_marked(self, next)) {
          return false;
        }
        next++;
      }
      if (!end_marked(self, next - 1) || !lies_right(self, at, next - at)) {
        return false;
      }
    }
    at = next;
  }
  for (; at < self->touched; ++at) {
    if (begin_marked(self, at) || end_marked(self, at)) {
      return false;
    }
  }
  return true;
}

bool ca_multiple_binary_search_tree_check(const ca_multiple_binary_search_tree *self) {
  if (self->end == 0) {
    return self->top == 0 && self->listed == 0 && self->free == 0;
  }
  size_t blocks = 0;
  if (!bounds_hold(self) || !lists_hold(self) || !trees_hold(self, &blocks)) {
    return false;
  }
  return self->marks != NULL ? marks_hold(self) : cells_hold(self, blocks);
}
