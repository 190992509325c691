/* malloc and its family, in the place of libc's: see switchable/malloc.h. */
#define _GNU_SOURCE
#include "switchable/malloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "switchable/context.h"
#include "switchable/context_header.h"
#include "switchable/global.h"
#include "switchable/kept_by_libc.h"
#include "switchable/placement.h"
#include "switchable/placement_rules.h"
#include "switchable/thread_life.h"

#define EXPORT __attribute__((visibility("default")))

/* Who called the function that this stands in: placement.h, kept_by_libc.h. */
#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

_Static_assert((int)CA_QUICK_SIZES < (int)CA_STREAM_BUFFER_LEAST,
               "a stream's buffer is never quick");

/* What glibc calls its own, whoever is malloc. */
void *__libc_malloc(size_t size);
void __libc_free(void *ptr);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);

/* In a fully static program there is neither a next library nor, unless something else needs it,
 * a dlsym() to find it. */
__attribute__((weak)) void *dlsym(void *restrict handle, const char *restrict name);

/* Globally: where it finds nothing, as in such a program, libc keeps a record of that. A heap that
 * was promised comes now, or it would be left again. */
static void *next_symbol(const char *name) {
  if (dlsym == NULL) {
    return NULL;
  }
  ca_thread_state *const state = ca_thread_state_get();
  ca_context_header *const current = ca_thread_current(state);
  ca_thread_state_use(state, NULL);
  void *const symbol = dlsym(RTLD_NEXT, name);
  ca_thread_state_use(state, current);
  return symbol;
}

typedef size_t usable_size_function(void *ptr);

/* glibc has no other name for this one. Relaxed: every thread finds the same. */
static usable_size_function *next_usable_size(void) {
  static usable_size_function *found;
  usable_size_function *function = __atomic_load_n(&found, __ATOMIC_RELAXED);
  if (function == NULL) {
    void *const symbol = next_symbol("malloc_usable_size");
    memcpy(&function, &symbol, sizeof function);
    __atomic_store_n(&found, function, __ATOMIC_RELAXED);
  }
  return function;
}

/* The size word in front of a glibc 2.x chunk: bits 0 to 2 are flags, bit 1 says "mapped"; a chunk
 * that isn't mapped reaches over the next one's first word (malloc/malloc.c of glibc). */
static size_t glibc_chunk_size(const void *ptr) {
  size_t word;
  memcpy(&word, (const char *)ptr - sizeof word, sizeof word);
  return (word & ~(size_t)7) - ((word & 2) != 0 ? 2 : 1) * sizeof word;
}

void *ca_global_malloc(size_t size) { return __libc_malloc(size); }
void ca_global_free(void *ptr) { __libc_free(ptr); }
void *ca_global_realloc(void *ptr, size_t size) { return __libc_realloc(ptr, size); }
void *ca_global_memalign(size_t align, size_t size) { return __libc_memalign(align, size); }
size_t ca_global_usable_size(void *ptr) {
  usable_size_function *const next = next_usable_size();
  return next == NULL ? glibc_chunk_size(ptr) : next(ptr);
}

static void *or_no_memory(ca_block block) {
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    errno = ENOMEM;
  }
  return block.ptr;
}

CA_COLD static void *refuse(int error) {
  errno = error;
  return NULL;
}

/* C lets a size of 0 be served; it is served by a block of its own, as glibc does. */
static size_t at_least_one(size_t size) { return size + (size == 0); }

CA_COLD static void *allocate_globally(size_t size, size_t align) {
  return align <= CA_ALIGN_DEFAULT ? __libc_malloc(size) : __libc_memalign(align, size);
}

static void *allocate_in(ca_context_header *current, size_t size, size_t align,
                         const void *caller) {
  if (CA_UNLIKELY(ca_is_kept_by_libc(caller)) ||
      (CA_UNLIKELY(ca_placement_in_force()) && ca_placement_is_global(caller))) {
    return allocate_globally(size, align);
  }
  if (CA_UNLIKELY(size > PTRDIFF_MAX)) {
    return refuse(ENOMEM);
  }
  return or_no_memory(ca_context_header_allocate(current, at_least_one(size), align));
}

/* The rare cases are calls in tail position, so that the common ones need no stack frame. */

static __attribute__((noinline)) void *allocate_in_slowly(ca_context_header *current, size_t size,
                                                          const void *caller) {
  return allocate_in(current, size, CA_ALIGN_DEFAULT, caller);
}

/* Of who calls only the distance is at hand where malloc looked for the dynamic linker: to keep the
 * address, too, is an instruction more in every call. */
static __attribute__((noinline)) void *allocate_in_slowly_at(ca_context_header *current,
                                                             size_t size, uintptr_t distance) {
  return allocate_in(current, size, CA_ALIGN_DEFAULT,
                     (const void *)(distance + ca_linker_code.begin));
}

CA_COLD static void *begin_and_allocate(size_t size, const void *caller) {
  ca_thread_begin(ca_thread_state_get());
  return ca_malloc_for(size, caller);
}

static inline void *malloc_for(size_t size, const void *caller) {
  ca_context_header *const current = ca_thread_state_get_current();
  /* Not that it is rare: the global allocator takes long enough for a jump more. */
  if (CA_UNLIKELY(current == NULL)) {
    return CA_UNLIKELY(ca_thread_is_to_begin()) ? begin_and_allocate(size, caller)
                                                : __libc_malloc(size);
  }
  const uintptr_t distance = (uintptr_t)caller - ca_linker_code.begin;
  if (CA_UNLIKELY(distance < ca_linker_code.size)) {
    return allocate_in_slowly_at(current, size, distance);
  }
  void *const ptr = ca_context_header_allocate_quickly(current, size);
  return CA_LIKELY(ptr != NULL) ? ptr : allocate_in_slowly_at(current, size, distance);
}

