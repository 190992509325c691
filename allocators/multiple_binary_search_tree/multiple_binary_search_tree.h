/* allocators/multiple_binary_search_tree/multiple_binary_search_tree.h - red-black trees of free
 * blocks, one for each class of sizes, behind short lists of blocks freed a moment ago.
 *
 * Idea        a region is divided into granules of 16 bytes; a block is a run of them, with no
 *             header. A free run is a node of its class's tree, which is ordered by address, and is
 *             found by its neighbours through one mark bit a granule, set at its first and last
 *             granule, so that it is merged with both neighbours at once. What was never handed
 *             out, at the region's end, is in no tree: a cursor, `top`, carves it. A freed block of
 *             up to 1280 bytes first waits in the list of its exact size, for the next request of
 *             that size; its number is kept in an earlier block of the list. With CA_SIZES_RECORDED a
 *             second bit a granule marks where blocks begin, and gives their sizes.
 * Search      the list of the exact size; the tree of the exact size; the next non-empty class, by
 *             a mask of bits; top. Each from the lowest address. Sizes up to 64 granules have a
 *             class each, above there are 8 classes to a doubling. Before a request is refused, all
 *             that waits in the lists is merged into the trees, and every run that could do is
 *             looked at: a refusal means that no run of free granules is long enough.
 * Cost        allocate and deallocate from and to a list: O(1); else O(log n) of the n free runs of
 *             one class. Merging the lists costs that for each block that waits, and each was freed
 *             once; a request that is to be refused, the walk over the runs of its class and, for
 *             alignments above 16, of those above. grow, shrink: O(log n). What is taken from top,
 *             also to grow, has the marks that it covers written: a byte for 128 bytes, or 64 with
 *             sizes recorded. There, too, one more step for every 1 KiB of a block that is freed or
 *             resized. init, reset: O(1), whatever was allocated, and the region isn't touched.
 * Overhead    sizes rounded up to 16 bytes; of the region, 1/128 (sizes forgotten) or 1/64
 *             (recorded) for the marks; and the trees: 8 bytes for each class, 904 for 64 KiB, at
 *             most 2,112. The structure itself has 792 bytes at most.
 * Alignment   16; more is searched for with the padding added, and the rest given back. Any power
 *             of two for which there is room.
 * Errors      none iff no run of free granules, after merging, can hold the block. Grow: also iff
 *             the granules behind the block are not free; those of a block that waits in a list are
 *             not, unless the block must not move (CA_MOVE_NEVER), or a request of the new size
 *             and the alignment might have been refused without them.
 * Misuse      sizes recorded: a double free, an interior or wild pointer and a wrong size are each
 *             reported by name, in every build; sizes forgotten: unseen.
 * Limits      a region of up to 32 GiB, marks included: of a larger one only that much is used.
 * Ownership   the source must outlive the allocator; destroy() returns the region to it.
 * Threads     not thread-safe.
 * Statistics  live bytes, as rounded, and how far the region was needed, derived in O(1); live
 *             blocks, where sizes are recorded, by their marks. The most that was live at once
 *             would cost every call: see adaptors/tracking.
 * Source      address-ordered fits as surveyed in P. R. Wilson et al.,
 *             "Dynamic storage allocation: a survey and critical review", IWMM 1995; the classes and
 *             the mask as in M. Masmano et al., "TLSF: a new dynamic memory allocator for real-time
 *             systems", ECRTS 2004; the lists as in D. Lea's "A memory allocator", 1996.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_MULTIPLE_BINARY_SEARCH_TREE_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_MULTIPLE_BINARY_SEARCH_TREE_H_

#include <stdint.h>

#include "allocators/allocator.h"
#include "allocators/red_black_tree/red_black_tree.h"
#include "base/poison.h"
#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE = 16,    /* Bytes. */
  CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX = 80, /* Granules of the largest block in a list. */
  CA_MULTIPLE_BINARY_SEARCH_TREE_CLASSES = 64 + 25 * 8,
  CA_MULTIPLE_BINARY_SEARCH_TREE_MASK_WORDS = (CA_MULTIPLE_BINARY_SEARCH_TREE_CLASSES + 63) / 64,
};

/* may_alias: it lies where a caller's block was. */
typedef uint32_t __attribute__((may_alias)) ca_multiple_binary_search_tree_link;

/* Blocks of one size that wait. The head keeps the numbers of those that were freed after it, and
 * the newest leaves first: most blocks come and go without being touched. */
typedef struct ca_multiple_binary_search_tree_list {
  uint32_t head;  /* 0: none waits. */
  uint32_t count; /* Words in use in the head: its link to the next head, then numbers. */
} ca_multiple_binary_search_tree_list;

