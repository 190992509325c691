#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

#include "allocators/multiple_binary_search_tree/check.h"
#include "allocators/multiple_binary_search_tree/free_blocks.h"

enum {
  LOOK = 16,      /* Blocks of a request's own class looked at before a larger one is cut. */
  FOLD_SHARE = 16 /* The range isn't used further up while 1/16 of what was used waits in lists. */
};

static heap *from_base(ca_allocator *base) { return (heap *)base; }
static const heap *from_const_base(const ca_allocator *base) { return (const heap *)base; }

static char *address_of(const heap *self, uint32_t at) {
  return self->origin + (size_t)at * GRANULE;
}

static uint32_t position_of(const heap *self, const void *ptr) {
  return (uint32_t)((size_t)((const char *)ptr - self->origin) / GRANULE);
}

/* 0 where it wraps; else at most 2^60. */
static size_t granules_for(size_t size) { return (size + (GRANULE - 1)) / GRANULE; }

static ca_block block_of(const heap *self, uint32_t at, uint32_t granules) {
  return ca_block_make(address_of(self, at), (size_t)granules * GRANULE);
}

/* Marks, where sizes are recorded. */

static void mark_begin(heap *self, uint32_t at) {
  self->marks[at >> CELL_SHIFT].begins |= UINT64_C(1) << (at & (CELL - 1));
}

static void clear_begin(heap *self, uint32_t at) {
  self->marks[at >> CELL_SHIFT].begins &= ~(UINT64_C(1) << (at & (CELL - 1)));
}

static void mark_end(heap *self, uint32_t last) {
  self->marks[last >> CELL_SHIFT].ends |= UINT64_C(1) << (last & (CELL - 1));
}

static void clear_end(heap *self, uint32_t last) {
  self->marks[last >> CELL_SHIFT].ends &= ~(UINT64_C(1) << (last & (CELL - 1)));
}

static void mark(heap *self, uint32_t at, uint32_t granules) {
  if (self->marks != NULL) {
    mark_begin(self, at);
    mark_end(self, at + granules - 1);
  }
}

/* Folding. */

static void retire_victim(heap *self) {
  const uint32_t at = self->victim;
  const uint32_t granules = self->victim_end - at;
  self->victim = 0;
  self->victim_end = 0;
  if (granules != 0) {
    ca_free_blocks_put(self, at, granules);
  }
}

void ca_multiple_binary_search_tree_fold(ca_multiple_binary_search_tree *self) {
  retire_victim(self);
  for (uint32_t granules = 1; granules <= LISTED_MAX; ++granules) {
    uint32_t at = self->lists[granules];
    self->lists[granules] = 0;
    while (at != 0) {
      const uint32_t next = ca_free_blocks_load(self, at).child[0];
      if (self->marks != NULL) {
        clear_end(self, at + granules - 1);
      }
      self->listed -= granules;
      ca_free_blocks_put(self, at, granules);
      at = next;
    }
  }
}

static bool can_fold(const heap *self) {
  return self->listed != 0 || self->victim != self->victim_end;
}

/* Finding room. What is found carries no marks yet. */

/* Moves top up to `top`, and sets up the cells or marks that come into use. */
static void raise_top(heap *self, uint32_t top) {
  self->top = top;
  if (top <= self->touched) {
    return;
  }
  const uint32_t from = self->touched >> CELL_SHIFT;
  const uint32_t to = (uint32_t)(((uint64_t)top + CELL - 1) >> CELL_SHIFT);
  if (self->cells != NULL) {
    memset(&self->cells[from], 0, (to - from) * sizeof *self->cells);
  } else {
    memset(&self->marks[from], 0, (to - from) * sizeof *self->marks);
  }
  const uint64_t rounded = (uint64_t)to << CELL_SHIFT;
  self->touched = rounded < self->end ? (uint32_t)rounded : self->end;
}

/* Takes `granules` from the top, 0: there aren't as many. */
static uint32_t cut_top(heap *self, uint32_t granules) {
  const uint32_t at = self->top;
  if (granules > self->end - at) {
    return 0;
  }
  if (at + granules > self->touched && self->listed > (self->touched - self->first) / FOLD_SHARE) {
    return 0; /* The caller folds, and comes again. */
  }
  raise_top(self, at + granules);
  return at;
}

