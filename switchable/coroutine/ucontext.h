/* switchable/coroutine/ucontext.h - coroutines of <ucontext.h> that carry their memory.
 *
 *   static ca_ucontext *serve(void *request) {
 *     ... malloc() ...                      from the coroutine's context
 *     ca_ucontext_switch(&mine, &thread);   sleeps; resumed maybe by another thread
 *     return &thread;                       the end: goes on there
 *   }
 *
 * Idea        a ca_coroutine (see coroutine.h) beside a ucontext_t, and switches that see to both.
 * Cost        swapcontext()'s, which is a system call, and coroutine.h's.
 * Errors      as of ca_coroutine_leave(): a switch that is refused has changed nothing.
 * Ownership   everything is the caller's: records, stacks, contexts. Records don't move.
 * Threads     a sleeping coroutine may be resumed by any thread, one at a time; the record of
 *             a thread is its own.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_UCONTEXT_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_UCONTEXT_H_

#include <stdint.h>
#include <ucontext.h>

#include "switchable/coroutine/coroutine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a coroutine does. Returns who goes on when it has come to its end: one that sleeps, and that can
 * be switched to (else this is reported, and ends the process). */
typedef struct ca_ucontext *ca_ucontext_body(void *argument);

typedef struct ca_ucontext {
  ca_coroutine coroutine;
  ucontext_t registers;
  ca_ucontext_body *body;
  void *argument;
} ca_ucontext;

/* makecontext() passes only ints. */
static inline void ca_ucontext_begin(unsigned high, unsigned low) {
  ca_ucontext *const self = (ca_ucontext *)((uintptr_t)high << 32 | low);
  ca_coroutine_arrive(&self->coroutine);
  ca_ucontext *const next = self->body(self->argument);
  if (ca_coroutine_leave_forever(&self->coroutine, &next->coroutine) != CA_CONTEXT_DONE) {
    ca_panic_misuse("ca_ucontext_body", next, "the next one can't be switched to");
  }
  (void)setcontext(&next->registers);
}

/* A coroutine that has not begun. Requires settings->stack. */
static inline void ca_ucontext_init(ca_ucontext *self, const ca_coroutine_settings *settings,
                                    ca_ucontext_body *body, void *argument) {
  ca_coroutine_init(&self->coroutine, settings);
  self->body = body;
  self->argument = argument;
  (void)getcontext(&self->registers); /* It can't fail, and returns once: nobody goes back there. */
  self->registers.uc_stack.ss_sp = settings->stack;
  self->registers.uc_stack.ss_size = settings->stack_size;
  self->registers.uc_link = NULL;
  const uintptr_t address = (uintptr_t)self;
  makecontext(&self->registers, (void (*)(void))ca_ucontext_begin, 2, (unsigned)(address >> 32),
              (unsigned)address);
}

/* What runs now, for coroutines to come back to. */
static inline void ca_ucontext_init_here(ca_ucontext *self, unsigned carries) {
  ca_coroutine_init_here(&self->coroutine, carries);
}

/* Requires that it doesn't run. The stack is the caller's again. */
static inline void ca_ucontext_destroy(ca_ucontext *self) {
  ca_coroutine_destroy(&self->coroutine);
}

/* From the one that runs, `from`, to one that sleeps or has not begun. Returns CA_CONTEXT_DONE when
 * somebody has switched back. */
CA_COROUTINE_INLINE ca_context_result ca_ucontext_switch(ca_ucontext *from, ca_ucontext *to) {
  const ca_context_result result = ca_coroutine_leave(&from->coroutine, &to->coroutine);
  if (result == CA_CONTEXT_DONE) {
    (void)swapcontext(&from->registers, &to->registers);
    ca_coroutine_arrive(&from->coroutine);
  }
  return result;
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_UCONTEXT_H_ */