/* A granule's number is its distance from `memory` in granules. Granules [0, first) hold the marks
 * and then the trees, [first, top) blocks and free runs, [top, end) were never handed out, or are
 * free again. Marks are 64-bit words, one for 64 granules, and with sizes recorded two: free, begins.
 * A granule's marks (begins, free) are
 *   (0, 1)  at the first and the last granule of a free run;
 *   (1, 0)  where a live block begins, and at top, which ends the block before it;
 *   (1, 1)  where a block that waits in a list begins;
 *   (0, 0)  elsewhere. With sizes forgotten there is no `begins`, and blocks have no marks.
 * No marks are kept above top, and none at all while top is at `first`.
 *
 * Invariant: first <= top <= highest <= end. No free run is next to another or to top. A free run's
 * first granule is a node of the tree of its class; the node's owner's word and the same word of
 * its last granule are its length in granules. A class's bit in `classes` is set iff its tree has a
 * node, and its tree means something only then. free_granules is the length of all free runs.
 * lists[g] is of blocks of g granules. Its head's first `count` words, at least one and at most
 * 4 g, are the number of the next head, or 0, and the numbers of other blocks; each next head has
 * 4 g words in use. head and count are 0 where none waits; lists[0] is so always. What waits has
 * `waiting` granules together.
 * All-zero holds nothing: destroy() may be called, and the inline functions, which refuse. The
 * members are for this component only. */
typedef struct ca_multiple_binary_search_tree {
  ca_allocator base; /* First. */
  char *memory;
  uint32_t first;
  uint32_t top;
  uint32_t end;
  uint32_t highest; /* Where top stood highest since init or reset. */
  uint32_t touched; /* The same since init, as of the last reset. */
  uint32_t free_granules;
  uint32_t waiting;
  uint32_t recording; /* 1 or 0. */
  ca_block region;    /* What goes back to the source; none where the range is the caller's. */
  ca_source *source;
  ca_red_black_tree *trees;
  uint64_t classes[CA_MULTIPLE_BINARY_SEARCH_TREE_MASK_WORDS];
  ca_multiple_binary_search_tree_list lists[CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX + 1];
} ca_multiple_binary_search_tree;

/* Takes a region of `size` bytes from source. Returns false if it has none, or if it is too small
 * for its marks and one granule: *self then holds nothing and refuses every request, through the
 * interface too. */
bool ca_multiple_binary_search_tree_init(ca_multiple_binary_search_tree *self, ca_source *source,
                                         size_t size, ca_sizes sizes);

/* Allocates from the caller's own range, which destroy() leaves alone. Its begin is rounded up and
 * its end down to 16. It may be none, too small, or reach beyond 2^63 (where no program has
 * memory): every request is then refused. */
void ca_multiple_binary_search_tree_init_range(ca_multiple_binary_search_tree *self, ca_block range,
                                               ca_sizes sizes);

/* Gives the region back. Blocks still held by callers become invalid. Twice is harmless. */
void ca_multiple_binary_search_tree_destroy(ca_multiple_binary_search_tree *self);

/* Forgets every block at once and keeps the region. O(1), whatever was allocated. */
void ca_multiple_binary_search_tree_reset(ca_multiple_binary_search_tree *self);

/* Merges all that waits in the lists into the trees. Returns whether anything did. O(b log n) for b
 * blocks that wait. */
bool ca_multiple_binary_search_tree_fold(ca_multiple_binary_search_tree *self);

/* Merges all that waits in the lists into the trees, and gives the whole pages inside free runs and
 * above top back to the operating system, where the source can. Returns the bytes given back.
 * O(n log n) of the waiting blocks and O(n) of the free runs. */
size_t ca_multiple_binary_search_tree_trim(ca_multiple_binary_search_tree *self);

