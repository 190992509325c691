/* switchable/thread_end.h - what happens when a thread that used contexts ends.
 *
 * A context that is still swapped in is parked, as the thread's address is about to be another's;
 * the thread's own heap is released as by ca_switchable_thread_release(). It is a destructor of
 * thread-specific data: others may run later and still allocate (from the global allocator) and
 * free (anything).
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_END_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_END_H_

#include "switchable/thread_state.h"

/* Makes the end of the calling thread noticed. Best effort: where the process has no more
 * thread-specific keys, the thread has to end its use of contexts by itself. */
void ca_thread_end_register(ca_thread_state *state);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_END_H_ */
