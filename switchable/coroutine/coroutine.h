/* switchable/coroutine/coroutine.h - all that a switch between coroutines carries, in one call.
 *
 * Idea        the switch of stacks and registers is a coroutine library's own business. What else
 *             has to go along is here, in a record for each coroutine and for each place that
 *             coroutines are resumed from: what serves its malloc, and on request more (ca_carry).
 *               - a library that jumps by a function: ca_coroutine_switch();
 *               - any other: ca_coroutine_leave() right before its switch, ca_coroutine_arrive()
 *                 right after it, and first thing in a new coroutine;
 *               - no stack of its own (a C++20 coroutine, a callback): ca_coroutine_enter() and
 *                 ca_coroutine_exit() around what runs.
 *             Ready-made beside this header: ucontext.h, boost_context.h, cxx20.h, callback.h.
 * Cost        ca_switchable_replace(); with CA_CARRY_ERRNO two calls more: into a coroutine and back
 *             about 280 instructions, with errno 300 (callgrind), and no locked one while the context
 *             stays on its thread. The other three cost
 *             nothing in a build without the tool: -fsanitize=address, -fsanitize=thread,
 *             -DCA_VALGRIND=1. What counts is how the code that includes this header is built.
 * Errors      values; a refused switch has changed nothing, and must not be made.
 * Ownership   the record is the caller's, and the stack too.
 * Threads     a record belongs to who runs it: it may move to another thread as the coroutine does,
 *             with the same care (whoever resumes it sees all that was done before it slept).
 * errno       compilers keep its address within a function, as they may keep that of any
 *             thread-local variable: code that looks at errno on both sides of a switch does so in
 *             a function of its own, or keeps the coroutine on one thread.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_COROUTINE_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_COROUTINE_H_

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/poison.h"
#include "switchable/switchable.h"

#if defined(__SANITIZE_THREAD__)
#define CA_COROUTINE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CA_COROUTINE_TSAN 1
#endif
#endif
#ifndef CA_COROUTINE_TSAN
#define CA_COROUTINE_TSAN 0
#endif

#if CA_POISON_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if CA_COROUTINE_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(CA_VALGRIND)
#include <valgrind/valgrind.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What is carried beside the allocator's state. Two that switch stacks between them have the same
 * of the last three. */
typedef enum ca_carry {
  CA_CARRY_NOTHING = 0,
  CA_CARRY_ERRNO = 1,      /* errno as the coroutine left it; 0 at first. */
  CA_CARRY_FAKE_STACK = 2, /* AddressSanitizer's, and where the real stack is. */
  CA_CARRY_FIBER = 4,      /* ThreadSanitizer's idea of who runs: one of its 8,000 threads. */
  CA_CARRY_STACK_ID = 8,   /* Valgrind's: that it is a stack, and not a huge local variable. */
  CA_CARRY_ALL = 15,
} ca_carry;

typedef struct ca_coroutine_settings {
  ca_context context; /* Its memory; all-zero: none, and the global allocator serves it at first. */
  unsigned carries;   /* Of ca_carry. */
  void *stack;        /* Its lowest address; NULL: it has none. */
  size_t stack_size;
} ca_coroutine_settings;

/* Invariant: a pointer or number of a tool that isn't carried, or isn't built in, is zero. */
typedef struct ca_coroutine {
  ca_switchable_state memory; /* What to come back to, while something else runs. */
  unsigned carries;
  int error_number;  /* Likewise. */
  const void *stack; /* Of a record for a thread: known to AddressSanitizer alone. */
  size_t stack_size;
  void *fake_stack; /* While something else runs. */
  void *fiber;
  unsigned stack_id;
  bool is_here; /* Made by ca_coroutine_init_here(): the stack and the fiber are not its own. */
} ca_coroutine;

/* Functions that tell a tool of a switch have to be part of the function that switches:
 * ThreadSanitizer would else see a call on one stack, and its end on another. */
#define CA_COROUTINE_INLINE static inline __attribute__((always_inline))

/* The part for which no tool has to look. */

/* Keeps what serves and errno in *from, and makes it what `to` says. As
 * ca_switchable_replace(): on failure nothing has changed. */
ca_context_result ca_coroutine_carry(ca_coroutine *from, const ca_coroutine *to);

