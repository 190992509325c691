/* switchable/kept_by_libc.h - what the C library and the dynamic linker allocate for themselves.
 *
 * Idea        a stream stands in libc's list until it is closed, and gets its buffer when it is first
 *             used; the list of functions to call at exit grows with a function's static object; the
 *             time zone is read by the first who asks for the local time. Kept for long, and
 *             allocated by whatever request came first: in its context they would be lost with it.
 *             So they are global, whoever is current, in one of two ways.
 * By address  told by the return address of malloc and calloc, as placement.h does, but always: all
 *             of the dynamic linker; of libc the functions that allocate buffers of streams, lists of
 *             destructors of thread-local objects and tables of thread-specific data. They are called
 *             from everywhere within libc. By a function in front of it, functions to call at exit.
 * By name     keeping_functions.c stands in front of public functions of libc, and runs them with
 *             the global allocator current: those that make streams, change the environment, the
 *             locale or the time zone, format times, convert characters, translate or make up
 *             messages, look up hosts, services, users and groups, write to the system's log, and
 *             some more. What they hand to their caller is then global, too: a stream, a locale_t,
 *             an iconv_t, a list of addresses outlives a request that doesn't give it back. In the
 *             preloaded library; a program that links //switchable:malloc adds
 *             //switchable:keeping_functions.
 * The caller's  what else libc hands out: of strdup(), asprintf(), getline(), getcwd(), opendir(),
 * glob(),
 *             regcomp() and their like, and what a stream of open_memstream() has written, but for
 *             its first 8 KiB: where one that stays open goes with its context, so does its text,
 *             and exit() writes to the two variables that it was opened with.
 * Cost        of the functions by name: 52 instructions a call (callgrind, gmtime_r() preloaded),
 *             and a symbol looked up at the first.
 * Not seen    a thread's record of its last failure in dlopen() or dlsym(), made at the first one and
 *             used by the next: let a thread whose requests may fail there do so once before,
 *             outside of contexts. The string of openlog(), which is its caller's. What libstdc++
 *             caches of a std::locale (placement.h can name it). In a fully static program, nothing
 *             of all this is seen.
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

/* Buffers of streams are no smaller: it is the kernel's st_blksize, or BUFSIZ, or for a terminal
 * 1,024. */
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
