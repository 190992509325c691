#include "adaptors/failing/failing.h"

static bool is_refused(ca_allocator *base) {
  ca_failing_plan *const plan = ((ca_failing *)base)->plan;
  plan->requests++;
  if (plan->nth == 0 || plan->requests < plan->nth ||
      (plan->how == CA_FAILING_ONCE && plan->requests > plan->nth)) {
    return false;
  }
  plan->refused++;
  return true;
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  return is_refused(base) ? ca_block_none() : ca_allocate(ca_wrapper_inner(base), size, align);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  return is_refused(base) ? ca_block_none()
                          : ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
}

static const ca_wrapper_tables tables = CA_WRAPPER_ROWS(
    "failing", op_allocate, ca_wrapper_deallocate, op_grow, ca_wrapper_shrink,
    ca_wrapper_deallocate_unsized, ca_wrapper_deallocate_recorded, ca_wrapper_check);

void ca_failing_init(ca_failing *self, ca_allocator *inner, ca_failing_plan *plan) {
  ca_wrapper_init(&self->wrapper, inner, CA_SIZES_RECORDED, tables);
  self->plan = plan;
}
