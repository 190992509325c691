#include "switchable/slots.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/poison.h"
#include "sources/arena/arena.h"
#include "sources/memory_map/memory_map.h"
#include "sources/memory_map/presence.h"
#include "switchable/lock.h"
#include "switchable/slot_cache.h"

uintptr_t ca_context_slots_begin;
uintptr_t ca_context_slots_size;

/* Thread heaps of one NUMA node. Nodes numbered higher share the contexts' arenas. */
enum { NODES = 64 };
static const size_t heap_slot_size = (size_t)64 << 20;
static const size_t heap_slots = 1024;
static const size_t heap_slots_retained = 4;

typedef struct node {
  ca_memory_map map; /* Prefers the node's memory, and takes another's when it is full. */
  ca_arena arena;
  bool usable;
} node;

typedef struct ahead {
  size_t slots;
  uintptr_t end; /* Atomic: of the slots whose first page was made present, or asked for. */
} ahead;

/* Written under the lock before the bounds above are, and then only read. */
static struct {
  ca_memory_map map;
  ca_memory_map huge_map; /* Of the classes that ask for huge pages. */
  ca_arena arenas[CA_CONTEXT_CLASSES];
  size_t count;
  ahead aheads[CA_CONTEXT_CLASSES];
  node nodes[NODES];
  size_t node_count; /* 0 where there is only one. */
} slots;

/* A stale handle or block is still to be told by the header of its idle slot, without its last
 * member. */
enum { HEADER_SIZE = offsetof(ca_context_header, local) };

/* If not said otherwise, a context touches a few pages of its slot: where the system prefers huge
 * ones, the first touch would cost 2 MiB. */
static const ca_memory_map_huge_pages no_huge_pages = CA_MEMORY_MAP_HUGE_NEVER;

/* Where the address space is limited, as few as 1/8 of the slots will do. */
enum { FEWEST_SLOTS_SHIFT = 3 };

static const ca_contexts_settings default_settings = {
    .classes = {
        {.slot_size = (size_t)1 << 10, .slots = 1048576},
        {.slot_size = (size_t)64 << 10, .slots = 65536, .retained = 1024},
        {.slot_size = (size_t)1 << 20, .slots = 65536, .retained = 256},
        {.slot_size = (size_t)64 << 20, .slots = 1024, .retained = 4},
    }};

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* 1 for those that have pages of their own. */
static size_t slots_of_a_page(size_t slot_size) {
  return slot_size < page_size() ? page_size() / slot_size : 1;
}

static bool settings_are_sane(const ca_contexts_settings *settings) {
  size_t previous = 0;
  bool ended = false;
  for (size_t i = 0; i < CA_CONTEXT_CLASSES; i++) {
    const ca_context_class *const class = &settings->classes[i];
    if (class->slot_size == 0) {
      ended = true;
      continue;
    }
    if (ended || class->slot_size <= previous || class->slots == 0 ||
        !ca_is_power_of_two(class->slot_size) || class->slot_size < CA_CONTEXT_LEAST_SLOT ||
        class->ahead / slots_of_a_page(class->slot_size) >= CA_PRESENCE_RANGES) {
      return false;
    }
    previous = class->slot_size;
  }
  return settings->classes[0].slot_size != 0;
}

/* Of `count` slots that lie one behind another the page in which each begins, of small ones all pages
 * that they lie in. Of large ones at most CA_PRESENCE_RANGES. Those in use are unharmed. */
static bool make_slots_present(char *slot, size_t count, size_t slot_size) {
  ca_block pages[CA_PRESENCE_RANGES];
  if (slot_size < page_size()) {
    char *const page = (char *)ca_round_down((uintptr_t)slot, page_size());
    pages[0] = ca_block_make(page, (size_t)(slot - page) + count * slot_size);
    return ca_pages_make_present(pages, 1);
  }
  for (size_t i = 0; i < count; i++) {
    pages[i] = ca_block_make(slot + i * slot_size, 1); /* The page that it lies in. */
  }
  return ca_pages_make_present(pages, count);
}

/* Called before the first use of a slot, and again when its pages went back: then it lies before
 * `end`. It doesn't matter who comes twice. */
static void make_present_ahead(void *slot, size_t slot_size, void *argument) {
  const size_t class = (size_t)(uintptr_t)argument;
  ahead *const self = &slots.aheads[class];
  /* Relaxed, also below: a hint. */
  if ((uintptr_t)slot < __atomic_load_n(&self->end, __ATOMIC_RELAXED)) {
    return;
  }
  const ca_arena *const arena = &slots.arenas[class];
  const size_t left = (arena->begin + arena->size - (uintptr_t)slot) / slot_size;
  const size_t count = left <= self->slots ? left : self->slots + 1;
  __atomic_store_n(&self->end, (uintptr_t)slot + count * slot_size, __ATOMIC_RELAXED);
  (void)make_slots_present(slot, count, slot_size);
}

