/* switchable/context_family.h - what a context and all of its descendants may take together.
 *
 * Idea        a context with a family budget has a ca_family, at the end of its header. Bytes count
 *             there from when a range for blocks is obtained until it is given up, not as blocks
 *             come and go: in the nearest family and in all above it, or if one has no room in
 *             none. Where that is, is settled when a context is made or handed to another parent.
 * Life        a family may have to outlive its context: what an orphaned descendant takes goes on
 *             counting, and a thread's heap ends before what was made on its thread. Then the slot of
 *             its context stays out, and who gives back the last byte gives back the slot.
 * Cost        O(families above), under one lock of the process; where no family counts, a comparison
 *             with NULL.
 * Threads     the lock is taken within those of context_tree.c and quarantine.c. A context's family
 *             changes only under the locks of the tree and of the families: either will do to read
 *             it.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_FAMILY_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_FAMILY_H_

#include "base/check.h"
#include "switchable/context_extensions.h"
#include "switchable/context_header.h"

/* Invariant: used is the sum of `taken` of the contexts whose family this is, and of `used` of the
 * families that are next below; it is at most budget. Once `left`, used > 0. */
typedef struct ca_family {
  size_t budget;           /* Bytes; not 0. */
  size_t used;             /* Atomic: written under the lock, and read without. */
  uint64_t refusals;       /* Likewise. */
  struct ca_family *above; /* The next one that counts what this one does; NULL: none. */
  ca_context_header *head; /* Whose it is. */
  bool left;               /* Its slot stays out only for this. */
} ca_family;

/* The bytes that it adds to a context's overhead. */
enum { CA_FAMILY_SIZE = 64 };

static inline ca_family *ca_family_of(const ca_context_header *self) {
  /* Relaxed: the locks order it, or only the holder changes it. */
  return __atomic_load_n(&self->family, __ATOMIC_RELAXED);
}

/* Where that counts which this thread makes and which has no parent. */
static inline ca_family *ca_family_of_thread(const ca_thread_state *state) {
  return CA_LIKELY(state->thread == NULL) ? NULL : ca_family_of(state->thread);
}

void ca_family_begin_own(ca_context_header *self, size_t budget);

/* Nothing counts it, and it is to join. family_budget 0: it has none of its own. */
static inline void ca_family_begin(ca_context_header *self, size_t family_budget) {
  __atomic_store_n(&self->family, NULL, __ATOMIC_RELAXED);
  self->has_family = family_budget != 0;
  if (CA_UNLIKELY(family_budget != 0)) {
    ca_family_begin_own(self, family_budget);
  }
}

/* What the families of self have left at this moment; SIZE_MAX where none counts it. */
size_t ca_family_room(const ca_context_header *self);

/* Takes bytes more for the ranges of self. False, and nothing is taken, if a family has no room.
 * Requires, as do the others, that the caller holds self. */
bool ca_family_charge(ca_context_header *self, size_t bytes);

/* Gives them back. */
void ca_family_refund(ca_context_header *self, size_t bytes);

bool ca_family_join_any(ca_context_header *self, ca_family *above);

/* Has the ranges of self, which is new, count in its own family, if it has one, and in `above`.
 * False if there is no room: then it counts nowhere, and may be tried again. Requires that `above`
 * stays. */
static inline bool ca_family_join(ca_context_header *self, ca_family *above) {
  if (CA_LIKELY(above == NULL && !self->has_family)) {
    self->taken = ca_context_ranges_size(self);
    return true;
  }
  return ca_family_join_any(self, above);
}

/* Has self and its descendants count in `above` instead. False, and nothing has changed, if there is
 * no room. What orphaned descendants take stays where it is, unless it counts in a family that moves.
 * Requires the lock of the tree, and that `above` stays. O(descendants), or O(1) if it is the same.
 * */
bool ca_family_move(ca_context_header *self, ca_family *above);

/* Gives back all that self has taken, before its slot is. Of a context that is closed, and in no
 * tree. */
void ca_family_stop_counting(ca_context_header *self);

/* The same, and the slot isn't needed any more, but for the family of self: false if something still
 * counts there. ca_context_header_release_slot() is then called once more, by who ends that. */
bool ca_family_leave(ca_context_header *self);

/* Fills in what *counts says of its own family. Async-signal-safe. */
void ca_family_count(const ca_context_header *self, ca_context_counts *counts);

/* Whether the invariant holds, as far as it can be told from self and the families above it. */
bool ca_family_check(const ca_context_header *self);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_FAMILY_H_ */
