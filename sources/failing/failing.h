/* sources/failing/failing.h - a source that refuses when told to. For tests only.
 *
 * Idea        passes requests on to another source, counts them, and refuses those that a plan
 *             picks: one by its number, some by a seeded random number, all after a limit. What is
 *             true of it under every plan is what a program may rely on when memory runs out.
 *             refuse_in_turn.h runs a workload once for each request that it makes.
 * Cost        O(1) beyond the source behind.
 * Alignment   as the source behind.
 * Errors      none iff the plan refuses, or the source behind does.
 * Ownership   the source behind must outlive this one.
 * Threads     not thread-safe.
 * Source      the random numbers: G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software
 *             8(14), 2003.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_FAILING_FAILING_H_
#define CONTEXT_ALLOCATOR_SOURCES_FAILING_FAILING_H_

#include <stdint.h>

#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which requests are refused: those that any one member picks. All-zero refuses none. */
typedef struct ca_failing_settings {
  size_t refuse_nth;       /* The n-th request, counted from 1; 0 for none. */
  size_t refuse_from;      /* The n-th request and every later one; 0 for none. */
  unsigned refuse_percent; /* Each request with this likelihood, 0 to 100. */
  uint64_t seed;           /* Of the random numbers: the same seed picks the same requests. */
  bool refuse_decommit;    /* Each decommit, as a kernel may. */
} ca_failing_settings;

/* Invariant: refused <= requested; released <= requested - refused. Private, but for tests that
 * read the counters. */
typedef struct ca_failing {
  ca_source base; /* First. */
  ca_source *behind;
  ca_source_ops ops; /* A table of its own: zeroed and decommit are the other source's. */
  ca_failing_settings settings;
  uint64_t random;
  size_t requested; /* Requests since init. */
  size_t refused;   /* Of these, by the plan or by the source behind. */
  size_t released;
  size_t bytes_out; /* Bytes of ranges obtained and not yet released. */
} ca_failing;

/* Makes *self a source that passes on to `behind`; NULL settings refuse nothing. *self must not
 * be copied or moved afterwards. */
void ca_failing_init(ca_failing *self, ca_source *behind, const ca_failing_settings *settings);

/* The source interface of *self; valid as long as *self is. */
static inline ca_source *ca_failing_source(ca_failing *self) { return &self->base; }

/* Refuses nothing from now on, and keeps counting: to see that a program recovers. */
static inline void ca_failing_relent(ca_failing *self) {
  self->settings.refuse_nth = self->settings.refuse_from = 0;
  self->settings.refuse_percent = 0;
  self->settings.refuse_decommit = false;
}

/* Ranges obtained and not yet released: 0 once everything was given back. */
static inline size_t ca_failing_ranges_out(const ca_failing *self) {
  return self->requested - self->refused - self->released;
}

/* Whether the invariant holds. O(1). */
bool ca_failing_check(const ca_failing *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_FAILING_FAILING_H_ */
