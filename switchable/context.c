#include "switchable/context.h"

#include <stddef.h>
#include <string.h>

#include "switchable/context_extensions.h"
#include "switchable/context_family.h"
#include "switchable/context_header.h"
#include "switchable/context_tree.h"
#include "switchable/holding.h"
#include "switchable/placement_rules.h"
#include "switchable/slots.h"
#include "switchable/thread_counts.h"
#include "switchable/thread_life.h"

_Static_assert(offsetof(ca_context_header, local) + offsetof(ca_context_allocator, chosen) +
                       sizeof(ca_bump) <=
                   CA_CONTEXT_OVERHEAD,
               "as the public header says");

/* What a budget of 0 stands for. */
static const size_t default_slot_size = (size_t)1 << 20;

/* Generations are dealt to threads in runs, so that creating contexts shares no memory. A thread's
 * are those above a multiple of GENERATION_RUN, up to and with the next. */
enum { GENERATION_RUN = 1 << 10 };
static uint64_t next_run = GENERATION_RUN; /* Atomic. */

static uint64_t new_generation(ca_thread_state *state) {
  if (state->generation % GENERATION_RUN == 0) {
    /* Relaxed: only that no two threads get the same run matters. */
    state->generation = __atomic_fetch_add(&next_run, GENERATION_RUN, __ATOMIC_RELAXED);
  }
  return ca_generation(++state->generation);
}

CA_COLD ca_context_result ca_refuse(ca_context context) {
  return ca_is_gone(context) ? CA_CONTEXT_GONE : CA_CONTEXT_HELD;
}

/* Life. */

static void set_name(ca_context_header *self, const char *name) {
  size_t length = 0;
  while (name != NULL && name[length] != '\0' && length < CA_CONTEXT_NAME_SIZE - 1) {
    self->name[length] = name[length];
    length++;
  }
  self->name[length] = '\0';
}

/* Its counts go to the thread that forgets them. */
static void hand_over_counts(const ca_context_header *self, ca_thread_state *state) {
  ca_thread_add(state, CA_THREAD_ALLOCATIONS, self->allocations);
  ca_thread_add(state, CA_THREAD_DEALLOCATIONS, self->deallocations);
  if (CA_UNLIKELY((self->taken_in | self->refusals) != 0)) {
    ca_thread_add(state, CA_THREAD_TAKEN_IN, self->taken_in);
    ca_thread_add(state, CA_THREAD_REFUSALS, self->refusals);
  }
}

static void forget_blocks(ca_context_header *self) {
  self->allocations = 0;
  self->deallocations = 0;
  self->taken_in = 0;
  self->refusals = 0;
}

static ca_context_kind kind_of(const ca_context_settings *settings, bool is_heap) {
  if (settings->kind != CA_CONTEXT_NONE) {
    return settings->kind;
  }
  /* A thread outlives what it works on: its heap has to use memory again. */
  return is_heap ? CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE : ca_context_kind_for(settings->lifetime);
}

/* Where the blocks begin: behind the header, whose last member is as long as the kind needs. */
static size_t overhead_of(const ca_context_settings *settings, ca_context_kind kind) {
  const size_t family = CA_UNLIKELY(settings->family_budget != 0) ? CA_FAMILY_SIZE : 0;
  const size_t used = offsetof(ca_context_header, local) + ca_context_allocator_size(kind) + family;
  if (settings->on_destroy == CA_CONTEXT_QUARANTINE) {
    return ca_round_up(used, ca_quarantine_page_size());
  }
  return used < CA_CONTEXT_OVERHEAD ? CA_CONTEXT_OVERHEAD : ca_round_up(used, 64);
}

/* 0: what the slot will hold that is obtained for the whole of it. */
static size_t budget_of(const ca_context_settings *settings, size_t overhead, bool is_heap) {
  if (settings->budget != 0 || settings->first == 0) {
    return settings->budget;
  }
  return (is_heap ? ca_slots_largest() : default_slot_size) - overhead;
}

