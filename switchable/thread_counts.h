/* switchable/thread_counts.h - what each thread did with contexts, counted by itself.
 *
 * Idea        a thread has a record to itself from its first event on and adds to it, sharing
 *             nothing. When it ends, the record goes with its counts to a thread that comes later,
 *             which keeps in mind where it began: so the sum over the records is of all threads
 *             that ever were, and is never off for a moment. A thread whose end would not be
 *             noticed, or that is one too many, adds to a record that such threads share.
 * After fork  the child's list still has the parent's threads.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_COUNTS_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_COUNTS_H_

#include "base/check.h"
#include "switchable/context.h"
#include "switchable/thread_state.h"

/* The last four are of contexts at the moment when they are reset or end. */
typedef enum ca_thread_event {
  CA_THREAD_CREATED = 0,
  CA_THREAD_DESTROYED = 1,
  CA_THREAD_FOREIGN_FREES = 2, /* Blocks freed whose context this thread didn't hold. */
  CA_THREAD_ALLOCATIONS = 3,
  CA_THREAD_DEALLOCATIONS = 4,
  CA_THREAD_TAKEN_IN = 5,
  CA_THREAD_REFUSALS = 6,
} ca_thread_event;

enum { CA_THREAD_EVENTS = 7, CA_THREAD_RECORDS = 4096 };

/* All members are atomic, and but `in`, `kept` and `idle` relaxed: numbers, of which each is right
 * for itself. The first line is written by the thread that has the record.
 *
 * Invariant: where nobody has it, `in` and `idle` are NULL. What is in `idle` is a slot of this class,
 * out of its arena, in which no context lives. */
typedef struct ca_thread_record {
  uint64_t counts[CA_THREAD_EVENTS]; /* Never fall. */
  struct ca_context_header *in;      /* What the thread holds by bias: bias.h. Or NULL. */
  uint64_t before[CA_THREAD_EVENTS]; /* What they were when it got it. */
  uint64_t thread;                   /* The system's number of that thread; 0: nobody has it. */
  struct ca_context_header *heap;    /* The thread's own heap, or NULL. */
  uint64_t kept;                     /* How often it put one there: slot_cache.h. */
  struct ca_context_header *idle[CA_CONTEXT_CLASSES]; /* Or NULL. */
} __attribute__((aligned(64))) ca_thread_record;

/* What a thread without a record does instead of the below. Gets it one, if it may have one. */
void ca_thread_add_first(ca_thread_state *state, ca_thread_event event, uint64_t value);

static inline void ca_thread_add(ca_thread_state *state, ca_thread_event event, uint64_t value) {
  ca_thread_record *const record = state->record;
  if (CA_UNLIKELY(record == NULL)) {
    ca_thread_add_first(state, event, value);
    return;
  }
  uint64_t *const count = &record->counts[event];
  __atomic_store_n(count, __atomic_load_n(count, __ATOMIC_RELAXED) + value, __ATOMIC_RELAXED);
}

/* Gives the calling thread a record, unless it has one or there is none left. */
void ca_thread_record_obtain(ca_thread_state *state);

/* Those that any thread ever had are below. */
size_t ca_thread_records(void);
ca_thread_record *ca_thread_record_at(size_t index);

/* Takes it back, with its counts. Requires that the thread has no context swapped in: those that are
 * biased to it are so to the next that gets the record. */
void ca_thread_record_release(ca_thread_state *state);

/* Makes known whose heap state->thread is. */
void ca_thread_record_heap(const ca_thread_state *state);

/* The sums over all threads that ever were. */
void ca_thread_sum_up(uint64_t sums[CA_THREAD_EVENTS]);

/* Calls visitor(argument, record) for each record that a thread has. Async-signal-safe. */
typedef void ca_thread_visitor(void *argument, const ca_thread_record *record);
void ca_thread_visit(ca_thread_visitor *visitor, void *argument);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_THREAD_COUNTS_H_ */
