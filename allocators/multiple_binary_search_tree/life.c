#include <string.h>

#include "allocators/multiple_binary_search_tree/runs.h"

/* Granules that hold the marks of `granules`, and of the one behind the last. */
static uint32_t granules_of_marks(uint32_t granules, uint32_t recording) {
  const uint32_t words = (granules / 64 + 1) << recording;
  return (words + 1) / 2;
}

/* Through a pointer that the compiler knows nothing of: for a structure of this size it would choose
 * `rep stos`, which takes 30 ns to begin. */
static void clear(trees *self, size_t size, const ca_allocator_ops *ops) {
  void *(*volatile set)(void *, int, size_t) = memset;
  set(self, 0, size);
  self->base.ops = ops;
}

/* Puts the marks and the trees at the beginning of the range. */
static bool lay_out(trees *self, ca_block range, uint32_t recording) {
  const size_t padding = ca_padding_to((uintptr_t)range.ptr, GRANULE);
  const size_t room = padding < range.size ? (range.size - padding) / GRANULE : 0;
  const uint32_t end = room < CA_RED_BLACK_NUMBER_MAX ? (uint32_t)room : CA_RED_BLACK_NUMBER_MAX;
  if (end == 0) {
    return false;
  }
  const uint32_t marks = granules_of_marks(end, recording);
  const size_t of_trees = (class_of(end) + 1) * sizeof *self->trees;
  const uint32_t first = marks + (uint32_t)ca_round_up(of_trees, GRANULE) / GRANULE;
  if (first >= end) {
    return false;
  }
  self->memory = (char *)range.ptr + padding;
  self->trees = (ca_red_black_tree *)(void *)address_of(self, marks);
  self->first = self->highest = self->touched = first;
  self->end = end;
  self->recording = recording;
  return true;
}

bool runs_are_laid_out(const trees *self) {
  trees right;
  const ca_block range = ca_block_is_none(self->region)
                             ? ca_block_make(self->memory, (size_t)self->end * GRANULE)
                             : self->region;
  const bool recording = self->base.ops == &runs_recording_ops;
  return self->recording == (recording ? 1 : 0) && !ca_block_is_none(range) &&
         lay_out(&right, range, self->recording) && self->memory == right.memory &&
         self->trees == right.trees && self->first == right.first && self->end == right.end;
}

/* No runs, and everything from `first` on above top: no mark is kept. Without a call of memset, as
 * after much traffic its code is far from the processor's caches, and so is the region. */
static void forget_all(trees *self) {
  for (unsigned i = 0; i < MASK_WORDS; ++i) {
    self->classes[i] = 0;
  }
  self->free_granules = 0;
  self->top = self->first;
}

void ca_multiple_binary_search_tree_init_range(ca_multiple_binary_search_tree *self, ca_block range,
                                               ca_sizes sizes) {
  const bool recording = sizes == CA_SIZES_RECORDED;
  clear(self, sizeof *self, recording ? &runs_recording_ops : &runs_forgetting_ops);
  if (ca_block_is_none(range) || (uintptr_t)range.ptr > INTPTR_MAX ||
      range.size > INTPTR_MAX - (uintptr_t)range.ptr || !lay_out(self, range, recording ? 1 : 0)) {
    return;
  }
  /* Who had the range before, and didn't destroy, may have poisoned where the marks come to lie. */
  ca_unpoison_defined(self->memory, (size_t)self->first * GRANULE);
  forget_all(self);
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
    ca_unpoison(self->memory, (size_t)self->end * GRANULE);
  }
  if (!ca_block_is_none(self->region)) {
    ca_source_release(self->source, self->region);
  }
  /* Where nothing waits, the lists, which come last, are clear. */
  clear(self, self->waiting != 0 ? sizeof *self : offsetof(trees, lists), self->base.ops);
}

void ca_multiple_binary_search_tree_reset(ca_multiple_binary_search_tree *self) {
  if (self->end == 0) {
    return;
  }
  if (self->waiting != 0) { /* Else they are empty, and perhaps far from the caches. */
    memset(self->lists, 0, sizeof self->lists);
    self->waiting = 0;
  }
  self->touched = self->touched > self->highest ? self->touched : self->highest;
  self->highest = self->first;
  forget_all(self);
  ca_poison(address_of(self, self->first), (size_t)(self->end - self->first) * GRANULE);
}

static size_t decommit(trees *self, uint32_t begin, uint32_t end) {
  return ca_source_decommit(self->source, address_of(self, begin), (size_t)(end - begin) * GRANULE);
}

size_t ca_multiple_binary_search_tree_trim(ca_multiple_binary_search_tree *self) {
  ca_multiple_binary_search_tree_fold(self);
  if (ca_block_is_none(self->region)) {
    return 0;
  }
  const uint32_t used = self->touched > self->highest ? self->touched : self->highest;
  size_t given = used > self->top ? decommit(self, self->top, used) : 0;
  for (unsigned class = runs_class_from(self, 0); class < CLASSES;
       class = runs_class_from(self, class + 1)) {
    uint32_t run = self->trees[class].leftmost;
    for (; run != 0; run = ca_red_black_next(node_at(self, 0), run)) {
      const uint32_t length = length_at(self, run);
      if (length > 2) { /* The first and the last granule are in use. */
        given += decommit(self, run + 1, run + length - 1);
      }
    }
  }
  return given;
}

size_t ca_multiple_binary_search_tree_blocks(const ca_multiple_binary_search_tree *self) {
  size_t blocks = 0;
  if (self->top == self->first) {
    return 0;
  }
  for (uint32_t at = self->first & ~UINT32_C(63); at < self->top; at += 64) {
    blocks += (size_t)__builtin_popcountll(*begins_word(self, at) & ~*free_word(self, at));
  }
  /* Top has the same mark as a block, where its word was counted. */
  return blocks - ((self->top & 63) != 0 ? 1 : 0);
}