/* Of `least` bytes or more. All of the budget has to fit the largest slot: then what is left of it
 * always does. */
static ca_context_header *obtain_slot(const ca_context_settings *settings, ca_context_kind kind,
                                      size_t overhead, bool is_heap, size_t least) {
  const size_t budget = budget_of(settings, overhead, is_heap);
  if (budget > SIZE_MAX - overhead || (is_heap && overhead >= ca_slots_largest())) {
    return NULL;
  }
  size_t size = budget == 0 ? 0 : budget + overhead;
  if (settings->first != 0 && settings->first < budget) {
    if (size > ca_slots_largest() || settings->reserve > budget - settings->first) {
      return NULL;
    }
    size = settings->first + overhead + (kind == CA_CONTEXT_BUMP ? settings->reserve : 0);
    size = size < least ? least : size;
  }
  return is_heap ? ca_slots_obtain_near(size)
                 : ca_slots_obtain(size == 0 ? default_slot_size : size);
}

CA_COLD static ca_context_result why_no_slot(const ca_context_settings *settings, size_t overhead,
                                             bool is_heap) {
  const size_t largest = ca_slots_largest();
  const size_t budget = budget_of(settings, overhead, is_heap);
  const size_t least = budget == 0 ? default_slot_size - overhead : budget;
  const bool grows = settings->first != 0 && settings->first < budget;
  const bool in_range = overhead <= largest && least <= largest - overhead &&
                        (!grows || settings->reserve <= budget - settings->first);
  return largest == 0 || in_range ? CA_CONTEXT_NO_SLOT : CA_CONTEXT_OUT_OF_RANGE;
}

static bool init_local(ca_context_header *self, const ca_context_settings *settings,
                       ca_context_kind kind, bool is_heap) {
  const ca_context_allocator_settings local = {.sizes = CA_SIZES_RECORDED,
                                               .block_size = settings->block_size};
  const size_t budget = budget_of(settings, self->overhead, is_heap);
  self->budget = budget == 0 ? self->slot_size - self->overhead : budget;
  if (settings->reserve >= self->budget) {
    return false;
  }
  self->budget -= kind == CA_CONTEXT_BUMP ? 0 : settings->reserve;
  self->allocator = ca_context_allocator_allocator(&self->local);
  char *const begin = (char *)self + self->overhead;
  return ca_context_allocator_init_range(
      &self->local, ca_block_make(begin, ca_context_range_size(self)), kind, &local);
}

/* A slot with its local allocator. What `first` fits may be too small for the kind: then a larger
 * one. */
static ca_context_result init_slot(const ca_context_settings *settings, ca_context_kind kind,
                                   bool is_heap, ca_context_header **begun) {
  const size_t overhead = overhead_of(settings, kind);
  size_t least = 0;
  for (;;) {
    ca_context_header *const self = obtain_slot(settings, kind, overhead, is_heap, least);
    if (CA_UNLIKELY(self == NULL)) {
      return least > ca_slots_largest() ? CA_CONTEXT_OUT_OF_RANGE
                                        : why_no_slot(settings, overhead, is_heap);
    }
    const size_t slot_size = self->slot_size;
    self->overhead = (uint32_t)overhead; /* A page at most. */
    __atomic_store_n(&self->extension, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&self->extends, NULL, __ATOMIC_RELAXED);
    self->is_reserve = false;
    if (CA_LIKELY(init_local(self, settings, kind, is_heap))) {
      *begun = self;
      return CA_CONTEXT_DONE;
    }
    const bool is_cut = slot_size - overhead < self->budget;
    ca_slots_release(self);
    if (!is_cut) {
      return CA_CONTEXT_OUT_OF_RANGE;
    }
    least = 2 * slot_size;
  }
}

