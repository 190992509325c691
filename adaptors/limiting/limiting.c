#include "adaptors/limiting/limiting.h"

static ca_budget *budget_of(ca_allocator *base) { return &((ca_limiting *)base)->budget; }

static inline bool take(ca_allocator *base, size_t bytes) {
  return ca_budget_take(budget_of(base), bytes);
}

static inline void give_back(ca_allocator *base, size_t bytes) {
  ca_budget_give_back(budget_of(base), bytes);
}

/* Sizes forgotten: the size asked for is the only one that the caller may name. */

/* What isn't the usual case stands apart, to be reached by a jump, so that the usual one needs the
 * smallest stack frame, or none. */

CA_COLD static ca_block refused(ca_allocator *base, size_t size) {
  give_back(base, size);
  return ca_block_none();
}

static inline ca_block allocate_taken(ca_allocator *base, size_t size, size_t align) {
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  return CA_UNLIKELY(ca_block_is_none(block)) ? refused(base, size)
                                              : ca_block_make(block.ptr, size);
}

CA_COLD static ca_block allocate_from_above(ca_allocator *base, size_t size, size_t align) {
  return ca_budget_take_from_above(budget_of(base), size) ? allocate_taken(base, size, align)
                                                          : ca_block_none();
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  if (CA_UNLIKELY(!ca_budget_take_ahead(budget_of(base), size))) {
    return allocate_from_above(base, size, align);
  }
  return allocate_taken(base, size, align);
}

CA_COLD static void deallocate_giving_above(ca_allocator *base, void *ptr, size_t size,
                                            size_t align) {
  ca_budget_give_above(budget_of(base));
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  if (CA_UNLIKELY(!ca_budget_keep_ahead(budget_of(base), size))) {
    deallocate_giving_above(base, ptr, size, align);
    return;
  }
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

/* Sizes recorded: the size of the block as it was returned last. */

/* What isn't ahead. The excess is known only when the block is there. */
CA_COLD static ca_block take_late(ca_allocator *base, ca_block block, size_t size, size_t align) {
  if (ca_budget_take_from_above(budget_of(base), block.size)) {
    return block;
  }
  ca_deallocate(ca_wrapper_inner(base), block.ptr, size, align);
  return ca_block_none();
}

/* Asks for room before the inner allocator is, so that a refusal leaves that alone. */
CA_COLD static ca_block recording_allocate_from_above(ca_allocator *base, size_t size,
                                                      size_t align) {
  if (!ca_budget_take_from_above(budget_of(base), size)) {
    return ca_block_none();
  }
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  give_back(base, size);
  return ca_block_is_none(block) ? block : take_late(base, block, size, align);
}

static ca_block recording_allocate(ca_allocator *base, size_t size, size_t align) {
  if (CA_UNLIKELY(!ca_budget_has_ahead(budget_of(base), size))) {
    return recording_allocate_from_above(base, size, align);
  }
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  return CA_LIKELY(ca_budget_take_ahead(budget_of(base), block.size)) /* Also of none. */
             ? block
             : take_late(base, block, size, align);
}

CA_COLD static size_t give_above(ca_allocator *base, size_t recorded) {
  ca_budget_give_above(budget_of(base));
  return recorded;
}

static size_t recording_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  const size_t recorded = ca_deallocate_recorded(ca_wrapper_inner(base), ptr, size);
  return CA_LIKELY(ca_budget_keep_ahead(budget_of(base), recorded)) ? recorded
                                                                    : give_above(base, recorded);
}

static void recording_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  (void)recording_deallocate_recorded(base, ptr, size);
}

static void recording_deallocate_unsized(ca_allocator *base, void *ptr) {
  (void)recording_deallocate_recorded(base, ptr, 0);
}

/* Ends a grow that turned out too large: gives the growth back to the inner allocator, and counts
 * what that kept of it, room or no room. */
static ca_block undo_grow(ca_allocator *base, void *ptr, size_t before, size_t new_size,
                          size_t align) {
  ca_shrink(ca_wrapper_inner(base), ptr, new_size, before, align, CA_MOVE_NEVER);
  const size_t kept = ca_wrapper_recorded(base, ptr) - before; /* Also where that was refused. */
  give_back(base, new_size - before);
  ca_budget_take_anyway(budget_of(base), kept);
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
  if (CA_UNLIKELY(!take(base, block.size - new_size))) {
    return undo_grow(base, ptr, before, new_size, align);
  }
  return block;
}

static ca_block recording_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                                 size_t align, ca_move move) {
  const size_t before = ca_wrapper_recorded(base, ptr);
  const ca_block block = ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (ca_block_is_none(block)) {
    return block;
  }
  if (CA_UNLIKELY(block.size > before)) { /* It moved to where there was more. */
    ca_budget_take_anyway(budget_of(base), block.size - before);
  } else {
    give_back(base, before - block.size);
  }
  return block;
}

static bool op_check(const ca_allocator *base) {
  return ca_budget_check(&((const ca_limiting *)base)->budget) && ca_wrapper_check(base);
}

static const ca_wrapper_tables tables = {
    CA_WRAPPER_ROW("limiting", op_allocate, op_deallocate, op_grow, op_shrink, NULL, NULL, NULL,
                   op_check, NULL),
    CA_WRAPPER_ROW("limiting, sizes recorded", recording_allocate, recording_deallocate,
                   recording_grow, recording_shrink, ca_wrapper_usable_size,
                   recording_deallocate_unsized, recording_deallocate_recorded, op_check,
                   ca_wrapper_walk),
};

void ca_limiting_init(ca_limiting *self, ca_allocator *inner, ca_sizes sizes, size_t limit,
                      ca_budget *parent) {
  ca_wrapper_init(&self->wrapper, inner, sizes, tables);
  ca_budget_init(&self->budget, limit, parent);
}

void ca_limiting_reset(ca_limiting *self) { ca_budget_reset(&self->budget); }