static ca_source *source_of(const ca_contexts_settings *settings, const ca_context_class *class) {
  return settings->source != NULL
             ? settings->source
             : ca_memory_map_source(class->huge_pages ? &slots.huge_map : &slots.map);
}

static bool init_arenas(const ca_contexts_settings *settings, unsigned shift) {
  for (slots.count = 0; slots.count < CA_CONTEXT_CLASSES; slots.count++) {
    const ca_context_class *const class = &settings->classes[slots.count];
    if (class->slot_size == 0) {
      return true;
    }
    const size_t fewer = class->slots >> shift;
    const ca_arena_settings arena = {
        .slot_size = class->slot_size,
        .slots = fewer > 0 ? fewer : 1,
        .retained = class->retained,
        .initialise = class->ahead > 0 ? make_present_ahead : NULL,
        .argument = (void *)(uintptr_t)slots.count,
        .readable = HEADER_SIZE,
    };
    slots.aheads[slots.count] = (ahead){.slots = class->ahead, .end = 0};
    if (!ca_arena_init(&slots.arenas[slots.count], source_of(settings, class), &arena)) {
      return false;
    }
  }
  return true;
}

static void destroy_arenas(void) {
  while (slots.count > 0) {
    ca_arena_destroy(&slots.arenas[--slots.count]);
  }
}

/* Best effort: a node whose arena can't be had has its threads' heaps among the contexts. */
static void init_nodes(void) {
  ca_node_set allowed = {{0}};
  if (!ca_node_set_allowed(&allowed) || ca_node_set_count(&allowed) < 2) {
    return;
  }
  const ca_arena_settings arena = {.slot_size = heap_slot_size,
                                   .slots = heap_slots,
                                   .retained = heap_slots_retained,
                                   .readable = HEADER_SIZE};
  for (unsigned i = 0; i < NODES; i++) {
    node *const self = &slots.nodes[i];
    if (ca_node_set_has(&allowed, i)) {
      ca_memory_map_settings settings = {.backing = CA_MEMORY_MAP_RESERVED,
                                         .policy = CA_MEMORY_MAP_PREFERRED,
                                         .huge_pages = no_huge_pages};
      ca_node_set_add(&settings.nodes, i);
      ca_memory_map_init(&self->map, &settings);
      self->usable = ca_arena_init(&self->arena, ca_memory_map_source(&self->map), &arena);
    }
  }
  slots.node_count = NODES;
}

static void include(const ca_arena *arena, uintptr_t *begin, uintptr_t *end) {
  *begin = arena->begin < *begin ? arena->begin : *begin;
  *end = arena->begin + arena->size > *end ? arena->begin + arena->size : *end;
}

static void publish_bounds(void) {
  uintptr_t begin = UINTPTR_MAX;
  uintptr_t end = 0;
  for (size_t i = 0; i < slots.count; i++) {
    include(&slots.arenas[i], &begin, &end);
  }
  for (size_t i = 0; i < slots.node_count; i++) {
    if (slots.nodes[i].usable) {
      include(&slots.nodes[i].arena, &begin, &end);
    }
  }
  /* Release: pairs with the acquire in ready(), so that who sees the size sees the arenas. */
  __atomic_store_n(&ca_context_slots_begin, begin, __ATOMIC_RELAXED);
  __atomic_store_n(&ca_context_slots_size, end - begin, __ATOMIC_RELEASE);
}

static bool ready(void) { return __atomic_load_n(&ca_context_slots_size, __ATOMIC_ACQUIRE) != 0; }

static bool init_locked(const ca_contexts_settings *settings) {
  if (ready() || !settings_are_sane(settings)) {
    return false;
  }
  const ca_memory_map_settings map = {.backing = CA_MEMORY_MAP_RESERVED,
                                      .huge_pages = no_huge_pages};
  const ca_memory_map_settings huge_map = {.backing = CA_MEMORY_MAP_RESERVED,
                                           .huge_pages = CA_MEMORY_MAP_HUGE_TRANSPARENT};
  ca_memory_map_init(&slots.map, &map);
  ca_memory_map_init(&slots.huge_map, &huge_map);
  for (unsigned shift = 0; shift <= FEWEST_SLOTS_SHIFT; shift++) {
    if (init_arenas(settings, shift)) {
      init_nodes();
      publish_bounds();
      return true;
    }
    destroy_arenas();
  }
  return false;
}

bool ca_contexts_init(const ca_contexts_settings *settings) {
  ca_lock_take(CA_LOCK_SLOTS);
  ca_contexts_settings complete = *settings;
  if (complete.classes[0].slot_size == 0) {
    memcpy(complete.classes, default_settings.classes, sizeof complete.classes);
  }
  const bool done = init_locked(&complete);
  ca_lock_release(CA_LOCK_SLOTS);
  return done;
}

