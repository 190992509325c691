/* switchable/placement.h - rules by which code that nobody will change allocates globally.
 *
 * Idea        a library that keeps what it allocates (a session cache, a handle made at first use)
 *             must not keep it in the memory of the request that happened to call it. Behind
 *             malloc.h an allocation made by code of a named shared object goes to the global
 *             allocator, whoever is current; who calls is told by the return address of malloc,
 *             operator new, calloc, ... Opt-in: stated once, before the first context.
 * Who calls   is the function that calls malloc, not who called that: libssl allocates through
 *             libcrypto, so that both have to be named; strdup() and fopen() are libc's calls, and
 *             std::string's are partly libstdc++'s; a function that ends in `return malloc(n)` may
 *             be compiled to a jump, and then its caller counts. A block's owner is settled then:
 *             realloc() keeps it.
 * Cost        without rules a load and a compare per allocation in a context that isn't served by
 *             the quickest path. With rules: a load from a table of return addresses, and on a miss
 *             a search in a sorted map of the objects that were loaded when the rules were stated.
 *             These stay loaded from then on (RTLD_NODELETE), so that neither is ever out of date.
 *             Code that was loaded later is found by glibc's _dl_find_object(), each time: a
 *             lock-free search of a sorted map which dlopen() and dlclose() keep.
 * Overhead    2 KiB; 24 bytes a loaded object.
 * Errors      false, and nothing changed.
 * Threads     ca_placement_is_global(): any, also in a child of fork() and in a signal handler: it
 *             takes no lock and no memory. ca_placement_init(): not from within dl_iterate_phdr().
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_PLACEMENT_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_PLACEMENT_H_

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CA_PLACEMENT_NAMES = 16, CA_PLACEMENT_NAME_SIZE = 64 };

typedef struct ca_placement_settings {
  /* Names of shared objects, separated by colons: "libssl:libcrypto.so.3". Each stands for the
   * objects whose file has this name, or begins with it and a dot, loaded now or later. NULL: none.
   * At most CA_PLACEMENT_NAMES, each shorter than CA_PLACEMENT_NAME_SIZE, not empty and without a
   * slash. */
  const char *objects;
  /* What the dynamic linker allocates, which behind malloc.h is global in any case. And, with
   * //switchable:initialisers (the preloaded library has it), all that is allocated while dlopen()
   * runs: the static initialisers of what it loads.
   * Not while a dlopen() runs whose search depends on its caller (a RUNPATH or RPATH, $ORIGIN in
   * the name), as only that caller itself can make that call, nor one that libc makes for itself
   * (name services, iconv). */
  bool initialisers;
} ca_placement_settings;

/* States the rules, for good. Returns false if they were stated before, if contexts exist (or their
 * slots: ca_contexts_init()), if there is no rule or a name is out of range, or without memory. */
bool ca_placement_init(const ca_placement_settings *settings);

/* Whether what code at this address allocates goes to the global allocator. The code must not be
 * unloaded meanwhile. */
bool ca_placement_is_global(const void *address);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_PLACEMENT_H_ */
