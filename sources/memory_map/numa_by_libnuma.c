#include <errno.h>
#include <numa.h>
#include <numaif.h>

#include "sources/memory_map/numa_calls.h"

int ca_numa_bind(void *ptr, size_t size, int mode, const ca_node_set *nodes, unsigned flags) {
  /* The kernel takes one bit less than it is told. */
  const unsigned long bits = nodes == NULL ? 0 : CA_NODE_COUNT_MAX + 1;
  return mbind(ptr, size, mode, nodes == NULL ? NULL : nodes->words, bits, flags) == 0 ? 0 : errno;
}

int ca_numa_allowed(ca_node_set *nodes) {
  int mode;
  if (numa_available() < 0) {
    return ENOSYS;
  }
  return get_mempolicy(&mode, nodes->words, CA_NODE_COUNT_MAX, NULL, MPOL_F_MEMS_ALLOWED) == 0
             ? 0
             : errno;
}
