/* adaptors/locked/locked.h - any allocator, for many threads, behind one mutex.
 *
 * Idea        each call takes the mutex, passes through, and lets go.
 * Cost        one indirect call and an uncontended lock and unlock of a mutex more than the inner
 *             allocator's; under contention, as the mutex.
 * Overhead    0 bytes a block.
 * Alignment, errors   as the inner allocator's.
 * Ownership   the inner allocator must outlive the adaptor, and be used through it alone.
 * Threads     every function of the interface may be called by any thread at any time; init and
 *             destroy by one alone. Blocks may be made by one thread and freed by another. Not for
 *             signal handlers. A fork() while another thread is inside leaves the child's copy
 *             locked: acquire before, release after, in parent and child (pthread_atfork).
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_LOCKED_LOCKED_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_LOCKED_LOCKED_H_

#include <pthread.h>

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The mutex guards the inner allocator; everything else is set once, by init. */
typedef struct ca_locked {
  ca_wrapper wrapper; /* First. */
  pthread_mutex_t mutex;
} ca_locked;

/* Puts *self around inner. Never fails. */
void ca_locked_init(ca_locked *self, ca_allocator *inner);

/* Ends the mutex. Requires that nobody holds it. Twice is harmless; so is the all-zero value. */
void ca_locked_destroy(ca_locked *self);

/* Keeps all other threads out until release(), for fork() and for work on the inner allocator
 * (its reset, its check). The calling thread must not use the adaptor meanwhile. */
void ca_locked_acquire(ca_locked *self);
void ca_locked_release(ca_locked *self);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_locked_allocator(ca_locked *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_LOCKED_LOCKED_H_ */
