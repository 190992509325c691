#include "switchable/context_extensions.h"

#include <stddef.h>

#include "switchable/context_family.h"
#include "switchable/slots.h"

/* The ranges, as one allocator. */

static ca_context_header *from_base(ca_allocator *base) {
  return (ca_context_header *)((char *)base - offsetof(ca_context_header, ranges));
}

static const ca_context_header *from_const_base(const ca_allocator *base) {
  return (const ca_context_header *)((const char *)base - offsetof(ca_context_header, ranges));
}

/* Whose range ptr lies in; where it is nobody's, the first one reports it. */
static ca_allocator *range_of(const ca_context_header *self, const void *ptr) {
  for (ca_context_header *one = ca_context_extension(self); one != NULL;
       one = ca_context_extension(one)) {
    if (one->local.chosen.base.ops->owns(&one->local.chosen.base, ptr)) {
      return &one->local.chosen.base;
    }
  }
  return (ca_allocator *)(uintptr_t)&self->local.chosen.base;
}

static ca_block allocate_in(ca_context_header *slot, size_t size, size_t align) {
  ca_allocator *const range = &slot->local.chosen.base;
  return range->ops->allocate(range, size, align);
}

/* From the newest, and mostly largest, on: a bit set or trees may look at every free run before they
 * refuse. A bump's newest comes last; mostly the quick path asked it before. */
static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_context_header *const self = from_base(base);
  ca_context_header *one = ca_context_extension(self);
  ca_block block = ca_block_none();
  for (; one != NULL && !one->is_reserve && ca_block_is_none(block);
       one = ca_context_extension(one)) {
    block = allocate_in(one, size, align);
  }
  if (ca_block_is_none(block)) {
    block = allocate_in(self, size, align);
  }
  if (ca_block_is_none(block) && one != NULL && self->reserve_open) {
    block = allocate_in(one, size, align);
  }
  return block;
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  ca_allocator *const range = range_of(from_base(base), ptr);
  range->ops->deallocate(range, ptr, size, align);
}

static void op_deallocate_unsized(ca_allocator *base, void *ptr) {
  ca_allocator *const range = range_of(from_base(base), ptr);
  range->ops->deallocate_unsized(range, ptr);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  ca_allocator *const range = range_of(from_base(base), ptr);
  return range->ops->grow(range, ptr, size, new_size, align, move);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  ca_allocator *const range = range_of(from_base(base), ptr);
  return range->ops->shrink(range, ptr, size, new_size, align, move);
}

static size_t op_usable_size(const ca_allocator *base, const void *ptr) {
  const ca_allocator *const range = range_of(from_const_base(base), ptr);
  return range->ops->usable_size(range, ptr);
}

static bool op_check(const ca_allocator *base) {
  const ca_context_header *one = from_const_base(base);
  bool all = true;
  while (all && one != NULL) {
    all = one->local.chosen.base.ops->check(&one->local.chosen.base);
    one = ca_context_extension(one);
  }
  return all;
}

static uintptr_t begin_of(const ca_allocator *range) {
  return (uintptr_t)range->ops->range(range).ptr;
}

/* The lowest range that begins above `after`. */
static const ca_allocator *next_range(const ca_context_header *self, uintptr_t after) {
  const ca_allocator *next = NULL;
  for (const ca_context_header *one = self; one != NULL; one = ca_context_extension(one)) {
    const ca_allocator *const range = &one->local.chosen.base;
    if (begin_of(range) > after && (next == NULL || begin_of(range) < begin_of(next))) {
      next = range;
    }
  }
  return next;
}

static bool op_walk(const ca_allocator *base, ca_block_visitor *visitor, void *argument) {
  const ca_context_header *const self = from_const_base(base);
  const ca_allocator *range = next_range(self, 0);
  while (range != NULL && range->ops->walk(range, visitor, argument)) {
    range = next_range(self, begin_of(range));
  }
  return range == NULL;
}

static const ca_allocator_ops ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = op_usable_size,
    .deallocate_unsized = op_deallocate_unsized,
    .owns = NULL,
    .check = op_check,
    .name = "extended context",
    .walk = op_walk,
};

/* More and less of them. */

static size_t size_of_ranges(const ca_context_header *self) {
  size_t size = 0;
  for (const ca_context_header *one = self; one != NULL; one = ca_context_extension(one)) {
    size += one->is_reserve ? 0 : ca_context_range_size(one);
  }
  return size;
}

static void exchange_bumps(ca_context_header *self, ca_context_header *extension) {
  if (ca_context_allocator_kind(&self->local) == CA_CONTEXT_BUMP) {
    const ca_bump bump = self->local.chosen.bump;
    self->local.chosen.bump = extension->local.chosen.bump;
    extension->local.chosen.bump = bump;
  }
}