void *ca_malloc_for(size_t size, const void *caller) { return malloc_for(size, caller); }

EXPORT void *malloc(size_t size) { return malloc_for(size, CALLER); }

static __attribute__((noinline)) void free_by_address(void *ptr) {
  ca_context_header *const owner = ca_context_header_of(ptr);
  if (CA_LIKELY(owner == NULL)) {
    __libc_free(ptr);
  } else {
    ca_context_header_deallocate(owner, ptr, 0, "free");
  }
}

EXPORT void free(void *ptr) {
  ca_context_header *const current = ca_thread_state_get_current();
  if (CA_UNLIKELY(current == NULL || !ca_context_header_deallocate_quickly(current, ptr))) {
    free_by_address(ptr);
  }
}

EXPORT void *calloc(size_t count, size_t size) {
  ca_context_header *const current = ca_thread_current(ca_thread_state_get());
  if (CA_LIKELY(current == NULL) || CA_UNLIKELY(ca_is_kept_by_libc(CALLER))) {
    return __libc_calloc(count, size);
  }
  size_t bytes;
  if (CA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
    return refuse(ENOMEM);
  }
  void *ptr = ca_context_header_allocate_quickly(current, bytes);
  if (CA_UNLIKELY(ptr == NULL)) {
    ptr = allocate_in_slowly(current, bytes, CALLER);
  }
  return ptr == NULL ? NULL : memset(ptr, 0, bytes);
}

static void *reallocate(void *ptr, size_t size, const void *caller) {
  if (ptr == NULL) {
    return ca_malloc_for(size, caller);
  }
  ca_context_header *const owner = ca_context_header_of(ptr);
  if (CA_LIKELY(owner == NULL)) {
    return __libc_realloc(ptr, size);
  }
  if (size == 0) { /* glibc frees. */
    ca_context_header_deallocate(owner, ptr, 0, "realloc");
    return NULL;
  }
  if (CA_UNLIKELY(size > PTRDIFF_MAX)) {
    return refuse(ENOMEM);
  }
  return or_no_memory(ca_context_header_reallocate(owner, ptr, size, CA_ALIGN_DEFAULT, "realloc"));
}

EXPORT void *realloc(void *ptr, size_t size) { return reallocate(ptr, size, CALLER); }

EXPORT void *reallocarray(void *ptr, size_t count, size_t size) {
  size_t bytes;
  if (CA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
    return refuse(ENOMEM);
  }
  return reallocate(ptr, bytes, CALLER);
}

/* `align` is a power of two. */
static void *allocate_aligned(size_t align, size_t size, const void *caller) {
  ca_context_header *const current = ca_thread_current(ca_thread_state_get());
  return current == NULL ? __libc_memalign(align, size) : allocate_in(current, size, align, caller);
}

void *ca_memalign_for(size_t align, size_t size, const void *caller) {
  return ca_is_power_of_two(align) ? allocate_aligned(align, size, caller) : refuse(EINVAL);
}

EXPORT void *memalign(size_t align, size_t size) { return ca_memalign_for(align, size, CALLER); }

EXPORT void *aligned_alloc(size_t align, size_t size) {
  return ca_memalign_for(align, size, CALLER);
}

EXPORT int posix_memalign(void **result, size_t align, size_t size) {
  if (!ca_is_power_of_two(align) || align % sizeof(void *) != 0) {
    return EINVAL;
  }
  const int saved = errno;
  void *const ptr = allocate_aligned(align, size, CALLER);
  errno = saved; /* It reports by its result alone. */
  if (ptr == NULL) {
    return ENOMEM;
  }
  *result = ptr;
  return 0;
}

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

EXPORT void *valloc(size_t size) { return allocate_aligned(page_size(), size, CALLER); }

EXPORT void *pvalloc(size_t size) {
  const size_t page = page_size();
  if (CA_UNLIKELY(size > PTRDIFF_MAX)) {
    return refuse(ENOMEM);
  }
  return allocate_aligned(page, ca_round_up(at_least_one(size), page), CALLER);
}

EXPORT size_t malloc_usable_size(void *ptr) {
  if (ptr == NULL) {
    return 0;
  }
  ca_context_header *const owner = ca_context_header_of(ptr);
  return owner == NULL ? ca_global_usable_size(ptr)
                       : ca_context_header_usable_size(owner, ptr, "malloc_usable_size");
}

EXPORT void free_sized(void *ptr, size_t size) {
  ca_context_header *const owner = ca_context_header_of(ptr);
  if (CA_LIKELY(owner == NULL)) {
    __libc_free(ptr);
  } else {
    ca_context_header_deallocate(owner, ptr, at_least_one(size), "free_sized");
  }
}

EXPORT void free_aligned_sized(void *ptr, size_t align, size_t size) {
  (void)align;
  free_sized(ptr, size);
}

EXPORT int malloc_trim(size_t pad) {
  typedef int trim_function(size_t pad);
  const int saved = errno;
  int given = ca_contexts_trim() > 0;
  void *const symbol = next_symbol("malloc_trim");
  if (symbol != NULL) {
    trim_function *next;
    memcpy(&next, &symbol, sizeof next);
    given |= next(pad);
  }
  errno = saved;
  return given;
}