static uint32_t cut_victim(heap *self, uint32_t granules) {
  const uint32_t at = self->victim;
  if (granules > self->victim_end - at) {
    return 0;
  }
  self->victim = at + granules;
  return at;
}

static uint32_t cut_end_of(heap *self, uint32_t at, uint32_t granules) {
  const uint32_t cut = at + ca_free_blocks_size(self, at) - granules;
  ca_free_blocks_cut_end(self, at, granules);
  return cut;
}

/* Takes a new victim of at least `granules`: the lowest block of the next class, or its end. */
static bool refill_victim(heap *self, uint32_t granules) {
  const unsigned class = ca_free_blocks_next_class(self, ca_free_blocks_class(granules) + 1);
  if (class < 256) {
    const uint32_t at = self->trees[class].leftmost;
    const uint32_t size = ca_free_blocks_size(self, at);
    const uint32_t cut = size < LISTED_MAX ? size : LISTED_MAX;
    const uint32_t begin = cut_end_of(self, at, cut);
    retire_victim(self);
    self->victim = begin;
    self->victim_end = begin + cut;
    return true;
  }
  const uint32_t room = self->end - self->top;
  const uint32_t cut = cut_top(self, room < LISTED_MAX ? room : LISTED_MAX);
  if (cut == 0) {
    return false;
  }
  if (self->victim == self->victim_end || self->victim_end != cut) {
    const uint32_t begin = self->victim;
    const uint32_t left = self->victim_end - begin;
    self->victim = cut;
    if (left != 0) {
      self->victim_end = self->top;
      ca_free_blocks_put(self, begin, left);
    }
  }
  self->victim_end = self->top;
  return true;
}

static uint32_t find_small(heap *self, uint32_t granules, uint32_t look) {
  const uint32_t own = ca_free_blocks_find_in_class(self, granules, look);
  if (own != 0) {
    return cut_end_of(self, own, granules);
  }
  const uint32_t cut = cut_victim(self, granules);
  if (cut != 0 || !refill_victim(self, granules)) {
    return cut;
  }
  return cut_victim(self, granules);
}

static uint32_t find_large(heap *self, uint32_t granules, uint32_t look) {
  const uint32_t own = ca_free_blocks_find_in_class(self, granules, look);
  if (own != 0) {
    return cut_end_of(self, own, granules);
  }
  const uint32_t cut = cut_victim(self, granules);
  if (cut != 0) {
    return cut;
  }
  const unsigned class = ca_free_blocks_next_class(self, ca_free_blocks_class(granules) + 1);
  return class < 256 ? cut_end_of(self, self->trees[class].leftmost, granules)
                     : cut_top(self, granules);
}

static uint32_t find(heap *self, uint32_t granules) {
  uint32_t (*const find_sized)(heap *, uint32_t, uint32_t) =
      granules <= LISTED_MAX ? find_small : find_large;
  uint32_t at = find_sized(self, granules, LOOK);
  if (at == 0 && can_fold(self)) {
    ca_multiple_binary_search_tree_fold(self);
    at = find_sized(self, granules, LOOK);
  }
  return at != 0 ? at : find_sized(self, granules, UINT32_MAX);
}

/* The highest position in [at, end - granules] that is aligned, 0: none is. */
static uint32_t aligned_within(const heap *self, uint32_t at, uint32_t end, uint32_t granules,
                               size_t align) {
  if (granules > end - at) {
    return 0;
  }
  const uintptr_t highest = (uintptr_t)address_of(self, end - granules);
  const uintptr_t aligned = highest & ~(uintptr_t)(align - 1);
  return aligned >= (uintptr_t)address_of(self, at) ? position_of(self, (const void *)aligned) : 0;
}

/* Cuts a block out of the free block at `from`, and frees again what is left behind it. */
static uint32_t cut_aligned(heap *self, uint32_t from, uint32_t at, uint32_t granules) {
  const uint32_t end = from + ca_free_blocks_size(self, from);
  ca_free_blocks_cut_end(self, from, end - at);
  mark(self, at, granules);
  if (end != at + granules) {
    ca_free_blocks_put(self, at + granules, end - at - granules);
  }
  return at;
}

