/* switchable/thread_life.h - the beginning and the end of a thread, as the front end sees them.
 *
 * A thread begins when it first uses contexts, or first allocates after heaps were promised to all
 * threads: it then gets its heap. When it ends, a context that is still swapped in is parked, as the
 * address of the thread's state is about to be another's, and the thread's heap is released as by
 * ca_switchable_thread_release(). The end is a destructor of thread-specific data: others may run
 * later and still allocate (from the global allocator) and free (anything).
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_LIFE_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_LIFE_H_

#include "base/check.h"
#include "switchable/thread_state.h"

/* Whether new threads get heaps. Relaxed: a thread that doesn't see it yet begins a little later. */
extern bool ca_thread_heaps_promised __attribute__((visibility("hidden")));

/* Begins the calling thread's life here; requires that it has not. That its end is noticed is best
 * effort: where the process has no more thread-specific keys, the thread has to end its use of
 * contexts by itself. */
void ca_thread_begin(ca_thread_state *state);

/* Has the end of the calling thread noticed, if that can be, and then gives it a record of its own.
 */
void ca_thread_notice_end(ca_thread_state *state);

/* Whether this thread was promised a heap that it has not got yet. */
static inline bool ca_thread_is_to_begin(void) {
  return CA_UNLIKELY(__atomic_load_n(&ca_thread_heaps_promised, __ATOMIC_RELAXED)) &&
         !ca_thread_state_get()->registered;
}

/* Who serves this thread's next allocation: NULL for the global allocator. */
static inline struct ca_context_header *ca_thread_current(ca_thread_state *state) {
  if (CA_UNLIKELY(state->current == NULL && ca_thread_is_to_begin())) {
    ca_thread_begin(state);
  }
  return state->current;
}

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_LIFE_H_ */
