/* switchable/switchable.h - which allocator serves the running code?
 *
 * Idea        three can: the context that is swapped in (context.h), the thread's own heap, and the
 *             global allocator. Exactly one is current in each thread, the global one at first.
 *             An allocation goes to the current one; a deallocation or a resize goes to whom the
 *             address belongs, whoever is current.
 * Cost        a thread-local load and the owner's own cost; two comparisons to find that an address
 *             is global. Switching is a few stores.
 * Alignment   16 at least; more as asked.
 * Errors      none or false; a failed call changes nothing. errno: not set here, but by malloc.h's
 *             functions.
 * Global      libc's malloc; behind //switchable:malloc, glibc's own __libc_malloc.
 * Threads     every function from any thread; each acts on the calling thread's state. With libc's
 *             malloc as the global allocator, nothing here may be called from a signal handler.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_SWITCHABLE_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_SWITCHABLE_H_

#include "allocators/allocator.h"
#include "switchable/context.h"
#include "switchable/current.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is current. */

/* All that a switch between coroutines has to carry: a value. */
typedef struct ca_switchable_state {
  ca_context coroutine; /* Swapped in, or all-zero. */
  ca_current current;
} ca_switchable_state;

ca_current ca_switchable_current(void);

/* Makes `current` the one that serves this thread from now on. Returns false if this thread has no
 * such: no context swapped in, no heap of its own. */
bool ca_switchable_use(ca_current current);

/* What ca_switchable_restore() would need to come back to the present state. */
ca_switchable_state ca_switchable_save(void);

/* Parks the context that is swapped in, if any, swaps in next.coroutine, if any, and makes
 * next.current current. On CA_CONTEXT_GONE and CA_CONTEXT_HELD nothing has changed; also, as
 * CA_CONTEXT_GONE, if next.current names what this thread would then not have. *previous, if not
 * NULL, gets what ca_switchable_save() would have said before. */
ca_context_result ca_switchable_replace(ca_switchable_state next, ca_switchable_state *previous);

/* ca_switchable_replace() whose previous state is of no interest: also the way to put things right
 * after a longjmp(): save beside setjmp(), restore where it returns for the second time. */
static inline ca_context_result ca_switchable_restore(ca_switchable_state saved) {
  return ca_switchable_replace(saved, NULL);
}

typedef void ca_switchable_callback(void *argument);

/* Runs callback(argument) while `current` serves, then makes current again what was before, however
 * the callback is left: by return, by a C++ exception, by pthread_exit() or cancellation, and by
 * longjmp(). Within the callback the coroutine may be parked and go on on another thread; after
 * that, a longjmp() out of the callback is not noticed (see ca_switchable_restore()), and neither
 * is one on a thread whose stack a coroutine library switches without swapping contexts.
 * setcontext() and its like out of the callback are never noticed. Returns false, without running
 * the callback, if this thread has no such. */
bool ca_switchable_run(ca_current current, ca_switchable_callback *callback, void *argument);

/* The thread's own heap. */

/* Makes a heap for the calling thread, which CA_CURRENT_THREAD then stands for; what is current
 * doesn't change. Its memory is of the NUMA node that the thread runs on now. Settings as of a
 * context, but a budget of 0 stands for the largest slot and no kind for trees, parent and policy
 * are not looked at, and what the heap can't serve comes from the global allocator. A family
 * budget is for the heap and all contexts that this thread makes from now on, and outlives the heap for
 * those. Returns false if the thread has one, if no slot can be had, or as ca_context_create() does. */
bool ca_switchable_thread_init(const ca_context_settings *settings);

/* From now on gives every thread a heap of its own, in memory of its NUMA node, makes it current
 * there, and ends it with the thread. A thread gets it when it first allocates (behind malloc, or by
 * this header) or calls something here; those that did before keep what they have. Settings as of
 * ca_switchable_thread_init(), copied; the name must outlive the process. A thread for which no slot
 * is left does without. Returns false if it was promised before. Not undone. */
bool ca_switchable_promise_thread_heaps(const ca_context_settings *settings);

/* Ends the calling thread's heap: at once if none of its blocks is out, else when the last one is
 * freed, by whomever. If it was current, the global one is. The end of the thread does the same.
 * Without a heap: nothing. Called while a context is swapped in that was entered from this heap,
 * swapping out leads to the global one; to a new heap, if a callback of the context makes one. */
void ca_switchable_thread_release(void);

/* Blocks. */

/* From whoever is current. Requires size > 0 and a power of two. */
ca_block ca_switchable_allocate(size_t size, size_t align);

/* To whom ptr belongs. NULL: nothing happens. A pointer into a context that isn't a block of it, or
 * into a destroyed one, is reported and ends the process. */
void ca_switchable_deallocate(void *ptr);

/* Resizes by whom ptr belongs to, as C's realloc does: the owner stays the owner. If that is a
 * context held by another thread at this moment, a block moves to the global allocator: of a bump one
 * that has to grow, else any, as its holder is changing the records that say how large it is, and
 * O(new_size) bytes are copied. Requires ptr != NULL, new_size > 0, and as align what the block was
 * asked with, or less. */
ca_block ca_switchable_reallocate(void *ptr, size_t new_size, size_t align);

/* Bytes usable at a live block of any owner. 0: it can't be told at this moment, as its context is held
 * by another thread and no bump. */
size_t ca_switchable_usable_size(void *ptr);

/* All of the above as one allocator, shared by every thread; sizes are recorded. */
ca_allocator *ca_switchable_allocator(void);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_SWITCHABLE_H_ */
