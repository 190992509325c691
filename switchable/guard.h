/* switchable/guard.h - what a callback that runs under another current must undo when it is left.
 *
 * A guard lives on the stack of the function that runs the callback, and is undone
 *  - when the callback returns, and when a C++ exception, pthread_exit() or a cancellation unwinds
 *    the stack: by the compiler's clean-up of a variable (switchable.c is built with -fexceptions);
 *  - when longjmp() leaves it: glibc then calls the handlers on the thread's list of clean-up
 *    buffers that lie in abandoned frames. That list belongs to the thread, not to the coroutine:
 *    a context that is swapped out in the middle of the callback takes its guards off the list, and
 *    a longjmp() out of the callback after that is not noticed.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_GUARD_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_GUARD_H_

#include <pthread.h>
#include <stdbool.h>

#include "switchable/current.h"

struct ca_context_header;

/* Invariant: the thread state's list holds exactly the guards that are registered, newest first. */
typedef struct ca_guard {
  struct ca_guard *older;
  ca_current current;               /* What to make current again. */
  struct ca_context_header *inside; /* What was swapped in where it began, or NULL. */
  bool left;
  bool registered;
  struct _pthread_cleanup_buffer buffer;
} ca_guard;

struct ca_thread_state;

/* Makes `current` the one that serves; false, and nothing done, if this thread has none such. */
bool ca_guard_enter(ca_guard *self, ca_current current);

/* Undoes it, on whichever thread the callback ended. Twice is harmless. */
void ca_guard_leave(ca_guard *self);

/* Takes the newest guards, as far as they were begun with what is swapped in, off the thread's
 * clean-up list and off the state's: the coroutine may wake on another thread. */
void ca_guards_unregister_inside(struct ca_thread_state *state);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_GUARD_H_ */
