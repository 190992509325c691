/* What a context allocates, frees and resizes. */
#include <string.h>

#include "switchable/context_extensions.h"
#include "switchable/context_header.h"
#include "switchable/global.h"
#include "switchable/holding.h"
#include "switchable/samples.h"
#include "switchable/thread_counts.h"

static void free_here(ca_context_header *self, void *ptr, size_t size) {
  if (size == 0) {
    self->allocator->ops->deallocate_unsized(self->allocator, ptr);
  } else {
    self->allocator->ops->deallocate(self->allocator, ptr, size, 1);
  }
  self->deallocations++;
}

/* Takes in what others freed. A block freed twice is met twice, and reported by the allocator. */
CA_COLD bool ca_take_in(ca_context_header *self) {
  /* Acquire: pairs with the release of each push, so that the links are seen. */
  void *block = __atomic_exchange_n(&self->foreign, NULL, __ATOMIC_ACQUIRE);
  const bool any = block != NULL;
  while (block != NULL) {
    void *next;
    ca_unpoison_defined(block,
                        sizeof next); /* Of one freed twice: the report is to come from us. */
    memcpy(&next, block, sizeof next);
    free_here(self, block, 0);
    self->taken_in++;
    block = next;
  }
  return any;
}

/* A thread's heap that is full isn't a budget that is spent: the global allocator serves then. */
static bool is_thread_heap(const ca_context_header *self) {
  return self == ca_thread_state_get()->thread;
}

/* Not where it is held for another's sake: a parked context's block is being resized, or a child's
 * request served. */
bool ca_context_header_ask(ca_context_header *self, size_t size) {
  if (self->over_budget != CA_OVER_BUDGET_ASK || self->asking ||
      ca_thread_state_get()->coroutine != self) {
    return false;
  }
  const uint64_t generation = self->generation;
  self->asking = true;
  const ca_reserve before = ca_context_header_use_reserve(self, CA_RESERVE_OPEN);
  const bool again = self->exhausted(self->exhausted_argument, size);
  /* Its slot may serve another one, too. */
  if (CA_UNLIKELY(ca_thread_state_get()->coroutine != self || self->generation != generation)) {
    ca_panic_misuse("exhausted", self, "it returned without its context swapped in");
  }
  (void)ca_context_header_use_reserve(self, before);
  self->asking = false;
  return again;
}

static inline ca_block count_allocation(ca_context_header *self, ca_block block) {
  self->allocations++;
  if (CA_UNLIKELY(self->sample_each != 0) && --self->until_sample == 0) {
    self->until_sample = self->sample_each;
    ca_samples_take(block);
  }
  return block;
}

static ca_block allocate_in(ca_context_header *self, size_t size, size_t align) {
  return self->allocator->ops->allocate(self->allocator, size, align);
}

/* In what others freed, or in one more slot. */
static ca_block find_more(ca_context_header *self, size_t size, size_t align) {
  ca_block block = ca_block_none();
  if (ca_has_foreign(self) && ca_take_in(self)) {
    block = allocate_in(self, size, align);
  }
  if (ca_block_is_none(block)) {
    block = ca_context_extend(self, size, align);
  }
  return block;
}

/* Within its budget, or refused. */
CA_COLD static ca_block try_again(ca_context_header *self, size_t size, size_t align) {
  ca_block block = find_more(self, size, align);
  while (ca_block_is_none(block) && ca_context_header_ask(self, size)) {
    block = allocate_in(self, size, align);
    block = ca_block_is_none(block) ? find_more(self, size, align) : block;
  }
  if (ca_block_is_none(block)) {
    self->refusals++;
    return block;
  }
  return count_allocation(self, block);
}

static ca_block allocate_within(ca_context_header *self, size_t size, size_t align) {
  const ca_block block = allocate_in(self, size, align);
  return ca_block_is_none(block) ? try_again(self, size, align) : count_allocation(self, block);
}

static bool can_have_parent_pay(const ca_context_header *self) {
  return self->over_budget == CA_OVER_BUDGET_PARENT && self->parent != NULL;
}

/* From the parent, if nobody else is using it, or likewise from its. Not by recursion: a tree may
 * be as deep as there are contexts. All on the way are held, so that their links stay. */
