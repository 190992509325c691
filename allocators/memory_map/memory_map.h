/* allocators/memory_map/memory_map.h - blocks that are whole mappings of the operating system.
 *
 * Idea        each block is a mapping of its own: nothing is shared between blocks, what is freed
 *             goes back to the system at once, and growing moves page tables, not bytes. For
 *             blocks that would waste much or hold much elsewhere.
 * Cost        allocate, deallocate, grow, shrink: a system call each, and a page fault for each page
 *             when first touched. allocate with an alignment above the page size: up to three; grow
 *             of a block that has to move: two, and with such an alignment up to five. No list of
 *             blocks is kept: any number of them costs no memory here.
 * Overhead    a request is rounded up to whole pages; with sizes recorded there is one more page
 *             in front of each block.
 * Alignment   the page size always; above it any power of two for which there is address space.
 * Contents    allocate: zero. grow: what is new is zero, beyond the old size's last page.
 * Errors      none iff the system refuses, `prepare` does, a limit given in the settings would be
 *             passed, or the rounded size exceeds PTRDIFF_MAX. Grow, told not to move: also iff the
 *             addresses behind are in use. errno is kept. Where the system's number of mappings is
 *             used up it may refuse to take pages back: they then stay mapped, unused.
 * Misuse      a pointer that isn't a page's begin is reported as "not a block", a size of more pages
 *             than are mapped as "wrong size". Sizes recorded: also a page's begin whose record is
 *             not that of a block here, and any size of another number of pages. A block that was
 *             freed is no longer mapped: freeing it again faults there, at once, and so does any
 *             pointer without memory in front of it. Sizes forgotten: a double free is only seen
 *             when no block is left.
 * Ownership   blocks aren't known here: there is no reset, and destroy() requires that every block
 *             was given back.
 * Threads     not thread-safe.
 * Statistics  live bytes and their peak, in whole pages and with the records, and live blocks: the
 *             members `mapped`, `peak` and `blocks`; kept, since a system call drowns them.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_MEMORY_MAP_MEMORY_MAP_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_MEMORY_MAP_MEMORY_MAP_H_

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All-zero is sane. */
typedef struct ca_memory_map_allocator_settings {
  ca_sizes sizes;
  size_t limit; /* Bytes mapped at a time, at most; 0: no limit. */
  /* Called, if not NULL, with each new mapping before anybody touches it: the place for a NUMA
   * policy or madvise(). Returns whether it could; if not, the mapping goes back and the
   * request is refused. It may allocate here itself, which counts against the limit first. A block
   * that grows keeps the policy of its mapping. */
  bool (*prepare)(void *context, void *ptr, size_t size);
  void *context;
} ca_memory_map_allocator_settings;

/* Invariant: page_size is the system's; mapped <= peak; mapped is a multiple of page_size and 0 iff
 * blocks is 0; mapped <= limit if that isn't 0. */
typedef struct ca_memory_map_allocator {
  ca_allocator base; /* First. */
  ca_memory_map_allocator_settings settings;
  size_t page_size;
  size_t blocks; /* Live ones. */
  size_t mapped; /* Bytes mapped for them, records included. */
  size_t peak;   /* The largest `mapped` ever. */
} ca_memory_map_allocator;

/* Makes *self ready; nothing is mapped yet. settings may be NULL: all-zero then. */
void ca_memory_map_allocator_init(ca_memory_map_allocator *self,
                                  const ca_memory_map_allocator_settings *settings);

/* Requires that every block was given back, which a debug build asserts; in others, what wasn't
 * stays mapped, and is forgotten. Twice is harmless. */
void ca_memory_map_allocator_destroy(ca_memory_map_allocator *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_memory_map_allocator_allocator(ca_memory_map_allocator *self) {
  return &self->base;
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_MEMORY_MAP_MEMORY_MAP_H_ */
