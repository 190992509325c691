#include "adaptors/aligned/aligned.h"

#include <stdint.h>

enum { RECORD_SIZE = 8 };
static const size_t most_of_all = (size_t)1 << 63;

static const ca_aligned *from_base(const ca_allocator *base) { return (const ca_aligned *)base; }

static size_t raised(const ca_aligned *self, size_t align) {
  return align < self->least ? self->least : align;
}

/* Above `most`: a block of size + align bytes at alignment `most` of the inner allocator, in which
 * the aligned one begins at least a record's size from the begin, and at most `align`. */

static size_t *record_of(void *ptr) { return (size_t *)((uintptr_t)ptr - RECORD_SIZE); }

static void *begin_of(void *ptr) { return (char *)ptr - *record_of(ptr); }

CA_COLD static ca_block allocate_within(const ca_aligned *self, size_t size, size_t align) {
  if (align > PTRDIFF_MAX || size > PTRDIFF_MAX - align) {
    return ca_block_none();
  }
  const ca_block block = ca_allocate(self->wrapper.inner, size + align, self->most);
  if (ca_block_is_none(block)) {
    return block;
  }
  const size_t offset = RECORD_SIZE + ca_padding_to((uintptr_t)block.ptr + RECORD_SIZE, align);
  char *const ptr = (char *)block.ptr + offset;
  *record_of(ptr) = offset;
  return ca_block_make(ptr, block.size - align);
}

CA_COLD static void deallocate_within(const ca_aligned *self, void *ptr, size_t size,
                                      size_t align) {
  ca_deallocate(self->wrapper.inner, begin_of(ptr), size + align, self->most);
}

/* In place: elsewhere the distance wouldn't be the same. */
static ca_block grow_within(const ca_aligned *self, void *ptr, size_t size, size_t new_size,
                            size_t align) {
  if (new_size > PTRDIFF_MAX - align) {
    return ca_block_none();
  }
  const ca_block block = ca_grow(self->wrapper.inner, begin_of(ptr), size + align, new_size + align,
                                 self->most, CA_MOVE_NEVER);
  return ca_block_is_none(block) ? block : ca_block_make(ptr, block.size - align);
}

static ca_block shrink_within(const ca_aligned *self, void *ptr, size_t size, size_t new_size,
                              size_t align) {
  const ca_block block = ca_shrink(self->wrapper.inner, begin_of(ptr), size + align,
                                   new_size + align, self->most, CA_MOVE_NEVER);
  return ca_block_is_none(block) ? block : ca_block_make(ptr, block.size - align);
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  const ca_aligned *const self = from_base(base);
  const size_t used = raised(self, align);
  return CA_LIKELY(used <= self->most) ? ca_allocate(self->wrapper.inner, size, used)
                                       : allocate_within(self, size, used);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  const ca_aligned *const self = from_base(base);
  const size_t used = raised(self, align);
  if (CA_UNLIKELY(used > self->most)) {
    deallocate_within(self, ptr, size, used);
    return;
  }
  ca_deallocate(self->wrapper.inner, ptr, size, used);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  const ca_aligned *const self = from_base(base);
  const size_t used = raised(self, align);
  return CA_LIKELY(used <= self->most)
             ? ca_grow(self->wrapper.inner, ptr, size, new_size, used, move)
             : grow_within(self, ptr, size, new_size, used);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  const ca_aligned *const self = from_base(base);
  const size_t used = raised(self, align);
  return CA_LIKELY(used <= self->most)
             ? ca_shrink(self->wrapper.inner, ptr, size, new_size, used, move)
             : shrink_within(self, ptr, size, new_size, used);
}

static bool op_check(const ca_allocator *base) {
  const ca_aligned *const self = from_base(base);
  return ca_is_power_of_two(self->least) && ca_is_power_of_two(self->most) &&
         self->most >= RECORD_SIZE && ca_wrapper_check(base);
}

static const ca_wrapper_tables tables =
    CA_WRAPPER_ROWS("aligned", op_allocate, op_deallocate, op_grow, op_shrink,
                    ca_wrapper_deallocate_unsized, ca_wrapper_deallocate_recorded, op_check);

bool ca_aligned_init(ca_aligned *self, ca_allocator *inner, size_t least, size_t most) {
  const bool whole = (least == 0 || ca_is_power_of_two(least)) &&
                     (most == 0 || (ca_is_power_of_two(most) && most >= RECORD_SIZE));
  const bool bounded = whole && most != 0;
  self->least = whole && least != 0 ? least : 1;
  self->most = bounded ? most : most_of_all;
  ca_wrapper_init(&self->wrapper, inner, bounded ? CA_SIZES_FORGOTTEN : CA_SIZES_RECORDED, tables);
  return whole;
}