static ca_block allocate_from_parents(ca_context_header *self, size_t size, size_t align) {
  ca_context_header *last = self;
  ca_block block = ca_block_none();
  while (ca_block_is_none(block) && can_have_parent_pay(last) && ca_hold_parked(last->parent)) {
    last = last->parent;
    block = allocate_within(last, size, align);
  }
  for (ca_context_header *one = self; one != last;) {
    ca_context_header *const parent = one->parent;
    if (one != self) {
      ca_let_go(one);
    }
    one = parent;
  }
  if (last != self) {
    ca_let_go(last);
  }
  return block;
}

/* What it has refused. */
CA_COLD static ca_block allocate_beyond(ca_context_header *self, size_t size, size_t align) {
  return is_thread_heap(self) ? ca_global_allocate(size, align)
                              : allocate_from_parents(self, size, align);
}

CA_COLD static ca_block allocate_again(ca_context_header *self, size_t size, size_t align) {
  const ca_block block = try_again(self, size, align);
  return ca_block_is_none(block) ? allocate_beyond(self, size, align) : block;
}

ca_block ca_context_header_allocate(ca_context_header *self, size_t size, size_t align) {
  const ca_block block = allocate_in(self, size, align);
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    return allocate_again(self, size, align);
  }
  return count_allocation(self, block);
}

CA_COLD __attribute__((noreturn)) static void report_gone(const char *call, const void *ptr,
                                                          const char *what) {
  (void)ca_samples_report(ptr, 2);
  ca_panic_misuse(call, ptr, what);
}

/* Nobody allocates from an orphan any more, so all of its records may be read from here: what isn't a
 * block is reported. A bump's record also says which were counted: by exchange, as two may free a
 * block at once. */
static void end_life_in_orphan(const ca_context_header *self, const void *ptr, const char *call) {
  if (ca_context_allocator_kind(&self->local) != CA_CONTEXT_BUMP) {
    (void)self->allocator->ops->usable_size(self->allocator, ptr);
    return;
  }
  uint64_t *const place = ca_bump_record_of(ptr);
  ca_unpoison_defined(place, CA_BUMP_RECORD_SIZE);
  /* Relaxed, both: nothing else is read because of them. */
  uint64_t record = __atomic_load_n(place, __ATOMIC_RELAXED);
  const bool ended = ca_bump_record_lives(record, ptr) &&
                     __atomic_compare_exchange_n(place, &record, ca_bump_freed_record(record),
                                                 false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  ca_poison(place, CA_BUMP_RECORD_SIZE);
  if (!ended) {
    ca_panic_misuse(call, ptr, "double free (bump)");
  }
}

/* The list takes no more. */
CA_COLD static void count_down_or_report(ca_context_header *self, void *ptr, const char *call,
                                         const void *head) {
  if (head == CA_FOREIGN_ORPHANED) {
    end_life_in_orphan(self, ptr, call);
    ca_thread_add(ca_thread_state_get(), CA_THREAD_FOREIGN_FREES, 1);
    ca_context_header_count_down(self, -1);
  } else {
    report_gone(call, ptr, "its context was destroyed");
  }
}

static inline bool is_no_block(const void *head) {
  return head == CA_FOREIGN_GONE || head == CA_FOREIGN_ORPHANED;
}

/* A block's own first word links the list, so that freeing needs neither memory nor lock. The
 * exchange waits for all stores before it, and lets no load pass: so there are few of either. */
static inline void push_foreign(ca_context_header *self, void *ptr, const char *call) {
  ca_unpoison(ptr, sizeof ptr); /* A block may be smaller than a link, but its place is not. */
  /* Acquire: pairs with the orphaning owner's release. */
  void *head = __atomic_load_n(&self->foreign, __ATOMIC_ACQUIRE);
  do {
    if (CA_UNLIKELY(is_no_block(head))) {
      count_down_or_report(self, ptr, call, head);
      return;
    }
    memcpy(ptr, &head, sizeof head);
    /* Release: pairs with ca_take_in()'s acquire. */
  } while (!__atomic_compare_exchange_n(&self->foreign, &head, ptr, true, __ATOMIC_RELEASE,
                                        __ATOMIC_ACQUIRE));
  ca_thread_add(ca_thread_state_get(), CA_THREAD_FOREIGN_FREES, 1);
}

static inline bool is_in_header(const ca_context_header *slot, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)slot < slot->overhead;
}

