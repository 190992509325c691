#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

#include "allocators/multiple_binary_search_tree/runs.h"
#include "base/bits.h"

static trees *from_base(ca_allocator *base) { return (trees *)base; }
static const trees *from_const_base(const ca_allocator *base) { return (const trees *)base; }

static inline uint32_t granules_of(size_t size) { return (uint32_t)((size - 1) / GRANULE + 1); }

static inline uint32_t number_of(const trees *self, const void *ptr) {
  return (uint32_t)((size_t)((const char *)ptr - self->memory) / GRANULE);
}

static inline ca_block block_at(const trees *self, uint32_t number, uint32_t granules) {
  char *const ptr = address_of(self, number);
  const size_t size = (size_t)granules * GRANULE;
  ca_unpoison(ptr, size);
  return ca_block_make(ptr, size);
}

/* What waits. */

/* Sizes recorded. */
static inline void mark_waiting(trees *self, uint32_t number) {
  *free_word(self, number) |= bit_of(number);
}

static inline void unmark_waiting(trees *self, uint32_t number) {
  *free_word(self, number) &= ~bit_of(number);
}

static void give_back(trees *self, uint32_t number, uint32_t granules) {
  if (self->recording != 0) {
    *begins_word(self, number) &= ~bit_of(number);
    unmark_waiting(self, number);
  }
  runs_give(self, number, number + granules);
}

/* The block that is its list's head is the oldest that it knows of. */
static inline uint32_t pop_head(trees *self, uint32_t granules) {
  ca_multiple_binary_search_tree_list *const list = &self->lists[granules];
  const uint32_t head = list->head;
  const uint32_t next = ca_multiple_binary_search_tree_word(self, head, 0);
  list->head = next;
  list->count = next != 0 ? WORDS_OF_GRANULE * granules : 0;
  self->waiting -= granules;
  return head;
}

static inline void push_head(trees *self, uint32_t granules, uint32_t number) {
  ca_multiple_binary_search_tree_list *const list = &self->lists[granules];
  ca_multiple_binary_search_tree_set_word(self, number, 0, list->head);
  list->head = number;
  list->count = 1;
  self->waiting += granules;
}

bool ca_multiple_binary_search_tree_fold(ca_multiple_binary_search_tree *self) {
  if (self->waiting == 0) {
    return false;
  }
  for (uint32_t granules = 1; granules <= LISTED_MAX; ++granules) {
    while (self->lists[granules].head != 0) {
      const bool head = !ca_multiple_binary_search_tree_can_pop(self, granules);
      give_back(
          self,
          head ? pop_head(self, granules) : ca_multiple_binary_search_tree_pop(self, granules),
          granules);
    }
  }
  return true;
}

/* What both modes share. */

static uint32_t take(trees *self, uint32_t granules, size_t align) {
  const uint32_t number = runs_take(self, granules, align);
  if (CA_LIKELY(number != 0)) {
    return number;
  }
  const uint32_t again =
      ca_multiple_binary_search_tree_fold(self) ? runs_take(self, granules, align) : 0;
  return again != 0 ? again : runs_take_any(self, granules, align);
}

static __attribute__((noinline)) ca_block allocate_from_trees(trees *self, size_t size,
                                                              size_t align) {
  if (size > (size_t)(self->end - self->first) * GRANULE) {
    return ca_block_none();
  }
  const uint32_t granules = granules_of(size);
  const uint32_t number = take(self, granules, align < GRANULE ? GRANULE : align);
  if (number == 0) {
    return ca_block_none();
  }
  if (self->recording != 0) {
    *begins_word(self, number) |= bit_of(number);
  }
  return block_at(self, number, granules);
}

ca_block ca_multiple_binary_search_tree_allocate_otherwise(ca_multiple_binary_search_tree *self,
                                                           size_t size, size_t align) {
  const size_t granules = (size + (GRANULE - 1)) / GRANULE; /* 0 where the sum wraps. */
  if (granules <= LISTED_MAX && align <= GRANULE && self->lists[granules].head != 0) {
    const uint32_t number = pop_head(self, (uint32_t)granules);
    if (self->recording != 0) {
      unmark_waiting(self, number);
    }
    return block_at(self, number, (uint32_t)granules);
  }
  return allocate_from_trees(self, size, align);
}

