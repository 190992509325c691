#include "allocators/multiple_binary_search_tree/runs.h"

/* The lowest granule in [from, to) with a free mark that is a run's, or to. */
static uint32_t next_edge(const trees *self, uint32_t from, uint32_t to) {
  while (from < to) {
    if (*free_word(self, from) == 0) {
      from = (from | 63) + 1;
    } else if (is_edge(self, from)) {
      return from;
    } else {
      ++from;
    }
  }
  return to;
}

/* Whether there is any mark in [from, to), to <= top. */
static bool has_mark(const trees *self, uint32_t from, uint32_t to) {
  while (from < to) {
    uint64_t word = *free_word(self, from);
    if (self->recording != 0) {
      word |= *begins_word(self, from);
    }
    word &= ~UINT64_C(0) << (from & 63);
    from = (from | 63) + 1;
    if (from > to) {
      word &= bit_of(to) - 1;
    }
    if (word != 0) {
      return true;
    }
  }
  return false;
}

/* The run at `at` ends where it says, below top, has no marks inside, and no free neighbour: a block
 * begins behind it, where that is recorded. */
static bool run_holds(const trees *self, uint32_t at, uint32_t length) {
  if (length == 0 || length >= self->top - at) { /* Next to top it would be part of it. */
    return false;
  }
  const uint32_t last = at + length - 1;
  if (!is_edge(self, last) || length_at(self, last) != length ||
      (length > 2 && has_mark(self, at + 1, last))) {
    return false;
  }
  return self->recording != 0 ? (*begins_word(self, last + 1) & bit_of(last + 1)) != 0
                              : !is_edge(self, last + 1);
}

/* Top has its mark, and there are none above it. */
static bool top_holds(const trees *self) {
  const uint64_t above = ~UINT64_C(0) << (self->top & 63);
  if (self->recording != 0) {
    return (*free_word(self, self->top) & above) == 0 &&
           (*begins_word(self, self->top) & above) == bit_of(self->top);
  }
  return (*free_word(self, self->top) & above) == 0;
}

/* One walk over the marks. Counts the runs and their granules. */
static bool marks_hold(const trees *self, size_t *runs, size_t *granules) {
  if (self->top == self->first) {
    return true; /* None are kept. */
  }
  if (self->recording != 0 && !has_mark(self, self->first, self->first + 1)) {
    return false;
  }
  uint32_t at = next_edge(self, self->first, self->top);
  while (at < self->top) {
    const uint32_t length = length_at(self, at);
    if (!run_holds(self, at, length)) {
      return false;
    }
    *runs += 1;
    *granules += length;
    at = next_edge(self, at + length, self->top);
  }
  return top_holds(self);
}

typedef struct class_count {
  const trees *self;
  unsigned class;
  size_t nodes;
} class_count;

static bool node_holds(void *context, uint32_t number) {
  class_count *const count = context;
  const trees *const self = count->self;
  const uint32_t length = length_at(self, number);
  count->nodes++;
  return is_edge(self, number) && length != 0 && length < self->top - number &&
         class_of(length) == count->class && is_edge(self, number + length - 1);
}

bool runs_check(const trees *self) {
  size_t runs = 0;
  size_t granules = 0;
  if (!runs_are_laid_out(self) || self->first > self->top || self->top > self->highest ||
      self->highest > self->end || self->touched < self->first || self->touched > self->end ||
      (self->top > self->first && is_edge(self, self->first - 1)) ||
      !marks_hold(self, &runs, &granules) || granules != self->free_granules) {
    return false;
  }
  class_count count = {.self = self};
  for (unsigned class = runs_class_from(self, 0); class < CLASSES;
       class = runs_class_from(self, class + 1)) {
    count.class = class;
    if (class > class_of(self->end) || self->trees[class].root == 0 ||
        !ca_red_black_check(&self->trees[class], node_at(self, 0), self->first, self->top,
                            node_holds, &count)) {
      return false;
    }
  }
  return count.nodes == runs;
}