static uint32_t find_aligned_in_trees(heap *self, uint32_t granules, size_t align) {
  for (unsigned class = ca_free_blocks_next_class(self, ca_free_blocks_class(granules));
       class < 256; class = ca_free_blocks_next_class(self, class + 1)) {
    for (uint32_t from = self->trees[class].leftmost; from != 0;
         from = ca_red_black_tree_next(ca_free_blocks_nodes(self), from)) {
      const uint32_t end = from + ca_free_blocks_size(self, from);
      const uint32_t at = aligned_within(self, from, end, granules, align);
      if (at != 0) {
        return cut_aligned(self, from, at, granules);
      }
    }
  }
  return 0;
}

static uint32_t find_aligned_at_top(heap *self, uint32_t granules, size_t align) {
  const uint32_t top = self->top;
  const size_t padding = ca_padding_to((uintptr_t)address_of(self, top), align) / GRANULE;
  if (padding > self->end - top || granules > self->end - top - padding) {
    return 0;
  }
  const uint32_t at = top + (uint32_t)padding;
  raise_top(self, at + granules);
  mark(self, at, granules);
  if (padding != 0) {
    ca_free_blocks_put(self, top, (uint32_t)padding);
  }
  return at;
}

static uint32_t find_aligned(heap *self, uint32_t granules, size_t align) {
  retire_victim(self); /* It may hold the place. */
  uint32_t at = find_aligned_in_trees(self, granules, align);
  if (at == 0) {
    at = find_aligned_at_top(self, granules, align);
  }
  if (at == 0 && can_fold(self)) {
    ca_multiple_binary_search_tree_fold(self);
    at = find_aligned_in_trees(self, granules, align);
    at = at != 0 ? at : find_aligned_at_top(self, granules, align);
  }
  return at;
}

ca_block ca_multiple_binary_search_tree_allocate_unlisted(ca_multiple_binary_search_tree *self,
                                                          size_t size, size_t align) {
  const size_t wanted = granules_for(size);
  if (wanted == 0 || wanted > self->end - self->first) {
    return ca_block_none();
  }
  const uint32_t granules = (uint32_t)wanted;
  const uint32_t at = align <= GRANULE ? find(self, granules) : find_aligned(self, granules, align);
  if (at == 0) {
    return ca_block_none();
  }
  mark(self, at, granules);
  const ca_block block = block_of(self, at, granules);
  ca_unpoison(block.ptr, block.size);
  return block;
}

/* Frees a block, or the tail of one, that lives; sizes recorded: its end is marked. */
static void give_back(heap *self, uint32_t at, uint32_t granules) {
  ca_poison(address_of(self, at), (size_t)granules * GRANULE);
  if (granules <= LISTED_MAX) {
    const ca_red_black_node link = {.child = {self->lists[granules], 0}};
    ca_free_blocks_store(self, at, link);
    self->lists[granules] = at;
    self->listed += granules;
    return;
  }
  if (self->marks != NULL) {
    clear_end(self, at + granules - 1);
  }
  ca_free_blocks_put(self, at, granules);
}

void ca_multiple_binary_search_tree_deallocate_unlisted(ca_multiple_binary_search_tree *self,
                                                        void *ptr, size_t size) {
  give_back(self, position_of(self, ptr), (uint32_t)granules_for(size));
}

/* Resizing. */

/* Takes `more` granules from what is free right behind a block. */
static bool take_behind(heap *self, uint32_t end, uint32_t more) {
  if (self->victim != self->victim_end && end == self->victim) {
    const uint32_t left = self->victim_end - end;
    if (more > left) {
      if (self->victim_end != self->top || more - left > self->end - self->top) {
        return false;
      }
      raise_top(self, end + more);
      self->victim_end = self->top;
    }
    self->victim += more;
    return true;
  }
  if (end == self->top) {
    if (more > self->end - end) {
      return false;
    }
    raise_top(self, end + more);
    return true;
  }
  if (ca_free_blocks_at(self, end) < more) {
    return false;
  }
  ca_free_blocks_cut_begin(self, end, more);
  return true;
}

