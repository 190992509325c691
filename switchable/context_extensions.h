/* switchable/context_extensions.h - further slots of a context that began in a small one.
 *
 * Idea        an extension is a slot of a larger class, over which the context has one more local
 *             allocator of its kind. Its header has no generation, so that no handle is good for it
 *             and no report shows it, and says whom it extends: a pointer's owner is found by one
 *             more load, and only in an extension. Once extended, the context's `allocator` is an
 *             interface over all of its ranges, which asks each whose a block is. A bump's newest
 *             range is always the context's own `local`, so that the quick path serves from it as
 *             ever; its older ranges are kept where the extensions have theirs. Bit sets and trees
 *             stay where they are, as others may measure them meanwhile.
 * Reserve     of a bit set or trees it is an extension, too, the oldest one, which is there from the
 *             beginning, stays when the context is reset, and serves only while the reserve is open.
 * Bound       CA_CONTEXT_CLASSES - 1 of them besides: each but the last is of a larger class than
 *             what was before it, and none but the last is of the largest class, which holds all of
 *             a budget.
 * Threads     only the holder extends, and gives back.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_EXTENSIONS_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_EXTENSIONS_H_

#include "switchable/context_header.h"

/* The bytes for blocks in one slot, a context's first one or an extension. */
static inline size_t ca_context_range_size(const ca_context_header *slot) {
  const size_t most = slot->slot_size - slot->overhead;
  return slot->budget < most ? slot->budget : most;
}

/* The newest one, or of an extension the one before it; NULL: that was all. */
static inline ca_context_header *ca_context_extension(const ca_context_header *slot) {
  /* Acquire: pairs with the release in ca_context_extend(), for who only counts. */
  return __atomic_load_n(&slot->extension, __ATOMIC_ACQUIRE);
}

/* The bytes for blocks in all of its slots, a reserve of its own included. */
static inline size_t ca_context_ranges_size(const ca_context_header *self) {
  size_t size = ca_context_range_size(self);
  for (const ca_context_header *one = ca_context_extension(self); CA_UNLIKELY(one != NULL);
       one = ca_context_extension(one)) {
    size += ca_context_range_size(one);
  }
  return size;
}

/* Adds an extension, and returns a block of this size and alignment in it. None, and nothing
 * changed but a family's count of refusals, if the budget leaves none, if no slot that could do is
 * idle, or if a family has no room for it. Requires that the caller holds self, as do the others.
 * O(1), but for what a new allocator of its kind costs, and O(threads) where a class of slots that
 * threads keep is exhausted. */
ca_block ca_context_extend(ca_context_header *self, size_t size, size_t align);

/* Adds the reserve of a context that is not a bump, and has no extension yet. OUT_OF_RANGE, and
 * nothing changed, if it is too small for its kind; NO_SLOT, if none is idle. */
ca_context_result ca_context_add_reserve(ca_context_header *self, size_t reserve);

/* Takes off the newest extension, with all of its blocks, and returns its slot, which is the
 * caller's to give back, and counts in no family any more; NULL if there was none. */
ca_context_header *ca_context_take_extension(ca_context_header *self);

/* Takes off all, and gives them back. */
void ca_context_release_extensions(ca_context_header *self);

/* Likewise, but the reserve stays, and only forgets its blocks. */
void ca_context_reset_extensions(ca_context_header *self);

/* Of a context that is a bump, the one over its first slot. */
ca_bump *ca_context_first_bump(ca_context_header *self);

/* The size of a live block, by who does not hold the context; anything else in `slot` is reported.
 * Requires that the context is a bump, or an orphan. */
size_t ca_context_readable_size(const ca_context_header *self, const ca_context_header *slot,
                                const void *ptr);

/* Adds what the extensions have to what the first slot has. Never more than the budget, also where
 * the holder is extending just then. Async-signal-safe. */
void ca_context_count_extensions(const ca_context_header *self, ca_context_counts *counts);

/* Whether ptr lies in a slot of the context. */
bool ca_context_has_slot_of(const ca_context_header *self, const void *ptr);

/* Whether what context_header.h says of extensions is so. */
bool ca_context_check_extensions(const ca_context_header *self);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_EXTENSIONS_H_ */
