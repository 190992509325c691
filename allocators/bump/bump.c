#include "allocators/bump/bump.h"

#include "allocators/bump/recorded.h"

static ca_bump *from_base(ca_allocator *base) { return (ca_bump *)base; }
static const ca_bump *from_const_base(const ca_allocator *base) { return (const ca_bump *)base; }

static size_t room_of(const ca_bump *self) { return (size_t)(self->end - self->cursor); }

/* Sizes forgotten. */

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  return ca_bump_allocate(from_base(base), size, align);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  ca_bump_deallocate(from_base(base), ptr, size);
}

/* Moving could only copy, which is ca_reallocate()'s work: hence `move` is never asked. */
static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  (void)align;
  (void)move;
  ca_bump *const self = from_base(base);
  if ((char *)ptr + size != self->cursor || new_size - size > room_of(self)) {
    /* Of a block that isn't the newest, only what it already has can be had. */
    return new_size == size ? ca_block_make(ptr, size) : ca_block_none();
  }
  self->cursor = (char *)ptr + new_size;
  ca_unpoison((char *)ptr + size, new_size - size);
  return ca_block_make(ptr, new_size);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  (void)align;
  (void)move;
  ca_bump *const self = from_base(base);
  if ((char *)ptr + size != self->cursor) {
    return ca_block_make(ptr, size);
  }
  self->cursor = (char *)ptr + new_size;
  ca_poison(self->cursor, size - new_size);
  return ca_block_make(ptr, new_size);
}

static bool op_owns(const ca_allocator *base, const void *ptr) {
  const ca_bump *const self = from_const_base(base);
  return (uintptr_t)ptr >= (uintptr_t)self->begin && (uintptr_t)ptr < (uintptr_t)self->end;
}

static ca_block op_range(const ca_allocator *base) {
  const ca_bump *const self = from_const_base(base);
  return ca_block_make(self->begin, (size_t)(self->end - self->begin));
}

static bool within_region(const ca_bump *self) {
  if (ca_block_is_none(self->region)) {
    return true;
  }
  const char *const first = self->region.ptr;
  return self->begin >= first && self->end <= first + self->region.size;
}

static bool op_check(const ca_allocator *base) {
  const ca_bump *const self = from_const_base(base);
  return self->begin <= self->cursor && self->cursor <= self->end && self->begin <= self->highest &&
         (uintptr_t)self->end <= INTPTR_MAX && within_region(self);
}

static const ca_allocator_ops forgetting_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = NULL,
    .deallocate_unsized = NULL,
    .owns = op_owns,
    .check = op_check,
    .name = "bump",
    .range = op_range,
};

/* Sizes recorded. */

static const size_t record_size_max = ((size_t)1 << CA_BUMP_SIZE_BITS) - 1;

CA_COLD __attribute__((noreturn)) static void report(const ca_bump *self, const char *call,
                                                     const void *ptr) {
  const bool readable = (uintptr_t)ptr >= (uintptr_t)self->begin + CA_BUMP_RECORD_SIZE &&
                        (uintptr_t)ptr <= (uintptr_t)self->end && ca_bump_may_be_recorded(ptr);
  const bool freed =
      readable && ca_bump_record_lives(ca_bump_freed_record(ca_bump_load_record(ptr)), ptr);
  ca_panic_misuse(call, ptr, freed ? "double free (bump)" : "not a block (bump)");
}

/* Relaxed: others may ask for the size of a block of theirs while ca_bump_move_end() runs, which
 * leaves every live block inside. */
static char *end_of(const ca_bump *self) { return __atomic_load_n(&self->end, __ATOMIC_RELAXED); }

/* The record of the live block at ptr; anything else is reported as a misuse of `call`. */
static inline uint64_t live_record(const ca_bump *self, const void *ptr, const char *call) {
  const size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)self->begin);
  if (CA_UNLIKELY(offset < CA_BUMP_RECORD_SIZE || offset > (size_t)(end_of(self) - self->begin) ||
                  !ca_bump_may_be_recorded(ptr))) {
    report(self, call, ptr);
  }
  const uint64_t record = ca_bump_load_record(ptr);
  if (CA_UNLIKELY(!ca_bump_record_lives(record, ptr))) {
    report(self, call, ptr);
  }
  return record;
}

