#include <string.h>

#include "switchable/context.h"
#include "switchable/context_extensions.h"
#include "switchable/context_family.h"
#include "switchable/context_header.h"
#include "switchable/holding.h"

/* What was freed of an orphan is only counted down. The count is below 0 while its owner leaves. */
static void count_orphans_frees(const ca_context_header *self, ca_context_counts *counts) {
  const int64_t out = __atomic_load_n(&self->outstanding, __ATOMIC_RELAXED);
  const uint64_t live = counts->allocations - counts->deallocations;
  if (CA_UNLIKELY(out > 0 && (uint64_t)out < live)) {
    counts->taken_in += live - (uint64_t)out;
    counts->deallocations += live - (uint64_t)out;
  }
}

/* What of a bit set is needed to count its bits. */
static ca_bit_set look_at(const ca_bit_set *self) {
  const ca_free_map *const map = &self->map;
  return (ca_bit_set){.last = __atomic_load_n(&self->last, __ATOMIC_RELAXED),
                      .block_shift = __atomic_load_n(&self->block_shift, __ATOMIC_RELAXED) & 63,
                      .map = {.words = __atomic_load_n(&map->words, __ATOMIC_RELAXED),
                              .index.known = __atomic_load_n(&map->index.known, __ATOMIC_RELAXED),
                              .count = __atomic_load_n(&map->count, __ATOMIC_RELAXED),
                              .known = __atomic_load_n(&map->known, __ATOMIC_RELAXED)}};
}

static bool has_bits_in(const ca_bit_set *self, const ca_context_header *slot, size_t slot_size) {
  const size_t offset = (size_t)((uintptr_t)self->map.words - (uintptr_t)slot);
  return offset < slot_size && self->map.index.known <= (slot_size - offset) / sizeof(uint64_t);
}

/* Whether another thread may take the bits away from under who counts them: they lie behind the blocks,
 * in pages that quarantine shuts. */
static bool may_be_shut(const ca_context_header *slot) {
  const ca_context_header *const owner =
      ca_context_header_owner((ca_context_header *)(uintptr_t)slot);
  return owner->on_destroy == CA_CONTEXT_QUARANTINE &&
         !ca_is_held_here(owner, ca_thread_state_get());
}

/* Where the slot is just being made another kind's, its bits may be anywhere: then nothing. */
static ca_context_allocator_statistics measure_bit_set(const ca_context_header *slot) {
  ca_context_allocator_statistics measured = {.used = 0};
  const ca_bit_set seen = look_at(&slot->local.chosen.bit_set);
  if (has_bits_in(&seen, slot, slot->slot_size)) {
    measured.peak = ca_bit_set_peak(&seen);
    measured.used = may_be_shut(slot) ? measured.peak : ca_bit_set_live(&seen);
  }
  return measured;
}

ca_context_allocator_statistics ca_context_header_measure(const ca_context_header *slot) {
  ca_context_allocator_statistics measured = {.used = 0};
  switch (ca_context_allocator_kind(&slot->local)) { /* Read once: it may change. */
    case CA_CONTEXT_BUMP:
      measured.used = ca_bump_used(&slot->local.chosen.bump);
      measured.peak = ca_bump_peak(&slot->local.chosen.bump);
      break;
    case CA_CONTEXT_BIT_SET:
      measured = measure_bit_set(slot);
      break;
    case CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE:
      measured.used = ca_multiple_binary_search_tree_live(&slot->local.chosen.trees);
      measured.peak = ca_multiple_binary_search_tree_peak(&slot->local.chosen.trees);
      break;
    case CA_CONTEXT_NONE:
      break;
  }
  return measured;
}

void ca_context_header_count(const ca_context_header *self, ca_context_counts *counts) {
  counts->budget = self->budget;
  counts->slot_size = self->slot_size;
  counts->kind = ca_context_allocator_kind(&self->local);
  const ca_context_allocator_statistics measured = ca_context_header_measure(self);
  counts->used = measured.used;
  counts->peak = measured.peak;
  counts->allocations = __atomic_load_n(&self->allocations, __ATOMIC_RELAXED);
  counts->deallocations = __atomic_load_n(&self->deallocations, __ATOMIC_RELAXED);
  counts->taken_in = __atomic_load_n(&self->taken_in, __ATOMIC_RELAXED);
  counts->refusals = __atomic_load_n(&self->refusals, __ATOMIC_RELAXED);
  memcpy(counts->name, self->name, sizeof counts->name);
  ca_family_count(self, counts);
  ca_context_count_extensions(self, counts);
  count_orphans_frees(self, counts);
}

ca_context_counts ca_context_count(ca_context context) {
  ca_context_counts counts;
  memset(&counts, 0, sizeof counts);
  if (!ca_is_gone(context)) {
    ca_context_header_count(context.header, &counts);
  }
  return counts;
}

static bool holder_is_right(const ca_context_header *self) {
  const uintptr_t holder = __atomic_load_n(&self->holder, __ATOMIC_RELAXED);
  return holder == ca_parked(self->generation) || holder == (uintptr_t)self ||
         holder == (uintptr_t)ca_thread_state_get() ||
         (ca_is_biased(holder) && ca_bias_is_right(self, holder));
}

static bool has_right_end(const ca_context_header *self) {
  if (self->reserve == 0 || ca_context_allocator_kind(&self->local) != CA_CONTEXT_BUMP) {
    return true;
  }
  const ca_bump *const bump = ca_context_first_bump((ca_context_header *)(uintptr_t)self);
  return ca_context_allocator_kind(&self->local) == CA_CONTEXT_BUMP &&
         (self->reserve_open ? bump->end == self->end : bump->end <= self->end);
}

bool ca_context_check(ca_context context) {
  if (ca_is_gone(context)) {
    return false;
  }
  const ca_context_header *const self = context.header;
  const void *const foreign = __atomic_load_n(&self->foreign, __ATOMIC_RELAXED);
  const bool foreign_is_right =
      foreign == NULL || foreign == CA_FOREIGN_ORPHANED || ca_context_has_slot_of(self, foreign);
  return ca_context_check_extensions(self) && has_right_end(self) &&
         (self->quick_sizes == 0 || ca_context_allocator_kind(&self->local) == CA_CONTEXT_BUMP) &&
         self->allocator->ops->check(self->allocator) && self->deallocations <= self->allocations &&
         self->taken_in <= self->deallocations && holder_is_right(self) && foreign_is_right &&
         ca_family_check(self);
}
