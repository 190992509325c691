/* switchable/kept_by_libc.h - what the C library and the dynamic linker allocate for themselves.
 *
 * Idea        a stream gets its buffer when it is first used, the list of functions to call at exit
 *             grows with a function's static object, a thread's vector of thread-local blocks stays with
 *             its stack for the next thread: kept for long, and allocated by whatever request came
 *             first. In its context they would be lost with it. Told by the return address of malloc
 *             and calloc, as placement.h does, but always.
 * Functions   all of the dynamic linker; of libc those that allocate buffers of streams, lists of
 *             destructors of thread-local objects and of functions to call at exit, tables of
 *             thread-specific data. Not those that hand what they allocate to their caller, as strdup().
 * Not seen    what else libc keeps: of setenv(), setlocale(), tzset(), on_exit(), name services, iconv;
 *             and a stream itself, which stands in a list of all streams until it is closed. In a
 *             fully static program, nothing of all this is seen.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_KEPT_BY_LIBC_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_KEPT_BY_LIBC_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

typedef struct ca_code {
  uintptr_t begin, size; /* 0: none. */
} ca_code;

/* The dynamic linker's, and where in libc the functions lie. Written before main(), and before the
 * constructors of what is loaded after this. */
extern ca_code ca_linker_code __attribute__((visibility("hidden")));
extern ca_code ca_keepers_code __attribute__((visibility("hidden")));

/* Buffers of streams are no smaller: it is the kernel's st_blksize, or BUFSIZ, or for a terminal 1,024. */
enum { CA_STREAM_BUFFER_LEAST = 1024 };

static inline bool ca_is_in(ca_code code, const void *caller) {
  return (uintptr_t)caller - code.begin < code.size;
}

static inline bool ca_is_dynamic_linker(const void *caller) {
  return ca_is_in(ca_linker_code, caller);
}

/* Of a caller among the functions of libc. */
bool ca_is_keeper(const void *caller);

/* Whether what this caller of malloc or calloc allocates is kept. */
static inline bool ca_is_kept_by_libc(const void *caller) {
  return ca_is_dynamic_linker(caller) ||
         (CA_UNLIKELY(ca_is_in(ca_keepers_code, caller)) && ca_is_keeper(caller));
}

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_KEPT_BY_LIBC_H_ */