/* The context of a block of this slot. */
static inline ca_context_header *owner_of(ca_context_header *slot, const void *ptr,
                                          const char *call) {
  ca_context_header *self = slot;
  if (CA_UNLIKELY(__atomic_load_n(&slot->generation, __ATOMIC_RELAXED) == 0)) {
    self = ca_context_header_owner(slot);
    if (self == slot) {
      report_gone(call, ptr, "its context was destroyed, or never was");
    }
  }
  if (CA_UNLIKELY(is_in_header(slot, ptr))) {
    ca_panic_misuse(call, ptr, "not a block: a context's header");
  }
  return self;
}

/* Whether a bump's block can be there. Where the slot ends, no ptr is beyond it: only the budget can
 * end before. */
static inline bool may_be_in_bump(const ca_context_header *slot, const void *ptr) {
  const size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)slot) - slot->overhead;
  return CA_LIKELY(offset >= CA_BUMP_RECORD_SIZE) && CA_LIKELY(offset <= slot->budget) &&
         CA_LIKELY(ca_bump_may_be_recorded(ptr));
}

static inline bool is_live_in_bump(const ca_context_header *slot, const void *ptr, size_t size) {
  if (CA_UNLIKELY(!may_be_in_bump(slot, ptr))) {
    return false;
  }
  const uint64_t record = ca_bump_load_record(ptr);
  return ca_bump_record_lives(record, ptr) && size <= ca_bump_recorded_size(record);
}

CA_COLD __attribute__((noreturn)) static void report_in_bump(const ca_context_header *slot,
                                                             const void *ptr, const char *call) {
  const char *what = "not a block (bump)";
  if (may_be_in_bump(slot, ptr)) {
    const uint64_t record = ca_bump_load_record(ptr);
    what = ca_bump_record_lives(record, ptr)                         ? "wrong size (bump)"
           : ca_bump_record_lives(ca_bump_freed_record(record), ptr) ? "double free (bump)"
                                                                     : what;
  }
  ca_panic_misuse(call, ptr, what);
}

static __attribute__((noinline)) void deallocate_for_owner(ca_context_header *slot, void *ptr,
                                                           size_t size, const char *call) {
  ca_context_header *const self = owner_of(slot, ptr, call);
  /* Of an extension: the caller has looked at the slot. */
  if (CA_UNLIKELY(self != slot) && ca_is_held_here(self, ca_thread_state_get())) {
    free_here(self, ptr, size);
    return;
  }
  /* A bump's record of a live block changes only by its owner's call: it may be read from here, and a
   * misuse is reported where it happens. The other kinds' records share words with other blocks. */
  if (ca_context_allocator_kind(&self->local) == CA_CONTEXT_BUMP &&
      CA_UNLIKELY(!is_live_in_bump(slot, ptr, size))) {
    report_in_bump(slot, ptr, call);
  }
  push_foreign(self, ptr, call);
}

/* What this thread holds is alive, and no extension. The rest is a call in tail position, so that
 * this needs no stack frame. */
void ca_context_header_deallocate(ca_context_header *slot, void *ptr, size_t size,
                                  const char *call) {
  if (CA_LIKELY(ca_is_held_here(slot, ca_thread_state_get()) && !is_in_header(slot, ptr))) {
    free_here(slot, ptr, size);
  } else {
    deallocate_for_owner(slot, ptr, size, call);
  }
}

static ca_block move_to(ca_block fresh, ca_context_header *slot, void *ptr, size_t size,
                        size_t new_size) {
  if (!ca_block_is_none(fresh)) {
    memcpy(fresh.ptr, ptr, size < new_size ? size : new_size);
    ca_context_header_deallocate(slot, ptr, 0, "reallocate");
  }
  return fresh;
}

/* Where it is, elsewhere in its context, or in one more slot. */
static ca_block reallocate_within(ca_context_header *self, void *ptr, size_t size, size_t new_size,
                                  size_t align) {
  ca_block block = ca_reallocate(self->allocator, ptr, size, new_size, align);
  if (ca_block_is_none(block) && ca_has_foreign(self) && ca_take_in(self)) {
    block = ca_reallocate(self->allocator, ptr, size, new_size, align);
  }
  if (ca_block_is_none(block)) {
    block = ca_context_extend(self, new_size, align);
    if (!ca_block_is_none(block)) {
      memcpy(block.ptr, ptr, size < new_size ? size : new_size);
      self->allocator->ops->deallocate_unsized(self->allocator, ptr);
    }
  }
  return block;
}