static ca_block grow(heap *self, uint32_t at, uint32_t granules, size_t wanted, ca_move move) {
  if (wanted == granules) {
    return block_of(self, at, granules);
  }
  if (wanted == 0 || wanted > self->end - at) {
    return ca_block_none();
  }
  const uint32_t more = (uint32_t)wanted - granules;
  bool taken = take_behind(self, at + granules, more);
  if (!taken && move == CA_MOVE_NEVER && can_fold(self)) {
    ca_multiple_binary_search_tree_fold(self);
    taken = take_behind(self, at + granules, more);
  }
  if (!taken) {
    return ca_block_none();
  }
  if (self->marks != NULL) {
    clear_end(self, at + granules - 1);
    mark_end(self, at + (uint32_t)wanted - 1);
  }
  ca_unpoison(address_of(self, at + granules), (size_t)more * GRANULE);
  return block_of(self, at, (uint32_t)wanted);
}

static ca_block shrink(heap *self, uint32_t at, uint32_t granules, uint32_t wanted) {
  if (wanted < granules) {
    if (self->marks != NULL) {
      mark_end(self, at + wanted - 1);
    }
    give_back(self, at + wanted, granules - wanted);
  }
  return block_of(self, at, wanted);
}

/* Sizes forgotten. */

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  return ca_multiple_binary_search_tree_allocate(from_base(base), size, align);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  ca_multiple_binary_search_tree_deallocate(from_base(base), ptr, size);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  (void)align;
  heap *const self = from_base(base);
  return grow(self, position_of(self, ptr), (uint32_t)granules_for(size), granules_for(new_size),
              move);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  (void)align;
  (void)move;
  heap *const self = from_base(base);
  return shrink(self, position_of(self, ptr), (uint32_t)granules_for(size),
                (uint32_t)granules_for(new_size));
}

static bool op_owns(const ca_allocator *base, const void *ptr) {
  const heap *const self = from_const_base(base);
  return (uintptr_t)ptr - (uintptr_t)address_of(self, self->first) <
         (size_t)(self->end - self->first) * GRANULE;
}

static bool op_check(const ca_allocator *base) {
  return ca_multiple_binary_search_tree_check(from_const_base(base));
}

static const ca_allocator_ops forgetting_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = NULL,
    .deallocate_unsized = NULL,
    .owns = op_owns,
    .check = op_check,
    .name = "multiple_binary_search_tree",
};

/* Sizes recorded. */

CA_COLD __attribute__((noreturn)) static void report(const heap *self, const char *call,
                                                     const void *ptr) {
  const char *what = "not a block (multiple_binary_search_tree)";
  if (op_owns(&self->base, ptr) && ca_is_aligned(ptr, GRANULE) &&
      position_of(self, ptr) < self->touched) {
    uint32_t at = position_of(self, ptr);
    what = "double free (multiple_binary_search_tree)";
    /* The nearest mark below tells whether this lies inside a block that lives. */
    for (; at >= self->first; --at) {
      const ca_multiple_binary_search_tree_marks *const marks = &self->marks[at >> CELL_SHIFT];
      if (at != position_of(self, ptr) && (marks->ends >> (at & (CELL - 1)) & 1) != 0) {
        break;
      }
      if ((marks->begins >> (at & (CELL - 1)) & 1) != 0) {
        what = "interior pointer (multiple_binary_search_tree)";
        break;
      }
    }
  } else if (op_owns(&self->base, ptr) && !ca_is_aligned(ptr, GRANULE)) {
    what = "interior pointer (multiple_binary_search_tree)";
  }
  ca_panic_misuse(call, ptr, what);
}

/* The position of the live block at ptr; anything else is reported as a misuse of `call`. */
static uint32_t live_at(const heap *self, const void *ptr, const char *call) {
  const uintptr_t offset = (uintptr_t)ptr - (uintptr_t)self->origin;
  const uintptr_t at = offset / GRANULE;
  if (CA_UNLIKELY(offset % GRANULE != 0 || at < self->first || at >= self->top ||
                  (self->marks[at >> CELL_SHIFT].begins >> (at & (CELL - 1)) & 1) == 0)) {
    report(self, call, ptr);
  }
  return (uint32_t)at;
}

