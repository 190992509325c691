/* switchable/report.h - every context of the process, as a snapshot, as text and as JSON.
 *
 * Cost        each walks over the slots that were ever used.
 * Memory      none is allocated and no stdio is used: it can be asked for by a process whose memory is
 *             out, and from a signal handler.
 * Threads     any function from any thread, while others run: each context is as it is at the moment
 *             it is looked at, and those made or destroyed meanwhile may be missed.
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

/* counts->allocations - counts->deallocations blocks are live. Must not create, reset or destroy
 * contexts. */
typedef void ca_contexts_visitor(void *argument, ca_context context,
                                 const ca_context_counts *counts);

/* Calls visitor(argument, ...) for each context that is alive, thread's heaps and orphans included,
 * by rising address within each slot size. */
void ca_contexts_visit(ca_contexts_visitor *visitor, void *argument);

/* Sums over the contexts that are alive. */
typedef struct ca_contexts_counts {
  size_t contexts;
  size_t slots;  /* Bytes of address space that they take. */
  size_t used;   /* As in ca_context_counts, and so are the following. */
  uint64_t live; /* Blocks. */
  uint64_t allocations;
  uint64_t deallocations;
  uint64_t taken_in;
  uint64_t refusals;
  size_t quarantined; /* Contexts in quarantine; not among those above. */
} ca_contexts_counts;

ca_contexts_counts ca_contexts_count(void);

typedef enum ca_report_format {
  CA_REPORT_TEXT = 0, /* A line of sums, then a line for each context, children below parents and
                       * indented. */
  CA_REPORT_JSON = 1, /* One object: the sums, and "all", an array with one object a line. */
} ca_report_format;

/* Writes it to a descriptor. Whether all could be written: else errno says why. A text report that is
 * asked for while another thread changes the tree is flat. */
bool ca_contexts_report(int descriptor, ca_report_format format);

/* Has it written whenever this signal comes. False, with errno, if the handler can't be set or format
 * is out of range. The last call counts; its descriptor has to stay open. */
bool ca_contexts_report_on_signal(int signal_number, int descriptor, ca_report_format format);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_REPORT_H_ */