static ca_block reallocate_held(ca_context_header *self, ca_context_header *slot, void *ptr,
                                size_t new_size, size_t align) {
  const size_t size = self->allocator->ops->usable_size(self->allocator, ptr);
  ca_block block;
  do {
    block = reallocate_within(self, ptr, size, new_size, align);
  } while (ca_block_is_none(block) && ca_context_header_ask(self, new_size));
  if (ca_block_is_none(block)) {
    self->refusals++;
    return move_to(allocate_beyond(self, new_size, align), slot, ptr, size, new_size);
  }
  if (block.ptr != ptr) {
    self->allocations++;
    self->deallocations++;
  }
  return block;
}

/* Who runs elsewhere changes the records of bit sets and trees as he goes, also those that say where
 * others' blocks end; a bump's record of a live block changes only by its owner's call, and nobody
 * allocates from an orphan any more. */
static bool has_readable_sizes(const ca_context_header *self) {
  /* Acquire: pairs with the orphaning owner's release. */
  return ca_context_allocator_kind(&self->local) == CA_CONTEXT_BUMP ||
         __atomic_load_n(&self->foreign, __ATOMIC_ACQUIRE) == CA_FOREIGN_ORPHANED;
}

/* Copies the bytes of a block whose size can't be told: at least those, and of what comes after them
 * whatever is there, while others write it. Hence volatile, and no tool is to look. */
__attribute__((no_sanitize("thread", "address"))) static void copy_unseen(void *to,
                                                                          const void *from,
                                                                          size_t size) {
  const volatile uint64_t *const words = from; /* Blocks are aligned to 16. */
  uint64_t *const into = to;
  for (size_t i = 0; i < size / sizeof *words; i++) {
    into[i] = words[i];
  }
  const volatile char *const bytes = from;
  for (size_t i = size - size % sizeof *words; i < size; i++) {
    ((char *)to)[i] = bytes[i];
  }
}

static ca_block move_unseen(ca_block fresh, ca_context_header *slot, void *ptr, size_t new_size,
                            const char *call) {
  if (!ca_block_is_none(fresh)) {
    const size_t most = slot->slot_size - (size_t)((uintptr_t)ptr - (uintptr_t)slot);
    copy_unseen(fresh.ptr, ptr, new_size < most ? new_size : most);
    push_foreign(ca_context_header_owner(slot), ptr, call);
  }
  return fresh;
}

/* The owner runs elsewhere and can't be asked: to the global allocator, never to who is current. */
static ca_block reallocate_elsewhere(ca_context_header *self, ca_context_header *slot, void *ptr,
                                     size_t new_size, size_t align, const char *call) {
  if (!has_readable_sizes(self)) {
    return move_unseen(ca_global_allocate(new_size, align), slot, ptr, new_size, call);
  }
  const size_t size = ca_context_readable_size(self, slot, ptr);
  return new_size <= size ? ca_block_make(ptr, size)
                          : move_to(ca_global_allocate(new_size, align), slot, ptr, size, new_size);
}

ca_block ca_context_header_reallocate(ca_context_header *slot, void *ptr, size_t new_size,
                                      size_t align, const char *call) {
  ca_context_header *const self = owner_of(slot, ptr, call);
  const bool here = ca_is_held_here(self, ca_thread_state_get());
  if (!here && !ca_hold_parked(self)) {
    return reallocate_elsewhere(self, slot, ptr, new_size, align, call);
  }
  const ca_block block = reallocate_held(self, slot, ptr, new_size, align);
  if (!here) {
    ca_let_go(self);
  }
  return block;
}

size_t ca_context_header_usable_size(ca_context_header *slot, const void *ptr, const char *call) {
  ca_context_header *const self = owner_of(slot, ptr, call);
  const bool here = ca_is_held_here(self, ca_thread_state_get());
  if (!here && has_readable_sizes(self)) {
    return ca_context_readable_size(self, slot, ptr);
  }
  if (!here && !ca_hold_parked(self)) {
    return 0;
  }
  const size_t size = self->allocator->ops->usable_size(self->allocator, ptr);
  if (!here) {
    ca_let_go(self);
  }
  return size;
}
