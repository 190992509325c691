/* switchable/context_header.h - what stands at the beginning of a context's slot.
 *
 * Private to //switchable: the front end allocates from, frees into and resizes in contexts by the
 * functions below.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_HEADER_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_HEADER_H_

#include "allocators/allocator.h"
#include "allocators/bump/recorded.h"
#include "allocators/context/context.h"
#include "switchable/context.h"
#include "switchable/current.h"
#include "switchable/thread_state.h"

/* Who asks for more is looked at closer: kept_by_libc.h. */
enum { CA_QUICK_SIZES = 1023 };

/* Values of `foreign` that are no block. */
#define CA_FOREIGN_GONE ((void *)1) /* Destroyed: nothing may be freed into it. */
#define CA_FOREIGN_ORPHANED \
  ((void *)2) /* Its owner left: whoever frees the last block ends it. \
               */

/* Invariant, while generation != 0:
 *  - allocator's check holds; it lies in `local`, which ends where the blocks begin, or once there is
 *    an extension it is `ranges`;
 *  - overhead is at least what `local` needs;
 *  - quick_sizes isn't 0 only if `local` is a bump that records sizes;
 *  - deallocations <= allocations, taken_in <= deallocations;
 *  - holder is ca_parked() of the generation, the address of the state of the thread that has it
 *    swapped in, or of this header itself (being reset, destroyed or resized into, or orphaned), or
 *    it is biased to a thread, which has it swapped in if its record's `in` is this header, else it
 *    is parked (bias.h);
 *  - foreign is NULL, a block of one of its slots, or CA_FOREIGN_ORPHANED;
 *  - its extensions, at most CA_CONTEXT_CLASSES, say that they extend it, and the ranges of all
 *    of its slots (context_extensions.h) are not larger than the budget together;
 *  - of bit sets and trees the reserve is their oldest extension, and not in `budget`;
 *  - with a reserve, the first slot's bump ends at `end`, or if the reserve is shut before it or with
 *    the last block that was handed out of it;
 *  - the children of a context are the contexts whose parent it is, linked by next and previous;
 *  - family is its own, if has_family says that there is one, else where its parent's bytes count,
 *  and
 *    without a parent that of a thread's heap or NULL; taken is what context_family.h says.
 * While generation == 0, no context lives here. An extension's header is one of these; of its members
 * only slot_size, overhead, budget (what the context's leaves), is_reserve, extension, extends,
 * family (NULL) and local mean something. All but foreign, outstanding and holder are written by
 * the holder only, and the links of the tree by who has its lock as well (context_tree.c). */
typedef struct ca_context_header {
  ca_allocator *allocator;
  size_t slot_size;
  uint64_t generation;
  uintptr_t holder; /* Atomic. */
  uint64_t allocations;
  uint64_t deallocations;
  uint64_t taken_in;
  uint32_t overhead; /* Where the blocks begin: bytes from here. */
  /* Blocks of up to so many bytes are served without a look at anything else: 0, or CA_QUICK_SIZES of
   * a bump where nobody wants to know of each block. */
  uint16_t quick_sizes;
  bool has_family;          /* A ca_family of its own lies before its blocks. */
  unsigned on_destroy : 4;  /* A ca_context_policy. */
  unsigned over_budget : 4; /* A ca_over_budget. */
  /* Other threads write these two: a line of their own. */
  void *foreign __attribute__((aligned(64))); /* Atomic: blocks freed by others, newest first. */
  int64_t outstanding; /* Atomic: once orphaned, the blocks that are still out. */
  uint16_t
      parked_by;   /* The mark of the thread that parked it last; 0: it takes two to be biased. */
  uint8_t current; /* A ca_current. While parked: what is to be when it is swapped in. */
  bool asking;     /* `exhausted` is running. */
  bool ending;     /* Atomic: its links are the destroyer's, without the lock. */
  bool reserve_open;
  bool is_reserve;    /* Of an extension: only the error path may use it. */
  uint8_t slot_class; /* Of its size; one more than there are: of a NUMA node's heaps. */
  size_t budget;
  uint64_t refusals;
  struct ca_context_header *parent;
  struct ca_context_header *first_child;     /* Atomic: read without the lock by who holds it. */
  struct ca_context_header *next, *previous; /* Of the same parent. */
  ca_context_cleanup *cleanups;              /* Newest first. */
  ca_context_exhausted *exhausted;
  void *exhausted_argument;
  unsigned sample_each; /* 0: none. */
  unsigned until_sample;
  size_t reserve;                      /* Bytes at the end of the first slot's range; 0: none. */
  char *end;                           /* Where that ends, the reserve included. */
  struct ca_context_header *extension; /* Atomic. The newest; of an extension, the one before it. */
  struct ca_context_header *extends;   /* Atomic. Of an extension: the context. Else NULL. */
  ca_allocator ranges;                 /* All of them as one: context_extensions.c. */
  struct ca_family *family; /* Atomic. Where its bytes count (context_family.h); NULL: nowhere. */
  size_t taken;             /* Bytes that its ranges have: they count there. */
  char name[CA_CONTEXT_NAME_SIZE];
  ca_context_allocator local; /* Last: cut to what its kind needs. */
} ca_context_header;

/* Parks what this thread has swapped in, if anything, and swaps in another. Unless that succeeds
 * nothing has changed: also no other thread had the first one meanwhile. Requires that it isn't the
 * same, and that this thread has begun. */
ca_context_result ca_context_swap_to(ca_context next);

