/* adaptors/limiting/limiting.h - lets no more through to another allocator than a budget allows.
 *
 * Idea        a budget is a limit, what is used of it, and perhaps a parent, within which it lies:
 *             bytes are taken from a budget and from all above it, or from none. Each adaptor has
 *             a budget of its own; its parent may be another adaptor's, or one that stands alone
 *             (a tenant's, over many coroutines with an allocator each).
 *             Counting is exact, in the manner of adaptors/tracking: with CA_SIZES_FORGOTTEN the
 *             caller is handed a block of exactly the size asked for, and that size is counted;
 *             with CA_SIZES_RECORDED the size that the inner allocator records is handed out and
 *             counted, and a request that fits by the size asked for, but not by that one, is
 *             refused.
 * Cost        one indirect call and a few additions for each level more than the inner
 *             allocator's; with CA_SIZES_RECORDED also one call of its usable_size() in deallocate,
 *             and in allocate where there is an excess, two in grow and shrink.
 * Overhead    0 bytes a block.
 * Alignment   as the inner allocator's.
 * Errors      none also where a budget has no room; the inner allocator is then unchanged. With
 *             CA_SIZES_RECORDED grow never moves a block (ca_reallocate() does): a move that turns
 *             out too large couldn't be undone.
 * Ownership   the inner allocator and the parents must outlive the adaptor.
 * Threads     as the inner allocator's; the budgets of one tree belong to one thread at a time.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_LIMITING_LIMITING_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_LIMITING_LIMITING_H_

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `used` exceeds `limit` only after limit was set below it, or where a grow had to be undone and
 * the inner allocator kept some of it. */
typedef struct ca_budget {
  size_t limit;
  size_t used;
  size_t refusals;          /* How often this budget, and not one below or above, had no room. */
  struct ca_budget *parent; /* NULL: none. */
} ca_budget;

/* A budget of `limit` bytes (0: nothing; SIZE_MAX: all there is) within parent, which may be
 * NULL. */
static inline void ca_budget_init(ca_budget *self, size_t limit, ca_budget *parent) {
  self->limit = limit;
  self->used = 0;
  self->refusals = 0;
  self->parent = parent;
}

/* Changes the limit. Below what is used already: live blocks stay, may be shrunk and freed, and
 * whatever needs more is refused until enough was freed. */
static inline void ca_budget_set_limit(ca_budget *self, size_t limit) { self->limit = limit; }

/* Bytes that may still be taken from this budget alone. */
static inline size_t ca_budget_room(const ca_budget *self) {
  return self->used < self->limit ? self->limit - self->used : 0;
}

/* Takes bytes from self and all above it. Returns false, and takes nothing, if one has no room. */
bool ca_budget_take(ca_budget *self, size_t bytes);

/* Gives back to self and all above it what was taken. */
void ca_budget_give_back(ca_budget *self, size_t bytes);

typedef struct ca_limiting {
  ca_wrapper wrapper; /* First. */
  ca_budget budget;
} ca_limiting;

/* Puts *self around inner, with a budget of `limit` bytes within parent, which may be NULL.
 * Deallocation without a size is offered with CA_SIZES_RECORDED over an inner allocator that offers
 * it; over another one CA_SIZES_RECORDED is CA_SIZES_FORGOTTEN. Never fails; nothing to destroy,
 * but what is still used must be given back (reset) before self ends, if it has a parent. */
void ca_limiting_init(ca_limiting *self, ca_allocator *inner, ca_sizes sizes, size_t limit,
                      ca_budget *parent);

/* Gives back everything that is used, here and above; for use after the inner allocator's reset.
 * Requires that no other budget lies within this one. */
void ca_limiting_reset(ca_limiting *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_limiting_allocator(ca_limiting *self) { return &self->wrapper.base; }

/* The budget, to be read, to be given another limit, or to be another one's parent. */
static inline ca_budget *ca_limiting_budget(ca_limiting *self) { return &self->budget; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_LIMITING_LIMITING_H_ */