/* Live blocks. Requires that sizes are recorded. O(range / 1 KiB). */
size_t ca_multiple_binary_search_tree_blocks(const ca_multiple_binary_search_tree *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_multiple_binary_search_tree_allocator(
    ca_multiple_binary_search_tree *self) {
  return &self->base;
}

/* Bytes of live blocks, as rounded. O(1). */
static inline size_t ca_multiple_binary_search_tree_live(
    const ca_multiple_binary_search_tree *self) {
  const uint32_t free = self->free_granules + self->waiting;
  return (size_t)(self->top - self->first - free) * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
}

/* Bytes up to the highest ever handed out since init or reset: what was needed at most. O(1). */
static inline size_t ca_multiple_binary_search_tree_peak(
    const ca_multiple_binary_search_tree *self) {
  return (size_t)(self->highest - self->first) * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
}

/* What the inline functions below leave over: the lists' heads, and the trees. */
ca_block ca_multiple_binary_search_tree_allocate_otherwise(ca_multiple_binary_search_tree *self,
                                                           size_t size, size_t align);
void ca_multiple_binary_search_tree_deallocate_otherwise(ca_multiple_binary_search_tree *self,
                                                         void *ptr, size_t size);

/* The granule of a head that holds this word of it: what is unpoisoned for a moment. Private. */
static inline char *ca_multiple_binary_search_tree_around(
    const ca_multiple_binary_search_tree *self, uint32_t head, uint32_t word) {
  return self->memory + ((size_t)head + word / 4) * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
}

/* Reads and writes a word of a head. Private. */
static inline uint32_t ca_multiple_binary_search_tree_word(
    const ca_multiple_binary_search_tree *self, uint32_t head, uint32_t word) {
  const char *const around = ca_multiple_binary_search_tree_around(self, head, word);
  const char *const begin = self->memory + (size_t)head * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
  ca_unpoison_defined(around, CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
  const uint32_t value = ((const ca_multiple_binary_search_tree_link *)(const void *)begin)[word];
  ca_poison(around, CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
  return value;
}
static inline void ca_multiple_binary_search_tree_set_word(ca_multiple_binary_search_tree *self,
                                                           uint32_t head, uint32_t word,
                                                           uint32_t value) {
  char *const around = ca_multiple_binary_search_tree_around(self, head, word);
  char *const begin = self->memory + (size_t)head * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
  ca_unpoison_defined(around, CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
  ((ca_multiple_binary_search_tree_link *)(void *)begin)[word] = value;
  ca_poison(around, CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
}

/* Whether the newest block of so many granules that waits is in its list, and no head. Private. */
static inline bool ca_multiple_binary_search_tree_can_pop(
    const ca_multiple_binary_search_tree *self, size_t granules) {
  return self->lists[granules].count > 1;
}

/* Takes that block from its list. Private. */
static inline uint32_t ca_multiple_binary_search_tree_pop(ca_multiple_binary_search_tree *self,
                                                          size_t granules) {
  ca_multiple_binary_search_tree_list *const list = &self->lists[granules];
  const uint32_t count = list->count - 1;
  list->count = count;
  self->waiting -= (uint32_t)granules;
  return ca_multiple_binary_search_tree_word(self, list->head, count);
}

/* Whether the list's head has room for one more number. Private. */
static inline bool ca_multiple_binary_search_tree_can_push(
    const ca_multiple_binary_search_tree *self, size_t granules) {
  return self->lists[granules].count - 1 < (uint32_t)granules * 4 - 1; /* False where empty. */
}

/* Puts a block into its list. Private. */
static inline void ca_multiple_binary_search_tree_push(ca_multiple_binary_search_tree *self,
                                                       size_t granules, uint32_t number) {
  ca_multiple_binary_search_tree_list *const list = &self->lists[granules];
  ca_multiple_binary_search_tree_set_word(self, list->head, list->count, number);
  list->count += 1;
  self->waiting += (uint32_t)granules;
}

/* ca_allocate() for callers that know what they hold. Only where sizes are forgotten. */
static inline ca_block ca_multiple_binary_search_tree_allocate(ca_multiple_binary_search_tree *self,
                                                               size_t size, size_t align) {
  const size_t granules = (size + (CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE - 1)) /
                          CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE; /* 0 where the sum wraps. */
  if (CA_LIKELY(granules <= CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX &&
                align <= CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE) &&
      CA_LIKELY(ca_multiple_binary_search_tree_can_pop(self, granules))) {
    char *const ptr = self->memory + (size_t)ca_multiple_binary_search_tree_pop(self, granules) *
                                         CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
    ca_unpoison(ptr, granules * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
    return ca_block_make(ptr, granules * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
  }
  return ca_multiple_binary_search_tree_allocate_otherwise(self, size, align);
}

/* ca_deallocate() likewise. */
static inline void ca_multiple_binary_search_tree_deallocate(ca_multiple_binary_search_tree *self,
                                                             void *ptr, size_t size) {
  const size_t granules = (size + (CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE - 1)) /
                          CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
  if (CA_LIKELY(granules <= CA_MULTIPLE_BINARY_SEARCH_TREE_LISTED_MAX) &&
      CA_LIKELY(ca_multiple_binary_search_tree_can_push(self, granules))) {
    ca_poison(ptr, granules * CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE);
    ca_multiple_binary_search_tree_push(
        self, granules,
        (uint32_t)((size_t)((char *)ptr - self->memory) / CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE));
    return;
  }
  ca_multiple_binary_search_tree_deallocate_otherwise(self, ptr, size);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_MULTIPLE_BINARY_SEARCH_TREE_MULTIPLE_BINARY_SEARCH_TREE_H_ \
        */
