#include "adaptors/tracking/tracking.h"

static ca_tracking *from_base(ca_allocator *base) { return (ca_tracking *)base; }

static size_t live(const ca_tracking *self) { return self->peak - self->below_peak; }

static void add(ca_tracking *self, size_t bytes) {
  const size_t below = self->below_peak;
  self->below_peak = below - bytes;
  if (CA_UNLIKELY(below < bytes)) {
    self->peak += bytes - below;
    self->below_peak = 0;
  }
}

static void take_away(ca_tracking *self, size_t bytes) { self->below_peak += bytes; }

/* Without a change of what is live. */
static void set_peak(ca_tracking *self, size_t peak) {
  self->below_peak += peak - self->peak;
  self->peak = peak;
}

static ca_block count_allocation(ca_tracking *self, void *ptr, size_t size) {
  self->counts.allocations++;
  self->counts.allocated_bytes += size;
  add(self, size);
  return ca_block_make(ptr, size);
}

static void count_deallocation(ca_tracking *self, size_t size) {
  self->counts.deallocations++;
  take_away(self, size);
}

static ca_block count_resize(ca_tracking *self, void *ptr, size_t before, size_t after) {
  if (after >= before) {
    self->counts.grown_bytes += after - before;
    add(self, after - before);
  } else {
    self->counts.shrunk_bytes += before - after;
    take_away(self, before - after);
  }
  return ca_block_make(ptr, after);
}

/* Sizes forgotten: the size asked for is the only one that the caller may name. */

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_tracking *const self = from_base(base);
  const ca_block block = ca_allocate(self->wrapper.inner, size, align);
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    self->counts.refusals++;
    return block;
  }
  return count_allocation(self, block.ptr, size);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  count_deallocation(from_base(base), size);
  ca_deallocate(ca_wrapper_inner(base), ptr, size, align);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  const ca_block block = ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (ca_block_is_none(block)) {
    return block;
  }
  from_base(base)->counts.grows++;
  return count_resize(from_base(base), block.ptr, size, new_size);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  const ca_block block = ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (ca_block_is_none(block)) {
    return block;
  }
  from_base(base)->counts.shrinks++;
  return count_resize(from_base(base), block.ptr, size, new_size);
}

/* Sizes recorded: the size of the block as it was returned last. */

static ca_block recording_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_tracking *const self = from_base(base);
  const ca_block block = ca_allocate(self->wrapper.inner, size, align);
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    self->counts.refusals++;
    return block;
  }
  return count_allocation(self, block.ptr, block.size);
}

static size_t recording_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  const size_t recorded = ca_deallocate_recorded(ca_wrapper_inner(base), ptr, size);
  count_deallocation(from_base(base), recorded);
  return recorded;
}

static void recording_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  (void)recording_deallocate_recorded(base, ptr, size);
}

static void recording_deallocate_unsized(ca_allocator *base, void *ptr) {
  (void)recording_deallocate_recorded(base, ptr, 0);
}

static ca_block recording_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                               size_t align, ca_move move) {
  const size_t before = ca_wrapper_recorded(base, ptr);
  const ca_block block = ca_grow(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (ca_block_is_none(block)) {
    return block;
  }
  from_base(base)->counts.grows++;
  return count_resize(from_base(base), block.ptr, before, block.size);
}

static ca_block recording_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                                 size_t align, ca_move move) {
  const size_t before = ca_wrapper_recorded(base, ptr);
  const ca_block block = ca_shrink(ca_wrapper_inner(base), ptr, size, new_size, align, move);
  if (ca_block_is_none(block)) {
    return block;
  }
  from_base(base)->counts.shrinks++;
  return count_resize(from_base(base), block.ptr, before, block.size);
}

static bool op_check(const ca_allocator *base) {
  const ca_tracking *const self = (const ca_tracking *)base;
  const ca_tracking_usage *const counts = &self->counts;
  const size_t ever = counts->allocated_bytes + counts->grown_bytes;
  return counts->deallocations <= counts->allocations && self->below_peak <= self->peak &&
         self->peak <= ever && self->peak_before <= ever &&
         (counts->deallocations < counts->allocations || live(self) == 0) && ca_wrapper_check(base);
}

static const ca_wrapper_tables tables = {
    CA_WRAPPER_ROW("tracking", op_allocate, op_deallocate, op_grow, op_shrink, NULL, NULL, NULL,
                   op_check, NULL),
    CA_WRAPPER_ROW("tracking, sizes recorded", recording_allocate, recording_deallocate,
                   recording_grow, recording_shrink, ca_wrapper_usable_size,
                   recording_deallocate_unsized, recording_deallocate_recorded, op_check,
                   ca_wrapper_walk),
};

void ca_tracking_init(ca_tracking *self, ca_allocator *inner, ca_sizes sizes) {
  *self = (ca_tracking){.peak = 0};
  ca_wrapper_init(&self->wrapper, inner, sizes, tables);
}

void ca_tracking_reset(ca_tracking *self) {
  self->counts.deallocations = self->counts.allocations;
  self->below_peak = self->peak;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

ca_tracking_usage ca_tracking_read(const ca_tracking *self) {
  ca_tracking_usage usage = self->counts;
  usage.deallocated_bytes =
      usage.allocated_bytes + usage.grown_bytes - usage.shrunk_bytes - live(self);
  usage.peak_bytes = larger(self->peak, self->peak_before);
  return usage;
}

ca_tracking_scope ca_tracking_begin(ca_tracking *self) {
  const ca_tracking_scope scope = {
      .counts = ca_tracking_read(self), .live = live(self), .peak = self->peak};
  self->peak_before = scope.counts.peak_bytes;
  set_peak(self, scope.live);
  return scope;
}

ca_tracking_usage ca_tracking_end(ca_tracking *self, const ca_tracking_scope *scope) {
  const ca_tracking_usage *const before = &scope->counts;
  ca_tracking_usage usage = ca_tracking_read(self);
  usage.allocations -= before->allocations;
  usage.deallocations -= before->deallocations;
  usage.grows -= before->grows;
  usage.shrinks -= before->shrinks;
  usage.refusals -= before->refusals;
  usage.allocated_bytes -= before->allocated_bytes;
  usage.deallocated_bytes -= before->deallocated_bytes;
  usage.grown_bytes -= before->grown_bytes;
  usage.shrunk_bytes -= before->shrunk_bytes;
  usage.peak_bytes = self->peak - scope->live;
  set_peak(self, larger(self->peak, scope->peak));
  return usage;
}

ca_tracking_usage ca_tracking_usage_of(ca_tracking *self,
                                       void (*callback)(ca_allocator *allocator, void *argument),
                                       void *argument) {
  const ca_tracking_scope scope = ca_tracking_begin(self);
  callback(ca_tracking_allocator(self), argument);
  return ca_tracking_end(self, &scope);
}
