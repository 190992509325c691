/* adaptors/limiting/limiting.h - lets no more through to another allocator than a budget allows.
 *
 * Idea        each adaptor has a budget (budget.h); its parent may be another adaptor's, or one
 *             that stands alone (a tenant's, over many coroutines with an allocator each).
 *             Counting is exact, in the manner of adaptors/tracking: with CA_SIZES_FORGOTTEN the
 *             caller is handed a block of exactly the size asked for, and that size is counted;
 *             with CA_SIZES_RECORDED the size that the inner allocator records is handed out and
 *             counted, and a request that fits by the size asked for, but not by that one, is
 *             refused.
 * Cost        one indirect call and a few additions more than the inner allocator's, however many
 *             levels there are, but for what budget.h says of growth and of full budgets; with
 *             CA_SIZES_RECORDED also one call of its usable_size() in grow and shrink, and in
 *             deallocate where it has no deallocate_recorded(). limiting_bench tells.
 * Overhead    0 bytes a block.
 * Alignment   as the inner allocator's.
 * Errors      none also where a budget has no room; the inner allocator is then unchanged. With
 *             CA_SIZES_RECORDED grow never moves a block (ca_reallocate() does): a move that turns
 *             out too large couldn't be undone. A shrink whose move does so is counted, room or no
 *             room.
 * Ownership   the inner allocator and the parents must outlive the adaptor.
 * Threads     not thread-safe, also where the inner allocator is: the budgets of one tree, and
 *             with them the adaptors, belong to one thread at a time.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_LIMITING_LIMITING_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_LIMITING_LIMITING_H_

#include "adaptors/limiting/budget.h"
#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ca_limiting {
  ca_wrapper wrapper; /* First. */
  ca_budget budget;
} ca_limiting;

/* Puts *self around inner, with a budget of `limit` bytes within parent, which may be NULL.
 * Deallocation without a size is offered with CA_SIZES_RECORDED over an inner allocator that offers
 * it; over another one CA_SIZES_RECORDED is CA_SIZES_FORGOTTEN. Never fails; nothing to destroy,
 * but if it has a parent, a reset must come before self ends: the parent may count more for it
 * than is used. Not to be moved before. */
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