/* That `size` can be said of the block: a smaller one fits if it was shrunk. */
static inline void expect_fitting(uint64_t record, const void *ptr, size_t size, const char *call) {
  if (CA_UNLIKELY(size > ca_bump_recorded_size(record))) {
    ca_panic_misuse(call, ptr, "wrong size (bump)");
  }
}

/* The size of the live block at ptr, of which `size` can be said. */
static inline size_t fitting_size(const ca_bump *self, const void *ptr, size_t size,
                                  const char *call) {
  const uint64_t record = live_record(self, ptr, call);
  expect_fitting(record, ptr, size, call);
  return ca_bump_recorded_size(record);
}

/* Where the cursor stands behind a block: at the place of the next record. */
static char *cursor_behind(const void *ptr, size_t size) {
  return (char *)ca_bump_record_of(ptr) + ca_bump_recorded_stride(size);
}

/* Padding in which records could stand looks like a block that was freed: blocks can be walked. */
static void record_padding(const char *from, const char *ptr) {
  if (from != ptr) {
    const size_t size = (size_t)(ptr - from) - CA_BUMP_RECORD_SIZE;
    ca_bump_store_record(from, ca_bump_freed_record(ca_bump_live_record(from, size)));
  }
}

static ca_block recording_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_bump *const self = from_base(base);
  const size_t skip =
      CA_BUMP_RECORD_SIZE + ca_padding_to((uintptr_t)self->cursor + CA_BUMP_RECORD_SIZE, align);
  const size_t room = room_of(self);
  if (CA_UNLIKELY(size > record_size_max || skip > room || size > room - skip)) {
    return ca_block_none();
  }
  char *const ptr = self->cursor + skip;
  if (CA_UNLIKELY(align > CA_BUMP_RECORDED_ALIGN)) {
    record_padding(self->cursor + CA_BUMP_RECORD_SIZE, ptr);
  }
  self->cursor = cursor_behind(ptr, size);
  ca_bump_store_record(ptr, ca_bump_live_record(ptr, size));
  ca_unpoison(ptr, size);
  return ca_block_make(ptr, size);
}

static void recording_deallocate_unsized(ca_allocator *base, void *ptr) {
  ca_bump *const self = from_base(base);
  if (CA_UNLIKELY(!ca_bump_deallocate_recorded(self, ptr))) {
    report(self, "deallocate", ptr);
  }
}

static inline size_t take_back(ca_allocator *base, void *ptr, size_t size) {
  ca_bump *const self = from_base(base);
  const uint64_t record = live_record(self, ptr, "deallocate");
  expect_fitting(record, ptr, size, "deallocate");
  return ca_bump_end_life(self, ptr, record);
}

static void recording_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  (void)take_back(base, ptr, size);
}

static size_t recording_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  return take_back(base, ptr, size);
}

static ca_block resize_newest(ca_bump *self, void *ptr, size_t new_size) {
  ca_bump_set_back(self, cursor_behind(ptr, new_size));
  ca_bump_store_record(ptr, ca_bump_live_record(ptr, new_size));
  return ca_block_make(ptr, new_size);
}

static ca_block recording_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                               size_t align, ca_move move) {
  (void)align;
  (void)move;
  ca_bump *const self = from_base(base);
  const size_t recorded = fitting_size(self, ptr, size, "grow");
  if (new_size <= recorded) {
    return ca_block_make(ptr, recorded);
  }
  if (cursor_behind(ptr, recorded) != self->cursor || new_size > record_size_max ||
      new_size > (size_t)(self->end - (char *)ptr)) {
    return ca_block_none();
  }
  ca_unpoison((char *)ptr + recorded, new_size - recorded);
  return resize_newest(self, ptr, new_size);
}

static ca_block recording_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                                 size_t align, ca_move move) {
  (void)align;
  (void)move;
  ca_bump *const self = from_base(base);
  const size_t recorded = fitting_size(self, ptr, size, "shrink");
  if (cursor_behind(ptr, recorded) != self->cursor) {
    return ca_block_make(ptr, recorded);
  }
  ca_poison((char *)ptr + new_size, recorded - new_size);
  return resize_newest(self, ptr, new_size);
}

static size_t recording_usable_size(const ca_allocator *base, const void *ptr) {
  return ca_bump_recorded_size(live_record(from_const_base(base), ptr, "usable_size"));
}

