/* How much memory there is to have right now, as the kernel tells it in /proc and /sys. */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_AVAILABLE_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_AVAILABLE_H_

#include "sources/memory_map/node_set.h"

/* Bytes that can be had without killing anyone: of the whole machine (available and swap), or of
 * these nodes (free and clean file pages) less the kernel's reserve. nodes may be NULL. Returns 0
 * or the errno, with *bytes unchanged. errno itself is not kept. */
int ca_memory_available(const ca_node_set *nodes, size_t *bytes);

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_AVAILABLE_H_ */