/* Sets errno, if it is carried. */
void ca_coroutine_take_errno(const ca_coroutine *self);

/* Tools. */

CA_COROUTINE_INLINE void ca_coroutine_tell_leave(ca_coroutine *from, const ca_coroutine *to,
                                                 void **fake_stack) {
#if CA_POISON_ASAN
  if (from->carries & CA_CARRY_FAKE_STACK) {
    __sanitizer_start_switch_fiber(fake_stack, to->stack, to->stack_size);
  }
#endif
#if CA_COROUTINE_TSAN
  if (from->carries & CA_CARRY_FIBER) {
    __tsan_switch_to_fiber(to->fiber, 0); /* 0: what `from` did happened before what `to` does. */
  }
#endif
  (void)from;
  (void)to;
  (void)fake_stack;
}

CA_COROUTINE_INLINE void ca_coroutine_tell_arrive(ca_coroutine *self) {
#if CA_POISON_ASAN
  if (self->carries & CA_CARRY_FAKE_STACK) {
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
    self->fake_stack = NULL;
  }
#endif
  (void)self;
}

/* AddressSanitizer names a stack's bounds to who comes from it. So it is told of a switch that
 * doesn't take place, to *other and back. */
CA_COROUTINE_INLINE void ca_coroutine_visit(const ca_coroutine *other, bool end_other,
                                            const void **here, size_t *size) {
#if CA_POISON_ASAN
  void *mine;
  void *theirs;
  __sanitizer_start_switch_fiber(&mine, other->stack, other->stack_size);
  __sanitizer_finish_switch_fiber(other->fake_stack, here, size);
  __sanitizer_start_switch_fiber(end_other ? NULL : &theirs, *here, *size);
  __sanitizer_finish_switch_fiber(mine, NULL, NULL);
#endif
  (void)other;
  (void)end_other;
  (void)here;
  (void)size;
}

/* Life. */

/* A coroutine that has not begun. Requires a stack if one of the last three is carried; nothing may
 * be on it yet, and the stack stays until ca_coroutine_destroy(). */
static inline void ca_coroutine_init(ca_coroutine *self, const ca_coroutine_settings *settings) {
  const ca_coroutine fresh = {
      {settings->context,
       ca_context_is_none(settings->context) ? CA_CURRENT_GLOBAL : CA_CURRENT_COROUTINE},
      settings->carries,
      0,
      settings->stack,
      settings->stack_size,
      NULL,
      NULL,
      0,
      false};
  CA_ASSERT(settings->stack != NULL || (settings->carries & ~(unsigned)CA_CARRY_ERRNO) == 0);
  *self = fresh;
#if CA_COROUTINE_TSAN
  if (self->carries & CA_CARRY_FIBER) {
    self->fiber = __tsan_create_fiber(0);
  }
#endif
#if defined(CA_VALGRIND)
  if (self->carries & CA_CARRY_STACK_ID) {
    self->stack_id =
        VALGRIND_STACK_REGISTER(settings->stack, (char *)settings->stack + settings->stack_size);
  }
#endif
}

/* Whatever runs now, on the stack that it runs on: a thread, or a coroutine that resumes another. */
static inline void ca_coroutine_init_here(ca_coroutine *self, unsigned carries) {
  const ca_coroutine fresh = {
      {{NULL, 0}, CA_CURRENT_GLOBAL}, carries, 0, NULL, 0, NULL, NULL, 0, true};
  *self = fresh;
#if CA_POISON_ASAN
  if (carries & CA_CARRY_FAKE_STACK) {
    ca_coroutine_visit(&fresh, false, &self->stack, &self->stack_size);
  }
#endif
#if CA_COROUTINE_TSAN
  if (carries & CA_CARRY_FIBER) {
    self->fiber = __tsan_get_current_fiber();
  }
#endif
}

/* Forgets what the tools know of it. Requires that it doesn't run; whether it has come to its end
 * is all the same. Its context is the caller's to destroy. */
