/* adaptors/limiting/budget.h - bytes that may be used, perhaps within another budget.
 *
 * Idea        a budget is a limit, what is taken of it, and perhaps a parent, within which it lies:
 *             bytes are taken from a budget and from all above it, or from none. So that each level
 *             doesn't cost at each call, a budget takes a quarter of its limit, but at most 16 KiB,
 *             ahead from those above, and gives out of that without asking them. What is taken
 *             ahead is counted above, so that no limit is ever passed; and before a request is
 *             refused, all that the whole tree of budgets took ahead goes back, and it is tried
 *             again: refused is exactly what the bytes in use leave no room for.
 * Cost        O(1), and the same without a parent as with many, until that much more or less is in
 *             use; then O(levels). Near a limit, where nothing can be taken ahead, O(levels) each
 *             time. A refusal, used() and room() take O(budgets of the tree that took ahead).
 * Errors      false, and nothing was taken.
 * Ownership   a parent must outlive its budgets; a budget within a parent ends with a reset(), and
 *             must not be moved before.
 * Threads     not thread-safe; the budgets of one tree belong to one thread at a time.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_LIMITING_BUDGET_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_LIMITING_BUDGET_H_

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Invariant: without a parent granted is limit and keep SIZE_MAX; with one taken <= granted, what
 * is ahead (granted - taken) is at most keep, and the parent has taken what is granted. granted
 * exceeds limit only after limit was set below it, or ca_budget_take_anyway() passed it. A budget
 * is in the root's list iff link is not NULL; else nothing is ahead, and keep is 0 if it has a
 * parent. */
typedef struct ca_budget {
  size_t taken;    /* By its user and by the budgets within it, with what is ahead there. */
  size_t granted;  /* What the parent counts for it. */
  size_t keep;     /* The most that is kept ahead when something is given back. */
  size_t limit;    /* What granted may become. */
  size_t refusals; /* How often this budget, and not one below or above, had no room. */
  struct ca_budget *parent; /* NULL: none. */
  struct ca_budget *ahead;  /* In the root: the list of those that took ahead. */
  struct ca_budget *next;   /* In that list: the next one, */
  struct ca_budget **link;  /* and what points here. */
} ca_budget;

/* A budget of `limit` bytes (0: nothing; SIZE_MAX: all there is) within parent, which may be
 * NULL. */
void ca_budget_init(ca_budget *self, size_t limit, ca_budget *parent);

/* Gives back all that is taken, here and above. Requires that no other budget lies within this one
 * with anything taken or ahead. Ends a budget too. */
void ca_budget_reset(ca_budget *self);

/* Changes the limit. Below what is used already: what is used stays, may be given back, and
 * whatever needs more is refused until enough was given back. */
void ca_budget_set_limit(ca_budget *self, size_t limit);

/* Bytes in use, exactly. */
size_t ca_budget_used(ca_budget *self);

/* Bytes that may still be taken from this budget alone. */
size_t ca_budget_room(ca_budget *self);

/* Takes bytes from self and all above it. Returns false, and takes nothing, if one has no room.
 * 0 bytes are always to be had. */
static inline bool ca_budget_take(ca_budget *self, size_t bytes);

/* The same, room or no room, for what is in use already. */
void ca_budget_take_anyway(ca_budget *self, size_t bytes);

/* Gives back to self and all above it what was taken. */
static inline void ca_budget_give_back(ca_budget *self, size_t bytes);

/* The usual case of the two, and the rest, for callers who have that out of line. */

/* Whether that many are ahead. */
static inline bool ca_budget_has_ahead(const ca_budget *self, size_t bytes) {
  return self->taken <= self->granted && bytes <= self->granted - self->taken;
}

/* Takes bytes that are ahead. Returns false, and takes nothing, if take_from_above() must help. */
static inline bool ca_budget_take_ahead(ca_budget *self, size_t bytes) {
  size_t taken;
  if (CA_UNLIKELY(__builtin_add_overflow(self->taken, bytes, &taken) || taken > self->granted)) {
    return false;
  }
  self->taken = taken;
  return true;
}
bool ca_budget_take_from_above(ca_budget *self, size_t bytes);

/* Gives bytes back to what is ahead. Returns false if give_above() must follow: it is too much. */
static inline bool ca_budget_keep_ahead(ca_budget *self, size_t bytes) {
  CA_ASSERT(self->taken >= bytes);
  self->taken -= bytes;
  return CA_LIKELY(self->granted - self->taken <= self->keep);
}
void ca_budget_give_above(ca_budget *self);

static inline bool ca_budget_take(ca_budget *self, size_t bytes) {
  return ca_budget_take_ahead(self, bytes) || ca_budget_take_from_above(self, bytes);
}

static inline void ca_budget_give_back(ca_budget *self, size_t bytes) {
  if (!ca_budget_keep_ahead(self, bytes)) {
    ca_budget_give_above(self);
  }
}

/* Whether the invariant above holds, for self and all above it. */
bool ca_budget_check(const ca_budget *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_LIMITING_BUDGET_H_ */
