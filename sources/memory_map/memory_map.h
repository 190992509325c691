/* sources/memory_map/memory_map.h - anonymous mappings of the operating system, as a source.
 *
 * Idea        each range is a mapping of its own, in one of three states, chosen at init: committed
 *             (the kernel promises memory for all of it), uncommitted (address space, usable at
 *             once, memory only where it is touched: for ranges far larger than their use), or
 *             reserved (address space only, not even readable, until a part is committed by name).
 * Cost        obtain, release: one system call, up to three where the alignment is above a page;
 *             then a page fault at the first touch of each page.
 * Overhead    none beside the rounding to pages.
 * Alignment   any power of two for which address space can be found; the page's comes for free.
 * Errors      none iff the kernel refuses (limits, overcommit, address space), or size and
 * alignment together exceed the address space. errno is kept. Ownership   ranges belong to the
 * caller until release, also after the source is gone. Threads     any call by any thread at any
 * time: nothing here is written after init.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_

#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ca_memory_map_reserve {
  CA_MEMORY_MAP_COMMITTED = 0, /* Counted against the kernel's commit limit. */
  CA_MEMORY_MAP_NORESERVE = 1, /* Not counted, unless vm.overcommit_memory is 2; touching more than
                                * the machine has may end the process. */
  CA_MEMORY_MAP_RESERVED = 2,  /* Not counted; a touch faults until ca_memory_map_commit(). */
} ca_memory_map_reserve;

/* All-zero is sane. */
typedef struct ca_memory_map_settings {
  ca_memory_map_reserve reserve;
} ca_memory_map_settings;

/* Private to memory_map.c. */
typedef struct ca_memory_map {
  ca_source base; /* First. */
  ca_memory_map_settings settings;
} ca_memory_map;

/* settings may be NULL: all zero. Cannot fail; there is nothing to destroy. */
void ca_memory_map_init(ca_memory_map *self, const ca_memory_map_settings *settings);

/* The source interface of *self; valid as long as *self is. Ranges are zeroed. */
static inline ca_source *ca_memory_map_source(ca_memory_map *self) { return &self->base; }

/* Makes the pages that [ptr, ptr + size) touches usable: a part of a range that is reserved. They
 * are zero, unless they were usable before. Returns false, and nothing has changed, if the kernel
 * refuses. */
bool ca_memory_map_commit(void *ptr, size_t size);

/* Takes the whole pages within [ptr, ptr + size) back to the reserved state: their memory goes to
 * the operating system, a touch faults. Returns false if the kernel refuses: the contents are then
 * lost or kept, and the pages still usable. */
bool ca_memory_map_uncommit(void *ptr, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_ */
