#include "adaptors/redzone/redzone.h"

#include <stdint.h>
#include <string.h>

#include "base/poison.h"

enum { PATTERN = 0xFB };

/* Stands in front of the zone before the block, poisoned like it. */
typedef struct ca_redzone_record {
  struct ca_redzone_record *newer;
  struct ca_redzone_record *older;
  size_t size;  /* The caller's. */
  size_t align; /* What the inner block was asked with. */
  size_t inner; /* The inner block's size. */
  uint64_t seal;
} record;

static ca_redzone *from_base(ca_allocator *base) { return (ca_redzone *)base; }
static const ca_redzone *from_const_base(const ca_allocator *base) {
  return (const ca_redzone *)base;
}

static record *record_of(const void *ptr) {
  return (record *)((uintptr_t)ptr - CA_REDZONE_SIZE - sizeof(record));
}

static char *block_of(const record *at) {
  return (char *)((uintptr_t)at + sizeof(record) + CA_REDZONE_SIZE);
}

static uint64_t seal_of(const ca_redzone *self, const record *at) {
  return ((uint64_t)(uintptr_t)at ^ (uint64_t)(uintptr_t)self) * UINT64_C(0x9E3779B97F4A7C15);
}

/* Bytes from the inner block's begin to the caller's. */
static size_t front_for(size_t align) {
  return ca_round_up(sizeof(record) + CA_REDZONE_SIZE, align);
}

static size_t back_of(const record *at) { return at->inner - front_for(at->align) - at->size; }

/* Records are poisoned but between these two. */
static void open_record(const record *at) { ca_unpoison_defined(at, sizeof *at); }
static void close_record(const record *at) { ca_poison(at, sizeof *at); }

/* Whether the `size` bytes, poisoned before and after, are all of the pattern. */
static bool is_pattern(const char *bytes, size_t size) {
  ca_unpoison_defined(bytes, size);
  size_t at = 0;
  while (at < size && (unsigned char)bytes[at] == PATTERN) {
    at++;
  }
  ca_poison(bytes, size);
  return at == size;
}

static void fill(char *bytes, size_t size) {
  ca_unpoison_defined(bytes, size);
  memset(bytes, PATTERN, size);
  ca_poison(bytes, size);
}

static bool is_back_whole(const record *at) {
  return is_pattern(block_of(at) + at->size, back_of(at));
}

static bool is_front_whole(const record *at) {
  return is_pattern(block_of(at) - CA_REDZONE_SIZE, CA_REDZONE_SIZE);
}

/* The opened record of a live, undamaged block; anything else is reported. */
static record *live_record(const ca_redzone *self, const void *ptr, const char *call) {
  if (CA_UNLIKELY(!ca_is_aligned(ptr, _Alignof(record)))) {
    ca_panic_misuse(call, ptr, "not a block (redzone)");
  }
  record *const at = record_of(ptr);
  open_record(at);
  if (CA_UNLIKELY(!is_front_whole(at))) {
    ca_panic_misuse(call, ptr,
                    at->seal == seal_of(self, at) ? "write before the block (redzone)"
                                                  : "not a block (redzone)");
  }
  if (CA_UNLIKELY(at->seal != seal_of(self, at))) {
    ca_panic_misuse(call, ptr, "not a block (redzone)");
  }
  if (CA_UNLIKELY(!is_back_whole(at))) {
    ca_panic_misuse(call, ptr, "write behind the block (redzone)");
  }
  return at;
}

static record *sized_record(const ca_redzone *self, const void *ptr, size_t size,
                            const char *call) {
  record *const at = live_record(self, ptr, call);
  if (CA_UNLIKELY(at->size != size)) {
    ca_panic_misuse(call, ptr, "wrong size (redzone)");
  }
  return at;
}

static void link_in(ca_redzone *self, record *at) {
  at->newer = NULL;
  at->older = self->newest;
  if (at->older != NULL) {
    open_record(at->older);
    at->older->newer = at;
    close_record(at->older);
  }
  self->newest = at;
  self->live++;
}

