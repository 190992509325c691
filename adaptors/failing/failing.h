/* adaptors/failing/failing.h - refuses chosen requests: for testing everybody else. Test-only.
 *
 * Idea        a plan says which request is refused, the n-th or all from the n-th on; the adaptors
 *             of one composition share one plan, so that n counts the requests of all of them.
 *             Run the work once with nothing to refuse, read `requests`, then refuse each in turn.
 * Cost        one indirect call and a comparison more than the inner allocator's.
 * Alignment   as the inner allocator's.
 * Threads     one at a time for all adaptors of a plan, also where inner is thread-safe.
 * Errors      none also where the plan says so; inner is then not asked.
 * Ownership   inner and plan must outlive the adaptor.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FAILING_FAILING_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FAILING_FAILING_H_

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ca_failing_how { CA_FAILING_ONCE = 0, CA_FAILING_FROM_THEN_ON = 1 } ca_failing_how;

/* All-zero refuses nothing. */
typedef struct ca_failing_plan {
  size_t nth;      /* The request to refuse, counted from 1; 0: none. */
  size_t requests; /* So far: allocate and grow, in the order in which they come. */
  size_t refused;  /* How many of them the plan refused. */
  ca_failing_how how;
} ca_failing_plan;

typedef struct ca_failing {
  ca_wrapper wrapper; /* First. */
  ca_failing_plan *plan;
} ca_failing;

/* Puts *self around inner. Never fails; nothing to destroy. */
void ca_failing_init(ca_failing *self, ca_allocator *inner, ca_failing_plan *plan);

/* Starts the plan anew: its requests are counted from 1 again. */
static inline void ca_failing_plan_set(ca_failing_plan *plan, size_t nth, ca_failing_how how) {
  plan->nth = nth;
  plan->requests = 0;
  plan->refused = 0;
  plan->how = how;
}

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_failing_allocator(ca_failing *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FAILING_FAILING_H_ */
