#include "adaptors/sized/sized.h"

#include <stdint.h>

#include "base/poison.h"

/* The record: what the inner allocator handed out, in bytes, in the upper 44 bits; and below how
 * far into it the block begins, in multiples of 8, which is never 0 for a live block. */
enum { RECORD_SIZE = 8, OFFSET_BITS = 20, INNER_ALIGN = 8 };
static const size_t size_max = (size_t)1 << 43;
static const size_t align_max = (size_t)1 << 22;
static const unsigned misses_max = 2; /* From then on nothing is missed: 8 bytes more are asked. */

typedef struct placement {
  char *begin; /* What the inner allocator handed out: */
  size_t total;
  size_t offset; /* of the block within it. */
} placement;

static uint64_t *record_of(const void *ptr) { return (uint64_t *)((uintptr_t)ptr - RECORD_SIZE); }

static void store(const void *ptr, uint64_t record) {
  ca_unpoison(record_of(ptr), RECORD_SIZE);
  *record_of(ptr) = record;
  ca_poison(record_of(ptr), RECORD_SIZE);
}

static ca_block record(char *ptr, size_t total, size_t offset) {
  store(ptr, (uint64_t)total << OFFSET_BITS | offset / 8);
  return ca_block_make(ptr, total - offset);
}

/* Where the block at ptr lies; a pointer that can't be one is reported as a misuse of `call`. */
static inline placement find(const void *ptr, const char *call) {
  if (CA_UNLIKELY(ptr == NULL || !ca_is_aligned(ptr, RECORD_SIZE))) {
    ca_panic_misuse(call, ptr, "not a block (sized)");
  }
  ca_unpoison_defined(record_of(ptr), RECORD_SIZE);
  const uint64_t found = *record_of(ptr);
  ca_poison(record_of(ptr), RECORD_SIZE);
  const size_t offset = (size_t)(found & ((1U << OFFSET_BITS) - 1)) * 8;
  const size_t total = (size_t)(found >> OFFSET_BITS);
  if (CA_UNLIKELY(offset == 0 || offset >= total)) {
    ca_panic_misuse(call, ptr, "double free or not a block (sized)");
  }
  return (placement){.begin = (char *)((uintptr_t)ptr - offset), .total = total, .offset = offset};
}

/* How far into a range at `begin` a block with a record in front of it begins. */
static size_t offset_in(const char *begin, size_t align) {
  const size_t stricter = align > RECORD_SIZE ? align : RECORD_SIZE;
  return RECORD_SIZE + ca_padding_to((uintptr_t)begin + RECORD_SIZE, stricter);
}

/* The second attempt, with the bytes that the first had too few. */
CA_COLD static ca_block allocate_shifted(ca_sized *self, ca_block tight, size_t total, size_t size,
                                         size_t align) {
  ca_allocator *const inner = self->wrapper.inner;
  ca_deallocate(inner, tight.ptr, total, INNER_ALIGN);
  const ca_block range = ca_allocate(inner, total + 8, INNER_ALIGN);
  if (ca_block_is_none(range)) {
    return range;
  }
  const size_t offset = offset_in(range.ptr, align);
  CA_CHECK(offset <= range.size && size <= range.size - offset);
  return record((char *)range.ptr + offset, range.size, offset);
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_sized *const self = (ca_sized *)base;
  if (CA_UNLIKELY(size > size_max || align > align_max)) {
    return ca_block_none();
  }
  const bool usual = align <= CA_ALIGN_DEFAULT;
  size_t total = ca_round_up(size + (usual ? RECORD_SIZE : align), CA_ALIGN_DEFAULT);
  if (CA_UNLIKELY(self->misses == misses_max) && align == CA_ALIGN_DEFAULT) {
    total += 8;
  }
  const ca_block range = ca_allocate(self->wrapper.inner, total, INNER_ALIGN);
  if (CA_UNLIKELY(ca_block_is_none(range))) {
    return range;
  }
  const size_t offset = offset_in(range.ptr, align);
  if (CA_UNLIKELY(offset > range.size || size > range.size - offset)) {
    self->misses++;
    return allocate_shifted(self, range, total, size, align);
  }
  if (CA_LIKELY(offset == RECORD_SIZE && align == CA_ALIGN_DEFAULT)) {
    self->misses = 0;
  }
  return record((char *)range.ptr + offset, range.size, offset);
}

static void take_back(ca_allocator *base, void *ptr, placement at) {
  store(ptr, 0);
  ca_unpoison(record_of(ptr), RECORD_SIZE);
  ca_deallocate(ca_wrapper_inner(base), at.begin, at.total, INNER_ALIGN);
}

static void op_deallocate_unsized(ca_allocator *base, void *ptr) {
  take_back(base, ptr, find(ptr, "deallocate"));
}

static inline placement find_fitting(const void *ptr, size_t size) {
  const placement at = find(ptr, "deallocate");
  if (CA_UNLIKELY(size > at.total - at.offset)) {
    ca_panic_misuse("deallocate", ptr, "wrong size (sized)");
  }
  return at;
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  take_back(base, ptr, find_fitting(ptr, size));
}

static size_t op_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  const placement at = find_fitting(ptr, size);
  take_back(base, ptr, at);
  return at.total - at.offset;
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  (void)size;
  (void)align;
  (void)move; /* Elsewhere the record and the block's alignment wouldn't fit. */
  const placement at = find(ptr, "grow");
  if (new_size <= at.total - at.offset) {
    return ca_block_make(ptr, at.total - at.offset);
  }
  if (new_size > size_max) {
    return ca_block_none();
  }
  const size_t total = ca_round_up(at.offset + new_size, CA_ALIGN_DEFAULT);
  const ca_block range =
      ca_grow(ca_wrapper_inner(base), at.begin, at.total, total, INNER_ALIGN, CA_MOVE_NEVER);
  return ca_block_is_none(range) ? range : record(ptr, range.size, at.offset);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  (void)size;
  (void)align;
  (void)move;
  const placement at = find(ptr, "shrink");
  const size_t total = ca_round_up(at.offset + new_size, CA_ALIGN_DEFAULT);
  if (total >= at.total) {
    return ca_block_make(ptr, at.total - at.offset);
  }
  const ca_block range =
      ca_shrink(ca_wrapper_inner(base), at.begin, at.total, total, INNER_ALIGN, CA_MOVE_NEVER);
  return ca_block_is_none(range) ? ca_block_make(ptr, at.total - at.offset)
                                 : record(ptr, range.size, at.offset);
}

static size_t op_usable_size(const ca_allocator *base, const void *ptr) {
  (void)base;
  const placement at = find(ptr, "usable_size");
  return at.total - at.offset;
}

static const ca_wrapper_tables tables = {
    CA_WRAPPER_ROW("sized", op_allocate, op_deallocate, op_grow, op_shrink, op_usable_size,
                   op_deallocate_unsized, op_deallocate_recorded, ca_wrapper_check, NULL),
    CA_WRAPPER_ROW("sized", op_allocate, op_deallocate, op_grow, op_shrink, op_usable_size,
                   op_deallocate_unsized, op_deallocate_recorded, ca_wrapper_check, NULL),
};

void ca_sized_init(ca_sized *self, ca_allocator *inner) {
  ca_wrapper_init(&self->wrapper, inner, CA_SIZES_RECORDED, tables);
  self->misses = 0;
}
