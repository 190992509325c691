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

/* One walk over the marks: each run lies below top, ends where it says, has no marks inside, and
 * no free neighbour. Counts the runs and their granules. */
static bool marks_hold(const trees *self, size_t *runs, size_t *granules) {
  if (self->top == self->first) {
    return true; /* None are kept. */
  }
  uint32_t at = next_edge(self, self->first, self->top);
  while (at < self->top) {
    const uint32_t length = length_at(self, at);
    if (length == 0 || length >= self->top - at) { /* Next to top it would be part of it. */
      return false;
    }
    const uint32_t last = at + length - 1;
    if (!is_edge(self, last) || length_at(self, last) != length || is_edge(self, last + 1) ||
        (length > 2 && next_edge(self, at + 1, last) != last)) {
      return false;
    }
    *runs += 1;
    *granules += length;
    at = next_edge(self, last + 1, self->top);
  }
  const uint64_t above = ~UINT64_C(0) << (self->top & 63);
  if (self->recording != 0) {
    return (*free_word(self, self->top) & above) == 0 &&
           (*begins_word(self, self->top) & above) == bit_of(self->top);
  }
  return (*free_word(self, self->top) & above) == 0;
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
  if (self->first == 0 || self->first > self->top || self->top > self->highest ||
      self->highest > self->end || (self->top > self->first && is_edge(self, self->first - 1)) ||
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
