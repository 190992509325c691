/* The kernel's NUMA calls as memory_map needs them, in two implementations: by libnuma, and by
 * system calls for programs that can't have libnuma (its constructor calls malloc, which a
 * preloaded malloc must not meet). Each returns 0 or the errno. errno itself is not kept. */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_NUMA_CALLS_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_NUMA_CALLS_H_

#include "sources/memory_map/node_set.h"

/* As in mbind(2), whose numbers are part of the kernel's interface. */
enum {
  CA_NUMA_PREFERRED = 1,
  CA_NUMA_BIND = 2,
  CA_NUMA_INTERLEAVE = 3,
  CA_NUMA_LOCAL = 4,
  CA_NUMA_PREFERRED_MANY = 5,
  CA_NUMA_STRICT = 1 << 0,
  CA_NUMA_MOVE = 1 << 1
};

/* nodes may be NULL where the mode takes none. */
int ca_numa_bind(void *ptr, size_t size, int mode, const ca_node_set *nodes, unsigned flags);

/* Adds the nodes that the process may use to an empty set. */
int ca_numa_allowed(ca_node_set *nodes);

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_NUMA_CALLS_H_ */
