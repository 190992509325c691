/* adaptors/pair/pair.h - what the adaptors over two allocators (fallback, segregate) share.
 *
 * Idea        which of the two a block came from is never written down: the side that can tell what
 *             it owns is asked, the first if it can tell, else the second. A side that has one
 *             range is asked for that once, at init, and a comparison then answers for it.
 *             So the asked side's range may lie within the other side's, but not the other way
 *             round: a block of the other side that the asked one claims is given back at once,
 *             and the request refused; freed later, it would go to the wrong one. What the other
 *             side moves by grow or shrink must not come to lie there.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_PAIR_PAIR_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_PAIR_PAIR_H_

#include <stdint.h>

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* First member of every adaptor over two allocators.
 * Invariant: asked and other are first and second, or second and first; begin and size are the asked
 * side's range, or size is 0 and it isn't known; claimable is other, or NULL only where the ranges
 * of both are known and have no address in common. */
typedef struct ca_pair {
  ca_allocator base;   /* First. */
  ca_allocator *asked; /* The side that tells what it owns, */
  ca_allocator *other; /* and the one to which the rest belongs. */
  uintptr_t begin;
  size_t size;
  ca_allocator *first;
  ca_allocator *second;
  ca_allocator *claimable; /* The side of whose blocks the asked one might claim one. */
} ca_pair;

/* The side that a block came from. */
ca_allocator *ca_pair_ask(const ca_pair *self, const void *ptr);
static inline ca_allocator *ca_pair_owner(const ca_allocator *base, const void *ptr) {
  const ca_pair *const self = (const ca_pair *)base;
  if (CA_UNLIKELY(self->size == 0)) {
    return ca_pair_ask(self, ptr);
  }
  return (uintptr_t)ptr - self->begin < self->size ? self->asked : self->other;
}

/* Allocates from the given side; none also if the asked side claims the other one's block. */
ca_block ca_pair_allocate_checked(ca_pair *self, ca_allocator *side, size_t size, size_t align);
static inline ca_block ca_pair_allocate_from(ca_pair *self, ca_allocator *side, size_t size,
                                             size_t align) {
  return CA_LIKELY(side != self->claimable) ? ca_allocate(side, size, align)
                                            : ca_pair_allocate_checked(self, side, size, align);
}

/* Members for a table: each goes to the owner. */
void ca_pair_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align);
ca_block ca_pair_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                      ca_move move);
ca_block ca_pair_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move);
size_t ca_pair_usable_size(const ca_allocator *base, const void *ptr);
void ca_pair_deallocate_unsized(ca_allocator *base, void *ptr);
size_t ca_pair_deallocate_recorded(ca_allocator *base, void *ptr, size_t size);
bool ca_pair_owns(const ca_allocator *base, const void *ptr);
bool ca_pair_check(const ca_allocator *base);

/* An adaptor's tables: [whether both sides record sizes][whether both tell what they own]. */
typedef ca_allocator_ops ca_pair_tables[2][2];

/* clang-format off */
#define CA_PAIR_TABLE_(NAME, ALLOCATE, GROW, USABLE, UNSIZED, RECORDED, OWNS)                    \
  {.allocate = (ALLOCATE), .deallocate = ca_pair_deallocate, .grow = (GROW),                     \
   .shrink = ca_pair_shrink, .usable_size = (USABLE), .deallocate_unsized = (UNSIZED),           \
   .owns = (OWNS), .check = ca_pair_check, .name = (NAME), .deallocate_recorded = (RECORDED)}

#define CA_PAIR_TABLES(NAME, ALLOCATE, GROW)                                                     \
  {{CA_PAIR_TABLE_(NAME, ALLOCATE, GROW, NULL, NULL, NULL, NULL),                                \
    CA_PAIR_TABLE_(NAME, ALLOCATE, GROW, NULL, NULL, NULL, ca_pair_owns)},                       \
   {CA_PAIR_TABLE_(NAME, ALLOCATE, GROW, ca_pair_usable_size, ca_pair_deallocate_unsized,        \
                   ca_pair_deallocate_recorded, NULL),                                           \
    CA_PAIR_TABLE_(NAME, ALLOCATE, GROW, ca_pair_usable_size, ca_pair_deallocate_unsized,        \
                   ca_pair_deallocate_recorded, ca_pair_owns)}}
/* clang-format on */

/* Puts *self over two allocators, each of which keeps its range for as long. Returns false if they
 * are the same, or neither tells what it owns: *self then refuses every request, through the
 * interface too. */
bool ca_pair_init(ca_pair *self, ca_allocator *first, ca_allocator *second,
                  const ca_pair_tables tables);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_PAIR_PAIR_H_ */
