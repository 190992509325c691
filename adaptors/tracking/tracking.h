/* adaptors/tracking/tracking.h - counts what passes through to another allocator, exactly.
 *
 * Idea        what is added for a block is what is later taken away, although its caller may
 *             describe it by any size that fits. With CA_SIZES_FORGOTTEN the caller is handed a
 *             block of exactly the size asked for: only that one fits, and that one is counted.
 *             With CA_SIZES_RECORDED the size that the inner allocator records is handed out and
 *             counted.
 * Cost        one indirect call and a few additions more than the inner allocator's; with
 *             CA_SIZES_RECORDED also one call of its usable_size() in grow and shrink, and in
 *             deallocate where it has no deallocate_recorded().
 * Overhead    0 bytes a block.
 * Alignment, errors   as the inner allocator's.
 * Threads     not thread-safe, also where the inner allocator is: the counts are plain. Around it
 *             adaptors/locked.
 * Ownership   the inner allocator must outlive the adaptor.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TRACKING_TRACKING_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TRACKING_TRACKING_H_

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What happened, since init or within a scope. Bytes are counted as the Idea says. */
typedef struct ca_tracking_usage {
  size_t allocations; /* Calls that returned a block. */
  size_t deallocations;
  size_t grows;    /* Resizes that returned a block: to a larger or the same size, */
  size_t shrinks;  /* to a smaller or the same size. */
  size_t refusals; /* Allocations refused. */
  size_t allocated_bytes;
  size_t deallocated_bytes;
  size_t grown_bytes;  /* By which resizes made blocks larger, */
  size_t shrunk_bytes; /* and smaller. */
  size_t peak_bytes;   /* The most that was live at once; in a scope: above what its begin found. */
} ca_tracking_usage;

/* Bytes live: within a scope the change, which is negative where more was freed than made. */
static inline ptrdiff_t ca_tracking_live_bytes(const ca_tracking_usage *usage) {
  return (ptrdiff_t)(usage->allocated_bytes + usage->grown_bytes - usage->shrunk_bytes -
                     usage->deallocated_bytes);
}

/* Blocks live, likewise. */
static inline ptrdiff_t ca_tracking_live_blocks(const ca_tracking_usage *usage) {
  return (ptrdiff_t)(usage->allocations - usage->deallocations);
}

/* Of what is live only the distance to its peak is kept, so that an allocation changes one word and
 * sees by the borrow that it has passed the peak.
 *
 * Invariant: deallocations <= allocations; below_peak <= peak <= allocated + grown bytes; with no
 * block live, below_peak is peak; peak_before <= allocated + grown bytes. (deallocated_bytes and
 * peak_bytes of `counts` are not kept here.) */
typedef struct ca_tracking {
  ca_wrapper wrapper; /* First. */
  size_t below_peak;  /* How many bytes fewer than peak are live. */
  size_t peak;        /* Of the live bytes, since the innermost open scope began. */
  size_t peak_before; /* The same, before that. */
  ca_tracking_usage counts;
} ca_tracking;

/* Puts *self around inner, which may have live blocks: freeing one of them here is the caller's
 * error. Deallocation without a size is offered with CA_SIZES_RECORDED over an inner allocator that
 * offers it; over another one CA_SIZES_RECORDED is CA_SIZES_FORGOTTEN. Never fails; nothing to
 * destroy. */
void ca_tracking_init(ca_tracking *self, ca_allocator *inner, ca_sizes sizes);

/* Counts every live block as deallocated; for use after the inner allocator's reset. */
void ca_tracking_reset(ca_tracking *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_tracking_allocator(ca_tracking *self) { return &self->wrapper.base; }

/* All that happened since init. */
ca_tracking_usage ca_tracking_read(const ca_tracking *self);

/* What is to be known at a scope's end. A plain value. */
typedef struct ca_tracking_scope {
  ca_tracking_usage counts;
  size_t live;
  size_t peak;
} ca_tracking_scope;

/* Begins a scope. Scopes nest: the one begun last ends first. A scope that is never ended (left by
 * longjmp or an exception) is harmless, but that an enclosing scope may miss a peak from before. */
ca_tracking_scope ca_tracking_begin(ca_tracking *self);

/* Ends a scope and returns what happened in it. */
ca_tracking_usage ca_tracking_end(ca_tracking *self, const ca_tracking_scope *scope);

/* Runs callback with this allocator and `argument`, and returns what it used. */
ca_tracking_usage ca_tracking_usage_of(ca_tracking *self,
                                       void (*callback)(ca_allocator *allocator, void *argument),
                                       void *argument);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_TRACKING_TRACKING_H_ */
