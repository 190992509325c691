/* sources/memory_map/memory_map.h - memory of the operating system, by anonymous private mappings.
 *
 * Idea        one mmap() for each range, trimmed to the alignment asked; what the settings wish
 *             beyond that is applied before the caller sees the range.
 * Cost        obtain, release: one system call each; an alignment above the page, or guards, cost
 *             up to three more. Pages are paid for when first touched.
 * Overhead    sizes are rounded up to whole pages; guards are addresses without memory.
 * Alignment   any power of two for which the address space has room.
 * Errors      none iff the operating system refuses: RLIMIT_AS, overcommit, too many mappings.
 *             errno is kept.
 * Ownership   a range belongs to the caller until release(), which unmaps it. Where the kernel
 *             refuses to unmap (too many mappings) the pages go back and only addresses are lost.
 * Threads     every function may be called by any number of threads at once.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_

#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What stands behind an address before it is touched. */
typedef enum ca_memory_map_backing {
  /* Read and written at once, charged against the system's commit limit. */
  CA_MEMORY_MAP_COMMITTED = 0,
  /* Read and written at once, but not charged where vm.overcommit_memory is 0 or 1: more can be
   * reserved than the machine has, as long as only a part is touched. */
  CA_MEMORY_MAP_RESERVED = 1,
  /* Addresses only: a touch faults until ca_memory_map_commit(). */
  CA_MEMORY_MAP_INACCESSIBLE = 2
} ca_memory_map_backing;

/* All-zero: committed, no guards. */
typedef struct ca_memory_map_settings {
  ca_memory_map_backing backing;
  size_t guard_before; /* Bytes in front of each range where a touch faults; whole pages. */
  size_t guard_after;  /* The same behind it. */
} ca_memory_map_settings;

/* Never changes after init. Private to the implementation. */
typedef struct ca_memory_map {
  ca_source base; /* First. */
  ca_memory_map_settings settings;
  size_t page_size;
} ca_memory_map;

/* Makes *self a source with these settings; NULL stands for all-zero ones. Holds nothing that
 * would have to be destroyed. */
void ca_memory_map_init(ca_memory_map *self, const ca_memory_map_settings *settings);

/* The source interface of *self; valid as long as *self is. */
static inline ca_source *ca_memory_map_source(ca_memory_map *self) { return &self->base; }

/* Makes [ptr, ptr + size), rounded outward to pages, part of an obtained INACCESSIBLE range,
 * readable and writable; it reads as zero where it was not committed before. Returns false, with
 * nothing changed, if the operating system refuses. */
bool ca_memory_map_commit(ca_memory_map *self, void *ptr, size_t size);

/* Gives the whole pages inside [ptr, ptr + size) back, and makes them inaccessible again if that
 * is the backing. Returns their bytes, 0 if refused. The commit charge is kept until release().
 * This is what ca_source_decommit() does. */
size_t ca_memory_map_decommit(ca_memory_map *self, void *ptr, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_ */
