/* sources/arena/arena.h - one big range cut into equal slots, for many threads.
 *
 * Idea        the range is reserved once and cut into power-of-two slots, aligned to their size,
 *             so that the slot of an address, its index and its owner are arithmetic. Slots that
 *             were never used come from a rising counter; released ones wait on two lock-free
 *             stacks of 32-bit indices, resident ones first, and beyond `retained` resident idle
 *             slots the pages of a released one go back to the operating system. Each slot on a
 *             stack knows its depth, so that `retained` is exact without a shared counter.
 *             Slots may be smaller than a page, so that one page serves several. Then a released one
 *             keeps its memory, whatever `retained`; trim() gives back the pages of which every byte
 *             is of idle slots.
 * Cost        obtain, release, owner: O(1), lock-free; beyond `retained` a release also costs the
 *             source's decommit. obtain: one atomic read-modify-write, release: two. init: O(1)
 *             over a source of zeroed ranges, else 16 bytes a slot are cleared; touches no slot.
 * Overhead    16 bytes a slot that was used (its owner and its place on a stack), out of line, in a
 *             second range of the source; none for a slot never used, if the source commits pages
 *             when they are touched.
 * Alignment   the slot's size, also through the source interface.
 * Errors      obtain: none iff every slot is out, or (through the source interface) if more than a
 *             slot is asked. A slot that trim() is giving back counts as out meanwhile: of
 *             slots smaller than a page that may be all of the idle ones.
 * Ownership   the source must outlive the arena; destroy() returns everything to it.
 * Threads     obtain, release, owner, set_owner, trim and the queries: any number at once, if the
 *             source's decommit may be called so. init and destroy: one thread, alone. A fork in
 *             the middle of another thread's call loses at most that thread's slot, in the child; in
 *             the middle of a trim() of slots smaller than a page, those that were idle.
 * Source      R. K. Treiber, "Systems programming: coping with parallelism", IBM RJ 5118, 1986:
 *             the stack. Its ABA fault is met by a 32-bit count beside the index: a thread would
 *             have to be held up for exactly a multiple of 2^32 calls. arena.pml is the model.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_ARENA_ARENA_H_
#define CONTEXT_ALLOCATOR_SOURCES_ARENA_ARENA_H_

#include <stdint.h>

#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called on a slot that holds nothing of an earlier use: before its first use, and before the next
 * one after its memory went back to the operating system. May be called by several threads at once,
 * for different slots, and while others use the rest of its page. */
typedef void ca_arena_initialise(void *slot, size_t slot_size, void *argument);

/* What the tools that watch memory can tell apart (base/poison.h), and any block's alignment. */
enum { CA_ARENA_LEAST_SLOT = 16 };

/* Zero where not said otherwise is sane. */
typedef struct ca_arena_settings {
  size_t slot_size;                /* A power of two, at least CA_ARENA_LEAST_SLOT. No default. */
  size_t slots;                    /* 1 to 2^32 - 2. No default. */
  size_t retained;                 /* Idle slots that keep their pages; 0, or small slots: all. */
  ca_arena_initialise *initialise; /* NULL: none. */
  void *argument;                  /* Handed to initialise. */
  /* Bytes at a slot's beginning that the tools which watch memory let everybody read also while it
   * is idle, for who tells slots by them; at most slot_size. */
  size_t readable;
} ca_arena_settings;

/* The members are for arena.c and this header's inline functions only.
 *
 * Invariant, while no call is under way: size == slots << slot_shift and begin is a multiple of the
 * slot's size; fresh <= slots; each slot below `fresh` is either out, or on exactly one of the two
 * stacks, without an owner; the slots of a stack carry the depths n, n - 1, ... 1 from the top. */
typedef struct ca_arena {
  ca_source base; /* First. */
  uintptr_t begin;
  size_t size;
  void **owners; /* One a slot; NULL: none. */
  unsigned slot_shift;
  uint32_t slots;
  uint32_t retained; /* Depth to which a release fills `resident`. */
  uint64_t *places;  /* One a slot: out, never used, or where it lies on its stack. */
  ca_arena_initialise *initialise;
  void *argument;
  size_t readable;
  ca_source *source;
  ca_block range;   /* The slots. */
  ca_block records; /* Owners and places. */
  /* Written by many threads, on a line of their own. */
  uint64_t resident __attribute__((aligned(64))); /* Stack of idle slots that may have pages. */
  uint64_t decommitted;                           /* Stack of idle slots without. */
  uint32_t fresh;                                 /* Index of the first slot never used. */
  uint32_t trims;                                 /* Twice the trims of small slots begun. */
} ca_arena;

