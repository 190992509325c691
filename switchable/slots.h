/* switchable/slots.h - the arenas whose slots are contexts: one for each class of slot size, and on a
 * machine with several NUMA nodes one for the thread heaps of each node.
 *
 * Private to //switchable. Threads: any.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_SLOTS_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_SLOTS_H_

#include "switchable/context_header.h"
#include "switchable/report.h"
#include "switchable/thread_counts.h"

/* A slot of `size` bytes or more, from the smallest class that has one idle or unused; NULL if there
 * is none. Its slot_size and slot_class are set, and parked_by: this thread's mark if the slot is the
 * one that it kept (slot_cache.h), else 0. */
ca_context_header *ca_slots_obtain(size_t size);

/* The same, from the classes of `most` bytes at most: none of the larger ones is touched. */
ca_context_header *ca_slots_obtain_within(size_t size, size_t most);

/* The size of the largest slots. */
size_t ca_slots_largest(void);

/* The size of the largest slots that threads keep (slot_cache.h); 0: they keep none. */
size_t ca_slots_largest_kept(void);

/* A slot for the calling thread's own heap, on its NUMA node where the machine has several and that
 * node has any left. size 0: the largest. */
ca_context_header *ca_slots_obtain_near(size_t size);

/* Requires that no context lives in it any more. This thread keeps it, or else it goes back to its
 * arena. */
void ca_slots_release(ca_context_header *slot);

/* Puts what a thread keeps back. Requires that it is the calling one, and has `record`. */
void ca_slots_forget(ca_thread_record *record);

/* Fills in classes, a class each and one more for the heaps of NUMA nodes, and returns how many are
 * in use. Async-signal-safe. */
size_t ca_slots_count(ca_class_counts classes[CA_CONTEXT_CLASSES + 1]);

/* Calls visitor(argument, slot) for each slot that is out, by rising address within its class. */
typedef void ca_slots_visitor(void *argument, ca_context_header *slot);
void ca_slots_visit(ca_slots_visitor *visitor, void *argument);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_SLOTS_H_ */
