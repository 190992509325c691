#include "allocators/multiple_binary_search_tree/free_blocks.h"

typedef ca_multiple_binary_search_tree_cell cell;

unsigned ca_free_blocks_next_class(const heap *self, unsigned from) {
  for (unsigned word = from / 64; word < 4; ++word) {
    const uint64_t below = word == from / 64 ? (UINT64_C(1) << (from % 64)) - 1 : 0;
    const uint64_t bits = self->nonempty[word] & ~below;
    if (bits != 0) {
      return word * 64 + (unsigned)__builtin_ctzll(bits);
    }
  }
  return 256;
}

uint32_t ca_free_blocks_size(const heap *self, uint32_t at) {
  const bool single = (ca_free_blocks_load(self, at).bits & FREE_BLOCK_SINGLE) != 0;
  return single ? 1 : ca_free_blocks_load(self, at + 1).child[0];
}

/* Granules of the free block whose last granule is `last`. */
static uint32_t size_ending(const heap *self, uint32_t last) {
  const ca_red_black_node granule = ca_free_blocks_load(self, last);
  return (granule.bits & FREE_BLOCK_SINGLE) != 0 ? 1 : granule.parent;
}

static void write_size(heap *self, uint32_t at, uint32_t granules) {
  ca_red_black_node node = ca_free_blocks_load(self, at);
  node.bits &= ~(uint32_t)FREE_BLOCK_SINGLE;
  node.bits |= granules == 1 ? FREE_BLOCK_SINGLE : 0;
  ca_free_blocks_store(self, at, node);
  if (granules > 1) {
    const ca_red_black_node ending = {.child = {granules, 0}, .parent = granules, .bits = 0};
    ca_free_blocks_store(self, at + 1, ending);
    ca_free_blocks_store(self, at + granules - 1, ending);
  }
}

/* Cells: the free blocks that begin in a KiB are chained in address order. */

static uint32_t next_in_cell(const heap *self, uint32_t at) {
  return ca_free_blocks_load(self, at).bits >> FREE_BLOCK_NEXT_SHIFT;
}

static void set_next_in_cell(heap *self, uint32_t at, uint32_t next) {
  ca_red_black_node node = ca_free_blocks_load(self, at);
  node.bits = (node.bits & ((1U << FREE_BLOCK_NEXT_SHIFT) - 1)) | next << FREE_BLOCK_NEXT_SHIFT;
  ca_free_blocks_store(self, at, node);
}

/* The last block of the chain that begins before `at`, 0: none; *next is what follows it. */
static uint32_t before_in_cell(const heap *self, uint32_t cell_index, uint32_t at, uint32_t *next) {
  const uint32_t low = cell_index << CELL_SHIFT;
  uint32_t before = 0;
  uint32_t found = self->cells[cell_index].first;
  while (found != 0 && low + found - 1 < at) {
    before = low + found - 1;
    found = next_in_cell(self, before);
  }
  *next = found;
  return before;
}

static void chain(heap *self, uint32_t at) {
  const uint32_t cell_index = at >> CELL_SHIFT;
  uint32_t next;
  const uint32_t before = before_in_cell(self, cell_index, at, &next);
  const uint32_t link = (at & (CELL - 1)) + 1;
  set_next_in_cell(self, at, next);
  if (before == 0) {
    self->cells[cell_index].first = (uint8_t)link;
  } else {
    set_next_in_cell(self, before, link);
  }
}

static void unchain(heap *self, uint32_t at) {
  const uint32_t cell_index = at >> CELL_SHIFT;
  uint32_t next;
  const uint32_t before = before_in_cell(self, cell_index, at, &next);
  next = next_in_cell(self, at);
  if (before == 0) {
    self->cells[cell_index].first = (uint8_t)next;
  } else {
    set_next_in_cell(self, before, next);
  }
}

/* Notes, or forgets, in which granule a block ends that began in another cell. */
static void note_end(heap *self, uint32_t at, uint32_t granules, bool ends) {
  const uint32_t last = at + granules - 1;
  if (self->cells != NULL && last >> CELL_SHIFT != at >> CELL_SHIFT) {
    self->cells[last >> CELL_SHIFT].last = (uint8_t)(ends ? (last & (CELL - 1)) + 1 : 0);
  }
}

/* Neighbours. */

uint32_t ca_free_blocks_at(const heap *self, uint32_t at) {
  if (at == self->top || (at == self->victim && self->victim != self->victim_end)) {
    return 0;
  }
  if (self->cells != NULL) {
    uint32_t next;
    (void)before_in_cell(self, at >> CELL_SHIFT, at, &next);
    return next == (at & (CELL - 1)) + 1 ? ca_free_blocks_size(self, at) : 0;
  }
  /* Nobody's block begins here: it is free or listed, and the record inside tells which. */
  const bool lives = (self->marks[at >> CELL_SHIFT].begins >> (at & (CELL - 1)) & 1) != 0;
  return !lives && (ca_free_blocks_load(self, at).bits & FREE_BLOCK_IN_TREE) != 0
             ? ca_free_blocks_size(self, at)
             : 0;
}