/* Requires that the local allocator is new. */
static inline ca_context_result init_reserve(ca_context_header *self, size_t reserve) {
  self->reserve = reserve;
  self->reserve_open = true;
  if (reserve == 0) {
    return CA_CONTEXT_DONE;
  }
  if (ca_context_allocator_kind(&self->local) == CA_CONTEXT_BUMP) {
    self->end = self->local.chosen.bump.end;
  } else {
    const ca_context_result added = ca_context_add_reserve(self, reserve);
    if (added != CA_CONTEXT_DONE) {
      return added;
    }
  }
  (void)ca_context_header_use_reserve(self, CA_RESERVE_SHUT);
  return CA_CONTEXT_DONE;
}

ca_reserve ca_context_header_use_reserve(ca_context_header *self, ca_reserve reserve) {
  if (self->reserve == 0) {
    return CA_RESERVE_SHUT;
  }
  const ca_reserve before = self->reserve_open ? CA_RESERVE_OPEN : CA_RESERVE_SHUT;
  self->reserve_open = reserve == CA_RESERVE_OPEN;
  if (ca_context_allocator_kind(&self->local) == CA_CONTEXT_BUMP) {
    const size_t size = ca_round_up(self->reserve, CA_BUMP_RECORDED_ALIGN);
    ca_bump_move_end(ca_context_first_bump(self), self->end - (self->reserve_open ? 0 : size));
  }
  return before;
}

ca_reserve ca_context_use_reserve(ca_reserve reserve) {
  ca_context_header *const self = ca_thread_state_get()->coroutine;
  return self == NULL ? CA_RESERVE_SHUT : ca_context_header_use_reserve(self, reserve);
}

static void init_header(ca_context_header *self, const ca_context_settings *settings) {
  self->current = CA_CURRENT_COROUTINE;
  self->parent = NULL;
  self->first_child = NULL;
  self->cleanups = NULL;
  self->sample_each = ca_samples_begin(settings->sample);
  self->until_sample = self->sample_each;
  const bool quick = ca_context_allocator_kind(&self->local) == CA_CONTEXT_BUMP &&
                     self->sample_each == 0 && !ca_placement_in_force();
  self->quick_sizes = quick ? CA_QUICK_SIZES : 0;
  self->on_destroy = (unsigned)settings->on_destroy & 15;
  self->over_budget = (unsigned)settings->over_budget & 15;
  self->asking = false;
  __atomic_store_n(&self->ending, false, __ATOMIC_RELAXED);
  self->exhausted = settings->exhausted;
  self->exhausted_argument = settings->exhausted_argument;
  forget_blocks(self);
  set_name(self, settings->name);
  __atomic_store_n(&self->outstanding, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&self->foreign, NULL, __ATOMIC_RELAXED);
  ca_family_begin(self, settings->family_budget);
}

static bool are_sane(const ca_context_settings *settings) {
  return (unsigned)settings->kind <= CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE &&
         (unsigned)settings->lifetime <= CA_LIFETIME_LONG &&
         (unsigned)settings->on_destroy <= CA_CONTEXT_QUARANTINE &&
         (unsigned)settings->over_budget <= CA_OVER_BUDGET_ASK &&
         (settings->over_budget != CA_OVER_BUDGET_ASK || settings->exhausted != NULL);
}

/* Makes one in a slot that nobody else knows. */
static inline ca_context_result begin(const ca_context_settings *settings, ca_context_kind kind,
                                      bool is_heap, ca_context_header **begun) {
  const ca_context_result got = init_slot(settings, kind, is_heap, begun);
  if (CA_UNLIKELY(got != CA_CONTEXT_DONE)) {
    return got;
  }
  const ca_context_result reserved = init_reserve(*begun, settings->reserve);
  if (CA_UNLIKELY(reserved != CA_CONTEXT_DONE)) {
    ca_context_allocator_destroy(&(*begun)->local);
    ca_slots_release(*begun);
    return reserved;
  }
  init_header(*begun, settings);
  return CA_CONTEXT_DONE;
}

