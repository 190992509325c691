#include "adaptors/from_sized/from_sized.h"

#include <errno.h>
#include <stdint.h>

static const ca_from_sized *from_base(const ca_allocator *base) {
  return (const ca_from_sized *)base;
}

static bool is_possible(const ca_from_sized *self, size_t size, size_t align) {
  const size_t most = self->functions->most_align;
  return size <= PTRDIFF_MAX && align <= PTRDIFF_MAX - size && (most == 0 || align <= most);
}

/* The block at ptr for which `size` was asked, with the excess that the functions tell of. */
static ca_block block_of(const ca_from_sized *self, void *ptr, size_t size, size_t align) {
  const ca_sized_functions *const functions = self->functions;
  if (ptr == NULL) {
    return ca_block_none();
  }
  if (functions->usable_size != NULL) {
    return ca_block_make(ptr, functions->usable_size(self->context, ptr));
  }
  return ca_block_make(
      ptr, functions->good_size == NULL ? size : functions->good_size(self->context, size, align));
}

/* The block as it is, when nothing was done to it. */
static ca_block kept(const ca_from_sized *self, void *ptr, size_t size) {
  return ca_block_make(ptr, self->functions->usable_size == NULL
                                ? size
                                : self->functions->usable_size(self->context, ptr));
}

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  const ca_from_sized *const self = from_base(base);
  if (CA_UNLIKELY(!is_possible(self, size, align))) {
    return ca_block_none();
  }
  const int before = errno;
  const ca_block block =
      block_of(self, self->functions->allocate(self->context, size, align), size, align);
  errno = before;
  return block;
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  const ca_from_sized *const self = from_base(base);
  const int before = errno;
  self->functions->deallocate(self->context, ptr, size, align);
  errno = before;
}

static void op_deallocate_unsized(ca_allocator *base, void *ptr) {
  const ca_from_sized *const self = from_base(base);
  const int before = errno;
  self->functions->deallocate_unsized(self->context, ptr);
  errno = before;
}

static bool resized_in_place(const ca_from_sized *self, void *ptr, size_t size, size_t new_size,
                             size_t align) {
  return self->functions->resize_in_place != NULL &&
         self->functions->resize_in_place(self->context, ptr, size, new_size, align);
}

static ca_block resize(const ca_from_sized *self, void *ptr, size_t size, size_t new_size,
                       size_t align, ca_move move) {
  const int before = errno;
  void *resized = NULL;
  if (resized_in_place(self, ptr, size, new_size, align)) {
    resized = ptr;
  } else if (move == CA_MOVE_ALLOWED && self->functions->resize != NULL) {
    resized = self->functions->resize(self->context, ptr, size, new_size, align);
  }
  errno = before;
  return block_of(self, resized, new_size, align);
}

static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  if (new_size == size) {
    return kept(from_base(base), ptr, size);
  }
  if (CA_UNLIKELY(!is_possible(from_base(base), new_size, align))) {
    return ca_block_none();
  }
  return resize(from_base(base), ptr, size, new_size, align, move);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  const ca_block block = resize(from_base(base), ptr, size, new_size, align, move);
  return ca_block_is_none(block) ? kept(from_base(base), ptr, size) : block;
}

static size_t op_usable_size(const ca_allocator *base, const void *ptr) {
  return from_base(base)->functions->usable_size(from_base(base)->context, ptr);
}

static bool op_owns(const ca_allocator *base, const void *ptr) {
  return from_base(base)->functions->owns(from_base(base)->context, ptr);
}

#define FROM_SIZED_TABLE(USABLE, UNSIZED, OWNS)                                                    \
  {                                                                                                \
    .allocate = op_allocate, .deallocate = op_deallocate, .grow = op_grow, .shrink = op_shrink,    \
    .usable_size = (USABLE), .deallocate_unsized = (UNSIZED), .owns = (OWNS), .name = "from sized" \
  }

static const ca_allocator_ops tables[2][2] = {
    {FROM_SIZED_TABLE(NULL, NULL, NULL), FROM_SIZED_TABLE(NULL, NULL, op_owns)},
    {FROM_SIZED_TABLE(op_usable_size, op_deallocate_unsized, NULL),
     FROM_SIZED_TABLE(op_usable_size, op_deallocate_unsized, op_owns)},
};

/* Stands in for a table that lacks what it must have. */

static void *refuse(void *context, size_t size, size_t align) {
  (void)context;
  (void)size;
  (void)align;
  return NULL;
}

static void ignore(void *context, void *ptr, size_t size, size_t align) {
  (void)context;
  (void)ptr;
  (void)size;
  (void)align;
}

static const ca_sized_functions no_functions = {.allocate = refuse, .deallocate = ignore};

bool ca_from_sized_init(ca_from_sized *self, const ca_sized_functions *functions, void *context) {
  const bool whole = functions->allocate != NULL && functions->deallocate != NULL &&
                     (functions->usable_size == NULL) == (functions->deallocate_unsized == NULL);
  const ca_sized_functions *const used = whole ? functions : &no_functions;
  self->base.ops = &tables[used->usable_size != NULL][used->owns != NULL];
  self->functions = used;
  self->context = context;
  return whole;
}
