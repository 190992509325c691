#include "switchable/slot_cache.h"

/* All three go over the records that any thread ever had: in a child of fork() those of the parent's
 * other threads have slots, too. */

ca_context_header *ca_slot_caches_take(size_t which) {
  const size_t records = ca_thread_records();
  ca_context_header *slot = NULL;
  for (size_t i = 0; i < records && slot == NULL; i++) {
    slot = ca_slot_cache_take(ca_thread_record_at(i), which);
  }
  return slot;
}

uint64_t ca_slot_caches_kept(void) {
  const size_t records = ca_thread_records();
  uint64_t kept = 0;
  for (size_t i = 0; i < records; i++) {
    /* Acquire: in order, and pairs with ca_slot_cache_keep(). */
    kept += __atomic_load_n(&ca_thread_record_at(i)->kept, __ATOMIC_ACQUIRE);
  }
  return kept;
}

size_t ca_slot_caches_count(size_t which) {
  const size_t records = ca_thread_records();
  size_t count = 0;
  for (size_t i = 0; i < records; i++) {
    count += __atomic_load_n(&ca_thread_record_at(i)->idle[which], __ATOMIC_RELAXED) != NULL;
  }
  return count;
}