void ca_multiple_binary_search_tree_deallocate_otherwise(ca_multiple_binary_search_tree *self,
                                                         void *ptr, size_t size) {
  const uint32_t granules = granules_of(size);
  const uint32_t number = number_of(self, ptr);
  ca_poison(ptr, (size_t)granules * GRANULE);
  if (CA_UNLIKELY(granules > LISTED_MAX)) {
    give_back(self, number, granules);
    return;
  }
  if (self->recording != 0) {
    mark_waiting(self, number);
  }
  push_head(self, granules, number);
}

/* The granules behind the block, or none. */
static ca_block grow(trees *self, uint32_t number, uint32_t granules, size_t new_size, size_t align,
                     ca_move move) {
  if (new_size > (size_t)(self->end - self->first) * GRANULE) {
    return ca_block_none();
  }
  const uint32_t wanted = granules_of(new_size);
  const uint32_t end = number + granules;
  if (wanted > granules && !runs_take_at(self, end, number + wanted)) {
    /* Who may move asks for a new block next, and gets it. */
    const bool asks_again =
        move != CA_MOVE_NEVER && runs_could_take(self, wanted, align < GRANULE ? GRANULE : align);
    if (asks_again || !ca_multiple_binary_search_tree_fold(self) ||
        !runs_take_at(self, end, number + wanted)) {
      return ca_block_none();
    }
  }
  ca_unpoison(address_of(self, end), (size_t)(wanted - granules) * GRANULE);
  return ca_block_make(address_of(self, number), (size_t)wanted * GRANULE);
}

static ca_block shrink(trees *self, uint32_t number, uint32_t granules, size_t new_size) {
  const uint32_t wanted = granules_of(new_size);
  if (wanted < granules) {
    ca_poison(address_of(self, number + wanted), (size_t)(granules - wanted) * GRANULE);
    runs_give(self, number + wanted, number + granules);
  }
  return ca_block_make(address_of(self, number), (size_t)wanted * GRANULE);
}

static bool op_owns(const ca_allocator *base, const void *ptr) {
  const trees *const self = from_const_base(base);
  const uintptr_t offset = (uintptr_t)ptr - (uintptr_t)self->memory;
  return offset / GRANULE >= self->first && offset / GRANULE < self->end;
}

static ca_block op_range(const ca_allocator *base) {
  const trees *const self = from_const_base(base);
  return ca_block_make(address_of(self, self->first), (size_t)(self->end - self->first) * GRANULE);
}

/* What waits, all of it: granules, and the squares of the blocks' numbers, which tell by the marks
 * whether each block is in one list once. */
typedef struct sums {
  uint64_t granules;
  uint64_t squares;
} sums;

/* A damaged list that runs in a circle ends by the count of what waits. */
static bool waits(const trees *self, uint32_t number, uint32_t granules, sums *of_lists) {
  of_lists->granules += granules;
  of_lists->squares += (uint64_t)number * number;
  if (of_lists->granules > self->waiting || number < self->first || number >= self->top ||
      granules > self->top - number) {
    return false;
  }
  const bool free_mark = (*free_word(self, number) & bit_of(number)) != 0;
  if (self->recording == 0) {
    return !free_mark;
  }
  return free_mark && !is_edge(self, number) && end_of_block(self, number) == number + granules;
}

static bool list_holds(const trees *self, uint32_t granules, sums *of_lists) {
  uint32_t head = self->lists[granules].head;
  uint32_t count = self->lists[granules].count;
  if (count > WORDS_OF_GRANULE * granules || (head == 0) != (count == 0)) {
    return false;
  }
  for (; head != 0; count = WORDS_OF_GRANULE * granules) {
    if (!waits(self, head, granules, of_lists)) {
      return false;
    }
    for (uint32_t word = 1; word < count; ++word) {
      if (!waits(self, ca_multiple_binary_search_tree_word(self, head, word), granules, of_lists)) {
        return false;
      }
    }
    head = ca_multiple_binary_search_tree_word(self, head, 0);
  }
  return true;
}

