#include "adaptors/locked/locked.h"

#include <stdint.h>

/* The interface's questions are const, yet they wait for the mutex. */
static ca_locked *from_base(const ca_allocator *base) { return (ca_locked *)(uintptr_t)base; }

/* Neither fails: the mutex is of the default kind, initialised, and never taken twice. */
void ca_locked_acquire(ca_locked *self) { (void)pthread_mutex_lock(&self->mutex); }
void ca_locked_release(ca_locked *self) { (void)pthread_mutex_unlock(&self->mutex); }

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_locked_acquire(from_base(base));
  const ca_block block = ca_allocate(ca_wrapper_inner(base), size, align);
  ca_locked_release(from_base(base));
  return block;
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  ca_locked_acquire(from_base(base));
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
  ca_locked_release(from_base(base));
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  ca_locked_acquire(from_base(base));
  const ca_block block = ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  ca_locked_release(from_base(base));
  return block;
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  ca_locked_acquire(from_base(base));
  const ca_block block = ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  ca_locked_release(from_base(base));
  return block;
}

static size_t op_usable_size(const ca_allocator *base, const void *ptr) {
  ca_locked_acquire(from_base(base));
  const size_t size = ca_wrapper_usable_size(base, ptr);
  ca_locked_release(from_base(base));
  return size;
}

static void op_deallocate_unsized(ca_allocator *base, void *ptr) {
  ca_locked_acquire(from_base(base));
  ca_wrapper_deallocate_unsized(base, ptr);
  ca_locked_release(from_base(base));
}

static size_t op_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  ca_locked_acquire(from_base(base));
  const size_t recorded = ca_wrapper_deallocate_recorded(base, ptr, size);
  ca_locked_release(from_base(base));
  return recorded;
}

static bool op_owns(const ca_allocator *base, const void *ptr) {
  ca_locked_acquire(from_base(base));
  const bool owns = ca_wrapper_owns(base, ptr);
  ca_locked_release(from_base(base));
  return owns;
}

static bool op_check(const ca_allocator *base) {
  ca_locked_acquire(from_base(base));
  const bool holds = ca_wrapper_check(base);
  ca_locked_release(from_base(base));
  return holds;
}

static bool op_walk(const ca_allocator *base, ca_block_visitor *visitor, void *argument) {
  ca_locked_acquire(from_base(base));
  const bool whole = ca_wrapper_walk(base, visitor, argument);
  ca_locked_release(from_base(base));
  return whole;
}

#define LOCKED_TABLE(USABLE, UNSIZED, RECORDED, OWNS, RANGE, WALK)                               \
  {                                                                                              \
    .allocate = op_allocate, .deallocate = op_deallocate, .grow = op_grow, .shrink = op_shrink,  \
    .usable_size = (USABLE), .deallocate_unsized = (UNSIZED), .owns = (OWNS), .check = op_check, \
    .name = "locked", .range = (RANGE), .walk = (WALK), .deallocate_recorded = (RECORDED)        \
  }

static const ca_wrapper_tables tables = {
    {LOCKED_TABLE(NULL, NULL, NULL, NULL, NULL, NULL),
     LOCKED_TABLE(NULL, NULL, NULL, op_owns, ca_wrapper_range, NULL)},
    {LOCKED_TABLE(op_usable_size, op_deallocate_unsized, op_deallocate_recorded, NULL, NULL,
                  op_walk),
     LOCKED_TABLE(op_usable_size, op_deallocate_unsized, op_deallocate_recorded, op_owns,
                  ca_wrapper_range, op_walk)},
};

static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

void ca_locked_init(ca_locked *self, ca_allocator *inner) {
  ca_wrapper_init(&self->wrapper, inner, CA_SIZES_RECORDED, tables);
  self->mutex = fresh;
}

void ca_locked_destroy(ca_locked *self) {
  (void)pthread_mutex_destroy(&self->mutex);
  self->mutex = fresh; /* So that it may be destroyed again. */
}
