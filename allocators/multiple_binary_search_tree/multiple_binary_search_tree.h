/* allocators/multiple_binary_search_tree/multiple_binary_search_tree.h - any size from one range.
 *
 * Idea        the range is counted in granules of 16 bytes. Free blocks lie in red-black trees, one
 *             for each size class, in address order with the leftmost at hand; a bit mask tells
 *             which trees have any. Classes: one for each size below 16 granules, then 8 for each
 *             doubling. A block goes into its tree merged with its free neighbours. In front, a
 *             short list for each size up to 64 granules keeps freed blocks as they are, newest
 *             first, so that steady traffic touches no tree; the lists are folded into the trees
 *             before the range is used further up while much waits in them, before a request is
 *             refused, and on demand.
 *             Small blocks for which no list and no tree has the exact size are cut from the
 *             `victim`, a run of up to 64 granules; all others from the lowest block of the
 *             smallest class that fits, from its upper end.
 * Cost        allocate, deallocate of up to 1,024 bytes that a list serves: O(1). Else O(log n) of
 *             the n free blocks, and the folding, O(log n) for each block folded: each was freed
 *             once. A request that is refused, or is aligned to more than 16, may also look at every
 *             free block of its class or larger. Freeing looks at most at 32 free blocks of 1 KiB.
 *             init, reset: O(1), whatever was allocated.
 * Overhead    a block takes its size rounded up to 16, nothing more: no headers. Of the range, sizes
 *             forgotten: 2 bytes for each KiB (0.2 %): where in it the first free block begins and
 *             where one from before ends, which is how neighbours are found. Sizes recorded: instead
 *             2 bits for each granule (1.57 %): a live block begins, a block ends. And the trees: 8
 *             bytes for each class, 704 for 64 KiB, at most 1,920.
 * Alignment   any power of two that the range has room for.
 * Errors      none iff no free block has `size` bytes so aligned with everything folded; it never
 *             asks the source again. Grow: iff what follows the block isn't free for long enough
 *             (with CA_MOVE_NEVER folded first; ca_reallocate() is about to allocate anyway).
 * Misuse      sizes recorded: a double free, an interior or a wild pointer and a wrong size are
 *             reported by name in every build, in O(1) (a size: by its bits, 64 granules a step).
 *             Sizes forgotten: unseen.
 * Ownership   the source must outlive the allocator; destroy() returns the range to it.
 * Threads     not thread-safe.
 * Source      size classes and masks: M. Masmano et al., "TLSF: a new dynamic memory allocator for
 *             real-time systems", ECRTS 2004. Lists in front: C. B. Weinstock and W. A. Wulf,
 *             "Quick Fit", SIGPLAN Notices 23(10), 1988. Victim: D. Lea, "A memory allocator", 1996.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_MULTIPLE_BINARY_SEARCH_TREE_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_MULTIPLE_BINARY_SEARCH_TREE_H_

#include <stdint.h>
#include <string.h>

#include "allocators/allocator.h"
#include "allocators/red_black_tree/red_black_tree.h"
#include "base/poison.h"
#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE = 16,
  CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX = 64, /* Granules of the largest block in a list. */
};

/* Where a KiB's free blocks are, each plus one; 0: there is none. */
typedef struct ca_multiple_binary_search_tree_cell {
  uint8_t first; /* Granule where the first free block of this KiB begins. */
  uint8_t last;  /* Granule where a free block that began in another KiB ends. */
} ca_multiple_binary_search_tree_cell;

/* Of 64 granules: where a live block begins, and where a live or listed block ends. */
typedef struct ca_multiple_binary_search_tree_marks {
  uint64_t begins;
  uint64_t ends;
} ca_multiple_binary_search_tree_marks;

/* Positions are granules counted from origin; 0 means none: granule 0 holds the tables.
 * Invariant:
 *   - 0 < first <= top <= touched <= end, and the victim lies in [first, top].
 *   - Each granule of [first, top) belongs to exactly one live block, listed block, free block or
 *     the victim. Free blocks aren't adjacent to each other, to the victim, or to top.
 *   - lists[n] holds blocks of n granules, together `listed` granules; lists[0] none.
 *   - Free blocks lie in the tree of their class, together `free` granules; nonempty has the bits
 *     of the trees that hold any. A tree without its bit has never been written.
 *   - Sizes forgotten: each cell below touched tells of the free blocks of its KiB, which are
 * chained.
 *   - Sizes recorded: a begin bit is set where a live block begins, an end bit in the last granule
 * of each live or listed block, no other below touched.
 * The members are for this component only. About 400 bytes. */
typedef struct ca_multiple_binary_search_tree {
  ca_allocator base; /* First. */
  char *origin;
  uint32_t listed;
  uint32_t victim; /* Where the next small block is cut off; none is left at victim_end. */
  uint32_t victim_end;
  uint32_t free;
  uint32_t first;
  uint32_t top;     /* Everything from here to end is free. */
  uint32_t touched; /* Nothing above was ever handed out, so its cells and bits aren't set up. */
  uint32_t end;
  uint64_t nonempty[4];
  uint32_t lists[CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX + 1];
  ca_red_black_tree *trees;
  ca_multiple_binary_search_tree_cell *cells;  /* NULL with sizes recorded. */
  ca_multiple_binary_search_tree_marks *marks; /* NULL with sizes forgotten. */
  ca_block range;
  ca_block region; /* What goes back to the source; none where the range is the caller's. */
  ca_source *source;
} ca_multiple_binary_search_tree;