/* Out are used - resident - decommitted, if no other thread is at work. */
typedef struct ca_arena_counts {
  size_t slots;
  size_t used;        /* Slots that were ever obtained. */
  size_t resident;    /* Idle slots whose memory is kept. */
  size_t decommitted; /* Idle slots whose memory went back. */
} ca_arena_counts;

/* Reserves everything from source. Returns false, with nothing obtained, if a setting is out of
 * range or the source refuses; *self then refuses every request and may be destroyed. */
bool ca_arena_init(ca_arena *self, ca_source *source, const ca_arena_settings *settings);

/* Returns everything to the source, also slots that are still out. Twice is harmless. */
void ca_arena_destroy(ca_arena *self);

/* Returns a slot, or NULL if all are out. Its owner is NULL; its contents are zero if the source is
 * zeroed and the slot is new or its pages went back, else what its last user (or initialise) left.
 */
void *ca_arena_obtain(ca_arena *self);

/* Takes a slot back, by any thread. Requires the first byte of a slot that is out: anything else,
 * also a slot that two threads release at once, is reported (ca_panic_misuse). */
void ca_arena_release(ca_arena *self, void *slot);

/* Gives the pages of idle slots back to the operating system until at most `retained` keep theirs,
 * or the source refuses. Returns the bytes given back. O(slots given back).
 * Of slots smaller than a page, all idle ones but `retained` are taken at once, and the pages that
 * these fill go back, a call of the source for each run of pages. O(slots ever used). */
size_t ca_arena_trim(ca_arena *self, size_t retained);

/* Touches the next `most` slots that were never used, a byte of each, initialises them if they are to
 * be, and makes them idle ones with pages, also beyond `retained`: who obtains one finds its first
 * page there. Returns how many: fewer if there are no more. Each becomes idle before the next is
 * taken, so that others may obtain and release meanwhile. O(slots), mostly the system's time for a
 * page. */
size_t ca_arena_make_present(ca_arena *self, size_t most);

/* Each count is right for some moment during the call. */
ca_arena_counts ca_arena_count(const ca_arena *self);

/* The source interface: a range is a slot, whole. Any part of it may be decommitted. */
static inline ca_source *ca_arena_source(ca_arena *self) { return &self->base; }

static inline size_t ca_arena_slot_size(const ca_arena *self) {
  return (size_t)1 << self->slot_shift;
}

/* Whether ptr lies in the arena's range, in a slot that is out or not. Any ptr. */
static inline bool ca_arena_owns(const ca_arena *self, const void *ptr) {
  return (uintptr_t)ptr - self->begin < self->size;
}

/* The index of the slot that ptr lies in. Requires ca_arena_owns(). */
static inline size_t ca_arena_index(const ca_arena *self, const void *ptr) {
  return ((uintptr_t)ptr - self->begin) >> self->slot_shift;
}

/* The slot that ptr lies in. Requires ca_arena_owns(). */
static inline void *ca_arena_slot(const ca_arena *self, const void *ptr) {
  return (void *)((uintptr_t)ptr & ~(((uintptr_t)1 << self->slot_shift) - 1));
}

/* Whether the slot of this index is obtained at this moment. Requires index < slots. */
bool ca_arena_is_out(const ca_arena *self, size_t index);

/* Who a slot belongs to: whatever was last set, NULL after obtain and after release. The store
 * releases and the load acquires, so that what the owner wrote before is seen. */
static inline void ca_arena_set_owner(ca_arena *self, void *slot, void *owner) {
  __atomic_store_n(&self->owners[ca_arena_index(self, slot)], owner, __ATOMIC_RELEASE);
}
static inline void *ca_arena_owner(const ca_arena *self, const void *ptr) {
  return __atomic_load_n(&self->owners[ca_arena_index(self, ptr)], __ATOMIC_ACQUIRE);
}

/* Whether the invariant holds. O(slots used); requires that no other thread uses the arena
 * meanwhile. */
bool ca_arena_check(const ca_arena *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_ARENA_ARENA_H_ */