static void link_extension(ca_context_header *self, ca_context_header *new) {
  new->extension = self->extension;
  /* Relaxed: who has a dead handle of this slot reads it to be told so; it was 0 before, too. */
  __atomic_store_n(&new->generation, 0, __ATOMIC_RELAXED);
  /* Relaxed: who has a block of this slot got it after this was written. */
  __atomic_store_n(&new->extends, self, __ATOMIC_RELAXED);
  exchange_bumps(self, new);
  self->ranges.ops = &ops;
  self->allocator = &self->ranges;
  __atomic_store_n(&self->extension, new, __ATOMIC_RELEASE);
}

/* Over a slot that nobody else knows yet. */
static bool init_extension(const ca_context_header *self, ca_context_header *new, size_t left) {
  new->is_reserve = false;
  __atomic_store_n(&new->family, NULL, __ATOMIC_RELAXED);
  new->overhead = self->overhead;
  new->budget = left;
  const ca_context_kind kind = ca_context_allocator_kind(&self->local);
  const ca_context_allocator_settings settings = {
      .sizes = CA_SIZES_RECORDED,
      .block_size = kind == CA_CONTEXT_BIT_SET ? self->local.chosen.bit_set.block_size : 0};
  const ca_block range = ca_block_make((char *)new + self->overhead, ca_context_range_size(new));
  return ca_context_allocator_init_range(&new->local, range, kind, &settings);
}

static void give_back(ca_context_header *new) {
  ca_context_allocator_destroy(&new->local);
  ca_context_header_release_slot(new);
}

static size_t larger(size_t one, size_t other) { return one > other ? one : other; }
static size_t smaller(size_t one, size_t other) { return one < other ? one : other; }

static size_t twice_the_last(const ca_context_header *self) {
  const ca_context_header *const newest = ca_context_extension(self);
  return 2 * (newest != NULL && !newest->is_reserve ? newest : self)->slot_size;
}

/* At least twice the last slot, but no more than what the budget leaves needs. */
static size_t least_slot_size(const ca_context_header *self, size_t left, size_t size) {
  const size_t twice = twice_the_last(self);
  return larger(size + self->overhead, smaller(left + self->overhead, twice));
}

/* Of `least` to `most` bytes, and where one is idle, and so much is left, as large as threads keep: that
 * costs little, and often is the last one that the context needs. Never a larger one for that: these
 * are for who needs them. Nor where it counts in a family: its room is for others, too. */
static ca_context_header *obtain_extension(const ca_context_header *self, size_t least, size_t most,
                                           size_t left) {
  const size_t largest = ca_family_of(self) == NULL ? ca_slots_largest_kept() : 0;
  const size_t kept = smaller(left + self->overhead, largest);
  ca_context_header *const new = least < kept ? ca_slots_obtain_within(kept, largest) : NULL;
  return new != NULL ? new : ca_slots_obtain_within(least, most);
}

/* From the slots of `least` to `most` bytes, with `left` bytes for blocks at most. */
CA_COLD static ca_block extend_from(ca_context_header *self, size_t least, size_t most, size_t left,
                                    size_t size, size_t align) {
  for (;;) {
    ca_context_header *const new = obtain_extension(self, least, most, left);
    if (new == NULL) {
      return ca_block_none();
    }
    const size_t slot_size = new->slot_size;
    /* What it needs besides is its kind's to know. */
    const ca_block block =
        init_extension(self, new, left) ? allocate_in(new, size, align) : ca_block_none();
    const bool would_do = !ca_block_is_none(block);
    if (would_do && ca_family_charge(self, ca_context_range_size(new))) {
      link_extension(self, new);
      return block;
    }
    give_back(new);
    /* Else larger ones would be over the family's budget, or cut to the same. */
    if (would_do || left <= slot_size - self->overhead) {
      return ca_block_none();
    }
    least = 2 * slot_size;
  }
}

/* Where the families have less room than the budget leaves: with what they have. Always a larger
 * slot, and never one of the largest, or there would be more and more small ones: one of the
 * largest is for all that the budget leaves, and so the last. */
CA_COLD static ca_block extend_within_room(ca_context_header *self, size_t room, size_t size,
                                           size_t align) {
  const size_t least = larger(size + self->overhead, twice_the_last(self));
  const size_t most = ca_slots_largest() / 2;
  return least <= most ? extend_from(self, least, most, room, size, align) : ca_block_none();
}

ca_block ca_context_extend(ca_context_header *self, size_t size, size_t align) {
  if (CA_LIKELY(self->budget == ca_context_range_size(self))) {
    return ca_block_none();
  }
  const size_t left = self->budget - size_of_ranges(self);
  if (size > left) {
    return ca_block_none();
  }
  const size_t room = ca_family_room(self);
  ca_block block = ca_block_none();
  if (size <= room && room < left) {
    block = extend_within_room(self, room, size, align);
  }
  return ca_block_is_none(block)
             ? extend_from(self, least_slot_size(self, left, size), SIZE_MAX, left, size, align)
             : block;
}