/* The header of the slot that ptr lies in: of a context, of an extension, or of neither any more.
 * NULL if ptr lies in none: any ptr. */
ca_context_header *ca_context_header_find(const void *ptr);

/* The bounds of all slots: a cheap first test, written once before the first context exists. */
extern uintptr_t ca_context_slots_begin __attribute__((visibility("hidden")));
extern uintptr_t ca_context_slots_size __attribute__((visibility("hidden")));

static inline ca_context_header *ca_context_header_of(const void *ptr) {
  /* Relaxed: whoever holds a block of a context got it after the bounds were written. */
  const uintptr_t begin = __atomic_load_n(&ca_context_slots_begin, __ATOMIC_RELAXED);
  const uintptr_t size = __atomic_load_n(&ca_context_slots_size, __ATOMIC_RELAXED);
  return CA_LIKELY((uintptr_t)ptr - begin >= size) ? NULL : ca_context_header_find(ptr);
}

/* Requires that this thread holds self. */
ca_block ca_context_header_allocate(ca_context_header *self, size_t size, size_t align);

/* The common cases of malloc and free, inline: a block aligned to 16, or NULL if the above must be
 * asked; whether ptr was a live block of self, and its life is ended. Require that this thread
 * holds self. */
static inline void *ca_context_header_allocate_quickly(ca_context_header *self, size_t size) {
  if (CA_UNLIKELY(size - 1 >= self->quick_sizes)) { /* 0 isn't quick. */
    return NULL;
  }
  void *const ptr = ca_bump_allocate_recorded(&self->local.chosen.bump, size);
  if (CA_LIKELY(ptr != NULL)) {
    self->allocations++;
  }
  return ptr;
}

static inline bool ca_context_header_deallocate_quickly(ca_context_header *self, void *ptr) {
  if (CA_UNLIKELY(self->quick_sizes == 0 ||
                  !ca_bump_deallocate_recorded(&self->local.chosen.bump, ptr))) {
    return false;
  }
  self->deallocations++;
  return true;
}

/* The context that the blocks of this slot belong to. Requires that it has one. */
static inline ca_context_header *ca_context_header_owner(ca_context_header *slot) {
  /* Relaxed: written before the first block of the slot was handed out. */
  ca_context_header *const extends = __atomic_load_n(&slot->extends, __ATOMIC_RELAXED);
  return extends != NULL ? extends : slot;
}

/* In the following three, `slot` is what ca_context_header_of(ptr) says. */

/* Ends the life of a block, whoever holds its context. size 0: not known. `call` is named in the
 * report of a misuse. */
void ca_context_header_deallocate(ca_context_header *slot, void *ptr, size_t size,
                                  const char *call);

/* Resizes a block, whose context stays its owner if this thread holds it or if it is parked. If it
 * is held elsewhere, the block moves to the global allocator, unless its size can be told and the new
 * one fits. None if whoever has to serve it refuses. */
ca_block ca_context_header_reallocate(ca_context_header *slot, void *ptr, size_t new_size,
                                      size_t align, const char *call);

/* 0 if it can't be told: held elsewhere, and not a bump. */
size_t ca_context_header_usable_size(ca_context_header *slot, const void *ptr, const char *call);

/* Makes a context for the calling thread itself. NULL as ca_context_create() says. */
ca_context_header *ca_context_header_create(const ca_context_settings *settings);

/* Whether `exhausted` was asked, and says that it is worth another try. It isn't asked of a context
 * that this thread doesn't have swapped in, nor while it runs. */
bool ca_context_header_ask(ca_context_header *self, size_t size);

/* Bytes used in this one slot, now and at most. Whatever happens to it meanwhile, nothing beyond it is
 * read. */
ca_context_allocator_statistics ca_context_header_measure(const ca_context_header *slot);

/* Fills in *counts, of a context that is alive. */
void ca_context_header_count(const ca_context_header *self, ca_context_counts *counts);

/* Forgets every block. Requires that the caller holds it. */
void ca_context_header_reset(ca_context_header *self);

/* Opens or shuts the reserve, if there is one; what it was. Requires that the caller holds self. */
ca_reserve ca_context_header_use_reserve(ca_context_header *self, ca_reserve reserve);

/* The two halves of ca_context_header_end(): no block and no handle is good from now on, and the slot
 * is for others, at once or when nothing counts in its family any more. */
void ca_context_header_close(ca_context_header *self);
void ca_context_header_release_slot(ca_context_header *self);

/* Ends it, and gives its slot back. Requires that the caller holds it, and no relatives. */
void ca_context_header_end(ca_context_header *self);

/* One of an orphan's blocks was freed (-1). */
void ca_context_header_count_down(ca_context_header *self, int64_t change);

/* Ends a context that this thread holds: at once if no block is out, else when the last is freed.
 */
void ca_context_header_orphan(ca_context_header *self);

/* What is sampled of contexts that don't say so themselves. Atomic, relaxed: a number. */
extern unsigned ca_samples_of_all __attribute__((visibility("hidden")));

/* Begins sampling, if that is wanted; returns each how manieth allocation is to be sampled, or 0. */
unsigned ca_samples_begin_each(unsigned each);
static inline unsigned ca_samples_begin(unsigned each) {
  const unsigned wanted = each != 0 ? each : __atomic_load_n(&ca_samples_of_all, __ATOMIC_RELAXED);
  return CA_LIKELY(wanted == 0) ? 0 : ca_samples_begin_each(wanted);
}

/* Notes who is allocating this block. Requires that sampling has begun. */
void ca_samples_take(ca_block block);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_HEADER_H_ */
