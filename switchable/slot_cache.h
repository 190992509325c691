/* switchable/slot_cache.h - a slot of each small class that a thread keeps for its next context.
 *
 * Idea        most contexts end where they began, and the next one begins there soon. So a thread
 *             keeps the slot of one that ends, instead of putting it back on the arena's stack, where
 *             every thread comes: of three atomic read-modify-writes a context one is left. It is out
 *             of its arena, but idle: who finds the arena exhausted takes it, whoever he is.
 * Progress    keeping is a plain store, as only the thread itself does it, into a cell that it finds
 *             empty; taking is an exchange, as others do it, too.
 * Exhaustion  that no slot was idle is certain of a moment: who finds all caches empty, then the arena,
 *             and then that nothing was kept since before, knows it of the moment when the arena was.
 *             slot_cache.pml is a model of it.
 *             Only a slot that a thread's end or a trim is putting back counts as out meanwhile, as it
 *             does where the arena itself trims.
 * Memory      a slot kept has its pages, whatever `retained`: so only of slots up to
 *             CA_SLOT_CACHE_LARGEST.
 *
 * Private to //switchable. Threads: any, where not said otherwise.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_SLOT_CACHE_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_SLOT_CACHE_H_

#include "switchable/context_header.h"
#include "switchable/thread_counts.h"

enum { CA_SLOT_CACHE_LARGEST = 64 << 10 };

/* Keeps a slot of this class; false if there is one already, or the thread has no record. Requires
 * that this thread has `record`, and that no context lives in the slot. */
static inline bool ca_slot_cache_keep(ca_thread_record *record, size_t which,
                                      ca_context_header *slot) {
  /* Relaxed: nobody else fills it. */
  if (CA_UNLIKELY(record == NULL) ||
      CA_UNLIKELY(__atomic_load_n(&record->idle[which], __ATOMIC_RELAXED) != NULL)) {
    return false;
  }
  /* Release: pairs with the acquire of who takes it, who then sees how the slot was left. */
  __atomic_store_n(&record->idle[which], slot, __ATOMIC_RELEASE);
  /* Afterwards, and release: pairs with the acquire of ca_slot_caches_kept(): who sees the number
   * sees the slot. */
  const uint64_t kept = __atomic_load_n(&record->kept, __ATOMIC_RELAXED);
  __atomic_store_n(&record->kept, kept + 1, __ATOMIC_RELEASE);
  return true;
}

/* NULL: none. */
static inline ca_context_header *ca_slot_cache_take(ca_thread_record *record, size_t which) {
  /* Acquire: so that who goes over all caches sees them before what he looks at then. The exchange
   * pairs with the release above. */
  return __atomic_load_n(&record->idle[which], __ATOMIC_ACQUIRE) == NULL
             ? NULL
             : __atomic_exchange_n(&record->idle[which], NULL, __ATOMIC_ACQUIRE);
}

/* Of any thread's; NULL if there was none. O(threads). */
ca_context_header *ca_slot_caches_take(size_t which);

/* How many slots were ever kept. O(threads). */
uint64_t ca_slot_caches_kept(void);

/* How many of this class are kept now. O(threads). Async-signal-safe. */
size_t ca_slot_caches_count(size_t which);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_SLOT_CACHE_H_ */
