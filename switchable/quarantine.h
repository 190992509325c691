/* switchable/quarantine.h - destroyed contexts whose memory can't be touched for a while.
 *
 * Idea        a context that was created with CA_CONTEXT_QUARANTINE keeps its slot when it is
 *             destroyed, and the pages lose every permission. They get them back, and the slot
 *             serves again, when `capacity` more contexts were put in quarantine. Whoever still uses
 *             a pointer into the dead context faults at that moment, and can be told which one it
 *             was; who frees one is reported as ever.
 *             A context that grew (context.h) counts as one for each of its slots, here and below.
 * Cost        two mprotect() a context, and up to two mappings for each that is in quarantine: mind
 *             vm.max_map_count (65,530).
 * Errors      where the pages can't be protected, the context is released at once, and counted.
 * Threads     any function from any thread.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_QUARANTINE_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_QUARANTINE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "switchable/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CA_QUARANTINE_DEFAULT = 64, CA_QUARANTINE_MOST = 4096 };

/* How many contexts are kept, CA_QUARANTINE_DEFAULT at first; those beyond it go at once. 0: none.
 * False if `capacity` is above CA_QUARANTINE_MOST. */
bool ca_quarantine_set_capacity(size_t capacity);

/* What is known of a context in quarantine. */
typedef struct ca_quarantined {
  const void *slot; /* NULL: none. */
  size_t size;      /* Bytes from there, of which all but the first page fault. */
  char name[CA_CONTEXT_NAME_SIZE];
  char parent[CA_CONTEXT_NAME_SIZE]; /* Its name; empty: it had none, or one without a name. */
  uint64_t age;                      /* How many were put in quarantine after it. */
} ca_quarantined;

/* The context in quarantine whose memory ptr points into. Async-signal-safe: it takes no lock, and
 * what another thread is just putting in or taking out may be missed. O(capacity). */
ca_quarantined ca_quarantine_find(const void *ptr);

/* Has a fault in quarantine reported in one line on descriptor 2, before the handler that was set for
 * SIGSEGV runs, or the process ends. Returns false, with errno, if the handler can't be set. */
bool ca_quarantine_report_faults(void);

typedef struct ca_quarantine_counts {
  size_t now;       /* In quarantine. */
  uint64_t put;     /* Ever put there. */
  uint64_t refused; /* Released at once because the pages could not be protected. */
} ca_quarantine_counts;

ca_quarantine_counts ca_quarantine_count(void);

/* `now` of these alone, and the bytes of address space that they keep. Async-signal-safe. */
size_t ca_quarantine_size(void);
size_t ca_quarantine_bytes(void);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_QUARANTINE_H_ */
