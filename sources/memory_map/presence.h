/* sources/memory_map/presence.h - pages made present before they are touched, many by one system call.
 *
 * Threads: any. errno is kept.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_PRESENCE_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_PRESENCE_H_

#include <stdbool.h>
#include <stddef.h>

#include "base/block.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CA_PRESENCE_RANGES = 64 };

/* Has the pages that `count` ranges lie in, at most CA_PRESENCE_RANGES, made present, as a write to
 * each would: cheaper than a fault for each. Changes no contents: others may be using them. Advice:
 * false if the kernel can't (before Linux 6.15, or forbidden), or had no memory for all; what isn't
 * present then comes when it is touched. Each range is of private memory that may be written, and
 * begins at a page. One system call. */
bool ca_pages_make_present(const ca_block *ranges, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_PRESENCE_H_ */