static inline void ca_coroutine_destroy(ca_coroutine *self) {
#if CA_POISON_ASAN
  if (self->fake_stack != NULL) { /* It sleeps, for good. */
    const void *here;
    size_t size;
    ca_coroutine_visit(self, true, &here, &size);
  }
#endif
#if CA_COROUTINE_TSAN
  if (self->fiber != NULL && !self->is_here) {
    __tsan_destroy_fiber(self->fiber);
  }
#endif
#if defined(CA_VALGRIND)
  if (self->stack_id != 0) {
    VALGRIND_STACK_DEREGISTER(self->stack_id);
  }
#endif
  if (self->stack != NULL && !self->is_here && (self->carries & ~(unsigned)CA_CARRY_ERRNO) != 0) {
    ca_unpoison(self->stack, self->stack_size); /* Of frames that were never left. */
  }
  self->stack = NULL;
  self->fake_stack = NULL;
  self->fiber = NULL;
  self->stack_id = 0;
}

/* Coroutines with stacks. */

/* Call it right before the switch from one to the other. Unless it returns CA_CONTEXT_DONE, nothing
 * has changed and there must be no switch: CA_CONTEXT_GONE if the context of `to` was destroyed, or
 * if it counts on a thread's heap and this thread has none; CA_CONTEXT_HELD if it is swapped in
 * elsewhere. From here to the switch and from the switch to ca_coroutine_arrive(), call only what
 * ThreadSanitizer doesn't see, or what is called on every such way. */
CA_COROUTINE_INLINE ca_context_result ca_coroutine_leave(ca_coroutine *from, ca_coroutine *to) {
  CA_ASSERT(((from->carries ^ to->carries) & ~(unsigned)CA_CARRY_ERRNO) == 0);
  const ca_context_result result = ca_coroutine_carry(from, to);
  if (result == CA_CONTEXT_DONE) {
    ca_coroutine_tell_leave(from, to, &from->fake_stack);
  }
  return result;
}

/* The same for the last switch away from `from`, whose function is the first one on its stack: it
 * must not be resumed, and its record stays until `to` has arrived. */
CA_COROUTINE_INLINE ca_context_result ca_coroutine_leave_forever(ca_coroutine *from,
                                                                 ca_coroutine *to) {
  CA_ASSERT(((from->carries ^ to->carries) & ~(unsigned)CA_CARRY_ERRNO) == 0);
  const ca_context_result result = ca_coroutine_carry(from, to);
  if (result == CA_CONTEXT_DONE) {
    ca_coroutine_tell_leave(from, to, NULL);
  }
  return result;
}

/* Call it right after the switch, and first thing in a new coroutine, on whichever thread. */
CA_COROUTINE_INLINE void ca_coroutine_arrive(ca_coroutine *self) {
  ca_coroutine_tell_arrive(self);
  ca_coroutine_take_errno(self);
}

/* Switches the stack; returns when somebody has switched back. */
typedef void ca_coroutine_jump(void *argument);

/* The whole switch, by jump(argument). Returns CA_CONTEXT_DONE when `from` is resumed; else as
 * ca_coroutine_leave(). Every switch between the same coroutines goes by the same jump, or by
 * jumps that are built alike. */
CA_COROUTINE_INLINE ca_context_result ca_coroutine_switch(ca_coroutine *from, ca_coroutine *to,
                                                          ca_coroutine_jump *jump, void *argument) {
  const ca_context_result result = ca_coroutine_leave(from, to);
  if (result == CA_CONTEXT_DONE) {
    __asm__ volatile("" : "+r"(jump)); /* Never part of the caller, so that all calls are alike. */
    jump(argument);
    ca_coroutine_arrive(from);
  }
  return result;
}

/* Coroutines without. */

/* From now on self's memory serves, and its errno is set. *outside is any record: it gets what was
 * before. Errors as of ca_coroutine_leave(). May be nested. */
static inline ca_context_result ca_coroutine_enter(ca_coroutine *self, ca_coroutine *outside) {
  outside->carries = self->carries & (unsigned)CA_CARRY_ERRNO;
  const ca_context_result result = ca_coroutine_carry(outside, self);
  if (result == CA_CONTEXT_DONE) {
    ca_coroutine_take_errno(self);
  }
  return result;
}

/* Keeps what serves now in *self, parks its context, and goes back to *outside. If that isn't to be
 * had any more: as of ca_coroutine_leave(), and with nothing swapped in. */
ca_context_result ca_coroutine_exit(ca_coroutine *self, const ca_coroutine *outside);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_COROUTINE_H_ */
