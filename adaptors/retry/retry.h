/* adaptors/retry/retry.h - asks again after a callback has had the chance to free something.
 *
 * Idea        when the inner allocator refuses an allocation, a callback is told what is missing;
 *             it may free what it can spare (caches, or what ran out of use) and say so, and the
 *             inner allocator is then asked again, as often as the callback promises more.
 * Cost        one indirect call and a test more than the inner allocator's, until it refuses.
 * Alignment   as the inner allocator's.
 * Threads     not thread-safe, also where the inner allocator is. Within adaptors/locked the
 *             callback runs while the lock is held: it must free through what lies below that.
 * Errors      none when the callback has nothing more to give, also for sizes above PTRDIFF_MAX,
 *             about which it isn't asked. A grow that is refused asks nobody: ca_reallocate()
 *             allocates next, which does.
 * Recursion   the callback may use this allocator; what it asks for is then refused without
 *             calling it again.
 * Ownership   the inner allocator must outlive the adaptor.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_RETRY_RETRY_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_RETRY_RETRY_H_

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called when `size` bytes at `align` were refused, for the attempt-th time in a row (from 1).
 * Returns whether it freed something, so that asking again may help; it must return (by longjmp or
 * an exception it would never be called again), and return false some time, since it is asked until
 * the request is served. */
typedef bool (*ca_retry_callback)(void *argument, size_t size, size_t align, size_t attempt);

typedef struct ca_retry {
  ca_wrapper wrapper; /* First. */
  ca_retry_callback callback;
  void *argument;
  bool calling; /* The callback runs. */
} ca_retry;

/* Puts *self around inner. callback may be NULL: nothing is then ever asked twice. Never fails;
 * nothing to destroy. */
void ca_retry_init(ca_retry *self, ca_allocator *inner, ca_retry_callback callback, void *argument);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_retry_allocator(ca_retry *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_RETRY_RETRY_H_ */