/* Held by heap_of, or if that is NULL by itself. */
static ca_context_result create(const ca_context_settings *settings, ca_thread_state *heap_of,
                                ca_context_header **created) {
  static const ca_context_settings plain = {.budget = 0};
  settings = settings == NULL ? &plain : settings;
  if (!are_sane(settings)) {
    return CA_CONTEXT_OUT_OF_RANGE;
  }
  const ca_context_kind kind = kind_of(settings, heap_of != NULL);
  ca_context_header *self = NULL;
  const ca_context_result begun = begin(settings, kind, heap_of != NULL, &self);
  if (CA_UNLIKELY(begun != CA_CONTEXT_DONE)) {
    return begun;
  }
  const uint64_t generation = new_generation(ca_thread_state_get());
  __atomic_store_n(&self->generation, generation, __ATOMIC_RELAXED);
  /* Relaxed: let_go() publishes it, or else nobody has its handle. */
  __atomic_store_n(&self->holder, (uintptr_t)(heap_of != NULL ? (void *)heap_of : self),
                   __ATOMIC_RELAXED);
  ca_thread_add(ca_thread_state_get(), CA_THREAD_CREATED, 1);
  *created = self;
  return CA_CONTEXT_DONE;
}

/* It stays held, so that no one else can. */
void ca_context_header_close(ca_context_header *self) {
  __atomic_store_n(&self->generation, 0, __ATOMIC_RELAXED);
  /* Acquire: the blocks on the list were pushed by others, whose writes to them come before their
   * slot is used again. No exchange, which costs as much as ten blocks: who frees a block while its
   * context ends may lose it, as it is gone in any case, or be told. */
  (void)__atomic_load_n(&self->foreign, __ATOMIC_ACQUIRE);
  __atomic_store_n(&self->foreign, CA_FOREIGN_GONE, __ATOMIC_RELAXED);
  (void)ca_context_header_use_reserve(self, CA_RESERVE_OPEN); /* Its bytes are given up, too. */
  if (CA_UNLIKELY(ca_context_extension(self) != NULL)) {
    ca_context_release_extensions(self);
  }
  ca_context_allocator_destroy(&self->local);
  ca_thread_state *const state = ca_thread_state_get();
  ca_thread_add(state, CA_THREAD_DESTROYED, 1);
  hand_over_counts(self, state);
}

void ca_context_header_release_slot(ca_context_header *self) {
  if (CA_UNLIKELY(ca_family_of(self) != NULL) && !ca_family_leave(self)) {
    return; /* Who gives back the last byte of its family calls again. */
  }
  ca_slots_release(self);
}

void ca_context_header_end(ca_context_header *self) {
  ca_context_header_close(self);
  ca_context_header_release_slot(self);
}

ca_context_header *ca_context_header_create(const ca_context_settings *settings) {
  ca_context_header *self = NULL;
  if (create(settings, ca_thread_state_get(), &self) != CA_CONTEXT_DONE) {
    return NULL;
  }
  if (!ca_family_join(self, NULL)) {
    ca_context_header_end(self);
    return NULL;
  }
  return self;
}

/* Without a parent it counts where the heap of the thread that makes it does. */
static inline __attribute__((always_inline)) ca_context_result join(
    ca_context_header *self, const ca_context_settings *settings) {
  if (CA_UNLIKELY(settings != NULL && !ca_context_is_none(settings->parent))) {
    return ca_context_tree_link(self, settings->parent);
  }
  return CA_LIKELY(ca_family_join(self, ca_family_of_thread(ca_thread_state_get())))
             ? CA_CONTEXT_DONE
             : CA_CONTEXT_OVER_BUDGET;
}

static inline ca_context_result try_create(const ca_context_settings *settings,
                                           ca_context *context) {
  ca_context_header *self = NULL;
  ca_context_result result = create(settings, NULL, &self);
  if (CA_UNLIKELY(result != CA_CONTEXT_DONE)) {
    return result;
  }
  result = join(self, settings);
  if (CA_UNLIKELY(result != CA_CONTEXT_DONE)) {
    ca_context_header_end(self);
    return result;
  }
  *context = (ca_context){self, self->generation};
  ca_let_go_new(self, ca_thread_state_get());
  return CA_CONTEXT_DONE;
}