static void link_out(ca_redzone *self, const record *at) {
  if (at->older != NULL) {
    open_record(at->older);
    at->older->newer = at->newer;
    close_record(at->older);
  }
  if (at->newer != NULL) {
    open_record(at->newer);
    at->newer->older = at->older;
    close_record(at->newer);
  } else {
    self->newest = at->older;
  }
  self->live--;
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  ca_redzone *const self = from_base(base);
  const size_t inner_align = align < _Alignof(record) ? _Alignof(record) : align;
  const size_t front = front_for(inner_align);
  if (front > PTRDIFF_MAX - CA_REDZONE_SIZE || size > PTRDIFF_MAX - CA_REDZONE_SIZE - front) {
    return ca_block_none();
  }
  const ca_block inner =
      ca_allocate(self->wrapper.inner, front + size + CA_REDZONE_SIZE, inner_align);
  if (ca_block_is_none(inner)) {
    return ca_block_none();
  }
  char *const ptr = (char *)inner.ptr + front;
  record *const at = record_of(ptr);
  *at =
      (record){.size = size, .align = inner_align, .inner = inner.size, .seal = seal_of(self, at)};
  link_in(self, at);
  fill(ptr - CA_REDZONE_SIZE, CA_REDZONE_SIZE);
  fill(ptr + size, back_of(at));
  ca_poison(inner.ptr, front - CA_REDZONE_SIZE);
  return ca_block_make(ptr, size);
}

static void give_back(ca_redzone *self, record *at) {
  const size_t align = at->align;
  const size_t inner = at->inner;
  char *const begin = block_of(at) - front_for(align);
  link_out(self, at);
  at->seal = 0;
  ca_unpoison_defined(begin, inner);
  ca_deallocate(self->wrapper.inner, begin, inner, align);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  ca_redzone *const self = from_base(base);
  give_back(self, sized_record(self, ptr, size, "deallocate"));
}

static void op_deallocate_unsized(ca_allocator *base, void *ptr) {
  ca_redzone *const self = from_base(base);
  give_back(self, live_record(self, ptr, "deallocate"));
}

static size_t op_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  ca_redzone *const self = from_base(base);
  record *const at = size == 0 ? live_record(self, ptr, "deallocate")
                               : sized_record(self, ptr, size, "deallocate");
  const size_t recorded = at->size;
  give_back(self, at);
  return recorded;
}

static size_t op_usable_size(const ca_allocator *base, const void *ptr) {
  const record *const at = live_record(from_const_base(base), ptr, "usable_size");
  const size_t size = at->size;
  close_record(at);
  return size;
}

/* Gives the block another size between its zones, for which there is room. */
static ca_block resize(record *at, size_t new_size) {
  char *const ptr = block_of(at);
  if (new_size > at->size) {
    ca_unpoison(ptr + at->size, new_size - at->size);
  }
  at->size = new_size;
  fill(ptr + new_size, back_of(at));
  close_record(at);
  return ca_block_make(ptr, new_size);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  (void)align;
  (void)move;
  record *const at = sized_record(from_base(base), ptr, size, "grow");
  if (new_size > at->inner - front_for(at->align) - CA_REDZONE_SIZE) {
    close_record(at);
    return ca_block_none();
  }
  return resize(at, new_size);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  (void)align;
  (void)move;
  return resize(sized_record(from_base(base), ptr, size, "shrink"), new_size);
}

static bool op_check(const ca_allocator *base) {
  const ca_redzone *const self = from_const_base(base);
  const record *newer = NULL;
  const record *at = self->newest;
  size_t live = 0;
  bool holds = true;
  while (holds && at != NULL) {
    open_record(at);
    holds = at->seal == seal_of(self, at) && at->newer == newer && live < self->live &&
            is_front_whole(at) && is_back_whole(at);
    const record *const older = at->older;
    close_record(at);
    newer = at;
    at = older;
    live++;
  }
  return holds && live == self->live && ca_wrapper_check(base);
}

static const ca_wrapper_tables tables = {
    CA_WRAPPER_ROW("redzone", op_allocate, op_deallocate, op_grow, op_shrink, op_usable_size,
                   op_deallocate_unsized, op_deallocate_recorded, op_check, NULL),
    CA_WRAPPER_ROW("redzone", op_allocate, op_deallocate, op_grow, op_shrink, op_usable_size,
                   op_deallocate_unsized, op_deallocate_recorded, op_check, NULL)};

void ca_redzone_init(ca_redzone *self, ca_allocator *inner) {
  ca_wrapper_init(&self->wrapper, inner, CA_SIZES_RECORDED, tables);
  self->newest = NULL;
  self->live = 0;
}
