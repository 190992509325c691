/* sources/memory_source.h - where allocators get their memory from.
 *
 * Idea        a source hands out large ranges and takes the same ranges back: mappings of the
 *             operating system, a caller's buffer, the slots of an arena. It is the only way by
 *             which an allocator reaches memory that it does not already hold.
 * Alignment   a power of two, in bytes; each source says which ones it can honour.
 * Errors      ca_block_none(), and nothing has changed; errno is neither set nor kept.
 * Ownership   a range belongs to the caller from obtain() until release().
 * Threads     none, unless the implementation's header says more.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_SOURCE_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_SOURCE_H_

#include <stdbool.h>
#include <stddef.h>

#include "base/align.h"
#include "base/block.h"
#include "base/check.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ca_source ca_source;

typedef struct ca_source_ops {
  /* Returns at least `size` bytes aligned to `align`, or none. Requires size > 0. */
  ca_block (*obtain)(ca_source *self, size_t size, size_t align);

  /* Takes back exactly a range that obtain() returned, whole. */
  void (*release)(ca_source *self, ca_block range);

  /* Optional (NULL where there is no OS memory to give back): gives the whole pages inside
   * [ptr, ptr + size), a part of an obtained range, back to the operating system. The range stays
   * the caller's; the contents of those pages are lost (zero, if the source is `zeroed`), of
   * other bytes kept. Returns the bytes given back, 0 if the operating system refused. */
  size_t (*decommit)(ca_source *self, void *ptr, size_t size);

  /* Whether every byte of a range just obtained is zero; otherwise contents are unspecified. */
  bool zeroed;

  const char *name; /* For tests, benchmarks and messages; never NULL. */
} ca_source_ops;

/* First member of every source: a handle is a plain pointer. */
struct ca_source {
  const ca_source_ops *ops;
};

static inline ca_block ca_source_obtain(ca_source *self, size_t size, size_t align) {
  CA_ASSERT(size > 0);
  CA_ASSERT(ca_is_power_of_two(align));
  return self->ops->obtain(self, size, align);
}

static inline void ca_source_release(ca_source *self, ca_block range) {
  CA_ASSERT(!ca_block_is_none(range));
  self->ops->release(self, range);
}

/* As the member says; 0 where the source cannot. */
static inline size_t ca_source_decommit(ca_source *self, void *ptr, size_t size) {
  return self->ops->decommit == NULL ? 0 : self->ops->decommit(self, ptr, size);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_SOURCE_H_ */