/* Takes a range of `size` bytes from source. Returns false if it has none, or if size is 0, or too
 * small for the tables and one granule: *self then holds nothing and refuses every request. Of a
 * range above 64 GiB the rest isn't used. */
bool ca_multiple_binary_search_tree_init(ca_multiple_binary_search_tree *self, ca_source *source,
                                         size_t size, ca_sizes sizes);

/* Allocates from the caller's own range, which destroy() leaves alone. Where the range is none, too
 * small, or reaches beyond 2^63, every request is refused. */
void ca_multiple_binary_search_tree_init_range(ca_multiple_binary_search_tree *self, ca_block range,
                                               ca_sizes sizes);

/* Gives the range back. Blocks still held by callers become invalid. Twice is harmless. */
void ca_multiple_binary_search_tree_destroy(ca_multiple_binary_search_tree *self);

/* Forgets every block at once and keeps the range. O(1), whatever was allocated. */
void ca_multiple_binary_search_tree_reset(ca_multiple_binary_search_tree *self);

/* Folds the short lists and the victim into the trees, where all free neighbours merge. O(b log n)
 * for b blocks in lists. */
void ca_multiple_binary_search_tree_fold(ca_multiple_binary_search_tree *self);

/* Folds, and gives the whole pages inside free blocks back to the operating system. Returns the
 * bytes given back, 0 where the source cannot. O(n) and a system call for each block of a page or
 * more; what was given back before is given back again. */
size_t ca_multiple_binary_search_tree_trim(ca_multiple_binary_search_tree *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_multiple_binary_search_tree_allocator(
    ca_multiple_binary_search_tree *self) {
  return &self->base;
}

/* Bytes of live blocks, as rounded. O(1), and costs nothing before it is asked. */
static inline size_t ca_multiple_binary_search_tree_live(
    const ca_multiple_binary_search_tree *self) {
  return (size_t)(self->top - self->first - self->free - self->listed -
                  (self->victim_end - self->victim)) *
         CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
}

/* Bytes from the first granule to the highest ever handed out since init or reset, rounded up to a
 * KiB: what it would have needed at most. O(1). */
static inline size_t ca_multiple_binary_search_tree_peak(
    const ca_multiple_binary_search_tree *self) {
  return (size_t)(self->touched - self->first) * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
}

/* Live blocks. Requires that sizes are recorded. O(range / 1 KiB). */
size_t ca_multiple_binary_search_tree_blocks(const ca_multiple_binary_search_tree *self);

/* What the direct calls do where no list can serve. */
ca_block ca_multiple_binary_search_tree_allocate_unlisted(ca_multiple_binary_search_tree *self,
                                                          size_t size, size_t align);
void ca_multiple_binary_search_tree_deallocate_unlisted(ca_multiple_binary_search_tree *self,
                                                        void *ptr, size_t size);

/* ca_allocate() for callers that know what they hold. Only where sizes are forgotten. */
static inline ca_block ca_multiple_binary_search_tree_allocate(ca_multiple_binary_search_tree *self,
                                                               size_t size, size_t align) {
  const size_t granules = (size + (CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE - 1)) /
                          CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE; /* 0 where the sum wraps. */
  if (CA_LIKELY(granules <= CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX &&
                align <= CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE)) {
    const uint32_t at = self->lists[granules];
    if (CA_LIKELY(at != 0)) {
      char *const ptr = self->origin + (size_t)at * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
      ca_unpoison_defined(ptr, CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
      memcpy(&self->lists[granules], ptr, sizeof self->lists[0]);
      self->listed -= (uint32_t)granules;
      ca_unpoison(ptr, granules * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
      return ca_block_make(ptr, granules * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
    }
  }
  return ca_multiple_binary_search_tree_allocate_unlisted(self, size, align);
}

/* ca_deallocate() for callers that know what they hold. Only where sizes are forgotten. */
static inline void ca_multiple_binary_search_tree_deallocate(ca_multiple_binary_search_tree *self,
                                                             void *ptr, size_t size) {
  const size_t granules = (size + (CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE - 1)) /
                          CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
  if (CA_UNLIKELY(granules > CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX)) {
    ca_multiple_binary_search_tree_deallocate_unlisted(self, ptr, size);
    return;
  }
  ca_unpoison(ptr, CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
  memcpy(ptr, &self->lists[granules], sizeof self->lists[0]);
  self->lists[granules] =
      (uint32_t)((size_t)((char *)ptr - self->origin) / CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
  self->listed += (uint32_t)granules;
  ca_poison(ptr, granules * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_MULTIPLE_BINARY_SEARCH_TREE_H_ \
        */