/* Sizes recorded. */
static uint64_t squares_of_marks(const trees *self) {
  uint64_t squares = 0;
  if (self->top == self->first) {
    return 0; /* No marks are kept. */
  }
  for (uint32_t word = self->first & ~UINT32_C(63); word < self->top; word += 64) {
    uint64_t waiting = *free_word(self, word) & *begins_word(self, word);
    for (; waiting != 0; waiting = ca_bits_clear_lowest(waiting)) {
      const uint64_t number = word + ca_bits_lowest(waiting);
      squares += number * number;
    }
  }
  return squares;
}

static bool op_check(const ca_allocator *base) {
  const trees *const self = from_const_base(base);
  if (self->end == 0) {
    return self->top == 0 && self->first == 0;
  }
  sums of_lists = {0};
  if (!runs_check(self)) {
    return false;
  }
  for (uint32_t granules = 0; granules <= LISTED_MAX; ++granules) {
    if (!list_holds(self, granules, &of_lists)) {
      return false;
    }
  }
  return of_lists.granules == self->waiting &&
         of_lists.granules + self->free_granules <= self->top - self->first &&
         (self->recording == 0 || of_lists.squares == squares_of_marks(self));
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
  trees *const self = from_base(base);
  return grow(self, number_of(self, ptr), granules_of(size), new_size, align, move);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  (void)align;
  (void)move;
  trees *const self = from_base(base);
  return shrink(self, number_of(self, ptr), granules_of(size), new_size);
}

const ca_allocator_ops runs_forgetting_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = NULL,
    .deallocate_unsized = NULL,
    .owns = op_owns,
    .check = op_check,
    .name = "multiple_binary_search_tree",
    .range = op_range,
};

/* Sizes recorded. */

static bool is_freed(const trees *self, uint32_t number) {
  return number >= self->top || (*free_word(self, number) & bit_of(number)) != 0;
}

/* Looks down for the nearest mark, which tells whether ptr lies inside a block that lives. */
CA_COLD __attribute__((noreturn)) static void report(const trees *self, const char *call,
                                                     const void *ptr) {
  const char *what = "not a block (multiple_binary_search_tree)";
  if (op_owns(&self->base, ptr)) {
    const uint32_t number = number_of(self, ptr);
    uint32_t at = number < self->top ? number : self->first;
    while (at > self->first &&
           ((*free_word(self, at) | *begins_word(self, at)) & bit_of(at)) == 0) {
      --at;
    }
    const bool inside = number < self->top && !is_freed(self, at);
    what = inside ? "interior pointer (multiple_binary_search_tree)"
                  : "double free (multiple_binary_search_tree)";
    if (number >= self->highest) {
      what = "not a block (multiple_binary_search_tree)";
    }
  }
  ca_panic_misuse(call, ptr, what);
}

/* The number of the live block at ptr; anything else is reported as a misuse of `call`. */
static inline uint32_t live_number(const trees *self, const void *ptr, const char *call) {
  const size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)self->memory);
  const size_t number = offset / GRANULE;
  if (CA_UNLIKELY(offset % GRANULE != 0 || number < self->first || number >= self->top)) {
    report(self, call, ptr);
  }
  const uint64_t *const pair = free_word(self, (uint32_t)number);
  if (CA_UNLIKELY((pair[1] & ~pair[0] & bit_of((uint32_t)number)) == 0)) {
    report(self, call, ptr);
  }
  return (uint32_t)number;
}

/* The same, and that it has `size` bytes; its granules. */
static inline uint32_t fitting_granules(const trees *self, uint32_t number, size_t size,
                                        const char *call) {
  const uint32_t granules = end_of_block(self, number) - number;
  if (CA_UNLIKELY((size - 1) / GRANULE != granules - 1)) {
    ca_panic_misuse(call, address_of(self, number), "wrong size (multiple_binary_search_tree)");
  }
  return granules;
}