static uint32_t live_granules(const heap *self, uint32_t at) {
  uint32_t word = at >> CELL_SHIFT;
  uint64_t ends = self->marks[word].ends >> (at & (CELL - 1));
  if (CA_LIKELY(ends != 0)) {
    return (uint32_t)__builtin_ctzll(ends) + 1;
  }
  do {
    ends = self->marks[++word].ends;
  } while (ends == 0); /* A live block has an end. */
  return (word << CELL_SHIFT) + (uint32_t)__builtin_ctzll(ends) + 1 - at;
}

static uint32_t checked_granules(const heap *self, uint32_t at, size_t size, const char *call) {
  const uint32_t granules = live_granules(self, at);
  if (CA_UNLIKELY(granules_for(size) != granules)) {
    ca_panic_misuse(call, address_of(self, at), "wrong size (multiple_binary_search_tree)");
  }
  return granules;
}

static ca_block recording_allocate(ca_allocator *base, size_t size, size_t align) {
  heap *const self = from_base(base);
  const size_t granules = granules_for(size);
  if (CA_LIKELY(granules <= LISTED_MAX && align <= GRANULE)) {
    const uint32_t at = self->lists[granules];
    if (CA_LIKELY(at != 0)) {
      self->lists[granules] = ca_free_blocks_load(self, at).child[0];
      self->listed -= (uint32_t)granules;
      mark_begin(self, at);
      ca_unpoison(address_of(self, at), granules * GRANULE);
      return block_of(self, at, (uint32_t)granules);
    }
  }
  return ca_multiple_binary_search_tree_allocate_unlisted(self, size, align);
}

static void recording_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  heap *const self = from_base(base);
  const uint32_t at = live_at(self, ptr, "deallocate");
  const uint32_t granules = checked_granules(self, at, size, "deallocate");
  clear_begin(self, at);
  give_back(self, at, granules);
}

static void recording_deallocate_unsized(ca_allocator *base, void *ptr) {
  heap *const self = from_base(base);
  const uint32_t at = live_at(self, ptr, "deallocate");
  const uint32_t granules = live_granules(self, at);
  clear_begin(self, at);
  give_back(self, at, granules);
}

static ca_block recording_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                               size_t align, ca_move move) {
  (void)align;
  heap *const self = from_base(base);
  const uint32_t at = live_at(self, ptr, "grow");
  return grow(self, at, checked_granules(self, at, size, "grow"), granules_for(new_size), move);
}

static ca_block recording_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                                 size_t align, ca_move move) {
  (void)align;
  (void)move;
  heap *const self = from_base(base);
  const uint32_t at = live_at(self, ptr, "shrink");
  return shrink(self, at, checked_granules(self, at, size, "shrink"),
                (uint32_t)granules_for(new_size));
}

static size_t recording_usable_size(const ca_allocator *base, const void *ptr) {
  const heap *const self = from_const_base(base);
  return (size_t)live_granules(self, live_at(self, ptr, "usable_size")) * GRANULE;
}

static const ca_allocator_ops recording_ops = {
    .allocate = recording_allocate,
    .deallocate = recording_deallocate,
    .grow = recording_grow,
    .shrink = recording_shrink,
    .usable_size = recording_usable_size,
    .deallocate_unsized = recording_deallocate_unsized,
    .owns = op_owns,
    .check = op_check,
    .name = "multiple_binary_search_tree, sizes recorded",
};

/* Life. */

/* Puts the tables at the beginning of the range: trees, then cells or marks. */
static bool lay_out(heap *self, ca_block range, ca_sizes sizes) {
  const size_t padding = ca_padding_to((uintptr_t)range.ptr, GRANULE);
  const size_t room = padding < range.size ? (range.size - padding) / GRANULE : 0;
  const uint32_t end = room < UINT32_MAX - CELL ? (uint32_t)room : UINT32_MAX - CELL;
  if (end == 0) {
    return false;
  }
  const size_t trees = (ca_free_blocks_class(end) + 1) * sizeof *self->trees;
  const size_t cells = ((size_t)end + CELL - 1) >> CELL_SHIFT;
  const bool recorded = sizes == CA_SIZES_RECORDED;
  const size_t records = cells * (recorded ? sizeof *self->marks : sizeof *self->cells);
  const size_t first = granules_for(ca_round_up(trees, GRANULE) + records);
  if (first >= end) {
    return false;
  }
  self->origin = (char *)range.ptr + padding;
  self->trees = (ca_red_black_tree *)(void *)self->origin;
  void *const tables = self->origin + ca_round_up(trees, GRANULE);
  self->cells = recorded ? NULL : tables;
  self->marks = recorded ? tables : NULL;
  self->first = (uint32_t)first;
  self->top = self->first;
  self->touched = self->first;
  self->end = end;
  return true;
}

