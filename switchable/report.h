/* switchable/report.h - every context and thread of the process: a snapshot, as text and as JSON.
 *
 * Cost        each walks over the slots that were ever used: for each context that is alive the
 *             sums take 200 instructions, a line of text 2,200, an object of JSON 3,500
 *             (callgrind), and the write. What is counted costs the calls that are counted an
 *             addition to memory of their own thread.
 * Memory      none is allocated and no stdio is used: it can be asked for by a process whose memory
 *             is out, and from a signal handler.
 * Threads     any function from any thread, while others run: each context is as it is at the moment
 *             it is looked at, and those made or destroyed meanwhile may be missed. The address and
 *             the thread sanitizer report that: headers are read while others write them.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_REPORT_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_REPORT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "switchable/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* counts->allocations - counts->deallocations blocks are live. It may allocate, free, switch, and
 * make, reset and destroy contexts: also the one that it is shown, which nobody holds for it. What
 * it makes may be shown to it or not. */
typedef void ca_contexts_visitor(void *argument, ca_context context,
                                 const ca_context_counts *counts);

/* Calls visitor(argument, ...) for each context that is alive, thread's heaps and orphans included,
 * by rising address within each slot size. */
void ca_contexts_visit(ca_contexts_visitor *visitor, void *argument);

/* Slots of one size. */
typedef struct ca_class_counts {
  size_t slot_size;
  size_t slots; /* How many there are. */
  size_t out;   /* Of contexts that are alive or in quarantine. */
  size_t most;  /* That were out at once, ever; a few more where threads took and gave at once. */
} ca_class_counts;

typedef struct ca_contexts_counts {
  /* Sums over the contexts that are alive. */
  size_t contexts;
  size_t slots;  /* Bytes of address space that they take. */
  size_t used;   /* As in ca_context_counts, and so are the following. */
  size_t peak;   /* A sum of peaks: they need not have been at the same time. */
  uint64_t live; /* Blocks. */
  uint64_t allocations;
  uint64_t deallocations;
  uint64_t taken_in;
  uint64_t refusals;
  size_t quarantined;       /* Slots in quarantine; not among those above. */
  size_t quarantined_bytes; /* Of address space that these take. */
  /* Since the process began, by all threads, ended ones included. */
  uint64_t created; /* Contexts, threads' heaps among them. */
  uint64_t destroyed;
  uint64_t foreign_frees; /* Blocks freed by a thread that did not hold their context. Each ends up
                           * in some context's taken_in, unless that is reset or destroyed first. */
  uint64_t past_allocations; /* The counts of contexts, up to when they were reset or destroyed; */
  uint64_t past_deallocations; /* what was live then is only in the first. */
  uint64_t past_taken_in;
  uint64_t past_refusals;
  size_t classes_in_use;
  /* By rising slot size; the last one in use may be the thread heaps of all NUMA nodes. */
  ca_class_counts classes[CA_CONTEXT_CLASSES + 1];
} ca_contexts_counts;

ca_contexts_counts ca_contexts_count(void);

/* What one thread did. A free counts as foreign for the thread that frees ("out") and as taken_in
 * for the context that gets the block back ("in"). */
typedef struct ca_thread_counts {
  uint64_t thread; /* The system's number of it. */
  uint64_t created;
  uint64_t destroyed;
  uint64_t foreign_frees;
  ca_context_counts heap; /* Its own; slot_size is 0 if it has none. */
} ca_thread_counts;

/* Calls visitor(argument, ...) for each thread that used contexts and has not ended, 4096 at most.
 * Of a process that was forked also for its parent's. The visitor may do what ca_contexts_visitor
 * may. */
typedef void ca_threads_visitor(void *argument, const ca_thread_counts *counts);
void ca_threads_visit(ca_threads_visitor *visitor, void *argument);

typedef enum ca_report_format {
  /* Lines of sums, a line for each class of slots and for each thread, then a line for each context,
   * children below parents and indented. */
  CA_REPORT_TEXT = 0,
  /* One object: the sums by the names of the members above, and the arrays "classes", "threads" and
   * "all". Of what is in the latter two, addresses are decimal. */
  CA_REPORT_JSON = 1,
} ca_report_format;

/* Writes it to a descriptor. Whether all could be written: else errno says why. A text report that is
 * asked for while another thread changes the tree is flat; until it is written, others wait to
 * change the tree, and to fork. The thread isn't cancelled meanwhile. */
bool ca_contexts_report(int descriptor, ca_report_format format);

/* Has it written whenever this signal comes. False, with errno, if the handler can't be set or format
 * is out of range. The last call counts; its descriptor has to stay open. */
bool ca_contexts_report_on_signal(int signal_number, int descriptor, ca_report_format format);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_REPORT_H_ */
