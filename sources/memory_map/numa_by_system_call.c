#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sources/memory_map/numa_calls.h"

int ca_numa_bind(void *ptr, size_t size, int mode, const ca_node_set *nodes, unsigned flags) {
  /* The kernel takes one bit less than it is told. */
  const unsigned long bits = nodes == NULL ? 0 : CA_NODE_COUNT_MAX + 1;
  const unsigned long *const words = nodes == NULL ? NULL : nodes->words;
  return syscall(SYS_mbind, ptr, size, mode, words, bits, flags) == 0 ? 0 : errno;
}

int ca_numa_allowed(ca_node_set *nodes) {
  enum { MEMS_ALLOWED = 1 << 2 }; /* MPOL_F_MEMS_ALLOWED */
  return syscall(SYS_get_mempolicy, NULL, nodes->words, (unsigned long)CA_NODE_COUNT_MAX, NULL,
                 (unsigned long)MEMS_ALLOWED) == 0
             ? 0
             : errno;
}
