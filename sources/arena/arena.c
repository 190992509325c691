#include "sources/arena/arena.h"

#include <string.h>
#include <unistd.h>

#include "base/poison.h"

/* A stack's head, and a slot's place on its stack, are words of two halves:
 *
 *           low 32 bits                       high 32 bits
 *   head    top slot's index + 1; 0: empty    count of the changes to this head
 *   place   next slot's index + 1; 0: none    depth: 1 at the bottom
 *
 * A place of depth 0 is on no stack: PLACE_OUT, or PLACE_NONE (never used, or in the hands of a
 * release or trim); nor is one of depth DEPTH_TAKEN, which no stack has (in the hands of a trim of
 * small slots). Functions here call index + 1 a slot's number; 0 is no slot. */
#define PLACE_NONE ((uint64_t)0)
#define PLACE_OUT ((uint64_t)UINT32_MAX)
#define DEPTH_TAKEN UINT32_MAX
#define NO_LIMIT UINT32_MAX

static uint32_t low_half(uint64_t word) { return (uint32_t)word; }
static uint32_t high_half(uint64_t word) { return (uint32_t)(word >> 32); }
static uint64_t make_word(uint32_t low, uint32_t high) { return (uint64_t)high << 32 | low; }

typedef struct top {
  uint64_t head;
  uint64_t place; /* Of the slot that head names; PLACE_NONE if the stack is empty. */
} top;

/* Reads a head and the place that belongs to it.
 *
 * The acquiring load of head pairs with the release of push()'s exchange: the place is at least as
 * new as head. That of place pairs with set_place(): if the place is newer, so is the head loaded
 * after it, and is seen to differ. Inline: a call costs a fifth of obtain and release. */
static inline __attribute__((always_inline)) top read_top(const ca_arena *self,
                                                          const uint64_t *stack) {
  for (;;) {
    top now = {__atomic_load_n(stack, __ATOMIC_ACQUIRE), PLACE_NONE};
    if (low_half(now.head) == 0) {
      return now;
    }
    now.place = __atomic_load_n(&self->places[low_half(now.head) - 1], __ATOMIC_ACQUIRE);
    if (CA_LIKELY(__atomic_load_n(stack, __ATOMIC_RELAXED) == now.head)) {
      return now;
    }
  }
}

/* Releases, so that who reads the place also sees the head that took the slot off: read_top(). */
static void set_place(ca_arena *self, uint32_t number, uint64_t place) {
  __atomic_store_n(&self->places[number - 1], place, __ATOMIC_RELEASE);
}

/* Replaces a head and counts the change. Weak: may fail for no reason.
 *
 * Releases what was written to the slot that is pushed, and to its place, for read_top(); every
 * change to a head is an exchange, so that the release holds also for readers of later heads.
 * A pop relies on read_top()'s acquire, and on the count: its exchange fails unless the head is
 * the very one that was read. */