ca_context_result ca_context_try_create(const ca_context_settings *settings, ca_context *context) {
  return try_create(settings, context);
}

ca_context ca_context_create(const ca_context_settings *settings) {
  ca_context context = {NULL, 0};
  (void)try_create(settings, &context);
  return context;
}

ca_context_result ca_context_destroy(ca_context context) {
  const ca_context_result result = ca_hold_handle(context);
  if (result != CA_CONTEXT_DONE) {
    return result;
  }
  ca_context_header *const self = context.header;
  if (CA_LIKELY(self->on_destroy == CA_CONTEXT_RELEASE && !ca_context_is_related(self))) {
    ca_context_header_end(self);
    return CA_CONTEXT_DONE;
  }
  return ca_context_tree_destroy(self);
}

void ca_context_header_reset(ca_context_header *self) {
  (void)__atomic_exchange_n(&self->foreign, NULL, __ATOMIC_ACQUIRE);
  (void)ca_context_header_use_reserve(self, CA_RESERVE_OPEN);
  ca_context_reset_extensions(self);
  ca_context_allocator_reset(&self->local);
  (void)ca_context_header_use_reserve(self, CA_RESERVE_SHUT);
  hand_over_counts(self, ca_thread_state_get());
  forget_blocks(self);
}

/* What the callbacks allocate is not to be forgotten, and they may switch. */
static ca_context_result reset_tree_here(ca_thread_state *state, ca_context_header *self) {
  const ca_stepped_out before = ca_step_out(state, self);
  const ca_context_result result = ca_context_tree_reset(self);
  ca_step_in(state, self, before);
  return result;
}

ca_context_result ca_context_reset(ca_context context) {
  bool here;
  ca_context_result result = ca_hold_or_have(context, &here);
  if (result != CA_CONTEXT_DONE) {
    return result;
  }
  ca_context_header *const self = context.header;
  if (CA_UNLIKELY(self->asking)) {
    result = CA_CONTEXT_HELD; /* As in context_tree.c. */
  } else if (!ca_context_is_related(self)) {
    ca_context_header_reset(self);
  } else if (here) {
    result = reset_tree_here(ca_thread_state_get(), self);
  } else {
    result = ca_context_tree_reset(self);
  }
  if (!here) {
    ca_let_go(self);
  }
  return result;
}

/* The orphan's protocol. The owner leaves and puts ORPHANED in the list's place: from then on a
 * freer counts down instead of pushing. `outstanding` starts at 0 and may go below; the owner adds
 * the blocks that are out. Whoever brings it to 0 at or after that addition was the last, and ends
 * the context: before it, a count-down gives a negative number, never 0.
 * Acquire and release: the last one sees all that the others wrote into the slot. */
void ca_context_header_count_down(ca_context_header *self, int64_t change) {
  if (__atomic_add_fetch(&self->outstanding, change, __ATOMIC_ACQ_REL) == 0) {
    self->taken_in += self->allocations - self->deallocations;
    self->deallocations = self->allocations;
    ca_context_header_end(self);
  }
}

void ca_context_header_orphan(ca_context_header *self) {
  /* Held by the header itself from now on, and of another generation: its handles are stale. */
  __atomic_store_n(&self->holder, (uintptr_t)self, __ATOMIC_RELAXED);
  __atomic_store_n(&self->generation, new_generation(ca_thread_state_get()), __ATOMIC_RELAXED);
  void *expected = NULL;
  /* Release: freers that see ORPHANED see the header as it is now. */
  while (!__atomic_compare_exchange_n(&self->foreign, &expected, CA_FOREIGN_ORPHANED, false,
                                      __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    ca_take_in(self);
    expected = NULL;
  }
  const int64_t live = (int64_t)(self->allocations - self->deallocations);
  if (live == 0) {
    ca_context_header_end(self); /* No block is out, so that nobody can be counting. */
  } else {
    ca_context_header_count_down(self, live);
  }
}