/* The arena whose range ptr lies in, or NULL. */
static ca_arena *arena_of(const void *ptr) {
  for (size_t i = 0; i < slots.count; i++) {
    if (ca_arena_owns(&slots.arenas[i], ptr)) {
      return &slots.arenas[i];
    }
  }
  for (size_t i = 0; i < slots.node_count; i++) {
    if (slots.nodes[i].usable && ca_arena_owns(&slots.nodes[i].arena, ptr)) {
      return &slots.nodes[i].arena;
    }
  }
  return NULL;
}

ca_context_header *ca_context_header_find(const void *ptr) {
  const ca_arena *const arena = arena_of(ptr);
  return arena == NULL ? NULL : ca_arena_slot(arena, ptr);
}

static void init_if_new(void) {
  if (CA_UNLIKELY(!ready())) {
    (void)ca_contexts_init(&default_settings); /* Or another thread just did. */
  }
}

static ca_context_header *begin_slot(const ca_arena *arena, size_t which, void *obtained) {
  ca_context_header *const slot = obtained;
  if (slot != NULL) {
    slot->slot_size = ca_arena_slot_size(arena);
    slot->slot_class = (uint8_t)which;
    slot->parked_by = 0;
  }
  return slot;
}

/* The arena is exhausted. NULL only if there was a moment when no slot of this class was idle, kept or
 * not: slot_cache.h. */
CA_COLD static ca_context_header *obtain_kept(size_t which) {
  for (;;) {
    const uint64_t kept = ca_slot_caches_kept();
    void *slot = ca_slot_caches_take(which);
    if (slot != NULL) {
      ca_unpoison_defined(slot, ca_arena_slot_size(&slots.arenas[which]));
    } else {
      slot = ca_arena_obtain(&slots.arenas[which]);
    }
    if (slot != NULL || ca_slot_caches_kept() == kept) {
      return begin_slot(&slots.arenas[which], which, slot);
    }
  }
}

static __attribute__((noinline)) ca_context_header *obtain_from(size_t which, size_t most) {
  for (; which < slots.count && ca_arena_slot_size(&slots.arenas[which]) <= most; which++) {
    ca_arena *const arena = &slots.arenas[which];
    ca_context_header *slot = begin_slot(arena, which, ca_arena_obtain(arena));
    if (CA_UNLIKELY(slot == NULL) && ca_arena_slot_size(arena) <= CA_SLOT_CACHE_LARGEST) {
      slot = obtain_kept(which);
    }
    if (CA_LIKELY(slot != NULL)) {
      return slot;
    }
  }
  return NULL;
}

static inline __attribute__((always_inline)) ca_context_header *obtain(size_t size, size_t most) {
  init_if_new();
  size_t which = 0;
  while (which < slots.count && ca_arena_slot_size(&slots.arenas[which]) < size) {
    which++;
  }
  const ca_thread_state *const state = ca_thread_state_get();
  if (CA_LIKELY(state->record != NULL && which < slots.count &&
                ca_arena_slot_size(&slots.arenas[which]) <= most)) {
    ca_context_header *const kept = ca_slot_cache_take(state->record, which);
    if (CA_LIKELY(kept != NULL)) {
      ca_unpoison_defined(kept, kept->slot_size);
      kept->parked_by = state->mark;
      return kept;
    }
  }
  return obtain_from(which, most);
}

ca_context_header *ca_slots_obtain(size_t size) { return obtain(size, SIZE_MAX); }

ca_context_header *ca_slots_obtain_within(size_t size, size_t most) { return obtain(size, most); }

size_t ca_slots_largest(void) {
  init_if_new();
  return slots.count == 0 ? 0 : ca_arena_slot_size(&slots.arenas[slots.count - 1]);
}

size_t ca_slots_largest_kept(void) {
  size_t largest = 0;
  for (size_t i = 0; i < slots.count; i++) {
    const size_t size = ca_arena_slot_size(&slots.arenas[i]);
    largest = size <= CA_SLOT_CACHE_LARGEST ? size : largest;
  }
  return largest;
}

ca_context_header *ca_slots_obtain_near(size_t size) {
  init_if_new();
  const unsigned here = slots.node_count == 0 ? 0 : ca_node_current();
  if (here < slots.node_count && slots.nodes[here].usable && size <= heap_slot_size) {
    ca_arena *const arena = &slots.nodes[here].arena;
    ca_context_header *const slot = begin_slot(arena, slots.count, ca_arena_obtain(arena));
    if (slot != NULL) {
      return slot;
    }
  }
  return ca_slots_obtain(size == 0 ? ca_slots_largest() : size);
}

