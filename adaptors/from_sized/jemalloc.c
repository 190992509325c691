#include "adaptors/from_sized/jemalloc.h"

#include <jemalloc/jemalloc.h>

static int flags_of(const void *context) { return (int)(intptr_t)context; }

static int flags_for(const void *context, size_t align) {
  return flags_of(context) | MALLOCX_LG_ALIGN((int)ca_log2_floor(align));
}

static void *allocate(void *context, size_t size, size_t align) {
  return mallocx(size, flags_for(context, align));
}

/* sdallocx believes the size, and a block that could not be shrunk in place is larger than its
 * caller may say. */
static void deallocate(void *context, void *ptr, size_t size, size_t align) {
  const int flags = flags_for(context, align);
  if (CA_LIKELY(nallocx(size, flags) == sallocx(ptr, flags))) {
    sdallocx(ptr, size, flags);
  } else {
    dallocx(ptr, flags);
  }
}

static bool resize_in_place(void *context, void *ptr, size_t size, size_t new_size, size_t align) {
  const size_t got = xallocx(ptr, new_size, 0, flags_for(context, align));
  return new_size >= size ? got >= new_size : got <= nallocx(new_size, flags_for(context, align));
}

static void *resize(void *context, void *ptr, size_t size, size_t new_size, size_t align) {
  (void)size;
  return rallocx(ptr, new_size, flags_for(context, align));
}

static size_t good_size(void *context, size_t size, size_t align) {
  return nallocx(size, flags_for(context, align));
}

static size_t usable_size(const void *context, const void *ptr) {
  return sallocx(ptr, flags_of(context));
}

static void deallocate_unsized(void *context, void *ptr) { dallocx(ptr, flags_of(context)); }

const ca_sized_functions ca_from_jemalloc = {
    .allocate = allocate,
    .deallocate = deallocate,
    .resize_in_place = resize_in_place,
    .resize = resize,
    .good_size = good_size,
    .usable_size = usable_size,
    .deallocate_unsized = deallocate_unsized,
    .most_align = (size_t)1 << 30,
};
