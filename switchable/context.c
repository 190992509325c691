#include "switchable/context.h"

#include <string.h>

#include "switchable/context_header.h"
#include "switchable/global.h"
#include "switchable/guard.h"
#include "switchable/slots.h"
#include "switchable/thread_life.h"

_Static_assert(sizeof(ca_context_header) <= CA_CONTEXT_OVERHEAD, "as the public header says");

/* What a budget of 0 stands for: the slots of 1 MiB. */
static const size_t default_budget = ((size_t)1 << 20) - CA_CONTEXT_OVERHEAD;

/* Generations are dealt to threads in runs, so that creating contexts shares no memory. A thread's
 * are those above a multiple of GENERATION_RUN, up to and with the next. */
enum { GENERATION_RUN = 1 << 16 };
static uint64_t next_run = GENERATION_RUN; /* Atomic. */

static uint64_t new_generation(ca_thread_state *state) {
  if (state->generation % GENERATION_RUN == 0) {
    /* Relaxed: only that no two threads get the same run matters. */
    state->generation = __atomic_fetch_add(&next_run, GENERATION_RUN, __ATOMIC_RELAXED);
  }
  return ++state->generation * 2 + 1; /* Odd: no address of a holder. */
}

/* Holding. `holder` is the generation while the context is parked: one exchange from the handle's
 * generation to the caller's mark tells that it is the right context, that nobody holds it, and
 * holds it. It acquires, and pairs with the release in let_go(): what the last holder did is seen.
 */