void ca_slots_release(ca_context_header *slot) {
  const size_t size = slot->slot_size;
  const size_t which = slot->slot_class;
  if (CA_LIKELY(size <= CA_SLOT_CACHE_LARGEST)) {
    ca_poison((char *)slot + HEADER_SIZE, size - HEADER_SIZE);
    if (CA_LIKELY(ca_slot_cache_keep(ca_thread_state_get()->record, which, slot))) {
      return;
    }
  }
  ca_arena_release(arena_of(slot), slot);
}

static void put_back_kept(size_t which, ca_context_header *slot) {
  if (slot != NULL) {
    ca_arena_release(&slots.arenas[which], slot);
  }
}

void ca_slots_forget(ca_thread_record *record) {
  for (size_t i = 0; i < slots.count; i++) {
    put_back_kept(i, ca_slot_cache_take(record, i));
  }
}

static void put_all_back(size_t which) {
  for (size_t i = ca_slot_caches_count(which); i > 0; i--) {
    put_back_kept(which, ca_slot_caches_take(which));
  }
}

size_t ca_contexts_trim(void) {
  size_t given = 0;
  if (ready()) {
    for (size_t i = 0; i < slots.count; i++) {
      put_all_back(i);
      given += ca_arena_trim(&slots.arenas[i], 0);
    }
    for (size_t i = 0; i < slots.node_count; i++) {
      given += slots.nodes[i].usable ? ca_arena_trim(&slots.nodes[i].arena, 0) : 0;
    }
  }
  return given;
}

/* By as few system calls as there may be, which is the kernel's share, and then by a touch of each:
 * that makes the page where the kernel couldn't, and else a virtual machine's host may have to do
 * something yet (7 us beside the kernel's 2.4 where it was measured). */
static size_t make_unused_present(size_t class, size_t most) {
  ca_arena *const arena = &slots.arenas[class];
  ahead *const self = &slots.aheads[class];
  const size_t size = ca_arena_slot_size(arena);
  const ca_arena_counts counts = ca_arena_count(arena);
  const size_t unused = counts.slots - counts.used;
  const size_t count = most < unused ? most : unused;
  const size_t at_once = CA_PRESENCE_RANGES * slots_of_a_page(size);
  size_t done = 0;
  for (size_t now = 1; done < count && now > 0; done += now) {
    char *const begin = (char *)arena->begin + (counts.used + done) * size;
    now = count - done < at_once ? count - done : at_once;
    (void)make_slots_present(begin, now, size);
    /* Relaxed: a hint, that nothing be done ahead of these. */
    __atomic_store_n(&self->end, (uintptr_t)begin + now * size, __ATOMIC_RELAXED);
    now = ca_arena_make_present(arena, now);
  }
  return done;
}

size_t ca_contexts_make_present(size_t slot_size, size_t most) {
  init_if_new();
  for (size_t i = 0; i < slots.count; i++) {
    if (ca_arena_slot_size(&slots.arenas[i]) == slot_size) {
      return make_unused_present(i, most);
    }
  }
  return 0;
}

static void visit_arena(const ca_arena *arena, ca_slots_visitor *visitor, void *argument) {
  const size_t used = ca_arena_count(arena).used;
  for (size_t i = 0; i < used; i++) {
    if (ca_arena_is_out(arena, i)) {
      visitor(argument, (ca_context_header *)(arena->begin + i * ca_arena_slot_size(arena)));
    }
  }
}

void ca_slots_visit(ca_slots_visitor *visitor, void *argument) {
  if (!ready()) {
    return;
  }
  for (size_t i = 0; i < slots.count; i++) {
    visit_arena(&slots.arenas[i], visitor, argument);
  }
  for (size_t i = 0; i < slots.node_count; i++) {
    if (slots.nodes[i].usable) {
      visit_arena(&slots.nodes[i].arena, visitor, argument);
    }
  }
}

static void add_arena(ca_class_counts *class, const ca_arena *arena, size_t kept) {
  const ca_arena_counts counts = ca_arena_count(arena);
  const size_t idle = counts.resident + counts.decommitted + kept;
  class->slot_size = ca_arena_slot_size(arena);
  class->slots += counts.slots;
  class->most += counts.used;
  class->out += counts.used > idle ? counts.used - idle : 0;
}

size_t ca_slots_count(ca_class_counts classes[CA_CONTEXT_CLASSES + 1]) {
  memset(classes, 0, sizeof *classes * (CA_CONTEXT_CLASSES + 1));
  if (!ready()) {
    return 0;
  }
  for (size_t i = 0; i < slots.count; i++) {
    add_arena(&classes[i], &slots.arenas[i], ca_slot_caches_count(i));
  }
  for (size_t i = 0; i < slots.node_count; i++) {
    if (slots.nodes[i].usable) {
      add_arena(&classes[slots.count], &slots.nodes[i].arena, 0);
    }
  }
  return slots.count + (slots.node_count > 0);
}
