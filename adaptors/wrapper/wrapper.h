/* adaptors/wrapper/wrapper.h - what every adaptor around one allocator has in common.
 *
 * Idea        an adaptor that adds one behaviour changes one or two of the interface's functions
 *             and passes the others on. These are the ones that pass on, and the tables in which
 *             an optional function is missing exactly when the inner allocator's is.
 * Cost        one indirect call more than the inner allocator's, a tail call.
 * Alignment, errors, threads   as the inner allocator's.
 * Ownership   the inner allocator must outlive the adaptor. An adaptor holds its own address in
 *             nobody's hands but its callers': it must not be copied while blocks of it live.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_WRAPPER_WRAPPER_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_WRAPPER_WRAPPER_H_

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* First member of every adaptor around one allocator. */
typedef struct ca_wrapper {
  ca_allocator base; /* First. */
  ca_allocator *inner;
} ca_wrapper;

static inline ca_allocator *ca_wrapper_inner(const ca_allocator *base) {
  return ((const ca_wrapper *)base)->inner;
}

/* The recorded size of a live block. Only where the inner allocator records sizes. */
static inline size_t ca_wrapper_recorded(const ca_allocator *base, const void *ptr) {
  const ca_allocator *const inner = ca_wrapper_inner(base);
  return inner->ops->usable_size(inner, ptr);
}

/* Members for a table: each does what the inner allocator does. */
ca_block ca_wrapper_allocate(ca_allocator *base, size_t size, size_t align);
void ca_wrapper_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align);
ca_block ca_wrapper_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                         ca_move move);
ca_block ca_wrapper_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size,
                           size_t align, ca_move move);
size_t ca_wrapper_usable_size(const ca_allocator *base, const void *ptr);
void ca_wrapper_deallocate_unsized(ca_allocator *base, void *ptr);
size_t ca_wrapper_deallocate_recorded(ca_allocator *base, void *ptr, size_t size);
bool ca_wrapper_owns(const ca_allocator *base, const void *ptr);

/* None where the inner allocator doesn't tell. */
ca_block ca_wrapper_range(const ca_allocator *base);

/* For an adaptor whose blocks are the inner allocator's own. False where that can't walk. */
bool ca_wrapper_walk(const ca_allocator *base, ca_block_visitor *visitor, void *argument);

/* True where the inner allocator has no check of its own. */
bool ca_wrapper_check(const ca_allocator *base);

/* An adaptor's tables: [whether inner records sizes][whether inner tells what it owns]. */
typedef ca_allocator_ops ca_wrapper_tables[2][2];

/* clang-format off */
#define CA_WRAPPER_TABLE_(NAME, ALLOCATE, DEALLOCATE, GROW, SHRINK, USABLE, UNSIZED, RECORDED,    \
                          OWNS, CHECK, RANGE, WALK)                                               \
  {.allocate = (ALLOCATE), .deallocate = (DEALLOCATE), .grow = (GROW), .shrink = (SHRINK),        \
   .usable_size = (USABLE), .deallocate_unsized = (UNSIZED), .owns = (OWNS), .check = (CHECK),    \
   .name = (NAME), .range = (RANGE), .walk = (WALK), .deallocate_recorded = (RECORDED)}

/* One row of tables: without and with owns. */
#define CA_WRAPPER_ROW(NAME, ALLOCATE, DEALLOCATE, GROW, SHRINK, USABLE, UNSIZED, RECORDED,       \
                       CHECK, WALK)                                                               \
  {CA_WRAPPER_TABLE_(NAME, ALLOCATE, DEALLOCATE, GROW, SHRINK, USABLE, UNSIZED, RECORDED, NULL,   \
                     CHECK, NULL, WALK),                                                          \
   CA_WRAPPER_TABLE_(NAME, ALLOCATE, DEALLOCATE, GROW, SHRINK, USABLE, UNSIZED, RECORDED,         \
                     ca_wrapper_owns, CHECK, ca_wrapper_range, WALK)}

/* Both rows, for an adaptor that needs no size of its own. */
#define CA_WRAPPER_ROWS(NAME, ALLOCATE, DEALLOCATE, GROW, SHRINK, UNSIZED, RECORDED, CHECK)       \
  {CA_WRAPPER_ROW(NAME, ALLOCATE, DEALLOCATE, GROW, SHRINK, NULL, NULL, NULL, CHECK, NULL),       \
   CA_WRAPPER_ROW(NAME, ALLOCATE, DEALLOCATE, GROW, SHRINK, ca_wrapper_usable_size, UNSIZED,      \
                  RECORDED, CHECK, ca_wrapper_walk)}
/* clang-format on */

/* Puts *self around inner, with the one of the tables that offers what inner offers: sizes only if
 * they are wanted too. */
void ca_wrapper_init(ca_wrapper *self, ca_allocator *inner, ca_sizes sizes,
                     const ca_wrapper_tables tables);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_WRAPPER_WRAPPER_H_ */
