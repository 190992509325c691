/* allocators/allocator.h - the one interface of every allocator in this project.
 *
 * Idea        four operations, each with the block's size and alignment in hand, so that no
 *             allocator needs a header per block; a result that tells the excess; and the few
 *             optional ones that C's malloc family needs.
 * Alignment   a power of two, in bytes. An allocator that records no sizes may require in every
 *             later call the alignment that the block was asked with; one that does (usable_size
 *             is not NULL) takes any alignment up to that one, as free() doesn't know it.
 * Errors      allocate, grow and shrink return ca_block_none() and change nothing; errno is
 *             neither set nor read (the malloc overrides do that).
 * Ownership   the caller owns a block from the call that returned it until deallocate(), or until
 *             a grow or shrink that returned another pointer.
 * Threads     none, unless the implementation's header promises it.
 *
 * Fitting.  A block asked for with `asked` bytes and returned with `got` bytes may be described
 * in every later call by any size in [asked, got]; after a resize, `asked` is the new size.
 *
 * Copying.  grow() and shrink() never fall back to allocate, copy, deallocate: they return none,
 * and ca_reallocate() does it, once, for everybody. Some can move cheaper than by copying (mremap);
 * CA_MOVE_ALLOWED lets them.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_ALLOCATOR_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_ALLOCATOR_H_

#include <stdbool.h>
#include <stddef.h>

#include "base/align.h"
#include "base/block.h"
#include "base/check.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ca_allocator ca_allocator;

/* Whether a resize may hand back another address. */
typedef enum ca_move { CA_MOVE_NEVER = 0, CA_MOVE_ALLOWED = 1 } ca_move;

/* Whether an allocator keeps each block's size: asked for at init, since it costs memory. Only one
 * that records can serve behind malloc, whose free() brings no size. */
typedef enum ca_sizes { CA_SIZES_FORGOTTEN = 0, CA_SIZES_RECORDED = 1 } ca_sizes;

/* Is shown a live block; returns whether to go on. Must not use the allocator that shows it. */
typedef bool ca_block_visitor(void *argument, ca_block block);

typedef struct ca_allocator_ops {
  /* Returns got >= size bytes aligned to align, contents unspecified, or none.
   * Requires size > 0. */
  ca_block (*allocate)(ca_allocator *self, size_t size, size_t align);

  /* Ends a block's life. `size` must fit it. */
  void (*deallocate)(ca_allocator *self, void *ptr, size_t size, size_t align);

  /* Makes a block at least new_size bytes. Requires new_size >= size. The first `size` bytes
   * survive. With CA_MOVE_NEVER a returned ptr equals the old one. On none the block is as it
   * was. */
  ca_block (*grow)(ca_allocator *self, void *ptr, size_t size, size_t new_size, size_t align,
                   ca_move move);

  /* Gives back the tail. Requires 0 < new_size <= size. The first new_size bytes survive.
   * Returning the block with its old size is a legal answer: nothing could be saved. */
  ca_block (*shrink)(ca_allocator *self, void *ptr, size_t size, size_t new_size, size_t align,
                     ca_move move);

  /* Optional, both or neither: the bytes usable at a live ptr, which is the size of the block as it
   * was returned last; and deallocate() for a caller who knows neither size nor alignment. Required
   * of what serves behind malloc. */
  size_t (*usable_size)(const ca_allocator *self, const void *ptr);
  void (*deallocate_unsized)(ca_allocator *self, void *ptr);

  /* Optional: whether ptr lies in memory managed here, live or not; any ptr, also NULL. O(1). */
  bool (*owns)(const ca_allocator *self, const void *ptr);

  /* Optional: whether every invariant of the implementation's header holds. May be O(n), never
   * follows a damaged link out of its own memory; for tests and audits. */
  bool (*check)(const ca_allocator *self);

  const char *name; /* For tests, benchmarks and messages; never NULL. */

  /* Optional, and only with owns: the one range for whose addresses owns() is true, the same as
   * long as the allocator holds it; none where it isn't one range, or isn't known. So that a
   * composition need not ask owns() for each block. */
  ca_block (*range)(const ca_allocator *self);

  /* Optional, and only with usable_size: calls visitor(argument, block) for each live block, its
   * size as usable_size() tells it, by rising address. Returns whether all were visited: false if
   * visitor said to stop, a record on the way is damaged, or an allocator below can't walk. O(n) in
   * what was handed out; for reports. */
  bool (*walk)(const ca_allocator *self, ca_block_visitor *visitor, void *argument);

  /* Optional, and only with usable_size: both in one call, for who counts what is freed. Ends a
   * block's life and returns the size that usable_size() would have told. `size` must fit it, or is
   * 0 where it isn't known. */
  size_t (*deallocate_recorded)(ca_allocator *self, void *ptr, size_t size);
} ca_allocator_ops;

/* First member of every allocator. One word: to switch is to store one pointer. */
struct ca_allocator {
  const ca_allocator_ops *ops;
};

static inline ca_block ca_allocate(ca_allocator *self, size_t size, size_t align) {
  CA_ASSERT(size > 0);
  CA_ASSERT(ca_is_power_of_two(align));
  return self->ops->allocate(self, size, align);
}

static inline void ca_deallocate(ca_allocator *self, void *ptr, size_t size, size_t align) {
  CA_ASSERT(ptr != NULL);
  CA_ASSERT(size > 0);
  CA_ASSERT(ca_is_power_of_two(align));
  self->ops->deallocate(self, ptr, size, align);
}

/* Ends a block's life and returns its recorded size. `size` must fit it, or is 0 where it isn't
 * known. Requires an allocator that records sizes. Cost: where that has no deallocate_recorded(), a
 * call of usable_size() besides. */
size_t ca_deallocate_asking(ca_allocator *self, void *ptr, size_t size);
static inline size_t ca_deallocate_recorded(ca_allocator *self, void *ptr, size_t size) {
  CA_ASSERT(ptr != NULL);
  return CA_LIKELY(self->ops->deallocate_recorded != NULL)
             ? self->ops->deallocate_recorded(self, ptr, size)
             : ca_deallocate_asking(self, ptr, size);
}

static inline ca_block ca_grow(ca_allocator *self, void *ptr, size_t size, size_t new_size,
                               size_t align, ca_move move) {
  CA_ASSERT(ptr != NULL);
  CA_ASSERT(size > 0 && new_size >= size);
  CA_ASSERT(ca_is_power_of_two(align));
  return self->ops->grow(self, ptr, size, new_size, align, move);
}

static inline ca_block ca_shrink(ca_allocator *self, void *ptr, size_t size, size_t new_size,
                                 size_t align, ca_move move) {
  CA_ASSERT(ptr != NULL);
  CA_ASSERT(new_size > 0 && new_size <= size);
  CA_ASSERT(ca_is_power_of_two(align));
  return self->ops->shrink(self, ptr, size, new_size, align, move);
}

/* Resizes to new_size by grow or shrink, or else by allocate, copy, deallocate. On none the block
 * is as it was. Cost: the copy's, when the block has to move. */
ca_block ca_reallocate(ca_allocator *self, void *ptr, size_t size, size_t new_size, size_t align);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_ALLOCATOR_H_ */
