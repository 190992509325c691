/* sources/chained/chained.h - several sources as one: the first that doesn't refuse serves.
 *
 * Idea        each request goes to the sources in their order until one serves it: a near NUMA
 *             node before a far one, huge pages before ordinary ones, a buffer before mappings.
 *             A range carries no mark of where it came from, and nothing is recorded: a link says
 *             by a function which addresses are its own.
 * Cost        obtain: one request to each source that is asked; release, decommit: one question
 *             to each link up to the owner. No memory of its own.
 * Alignment   as the sources.
 * Errors      none iff every source refuses.
 * Ownership   the array of links stays the caller's; it and the sources must outlive *self.
 * Threads     as the sources allow: *self never changes after init.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_CHAINED_CHAINED_H_
#define CONTEXT_ALLOCATOR_SOURCES_CHAINED_CHAINED_H_

#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ca_chained_link {
  ca_source *source;
  /* Whether ptr lies in a range of this source; called with addresses of ranges obtained from the
   * chain only. NULL: every range that no link in front owns is released here. That is for the
   * last link, and for one whose release() may take the ranges of all links behind it: two
   * memory maps with the same guards unmap each other's. */
  bool (*owns)(const ca_source *source, const void *ptr);
} ca_chained_link;

/* Invariant: count > 0, every link has a source, and `ops.zeroed` says that all are. Private. */
typedef struct ca_chained {
  ca_source base; /* First. */
  ca_source_ops ops;
  const ca_chained_link *links;
  size_t count;
} ca_chained;

/* Makes *self a source over links[0 .. count - 1], asked in this order. Requires count > 0 and
 * that the last link, or one in front of it, takes any address. *self must not be copied or moved
 * afterwards. Holds nothing that would have to be destroyed. */
void ca_chained_init(ca_chained *self, const ca_chained_link *links, size_t count);

/* The source interface of *self; valid as long as *self is. */
static inline ca_source *ca_chained_source(ca_chained *self) { return &self->base; }

/* Whether the invariant holds. O(count). */
bool ca_chained_check(const ca_chained *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_CHAINED_CHAINED_H_ */