static ca_block recording_allocate(ca_allocator *base, size_t size, size_t align) {
  trees *const self = from_base(base);
  const size_t granules = (size + (GRANULE - 1)) / GRANULE; /* 0 where the sum wraps. */
  if (CA_LIKELY(granules <= LISTED_MAX && align <= GRANULE) &&
      CA_LIKELY(ca_multiple_binary_search_tree_can_pop(self, granules))) {
    const uint32_t number = ca_multiple_binary_search_tree_pop(self, granules);
    unmark_waiting(self, number);
    return block_at(self, number, (uint32_t)granules);
  }
  return ca_multiple_binary_search_tree_allocate_otherwise(self, size, align);
}

static inline void take_back(trees *self, uint32_t number, uint32_t granules) {
  char *const ptr = address_of(self, number);
  const size_t size = (size_t)granules * GRANULE;
  if (CA_LIKELY(granules <= LISTED_MAX) &&
      CA_LIKELY(ca_multiple_binary_search_tree_can_push(self, granules))) {
    ca_poison(ptr, size);
    mark_waiting(self, number);
    ca_multiple_binary_search_tree_push(self, granules, number);
    return;
  }
  ca_multiple_binary_search_tree_deallocate_otherwise(self, ptr, size);
}

static void recording_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  trees *const self = from_base(base);
  const uint32_t number = live_number(self, ptr, "deallocate");
  take_back(self, number, fitting_granules(self, number, size, "deallocate"));
}

static void recording_deallocate_unsized(ca_allocator *base, void *ptr) {
  trees *const self = from_base(base);
  const uint32_t number = live_number(self, ptr, "deallocate");
  take_back(self, number, end_of_block(self, number) - number);
}

static size_t recording_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  trees *const self = from_base(base);
  const uint32_t number = live_number(self, ptr, "deallocate");
  const uint32_t granules = end_of_block(self, number) - number;
  if (size != 0) {
    (void)fitting_granules(self, number, size, "deallocate");
  }
  take_back(self, number, granules);
  return (size_t)granules * GRANULE;
}

static ca_block recording_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                               size_t align, ca_move move) {
  trees *const self = from_base(base);
  const uint32_t number = live_number(self, ptr, "grow");
  return grow(self, number, fitting_granules(self, number, size, "grow"), new_size, align, move);
}

static ca_block recording_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                                 size_t align, ca_move move) {
  (void)align;
  (void)move;
  trees *const self = from_base(base);
  const uint32_t number = live_number(self, ptr, "shrink");
  return shrink(self, number, fitting_granules(self, number, size, "shrink"), new_size);
}

static size_t recording_usable_size(const ca_allocator *base, const void *ptr) {
  const trees *const self = from_const_base(base);
  const uint32_t number = live_number(self, ptr, "usable_size");
  return (size_t)(end_of_block(self, number) - number) * GRANULE;
}

static bool recording_walk(const ca_allocator *base, ca_block_visitor *visitor, void *argument) {
  const trees *const self = from_const_base(base);
  if (self->top == self->first) {
    return true; /* No marks are kept. */
  }
  if ((*begins_word(self, self->top) & bit_of(self->top)) == 0) {
    return false; /* Nothing would end the last block. */
  }
  for (uint32_t word = self->first & ~UINT32_C(63); word < self->top; word += 64) {
    uint64_t live = *begins_word(self, word) & ~*free_word(self, word);
    if (self->top - word < 64) {
      live &= bit_of(self->top) - 1; /* top has the same mark. */
    }
    for (; live != 0; live = ca_bits_clear_lowest(live)) {
      const uint32_t number = word + ca_bits_lowest(live);
      const size_t size = (size_t)(end_of_block(self, number) - number) * GRANULE;
      if (!visitor(argument, ca_block_make(address_of(self, number), size))) {
        return false;
      }
    }
  }
  return true;
}

const ca_allocator_ops runs_recording_ops = {
    .allocate = recording_allocate,
    .deallocate = recording_deallocate,
    .grow = recording_grow,
    .shrink = recording_shrink,
    .usable_size = recording_usable_size,
    .deallocate_unsized = recording_deallocate_unsized,
    .owns = op_owns,
    .check = op_check,
    .name = "multiple_binary_search_tree, sizes recorded",
    .range = op_range,
    .walk = recording_walk,
    .deallocate_recorded = recording_deallocate_recorded,
};
