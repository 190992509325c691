/* switchable/samples.h - who allocated it: where blocks of contexts were asked for, by samples.
 *
 * Idea        of a context that is sampled, each Nth allocation notes the block and the return
 *             addresses on the stack, in a ring that the samples of all contexts share. What is
 *             said of a pointer later is the newest sample of a block that it lies in: also after
 *             the block was freed, and after its context was destroyed. A report of a touch of
 *             quarantined memory, and of a block freed into a destroyed context, adds it by itself.
 * Cost        where nothing is sampled, one comparison an allocation. A sample costs backtrace(3),
 *             some microseconds. Reports: O(CA_SAMPLES).
 * Memory      the ring, 448 KiB, is mapped when the first context is sampled, and kept.
 * Limits      a block that wasn't sampled may lie where a sampled one was before. Resizing is no
 *             allocation, as long as the block stays where it is.
 * Threads     any function from any thread; a sample that is just being written is passed over.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_SAMPLES_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_SAMPLES_H_

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CA_SAMPLES = 4096, CA_SAMPLE_FRAMES = 10 };

/* Has each Nth allocation sampled in contexts created from now on whose settings say nothing of it.
 * 0: none, as at first. */
void ca_samples_set_default(unsigned each);

/* Writes to a descriptor who allocated the block that ptr lies in: a line, then one for each return
 * address, by backtrace_symbols_fd(). False, with nothing written, if there is no such sample.
 * Async-signal-safe as far as that function is. */
bool ca_samples_report(const void *ptr, int descriptor);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_SAMPLES_H_ */
