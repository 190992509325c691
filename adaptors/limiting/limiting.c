#include "adaptors/limiting/limiting.h"

static ca_budget *budget_of(ca_allocator *base) { return &((ca_limiting *)base)->budget; }

static inline void give_back_below(ca_budget *self, const ca_budget *end, size_t bytes) {
  for (ca_budget *at = self; at != end; at = at->parent) {
    CA_ASSERT(at->used >= bytes);
    at->used -= bytes;
  }
}

/* What the loop of take found too much for `at`: refused, unless it is nothing at all. */
CA_COLD static bool take_exactly(ca_budget *self, ca_budget *at, size_t bytes) {
  give_back_below(self, at, bytes);
  if (bytes == 0) {
    return true;
  }
  at->refusals++;
  return false;
}

static inline bool takes(ca_budget *at, size_t bytes) {
  size_t used;
  if (CA_UNLIKELY(__builtin_add_overflow(at->used, bytes, &used) || used > at->limit)) {
    return false;
  }
  at->used = used;
  return true;
}

bool ca_budget_take(ca_budget *self, size_t bytes) {
  for (ca_budget *at = self; at != NULL; at = at->parent) {
    if (!takes(at, bytes)) {
      return take_exactly(self, at, bytes);
    }
  }
  return true;
}

void ca_budget_give_back(ca_budget *self, size_t bytes) { give_back_below(self, NULL, bytes); }

/* The same for an adaptor's own budget, without a loop where there is no parent. */

static inline bool take(ca_allocator *base, size_t bytes) {
  ca_budget *const self = budget_of(base);
  if (self->parent != NULL || !takes(self, bytes)) {
    return ca_budget_take(self, bytes);
  }
  return true;
}

static inline void give_back(ca_allocator *base, size_t bytes) {
  ca_budget *const self = budget_of(base);
  CA_ASSERT(self->used >= bytes);
  self->used -= bytes;
  if (self->parent != NULL) {
    ca_budget_give_back(self->parent, bytes);
  }
}

/* Sizes forgotten: the size asked for is the only one that the caller may name. */

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  if (!take(base, size)) {
    return ca_block_none();
  }
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    give_back(base, size);
    return block;
  }
  return ca_block_make(block.ptr, size);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  give_back(base, size);
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  if (!take(base, new_size - size)) {
    return ca_block_none();
  }
  const ca_block block = ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (ca_block_is_none(block)) {
    give_back(base, new_size - size);
    return block;
  }
  return ca_block_make(block.ptr, new_size);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  const ca_block block = ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (ca_block_is_none(block)) {
    return block;
  }
  give_back(base, size - new_size);
  return ca_block_make(block.ptr, new_size);
}

/* Sizes recorded: the recorded size is asked for each time, unless there is no excess. */

static ca_block recording_allocate(ca_allocator *base, size_t size, size_t align) {
  if (!take(base, size)) {
    return ca_block_none();
  }
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    give_back(base, size);
    return block;
  }
  if (block.size == size) {
    return block;
  }
  const size_t recorded = ca_wrapper_recorded(base, block.ptr);
  if (CA_UNLIKELY(!take(base, recorded - size))) {
    give_back(base, size);
    ca_deallocate(ca_wrapper_inner(base), block.ptr, size, align);
    return ca_block_none();
  }
  return ca_block_make(block.ptr, recorded);
}

static void recording_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  give_back(base, ca_wrapper_recorded(base, ptr));
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static void recording_deallocate_unsized(ca_allocator *base, void *ptr) {
  give_back(base, ca_wrapper_recorded(base, ptr));
  ca_wrapper_deallocate_unsized(base, ptr);
}

/* Ends a grow that turned out too large: gives the growth back to the inner allocator, and counts
 * what that kept of it, room or no room. */
static ca_block undo_grow(ca_allocator *base, void *ptr, size_t before, size_t new_size,
                          size_t align) {
  ca_shrink(ca_wrapper_inner(base), ptr, new_size, before, align, CA_MOVE_NEVER);
  const size_t kept = ca_wrapper_recorded(base, ptr) - before;
  give_back(base, new_size - before);
  for (ca_budget *at = budget_of(base); at != NULL; at = at->parent) {
    at->used += kept;
  }
  return ca_block_none();
}

static ca_block recording_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                               size_t align, ca_move move) {
  (void)move;
  const size_t before = ca_wrapper_recorded(base, ptr);
  if (new_size <= before) {
    return ca_block_make(ptr, before);
  }
  if (!take(base, new_size - before)) {
    return ca_block_none();
  }
  const ca_block block = ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, CA_MOVE_NEVER);
  if (ca_block_is_none(block)) {
    give_back(base, new_size - before);
    return block;
  }
  const size_t recorded = ca_wrapper_recorded(base, ptr);
  if (CA_UNLIKELY(!take(base, recorded - new_size))) {
    return undo_grow(base, ptr, before, new_size, align);
  }
  return ca_block_make(ptr, recorded);
}

static ca_block recording_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                                 size_t align, ca_move move) {
  const size_t before = ca_wrapper_recorded(base, ptr);
  const ca_block block = ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (ca_block_is_none(block)) {
    return block;
  }
  const size_t recorded = ca_wrapper_recorded(base, block.ptr);
  give_back(base, before - recorded);
  return ca_block_make(block.ptr, recorded);
}

static const ca_wrapper_tables tables = {
    CA_WRAPPER_ROW("limiting", op_allocate, op_deallocate, op_grow, op_shrink, NULL, NULL,
                   ca_wrapper_check),
    CA_WRAPPER_ROW("limiting, sizes recorded", recording_allocate, recording_deallocate,
                   recording_grow, recording_shrink, ca_wrapper_usable_size,
                   recording_deallocate_unsized, ca_wrapper_check),
};

void ca_limiting_init(ca_limiting *self, ca_allocator *inner, ca_sizes sizes, size_t limit,
                      ca_budget *parent) {
  ca_wrapper_init(&self->wrapper, inner, sizes, tables);
  ca_budget_init(&self->budget, limit, parent);
}

void ca_limiting_reset(ca_limiting *self) { ca_budget_give_back(&self->budget, self->budget.used); }