ca_context_result ca_context_add_reserve(ca_context_header *self, size_t reserve) {
  ca_context_header *const new = ca_slots_obtain(reserve + self->overhead);
  if (new == NULL) {
    return CA_CONTEXT_NO_SLOT; /* It is less than the budget, which was found to fit one. */
  }
  if (!init_extension(self, new, reserve)) {
    give_back(new);
    return CA_CONTEXT_OUT_OF_RANGE;
  }
  new->is_reserve = true;
  link_extension(self, new);
  return CA_CONTEXT_DONE;
}

ca_context_header *ca_context_take_extension(ca_context_header *self) {
  ca_context_header *const newest = ca_context_extension(self);
  if (CA_LIKELY(newest == NULL)) {
    return NULL;
  }
  /* Release: as it was with one less. */
  __atomic_store_n(&self->extension, newest->extension, __ATOMIC_RELEASE);
  exchange_bumps(self, newest);
  if (newest->extension == NULL) {
    self->allocator = ca_context_allocator_allocator(&self->local);
  }
  newest->extension = NULL;
  __atomic_store_n(&newest->extends, NULL, __ATOMIC_RELAXED);
  ca_context_allocator_destroy(&newest->local);
  ca_family_refund(self, ca_context_range_size(newest));
  return newest;
}

void ca_context_release_extensions(ca_context_header *self) {
  ca_context_header *slot;
  while ((slot = ca_context_take_extension(self)) != NULL) {
    ca_context_header_release_slot(slot);
  }
}

void ca_context_reset_extensions(ca_context_header *self) {
  ca_context_header *newest = ca_context_extension(self);
  while (newest != NULL && !newest->is_reserve) {
    ca_context_header_release_slot(ca_context_take_extension(self));
    newest = ca_context_extension(self);
  }
  if (newest != NULL) {
    ca_context_allocator_reset(&newest->local);
  }
}

/* Looking. */

ca_bump *ca_context_first_bump(ca_context_header *self) {
  ca_context_header *oldest = self;
  while (ca_context_extension(oldest) != NULL) {
    oldest = ca_context_extension(oldest);
  }
  return &oldest->local.chosen.bump;
}

/* A bump is read where its blocks are, by what does not change: its owner may be extending. */
size_t ca_context_readable_size(const ca_context_header *self, const ca_context_header *slot,
                                const void *ptr) {
  if (ca_context_allocator_kind(&self->local) != CA_CONTEXT_BUMP) {
    return self->allocator->ops->usable_size(self->allocator, ptr);
  }
  char *const begin = (char *)(uintptr_t)slot + slot->overhead;
  const ca_bump seen = {.base = {.ops = &ca_bump_recording_ops},
                        .begin = begin,
                        .end = begin + ca_context_range_size(slot)};
  return seen.base.ops->usable_size(&seen.base, ptr);
}

void ca_context_count_extensions(const ca_context_header *self, ca_context_counts *counts) {
  const ca_context_header *one = ca_context_extension(self);
  /* Bounded, as it may be given back and serve others meanwhile. */
  for (int i = 0; one != NULL && i < CA_CONTEXT_CLASSES; i++) {
    const ca_context_allocator_statistics measured = ca_context_header_measure(one);
    counts->slot_size += one->slot_size;
    counts->budget += one->is_reserve ? one->budget : 0;
    counts->used += measured.used;
    counts->peak += measured.peak;
    one = ca_context_extension(one);
  }
  counts->peak = counts->peak < counts->budget ? counts->peak : counts->budget;
  counts->used = counts->used < counts->peak ? counts->used : counts->peak;
}

bool ca_context_has_slot_of(const ca_context_header *self, const void *ptr) {
  const ca_context_header *one = self;
  while (one != NULL && (uintptr_t)ptr - (uintptr_t)one >= one->slot_size) {
    one = ca_context_extension(one);
  }
  return one != NULL;
}

bool ca_context_check_extensions(const ca_context_header *self) {
  const bool has_reserve =
      self->reserve != 0 && ca_context_allocator_kind(&self->local) != CA_CONTEXT_BUMP;
  int count = 0;
  bool all = true;
  for (const ca_context_header *one = ca_context_extension(self); one != NULL;
       one = ca_context_extension(one)) {
    count++;
    all = all && one->extends == self && one->generation == 0 && count <= CA_CONTEXT_CLASSES &&
          one->is_reserve == (has_reserve && ca_context_extension(one) == NULL);
  }
  const ca_allocator *const right = count == 0 ? &self->local.chosen.base : &self->ranges;
  return all && self->extends == NULL && self->allocator == right &&
         size_of_ranges(self) <= self->budget;
}
