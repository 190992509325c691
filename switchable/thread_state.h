/* switchable/thread_state.h - what each thread knows of its own: the one thread-local load of
 * malloc.
 *
 * A coroutine may go to sleep on one thread and wake on another. A compiler doesn't know that: it
 * computes the address of a thread-local variable once and keeps it across the switch, also under
 * LTO, and the coroutine then reads and writes the state of a thread which it has left. Hence the
 * one accessor here: the address is computed by a volatile statement which no compiler repeats from
 * memory or moves, so that every call computes it on the thread that runs it. //switchable/lto proves
 * it, by a coroutine and by disassembly.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_STATE_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_STATE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "switchable/current.h"

struct ca_context_header;
struct ca_guard;
struct ca_thread_record;

/* Invariant: current is NULL (the global allocator serves), coroutine, or thread; outside is NULL
 * or thread, and is current while nothing is swapped in, so that swapping in needn't look, but for the
 * moments in which either changes.
 * Written by its own thread only; its address, or its mark, says who holds a context. */
typedef struct ca_thread_state {
  struct ca_context_header *current;   /* First. Who serves this thread's next allocation. */
  struct ca_context_header *coroutine; /* Swapped in here, or NULL. */
  struct ca_context_header *thread;    /* The thread's own heap, or NULL. */
  struct ca_context_header *outside;   /* What is current while nothing is swapped in. */
  struct ca_guard *guards;             /* Callbacks running under another current, newest first. */
  uint64_t generation;                 /* The last one given to a context created here. */
  bool registered;                     /* The end of this thread will be noticed. */
  bool ended;                          /* It was: no new heap for what its destructors still do. */
  bool unrecorded;                     /* There was no record left for it. */
  uint8_t locks;                       /* That it has or waits for: lock.c. */
  uint16_t mark;                       /* Names it in contexts biased to it: bias.h. 0: none. */
  uint16_t parks;                      /* Of contexts left unbiased for want of credit: bias.c. */
  struct ca_thread_record *record;     /* What it counts on: thread_counts.h. NULL: none yet. */
} ca_thread_state;

extern __thread ca_thread_state ca_thread_state_of_this_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

#if defined(CA_THREAD_STATE_IS_CACHEABLE) /* The mistake, for //switchable/lto to find. */
static inline ca_thread_state *ca_thread_state_get(void) { return &ca_thread_state_of_this_thread; }
#elif defined(__x86_64__)
static inline ca_thread_state *ca_thread_state_get(void) {
  ca_thread_state *state;
  __asm__ volatile(
      "movq %%fs:0, %0\n\t"
      "addq ca_thread_state_of_this_thread@gottpoff(%%rip), %0"
      : "=r"(state)
      :
      : "cc");
  return state;
}

/* What ca_thread_state_get()->current is, an instruction cheaper: for malloc and free. */
static inline struct ca_context_header *ca_thread_state_get_current(void) {
  struct ca_context_header *current;
  __asm__ volatile(
      "movq ca_thread_state_of_this_thread@gottpoff(%%rip), %0\n\t"
      "movq %%fs:(%0), %0"
      : "=r"(current)
      :
      : "memory");
  return current;
}
#elif defined(__aarch64__)
static inline ca_thread_state *ca_thread_state_get(void) {
  ca_thread_state *state;
  char *offset;
  __asm__ volatile(
      "mrs %0, tpidr_el0\n\t"
      "adrp %1, :gottprel:ca_thread_state_of_this_thread\n\t"
      "ldr %1, [%1, :gottprel_lo12:ca_thread_state_of_this_thread]\n\t"
      "add %0, %0, %1"
      : "=&r"(state), "=&r"(offset));
  return state;
}

static inline struct ca_context_header *ca_thread_state_get_current(void) {
  struct ca_context_header *current;
  char *offset;
  __asm__ volatile(
      "mrs %0, tpidr_el0\n\t"
      "adrp %1, :gottprel:ca_thread_state_of_this_thread\n\t"
      "ldr %1, [%1, :gottprel_lo12:ca_thread_state_of_this_thread]\n\t"
      "ldr %0, [%0, %1]"
      : "=&r"(current), "=&r"(offset)
      :
      : "memory");
  return current;
}
#else
/* A call that no compiler sees through: thread_state.c is never part of LTO. */
ca_thread_state *ca_thread_state_get(void);

static inline struct ca_context_header *ca_thread_state_get_current(void) {
  return ca_thread_state_get()->current;
}
#endif

/* Changes who serves, for whoever does but to swap. Written twice, in this order for a signal's
 * handler, too: one that swaps in and out between the stores leaves `outside` in `current`, and one
 * that has something else serve for a moment leaves what it found in both. */
static inline void ca_thread_state_use(ca_thread_state *state, struct ca_context_header *next) {
  state->current = next;
  if (state->coroutine == NULL) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    state->outside = next;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    state->current = next;
  }
}

/* `current` by name: a name stays right when the coroutine wakes on another thread. */
static inline ca_current ca_thread_state_current(const ca_thread_state *state) {
  if (state->current == NULL) {
    return CA_CURRENT_GLOBAL;
  }
  return state->current == state->coroutine ? CA_CURRENT_COROUTINE : CA_CURRENT_THREAD;
}

/* Who that name stands for on this thread: NULL, the global allocator, where there is none. */
static inline struct ca_context_header *ca_thread_state_resolve(const ca_thread_state *state,
                                                                ca_current current) {
  if (current == CA_CURRENT_COROUTINE) {
    return state->coroutine;
  }
  return current == CA_CURRENT_THREAD ? state->thread : NULL;
}

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_STATE_H_ */