/* ca_bump_load_record(), but AddressSanitizer's poison stays: others may ask for the size of a block of
 * theirs at the same time. */
__attribute__((noinline, no_sanitize("address"))) static uint64_t look_at_record(const void *ptr) {
  return CA_POISON_ASAN ? *ca_bump_record_of(ptr) : ca_bump_load_record(ptr);
}

static bool recording_walk(const ca_allocator *base, ca_block_visitor *visitor, void *argument) {
  const ca_bump *const self = from_const_base(base);
  for (char *ptr = self->begin + CA_BUMP_RECORD_SIZE; ptr < self->cursor;) {
    const uint64_t record = look_at_record(ptr);
    const bool lives = ca_bump_record_lives(record, ptr);
    const size_t size = ca_bump_recorded_size(record);
    if ((!lives && !ca_bump_record_lives(ca_bump_freed_record(record), ptr)) ||
        size > (size_t)(self->cursor - ptr) ||
        (lives && !visitor(argument, ca_block_make(ptr, size)))) {
      return false;
    }
    ptr += ca_bump_recorded_stride(size);
  }
  return true;
}

static bool is_record_place(const char *place) {
  return ca_bump_may_be_recorded(place + CA_BUMP_RECORD_SIZE);
}

static bool goes_on(void *argument, ca_block block) {
  (void)argument;
  (void)block;
  return true;
}

static bool recording_check(const ca_allocator *base) {
  const ca_bump *const self = from_const_base(base);
  return op_check(base) && (self->begin == self->end ||
                            (is_record_place(self->begin) && is_record_place(self->cursor) &&
                             is_record_place(self->end) && recording_walk(base, goes_on, NULL)));
}

const ca_allocator_ops ca_bump_recording_ops = {
    .allocate = recording_allocate,
    .deallocate = recording_deallocate,
    .grow = recording_grow,
    .shrink = recording_shrink,
    .usable_size = recording_usable_size,
    .deallocate_unsized = recording_deallocate_unsized,
    .owns = op_owns,
    .check = recording_check,
    .name = "bump, sizes recorded",
    .range = op_range,
    .walk = recording_walk,
    .deallocate_recorded = recording_deallocate_recorded,
};

/* To a range that begins and ends where records can be. */
static void cut_to_records(ca_bump *self) {
  const size_t size = (size_t)(self->end - self->begin);
  const size_t padding =
      ca_padding_to((uintptr_t)self->begin + CA_BUMP_RECORD_SIZE, CA_BUMP_RECORDED_ALIGN);
  if (size <= padding) {
    self->end = self->begin;
    return;
  }
  self->begin += padding;
  self->end = self->begin + ca_round_down(size - padding, CA_BUMP_RECORDED_ALIGN);
}

void ca_bump_init_range(ca_bump *self, ca_block range, ca_sizes sizes) {
  *self = (ca_bump){
      .base = {.ops = sizes == CA_SIZES_RECORDED ? &ca_bump_recording_ops : &forgetting_ops}};
  if (ca_block_is_none(range) || (uintptr_t)range.ptr > INTPTR_MAX ||
      range.size > INTPTR_MAX - (uintptr_t)range.ptr) {
    return;
  }
  self->begin = range.ptr;
  self->end = self->begin + range.size;
  if (sizes == CA_SIZES_RECORDED) {
    cut_to_records(self);
  }
  self->cursor = self->begin;
  self->highest = self->begin;
  ca_poison(self->begin, (size_t)(self->end - self->begin));
}

bool ca_bump_init(ca_bump *self, ca_source *source, size_t size, ca_sizes sizes) {
  const ca_block region =
      size == 0 ? ca_block_none() : ca_source_obtain(source, size, CA_ALIGN_DEFAULT);
  ca_bump_init_range(self, region, sizes);
  if (self->begin == self->end) {
    if (!ca_block_is_none(region)) {
      ca_source_release(source, region);
    }
    return false;
  }
  self->region = region;
  self->source = source;
  return true;
}

void ca_bump_destroy(ca_bump *self) {
  ca_unpoison(self->begin, (size_t)(self->end - self->begin));
  if (!ca_block_is_none(self->region)) {
    ca_unpoison(self->region.ptr, self->region.size); /* Also what is behind a moved end. */
    ca_source_release(self->source, self->region);
  }
  *self = (ca_bump){.base = self->base};
}