void ca_multiple_binary_search_tree_init_range(ca_multiple_binary_search_tree *self, ca_block range,
                                               ca_sizes sizes) {
  *self = (heap){.base = {.ops = sizes == CA_SIZES_RECORDED ? &recording_ops : &forgetting_ops}};
  if (ca_block_is_none(range) || (uintptr_t)range.ptr > INTPTR_MAX ||
      range.size > INTPTR_MAX - (uintptr_t)range.ptr || !lay_out(self, range, sizes)) {
    return;
  }
  ca_poison(address_of(self, self->first), (size_t)(self->end - self->first) * GRANULE);
}

bool ca_multiple_binary_search_tree_init(ca_multiple_binary_search_tree *self, ca_source *source,
                                         size_t size, ca_sizes sizes) {
  const ca_block region =
      size == 0 ? ca_block_none() : ca_source_obtain(source, size, CA_ALIGN_DEFAULT);
  ca_multiple_binary_search_tree_init_range(self, region, sizes);
  if (self->end == 0) {
    if (!ca_block_is_none(region)) {
      ca_source_release(source, region);
    }
    return false;
  }
  self->region = region;
  self->source = source;
  return true;
}

void ca_multiple_binary_search_tree_destroy(ca_multiple_binary_search_tree *self) {
  if (self->end != 0) {
    ca_unpoison(address_of(self, self->first), (size_t)(self->end - self->first) * GRANULE);
  }
  if (!ca_block_is_none(self->region)) {
    ca_source_release(self->source, self->region);
  }
  *self = (heap){.base = self->base};
}

void ca_multiple_binary_search_tree_reset(ca_multiple_binary_search_tree *self) {
  if (self->end != 0) {
    ca_poison(address_of(self, self->first), (size_t)(self->end - self->first) * GRANULE);
  }
  memset(self->lists, 0, sizeof self->lists);
  memset(self->nonempty, 0, sizeof self->nonempty);
  self->listed = 0;
  self->free = 0;
  self->victim = 0;
  self->victim_end = 0;
  self->top = self->first;
  self->touched = self->first;
}

static size_t decommit(heap *self, uint32_t at, uint32_t end) {
  return at >= end
             ? 0
             : ca_source_decommit(self->source, address_of(self, at), (size_t)(end - at) * GRANULE);
}

size_t ca_multiple_binary_search_tree_trim(ca_multiple_binary_search_tree *self) {
  ca_multiple_binary_search_tree_fold(self);
  if (self->source == NULL) {
    return 0;
  }
  size_t given = decommit(self, self->top, self->touched);
  /* Of a free block the first two granules and the last hold its records. No page has fewer than
   * 4,096 bytes. */
  for (unsigned class = ca_free_blocks_next_class(self, ca_free_blocks_class(4096 / GRANULE));
       class < 256; class = ca_free_blocks_next_class(self, class + 1)) {
    for (uint32_t at = self->trees[class].leftmost; at != 0;
         at = ca_red_black_tree_next(ca_free_blocks_nodes(self), at)) {
      given += decommit(self, at + 2, at + ca_free_blocks_size(self, at) - 1);
    }
  }
  return given;
}

size_t ca_multiple_binary_search_tree_blocks(const ca_multiple_binary_search_tree *self) {
  size_t blocks = 0;
  if (self->touched == self->first) {
    return 0; /* No marks are set up yet. */
  }
  for (uint32_t at = self->first & ~(uint32_t)(CELL - 1); at < self->touched; at += CELL) {
    blocks += (size_t)__builtin_popcountll(self->marks[at >> CELL_SHIFT].begins);
  }
  return blocks;
}