static bool change_head(uint64_t *stack, uint64_t head, uint32_t number) {
  return __atomic_compare_exchange_n(stack, &head, make_word(number, high_half(head) + 1), true,
                                     __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* Puts a slot that the caller holds on a stack, unless `limit` slots lie there already. */
static bool push(ca_arena *self, uint64_t *stack, uint32_t number, uint32_t limit) {
  top now;
  do {
    now = read_top(self, stack);
    if (high_half(now.place) >= limit) {
      return false;
    }
    set_place(self, number, make_word(low_half(now.head), high_half(now.place) + 1));
  } while (CA_UNLIKELY(!change_head(stack, now.head, number)));
  return true;
}

/* Takes the top slot off a stack if more than `keep` lie there: returns its number, else 0. */
static uint32_t pop(ca_arena *self, uint64_t *stack, uint32_t keep) {
  top now;
  do {
    now = read_top(self, stack);
    if (high_half(now.place) <= keep) {
      return 0;
    }
  } while (CA_UNLIKELY(!change_head(stack, now.head, low_half(now.place))));
  return low_half(now.head);
}

/* Returns the number of a slot never used, or 0. Relaxed: nothing was written to such a slot, and
 * the counter alone decides whose it is. */
static uint32_t take_fresh(ca_arena *self) {
  uint32_t fresh = __atomic_load_n(&self->fresh, __ATOMIC_RELAXED);
  do {
    if (fresh == self->slots) {
      return 0;
    }
  } while (!__atomic_compare_exchange_n(&self->fresh, &fresh, fresh + 1, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  return fresh + 1;
}

static void *slot_of(const ca_arena *self, uint32_t number) {
  return (void *)(self->begin + ((size_t)(number - 1) << self->slot_shift));
}

static void initialise(ca_arena *self, void *slot) {
  if (self->initialise != NULL) {
    self->initialise(slot, ca_arena_slot_size(self), self->argument);
  }
}

static void poison(const ca_arena *self, void *slot) {
  ca_poison((char *)slot + self->readable, ca_arena_slot_size(self) - self->readable);
}

static void *hand_out(ca_arena *self, uint32_t number) {
  void *const slot = slot_of(self, number);
  set_place(self, number, PLACE_OUT);
  ca_unpoison_defined(slot, ca_arena_slot_size(self));
  return slot;
}

/* Whether there was a moment during the call when no slot was idle: heads that did not change
 * meanwhile were empty when `fresh` was read. The loads acquire to happen in this order. */
static bool was_exhausted(const ca_arena *self) {
  const uint64_t resident = __atomic_load_n(&self->resident, __ATOMIC_ACQUIRE);
  const uint64_t decommitted = __atomic_load_n(&self->decommitted, __ATOMIC_ACQUIRE);
  return low_half(resident) == 0 && low_half(decommitted) == 0 &&
         __atomic_load_n(&self->fresh, __ATOMIC_ACQUIRE) == self->slots &&
         __atomic_load_n(&self->decommitted, __ATOMIC_ACQUIRE) == decommitted &&
         __atomic_load_n(&self->resident, __ATOMIC_ACQUIRE) == resident;
}

/* The rest of obtain: no slot with pages was there. */
static __attribute__((noinline)) void *obtain_without_pages(ca_arena *self) {
  do {
    uint32_t number = pop(self, &self->decommitted, 0);
    if (number == 0) {
      number = take_fresh(self); /* Last, so that as few slots as possible are ever touched. */
    }
    if (number != 0) {
      void *const slot = hand_out(self, number);
      initialise(self, slot);
      return slot;
    }
    number = pop(self, &self->resident, 0);
    if (number != 0) {
      return hand_out(self, number);
    }
  } while (!was_exhausted(self));
  return NULL;
}

void *ca_arena_obtain(ca_arena *self) {
  const uint32_t number = pop(self, &self->resident, 0);
  return CA_LIKELY(number != 0) ? hand_out(self, number) : obtain_without_pages(self);
}

/* Gives the pages of a slot that the caller holds back. If the source does not take all of them,
 * the slot counts as resident: its contents may be there still. Returns the bytes given back. */
static __attribute__((noinline)) size_t give_back(ca_arena *self, void *slot, uint32_t number) {
  const size_t given = ca_source_decommit(self->source, slot, ca_arena_slot_size(self));
  const bool whole = given == ca_arena_slot_size(self);
  (void)push(self, whole ? &self->decommitted : &self->resident, number, NO_LIMIT);
  return given;
}

void ca_arena_release(ca_arena *self, void *slot) {
  if (CA_UNLIKELY(!ca_arena_owns(self, slot) || slot != ca_arena_slot(self, slot))) {
    ca_panic_misuse("release", slot, "not a slot of this arena");
  }
  const uint32_t number = (uint32_t)ca_arena_index(self, slot) + 1;
  /* An exchange, so that of two threads which release a slot at once one is told. Relaxed: nothing
   * else hangs on it, and as a read-modify-write it keeps hand_out()'s release. */
  if (CA_UNLIKELY(__atomic_exchange_n(&self->places[number - 1], PLACE_NONE, __ATOMIC_RELAXED) !=
                  PLACE_OUT)) {
    ca_panic_misuse("release", slot, "this slot of the arena is not out: released twice?");
  }
  ca_arena_set_owner(self, slot, NULL);
  poison(self, slot);
  if (CA_UNLIKELY(!push(self, &self->resident, number, self->retained))) {
    (void)give_back(self, slot, number);
  }
}

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* A trim of small slots takes the idle ones off their stacks, gives back the pages that these fill,
 * and puts them on the stacks again. In between their places name it, so that it knows its own from
 * those that another trim has. */
static uint64_t taken_place(uint32_t trim) { return make_word(trim, DEPTH_TAKEN); }
static uint64_t given_place(uint32_t trim) { return make_word(trim + 1, DEPTH_TAKEN); }

/* Relaxed: what this trim wrote itself, or else something that it only has to tell from that. */
static uint64_t place_of(const ca_arena *self, uint32_t index) {
  return __atomic_load_n(&self->places[index], __ATOMIC_RELAXED);
}

static void take_idle(ca_arena *self, uint64_t *stack, uint64_t place, uint32_t keep) {
  uint32_t number;
  while ((number = pop(self, stack, keep)) != 0) {
    set_place(self, number, place);
  }
}

/* Whether all of a page's slots are this trim's, and not all of them without memory already. */
static bool fills(const ca_arena *self, uint32_t trim, uint32_t from, uint32_t count) {
  bool any = false;
  for (uint32_t i = from; i < from + count; i++) {
    const uint64_t place = place_of(self, i);
    if (place != taken_place(trim) && place != given_place(trim)) {
      return false;
    }
    any = any || place == taken_place(trim);
  }
  return any;
}

/* Of the pages of the slots from index `from` to before `to`. */
static size_t give_back_run(ca_arena *self, uint32_t trim, uint32_t from, uint32_t to) {
  const size_t size = (size_t)(to - from) << self->slot_shift;
  void *const begin = (void *)(self->begin + ((size_t)from << self->slot_shift));
  const size_t given = ca_source_decommit(self->source, begin, size);
  if (given == size) { /* Else of some the contents may be there still. */
    for (uint32_t i = from; i < to; i++) {
      set_place(self, i + 1, given_place(trim));
    }
  }
  return given;
}

/* Neighbouring pages by one call. */
static size_t give_back_pages(ca_arena *self, uint32_t trim, uint32_t used) {
  const size_t page = page_size();
  const uint32_t each = (uint32_t)(page >> self->slot_shift);
  uint32_t from = (uint32_t)(ca_padding_to(self->begin, page) >> self->slot_shift);
  size_t given = 0;
  for (uint32_t to = from;; to += each) {
    const bool more = to < used && used - to >= each;
    if (more && fills(self, trim, to, each)) {
      continue;
    }
    given += from < to ? give_back_run(self, trim, from, to) : 0;
    if (!more) {
      return given;
    }
    from = to + each;
  }
}

/* From the highest on, so that the lowest are used first, and fill pages again. */
static void put_back(ca_arena *self, uint32_t trim, uint32_t used) {
  for (uint32_t number = used; number > 0; number--) {
    const uint64_t place = place_of(self, number - 1);
    if (place == taken_place(trim)) {
      (void)push(self, &self->resident, number, NO_LIMIT);
    } else if (place == given_place(trim)) {
      (void)push(self, &self->decommitted, number, NO_LIMIT);
    }
  }
}

static size_t trim_small_slots(ca_arena *self, uint32_t keep) {
  /* Relaxed: only that no two trims at once have the same number matters. */
  const uint32_t trim = __atomic_fetch_add(&self->trims, 2, __ATOMIC_RELAXED);
  take_idle(self, &self->resident, taken_place(trim), keep);
  take_idle(self, &self->decommitted, given_place(trim), 0);
  /* Relaxed: who released a slot took it from `fresh` before, and pop() acquires what he did. */
  const uint32_t used = __atomic_load_n(&self->fresh, __ATOMIC_RELAXED);
  const size_t given = give_back_pages(self, trim, used);
  put_back(self, trim, used);
  return given;
}

size_t ca_arena_trim(ca_arena *self, size_t retained) {
  const uint32_t keep = retained < NO_LIMIT ? (uint32_t)retained : NO_LIMIT;
  if (ca_arena_slot_size(self) < page_size()) {
    return trim_small_slots(self, keep);
  }
  size_t given = 0;
  for (;;) {
    const uint32_t number = pop(self, &self->resident, keep);
    if (number == 0) {
      return given;
    }
    void *const slot = slot_of(self, number);
    set_place(self, number, PLACE_NONE);
    const size_t now = give_back(self, slot, number);
    given += now;
    if (now < ca_arena_slot_size(self)) {
      return given;
    }
  }
}

size_t ca_arena_make_present(ca_arena *self, size_t most) {
  size_t done = 0;
  for (; done < most; done++) {
    const uint32_t number = take_fresh(self);
    if (number == 0) {
      break;
    }
    void *const slot = slot_of(self, number);
    *(volatile char *)slot = 0; /* As it is. */
    initialise(self, slot);
    poison(self, slot);
    (void)push(self, &self->resident, number, NO_LIMIT);
  }
  return done;
}

bool ca_arena_is_out(const ca_arena *self, size_t index) {
  /* Acquire: pairs with set_place()'s release, so that what was written into the slot before is seen. */
  return __atomic_load_n(&self->places[index], __ATOMIC_ACQUIRE) == PLACE_OUT;
}

ca_arena_counts ca_arena_count(const ca_arena *self) {
  const ca_arena_counts counts = {
      .slots = self->slots,
      .used = __atomic_load_n(&self->fresh, __ATOMIC_RELAXED), /* A number, and nothing more. */
      .resident = high_half(read_top(self, &self->resident).place),
      .decommitted = high_half(read_top(self, &self->decommitted).place),
  };
  return counts;
}

static ca_block op_obtain(ca_source *base, size_t size, size_t align) {
  ca_arena *const self = (ca_arena *)base;
  const size_t slot_size = ca_arena_slot_size(self);
  if (size > slot_size || align > slot_size) {
    return ca_block_none();
  }
  void *const slot = ca_arena_obtain(self);
  return ca_block_make(slot, slot == NULL ? 0 : slot_size);
}

static void op_release(ca_source *base, ca_block range) {
  ca_arena *const self = (ca_arena *)base;
  CA_ASSERT(range.size == ca_arena_slot_size(self));
  ca_arena_release(self, range.ptr);
}

static size_t op_decommit(ca_source *base, void *ptr, size_t size) {
  ca_arena *const self = (ca_arena *)base;
  CA_ASSERT(ca_arena_owns(self, ptr));
  CA_ASSERT(size <= ca_arena_slot_size(self) - ((uintptr_t)ptr & (ca_arena_slot_size(self) - 1)));
  return ca_source_decommit(self->source, ptr, size);
}

static const ca_source_ops ops = {
    .obtain = op_obtain,
    .release = op_release,
    .decommit = op_decommit,
    .zeroed = false, /* A slot keeps what its last user left. */
    .name = "arena",
};

static bool are_valid(const ca_arena_settings *settings) {
  return ca_is_power_of_two(settings->slot_size) && settings->slot_size >= CA_ARENA_LEAST_SLOT &&
         settings->slots > 0 && settings->slots <= UINT32_MAX - 1 &&
         settings->slots <= (SIZE_MAX >> 1) / settings->slot_size &&
         settings->readable <= settings->slot_size;
}

/* The pages of small slots don't go back one by one. */
static uint32_t retained_of(const ca_arena_settings *settings) {
  return settings->retained == 0 || settings->retained > NO_LIMIT ||
                 settings->slot_size < page_size()
             ? NO_LIMIT
             : (uint32_t)settings->retained;
}

bool ca_arena_init(ca_arena *self, ca_source *source, const ca_arena_settings *settings) {
  *self = (ca_arena){.base = {.ops = &ops}};
  if (!are_valid(settings)) {
    return false;
  }
  const size_t slots = settings->slots;
  const size_t record_size = sizeof *self->owners + sizeof *self->places;
  const ca_block records = ca_source_obtain(source, slots * record_size, 64);
  if (ca_block_is_none(records)) {
    return false;
  }
  const ca_block range = ca_source_obtain(source, slots * settings->slot_size, settings->slot_size);
  if (ca_block_is_none(range)) {
    ca_source_release(source, records);
    return false;
  }
  if (!source->ops->zeroed) {
    memset(records.ptr, 0, slots * record_size);
  }
  self->begin = (uintptr_t)range.ptr;
  self->size = slots * settings->slot_size;
  self->slot_shift = ca_log2_floor(settings->slot_size);
  self->slots = (uint32_t)slots;
  self->retained = retained_of(settings);
  self->owners = records.ptr;
  self->places = (uint64_t *)(self->owners + slots);
  self->initialise = settings->initialise;
  self->argument = settings->argument;
  self->readable = settings->readable;
  self->source = source;
  self->range = range;
  self->records = records;
  return true;
}

void ca_arena_destroy(ca_arena *self) {
  if (!ca_block_is_none(self->range)) {
    ca_unpoison(self->range.ptr, (size_t)self->fresh << self->slot_shift);
    ca_source_release(self->source, self->range);
    ca_source_release(self->source, self->records);
  }
  *self = (ca_arena){.base = {.ops = &ops}};
}

/* Walks a stack. Returns whether it is well formed; then *length is its length and *bottom the
 * number of its lowest slot, 0 if it is empty. */
static bool check_stack(const ca_arena *self, uint64_t head, uint32_t *length, uint32_t *bottom) {
  uint32_t number = low_half(head);
  *bottom = 0;
  *length = number == 0 || number > self->fresh ? 0 : high_half(self->places[number - 1]);
  for (uint32_t depth = *length; depth > 0; depth--) {
    if (number == 0 || number > self->fresh || high_half(self->places[number - 1]) != depth ||
        self->owners[number - 1] != NULL) {
      return false;
    }
    *bottom = number;
    number = low_half(self->places[number - 1]);
  }
  return number == 0;
}

bool ca_arena_check(const ca_arena *self) {
  uint32_t resident;
  uint32_t decommitted;
  uint32_t bottoms[2];
  if (self->size != (size_t)self->slots << self->slot_shift ||
      (self->begin & (ca_arena_slot_size(self) - 1)) != 0 || self->fresh > self->slots ||
      !check_stack(self, self->resident, &resident, &bottoms[0]) ||
      !check_stack(self, self->decommitted, &decommitted, &bottoms[1])) {
    return false;
  }
  if (bottoms[0] != 0 && bottoms[0] == bottoms[1]) {
    return false; /* A slot on both stacks takes all below it along. */
  }
  size_t idle = 0;
  for (uint32_t index = 0; index < self->fresh; index++) {
    if (high_half(self->places[index]) > 0) {
      idle++;
    } else if (self->places[index] != PLACE_OUT) {
      return false;
    }
  }
  return idle == (size_t)resident + decommitted;
}