static inline bool hold(ca_context context, void *mark) {
  uintptr_t parked = (uintptr_t)context.generation;
  return __atomic_compare_exchange_n(&context.header->holder, &parked, (uintptr_t)mark, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void let_go(ca_context_header *self) {
  __atomic_store_n(&self->holder, (uintptr_t)self->generation, __ATOMIC_RELEASE);
}

static inline bool is_held_by(const ca_context_header *self, const void *mark) {
  /* Relaxed: only this thread ever stores its own state's address here, or takes it out. */
  return __atomic_load_n(&self->holder, __ATOMIC_RELAXED) == (uintptr_t)mark;
}

static bool is_gone(ca_context context) {
  /* Relaxed: a hint for who reports; hold() decides. */
  return context.header == NULL ||
         __atomic_load_n(&context.header->generation, __ATOMIC_RELAXED) != context.generation;
}

CA_COLD static ca_context_result refuse(ca_context context) {
  return is_gone(context) ? CA_CONTEXT_GONE : CA_CONTEXT_HELD;
}

static ca_context_result hold_handle(ca_context context, void *mark) {
  return context.header != NULL && hold(context, mark) ? CA_CONTEXT_DONE : refuse(context);
}

static void free_here(ca_context_header *self, void *ptr, size_t size) {
  if (size == 0) {
    self->allocator->ops->deallocate_unsized(self->allocator, ptr);
  } else {
    self->allocator->ops->deallocate(self->allocator, ptr, size, 1);
  }
  self->deallocations++;
}

/* Takes in what others freed. A block freed twice is met twice, and reported by the allocator. */
CA_COLD static bool take_in(ca_context_header *self) {
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

static bool has_foreign(const ca_context_header *self) {
  /* Relaxed: only a hint; take_in() acquires. */
  return __atomic_load_n(&self->foreign, __ATOMIC_RELAXED) != NULL;
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

static void forget_blocks(ca_context_header *self) {
  self->allocations = 0;
  self->deallocations = 0;
  self->taken_in = 0;
  self->refusals = 0;
}

/* `holder` NULL: a context, parked; else the heap of the thread whose state that is. */
static ca_context_header *create(const ca_context_settings *settings, ca_thread_state *holder) {
  const size_t asked = settings == NULL ? 0 : settings->budget;
  size_t slot_size;
  ca_context_header *const self =
      holder != NULL ? ca_slots_obtain_near(asked, &slot_size)
                     : ca_slots_obtain(asked == 0 ? default_budget : asked, &slot_size);
  if (self == NULL) {
    return NULL;
  }
  const size_t most = slot_size - sizeof *self;
  self->slot_size = slot_size;
  self->budget = asked == 0 || asked > most ? most : asked;
  self->current = CA_CURRENT_COROUTINE;
  forget_blocks(self);
  set_name(self, settings == NULL ? NULL : settings->name);
  ca_bump_init_range(&self->local, ca_block_make(self + 1, self->budget), CA_SIZES_RECORDED);
  self->allocator = ca_bump_allocator(&self->local);
  __atomic_store_n(&self->outstanding, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&self->foreign, NULL, __ATOMIC_RELAXED);
  const uint64_t generation = new_generation(ca_thread_state_get());
  __atomic_store_n(&self->generation, generation, __ATOMIC_RELAXED);
  /* Release: pairs with the acquire of hold(), so that a holder sees all of the above. */
  __atomic_store_n(&self->holder, holder == NULL ? (uintptr_t)generation : (uintptr_t)holder,
                   __ATOMIC_RELEASE);
  return self;
}

/* Ends it. Requires that the caller holds it; it stays held, so that no one else can. */
static void end(ca_context_header *self) {
  __atomic_store_n(&self->generation, 0, __ATOMIC_RELAXED);
  /* Acquire: the blocks on the list were pushed by others, whose writes to them come before their
   * slot is used again. */
  (void)__atomic_exchange_n(&self->foreign, CA_FOREIGN_GONE, __ATOMIC_ACQUIRE);
  ca_bump_destroy(&self->local);
  ca_slots_release(self);
  /* A stale handle or block is still to be told by the header of its idle slot. */
  ca_unpoison_defined(self, sizeof *self);
}

ca_context_header *ca_context_header_create(const ca_context_settings *settings) {
  return create(settings, ca_thread_state_get());
}

ca_context ca_context_create(const ca_context_settings *settings) {
  ca_context_header *const header = create(settings, NULL);
  const ca_context none = {NULL, 0};
  return header == NULL ? none : (ca_context){header, header->generation};
}

ca_context_result ca_context_destroy(ca_context context) {
  const ca_context_result result = hold_handle(context, context.header);
  if (result == CA_CONTEXT_DONE) {
    end(context.header);
  }
  return result;
}

ca_context_result ca_context_reset(ca_context context) {
  if (is_gone(context)) {
    return CA_CONTEXT_GONE;
  }
  ca_context_header *const self = context.header;
  const bool here = is_held_by(self, ca_thread_state_get());
  const ca_context_result result = here ? CA_CONTEXT_DONE : hold_handle(context, self);
  if (result != CA_CONTEXT_DONE) {
    return result;
  }
  (void)__atomic_exchange_n(&self->foreign, NULL, __ATOMIC_ACQUIRE);
  ca_bump_reset(&self->local);
  forget_blocks(self);
  if (!here) {
    let_go(self);
  }
  return CA_CONTEXT_DONE;
}

/* The orphan's protocol. The owner leaves and puts ORPHANED in the list's place: from then on a
 * freer counts down instead of pushing. `outstanding` starts at 0 and may go below; the owner adds
 * the blocks that are out. Whoever brings it to 0 at or after that addition was the last, and ends
 * the context: before it, a count-down gives a negative number, never 0.
 * Acquire and release: the last one sees all that the others wrote into the slot. */
static void count_down(ca_context_header *self, int64_t change) {
  if (__atomic_add_fetch(&self->outstanding, change, __ATOMIC_ACQ_REL) == 0) {
    end(self);
  }
}

void ca_context_header_orphan(ca_context_header *self) {
  /* Holder is the header itself from now on: no handle of it was ever given out. */
  __atomic_store_n(&self->holder, (uintptr_t)self, __ATOMIC_RELAXED);
  void *expected = NULL;
  /* Release: freers that see ORPHANED see the header as it is now. */
  while (!__atomic_compare_exchange_n(&self->foreign, &expected, CA_FOREIGN_ORPHANED, false,
                                      __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    take_in(self);
    expected = NULL;
  }
  const int64_t live = (int64_t)(self->allocations - self->deallocations);
  if (live == 0) {
    end(self); /* No block is out, so that nobody can be counting. */
  } else {
    count_down(self, live);
  }
}

/* Swapping. */

CA_COLD static ca_context_header *make_current_what_was(const ca_thread_state *state,
                                                        ca_context_header *self) {
  const ca_current current = self->current;
  self->current = CA_CURRENT_COROUTINE;
  return ca_thread_state_resolve(state, current);
}

/* A locked instruction waits for all stores before it, and every swap has one: hence no store of
 * what is there already, here and in park(). */
static inline void install(ca_thread_state *state, ca_context_header *self) {
  if (CA_UNLIKELY(state->outside != state->current)) {
    state->outside = state->current;
  }
  state->coroutine = self;
  state->current =
      CA_LIKELY(self->current == CA_CURRENT_COROUTINE) ? self : make_current_what_was(state, self);
}

/* The rare cases are calls in tail position, so that the common one needs no stack frame. */

CA_COLD static ca_context_result refuse_second(ca_context context, const ca_thread_state *state) {
  return is_gone(context)                     ? CA_CONTEXT_GONE
         : state->coroutine == context.header ? CA_CONTEXT_HELD
                                              : CA_CONTEXT_OCCUPIED;
}

CA_COLD static ca_context_result begin_and_swap_in(ca_context context, ca_thread_state *state) {
  ca_thread_begin(state);
  return ca_context_swap_in(context);
}

CA_COLD static ca_context_result take_in_and_install(ca_thread_state *state,
                                                     ca_context_header *self) {
  take_in(self);
  install(state, self);
  return CA_CONTEXT_DONE;
}

ca_context_result ca_context_swap_in(ca_context context) {
  ca_thread_state *const state = ca_thread_state_get();
  ca_context_header *const self = context.header;
  if (CA_UNLIKELY(state->coroutine != NULL)) {
    return refuse_second(context, state);
  }
  if (CA_UNLIKELY(!state->registered)) {
    return begin_and_swap_in(context, state);
  }
  if (CA_UNLIKELY(self == NULL || !hold(context, state))) {
    return refuse(context);
  }
  if (CA_UNLIKELY(has_foreign(self))) {
    return take_in_and_install(state, self);
  }
  install(state, self);
  return CA_CONTEXT_DONE;
}

static inline ca_context park(ca_thread_state *state, ca_context_header *self) {
  const ca_context context = {self, self->generation};
  if (CA_UNLIKELY(state->current != self)) {
    self->current = ca_thread_state_current(state);
  }
  state->current = state->outside;
  state->coroutine = NULL;
  let_go(self);
  return context;
}

CA_COLD static ca_context unregister_and_park(ca_thread_state *state, ca_context_header *self) {
  ca_guards_unregister_inside(state);
  return park(state, self);
}

ca_context ca_context_swap_out(void) {
  ca_thread_state *const state = ca_thread_state_get();
  ca_context_header *const self = state->coroutine;
  if (CA_UNLIKELY(self == NULL)) {
    return (ca_context){NULL, 0};
  }
  if (CA_UNLIKELY(state->guards != NULL)) {
    return unregister_and_park(state, self);
  }
  return park(state, self);
}

/* Blocks. */

/* A thread's heap that is full isn't a budget that is spent: the global allocator serves then. */
static bool is_thread_heap(const ca_context_header *self) {
  return self == ca_thread_state_get()->thread;
}

CA_COLD static ca_block allocate_again(ca_context_header *self, size_t size, size_t align) {
  ca_block block = ca_block_none();
  if (has_foreign(self) && take_in(self)) {
    block = self->allocator->ops->allocate(self->allocator, size, align);
  }
  if (!ca_block_is_none(block)) {
    self->allocations++;
    return block;
  }
  self->refusals++;
  return is_thread_heap(self) ? ca_global_allocate(size, align) : block;
}

ca_block ca_context_header_allocate(ca_context_header *self, size_t size, size_t align) {
  const ca_block block = self->allocator->ops->allocate(self->allocator, size, align);
  if (CA_UNLIKELY(ca_block_is_none(block))) {
    return allocate_again(self, size, align);
  }
  self->allocations++;
  return block;
}

/* A block's own first word links the list, so that freeing needs neither memory nor lock. */
static void push_foreign(ca_context_header *self, void *ptr, const char *call) {
  /* Acquire: pairs with the orphaning owner's release. */
  void *head = __atomic_load_n(&self->foreign, __ATOMIC_ACQUIRE);
  do {
    if (CA_UNLIKELY(head == CA_FOREIGN_ORPHANED)) {
      count_down(self, -1);
      return;
    }
    if (CA_UNLIKELY(head == CA_FOREIGN_GONE)) {
      ca_panic_misuse(call, ptr, "its context was destroyed");
    }
    memcpy(ptr, &head, sizeof head);
    /* Release: pairs with take_in()'s acquire. */
  } while (!__atomic_compare_exchange_n(&self->foreign, &head, ptr, true, __ATOMIC_RELEASE,
                                        __ATOMIC_ACQUIRE));
}

static void require_block(const ca_context_header *self, const void *ptr, const char *call) {
  if (CA_UNLIKELY(__atomic_load_n(&self->generation, __ATOMIC_RELAXED) == 0)) {
    ca_panic_misuse(call, ptr, "its context was destroyed, or never was");
  }
  if (CA_UNLIKELY((uintptr_t)ptr - (uintptr_t)self < sizeof *self)) {
    ca_panic_misuse(call, ptr, "not a block: a context's header");
  }
}

void ca_context_header_deallocate(ca_context_header *self, void *ptr, size_t size,
                                  const char *call) {
  require_block(self, ptr, call);
  if (CA_LIKELY(is_held_by(self, ca_thread_state_get()))) {
    free_here(self, ptr, size);
    return;
  }
  /* A live block's record changes only by its owner's call: it may be read from here, and a misuse
   * is reported where it happens. */
  if (CA_UNLIKELY(size > self->allocator->ops->usable_size(self->allocator, ptr))) {
    ca_panic_misuse(call, ptr, "wrong size");
  }
  push_foreign(self, ptr, call);
}

/* The owner runs elsewhere and can't be asked, or is a thread's heap that is full: to the global
 * allocator, never to who is current. */
static ca_block move_to_global(ca_context_header *self, void *ptr, size_t size, size_t new_size,
                               size_t align) {
  const ca_block fresh = ca_global_allocate(new_size, align);
  if (!ca_block_is_none(fresh)) {
    memcpy(fresh.ptr, ptr, size < new_size ? size : new_size);
    ca_context_header_deallocate(self, ptr, 0, "reallocate");
  }
  return fresh;
}

static ca_block reallocate_held(ca_context_header *self, void *ptr, size_t size, size_t new_size,
                                size_t align) {
  ca_block block = ca_reallocate(self->allocator, ptr, size, new_size, align);
  if (ca_block_is_none(block) && has_foreign(self) && take_in(self)) {
    block = ca_reallocate(self->allocator, ptr, size, new_size, align);
  }
  if (ca_block_is_none(block)) {
    self->refusals++;
    return is_thread_heap(self) ? move_to_global(self, ptr, size, new_size, align) : block;
  }
  if (block.ptr != ptr) {
    self->allocations++;
    self->deallocations++;
  }
  return block;
}

ca_block ca_context_header_reallocate(ca_context_header *self, void *ptr, size_t new_size,
                                      size_t align, const char *call) {
  require_block(self, ptr, call);
  const size_t size = self->allocator->ops->usable_size(self->allocator, ptr);
  if (is_held_by(self, ca_thread_state_get())) {
    return reallocate_held(self, ptr, size, new_size, align);
  }
  if (hold((ca_context){self, self->generation}, self)) {
    const ca_block block = reallocate_held(self, ptr, size, new_size, align);
    let_go(self);
    return block;
  }
  return new_size <= size ? ca_block_make(ptr, size)
                          : move_to_global(self, ptr, size, new_size, align);
}

size_t ca_context_header_usable_size(const ca_context_header *self, const void *ptr,
                                     const char *call) {
  require_block(self, ptr, call);
  return self->allocator->ops->usable_size(self->allocator, ptr);
}

/* Looking. */

ca_context_counts ca_context_count(ca_context context) {
  ca_context_counts counts;
  memset(&counts, 0, sizeof counts);
  if (is_gone(context)) {
    return counts;
  }
  const ca_context_header *const self = context.header;
  counts.budget = self->budget;
  counts.used = ca_bump_used(&self->local);
  counts.allocations = __atomic_load_n(&self->allocations, __ATOMIC_RELAXED);
  counts.deallocations = __atomic_load_n(&self->deallocations, __ATOMIC_RELAXED);
  counts.taken_in = __atomic_load_n(&self->taken_in, __ATOMIC_RELAXED);
  counts.refusals = __atomic_load_n(&self->refusals, __ATOMIC_RELAXED);
  memcpy(counts.name, self->name, sizeof counts.name);
  return counts;
}

static bool holder_is_right(const ca_context_header *self) {
  const uintptr_t holder = __atomic_load_n(&self->holder, __ATOMIC_RELAXED);
  return holder == self->generation || holder == (uintptr_t)self ||
         holder == (uintptr_t)ca_thread_state_get();
}

bool ca_context_check(ca_context context) {
  if (is_gone(context)) {
    return false;
  }
  const ca_context_header *const self = context.header;
  const void *const foreign = __atomic_load_n(&self->foreign, __ATOMIC_RELAXED);
  const bool foreign_is_right = foreign == NULL || foreign == CA_FOREIGN_ORPHANED ||
                                (uintptr_t)foreign - (uintptr_t)self < self->slot_size;
  return self->allocator == &self->local.base && self->allocator->ops->check(self->allocator) &&
         self->deallocations <= self->allocations && self->taken_in <= self->deallocations &&
         holder_is_right(self) && foreign_is_right;
}
