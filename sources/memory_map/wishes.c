#define _GNU_SOURCE
#include "sources/memory_map/wishes.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "sources/memory_map/available.h"
#include "sources/memory_map/numa_calls.h"

/* Of the kernel's interface, where libc's headers are older. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static int errno_unless(int result) { return result == 0 ? 0 : errno; }

int ca_wish_huge_pages(ca_memory_map_huge_pages huge, ca_block range) {
  switch (huge) {
    case CA_MEMORY_MAP_HUGE_NEVER: {
      const int error = errno_unless(madvise(range.ptr, range.size, MADV_NOHUGEPAGE));
      return error == EINVAL ? 0 : error; /* A kernel without huge pages fulfils this one. */
    }
    case CA_MEMORY_MAP_HUGE_TRANSPARENT:
      return errno_unless(madvise(range.ptr, range.size, MADV_HUGEPAGE));
    case CA_MEMORY_MAP_HUGE_AS_SYSTEM:
    case CA_MEMORY_MAP_HUGE_2_MIB:
    case CA_MEMORY_MAP_HUGE_1_GIB:
      break;
  }
  return 0;
}

/* The nodes that the settings mean: all allowed ones if they name none. The kernel leaves out
 * nodes that it doesn't have without a word, unless none is left: *missing tells. */
static int nodes_of(const ca_memory_map_settings *settings, ca_node_set *nodes, bool *missing) {
  ca_node_set allowed = {{0}};
  const int error = ca_numa_allowed(&allowed);
  const bool named = ca_node_set_count(&settings->nodes) > 0;
  *nodes = named ? settings->nodes : allowed;
  *missing = error == 0 && !ca_node_set_is_within(nodes, &allowed);
  return named ? 0 : error;
}

static int mode_of(ca_memory_map_policy policy, const ca_node_set *nodes) {
  switch (policy) {
    case CA_MEMORY_MAP_BIND:
      return CA_NUMA_BIND;
    case CA_MEMORY_MAP_PREFERRED:
      return ca_node_set_count(nodes) == 1 ? CA_NUMA_PREFERRED : CA_NUMA_PREFERRED_MANY;
    case CA_MEMORY_MAP_INTERLEAVE:
      return CA_NUMA_INTERLEAVE;
    case CA_MEMORY_MAP_AS_THREAD:
    case CA_MEMORY_MAP_LOCAL:
      break;
  }
  return CA_NUMA_LOCAL;
}

int ca_wish_policy(const ca_memory_map_settings *settings, ca_block range, int move) {
  unsigned flags = 0;
  if (move == CA_WISH_MOVE) {
    flags = settings->effort == CA_MEMORY_MAP_STRICT ? CA_NUMA_MOVE | CA_NUMA_STRICT : CA_NUMA_MOVE;
  }
  if (settings->policy == CA_MEMORY_MAP_AS_THREAD) {
    return 0;
  }
  if (settings->policy == CA_MEMORY_MAP_LOCAL) {
    return ca_numa_bind(range.ptr, range.size, CA_NUMA_LOCAL, NULL, flags);
  }
  ca_node_set nodes;
  bool missing;
  int error = nodes_of(settings, &nodes, &missing);
  if (error == 0) {
    error = ca_numa_bind(range.ptr, range.size, mode_of(settings->policy, &nodes), &nodes, flags);
  }
  return error == 0 && missing ? EINVAL : error;
}

int ca_wish_name(const ca_memory_map_settings *settings, ca_block range) {
  if (settings->name == NULL) {
    return 0;
  }
  return errno_unless(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (unsigned long)range.ptr, range.size,
                            (unsigned long)settings->name));
}

int ca_wish_lock(const ca_memory_map_settings *settings, ca_block range) {
  if (!settings->lock) {
    return 0;
  }
  return errno_unless(
      mlock2(range.ptr, range.size, MLOCK_ONFAULT)); /* Prefault, if wished, comes after it. */
}

int ca_wish_room(const ca_memory_map_settings *settings, size_t size, bool *enough) {
  ca_node_set nodes;
  bool missing;
  size_t available = 0;
  const bool bound = settings->policy == CA_MEMORY_MAP_BIND;
  int error = bound ? nodes_of(settings, &nodes, &missing) : 0;
  if (error == 0) {
    error = ca_memory_available(bound ? &nodes : NULL, &available);
  }
  if (error == 0) {
    *enough = size <= available;
  }
  return error;
}

int ca_wish_prefault(ca_block range, size_t page_size) {
  const int error = errno_unless(madvise(range.ptr, range.size, MADV_POPULATE_WRITE));
  if (error == 0 || error == ENOMEM || error == EFAULT || error == EHWPOISON) {
    return error;
  }
  /* Linux before 5.14, or forbidden. Adding 0 dirties the page and changes no byte; relaxed, as it
   * orders nothing. */
  for (size_t at = 0; at < range.size; at += page_size) {
    __atomic_fetch_add((char *)range.ptr + at, 0, __ATOMIC_RELAXED);
  }
  return 0;
}