/* Granules of the free block that ends before `at`; 0: none does. */
static uint32_t size_before(const heap *self, uint32_t at) {
  if (at == self->first || (at == self->victim_end && self->victim != self->victim_end)) {
    return 0;
  }
  const uint32_t last = at - 1;
  const uint32_t cell_index = last >> CELL_SHIFT;
  if (self->cells == NULL) {
    const bool taken = (self->marks[cell_index].ends >> (last & (CELL - 1)) & 1) != 0;
    return taken ? 0 : size_ending(self, last);
  }
  uint32_t next;
  const uint32_t before = before_in_cell(self, cell_index, at, &next);
  if (before != 0) {
    const uint32_t granules = ca_free_blocks_size(self, before);
    return before + granules == at ? granules : 0;
  }
  return self->cells[cell_index].last == (last & (CELL - 1)) + 1 ? size_ending(self, last) : 0;
}

/* Trees. */

static void enter(heap *self, uint32_t at, uint32_t granules) {
  const unsigned class = ca_free_blocks_class(granules);
  const uint64_t bit = UINT64_C(1) << (class % 64);
  if ((self->nonempty[class / 64] & bit) == 0) {
    self->nonempty[class / 64] |= bit;
    self->trees[class] = (ca_red_black_tree){0};
  }
  ca_red_black_tree_insert(&self->trees[class], ca_free_blocks_nodes(self), at);
}

static void leave(heap *self, uint32_t at, uint32_t granules) {
  const unsigned class = ca_free_blocks_class(granules);
  ca_red_black_tree_erase(&self->trees[class], ca_free_blocks_nodes(self), at);
  if (self->trees[class].root == 0) {
    self->nonempty[class / 64] &= ~(UINT64_C(1) << (class % 64));
  }
}

static void insert(heap *self, uint32_t at, uint32_t granules) {
  const ca_red_black_node fresh = {.bits = FREE_BLOCK_IN_TREE};
  ca_free_blocks_store(self, at, fresh);
  write_size(self, at, granules);
  if (self->cells != NULL) {
    chain(self, at);
  }
  note_end(self, at, granules, true);
  enter(self, at, granules);
  self->free += granules;
}

static void erase(heap *self, uint32_t at, uint32_t granules) {
  leave(self, at, granules);
  if (self->cells != NULL) {
    unchain(self, at);
  }
  note_end(self, at, granules, false);
  self->free -= granules;
}

/* The block at `at` keeps its place, and in its class also its node's. */
static void resize(heap *self, uint32_t at, uint32_t granules, uint32_t new_granules) {
  const bool moves = ca_free_blocks_class(granules) != ca_free_blocks_class(new_granules);
  if (moves) {
    leave(self, at, granules);
  }
  note_end(self, at, granules, false);
  write_size(self, at, new_granules);
  note_end(self, at, new_granules, true);
  if (moves) {
    enter(self, at, new_granules);
  }
  self->free += new_granules - granules;
}

void ca_free_blocks_put(heap *self, uint32_t at, uint32_t granules) {
  uint32_t end = at + granules;
  const uint32_t after = ca_free_blocks_at(self, end);
  if (after != 0) {
    erase(self, end, after);
    end += after;
  }
  const uint32_t before = size_before(self, at);
  const bool has_victim = self->victim != self->victim_end;
  if (before != 0 && end != self->top && !(has_victim && end == self->victim)) {
    resize(self, at - before, before, end - (at - before));
    return;
  }
  if (before != 0) {
    erase(self, at - before, before);
    at -= before;
  }
  if (has_victim && end == self->victim) {
    self->victim = at;
  } else if (has_victim && at == self->victim_end && end != self->top) {
    self->victim_end = end;
  } else if (end == self->top) {
    self->top = at;
  } else {
    insert(self, at, end - at);
  }
}

void ca_free_blocks_cut_end(heap *self, uint32_t at, uint32_t granules) {
  const uint32_t size = ca_free_blocks_size(self, at);
  if (size == granules) {
    erase(self, at, size);
  } else {
    resize(self, at, size, size - granules);
  }
}

void ca_free_blocks_cut_begin(heap *self, uint32_t at, uint32_t granules) {
  const uint32_t size = ca_free_blocks_size(self, at);
  erase(self, at, size);
  if (size > granules) {
    insert(self, at + granules, size - granules);
  }
}

uint32_t ca_free_blocks_find_in_class(const heap *self, uint32_t granules, uint32_t look) {
  const unsigned class = ca_free_blocks_class(granules);
  if ((self->nonempty[class / 64] >> (class % 64) & 1) == 0) {
    return 0;
  }
  uint32_t at = self->trees[class].leftmost;
  if (granules < 16) {
    return at;
  }
  while (at != 0 && ca_free_blocks_size(self, at) < granules) {
    at = --look == 0 ? 0 : ca_red_black_tree_next(ca_free_blocks_nodes(self), at);
  }
  return at;
}
