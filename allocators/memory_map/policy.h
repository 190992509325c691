/* allocators/memory_map/policy.h - the NUMA policy of a source for the blocks of an allocator.
 *
 * Idea        a memory map source holds a policy and its nodes, and can give them to any mapping;
 *             this is that as the `prepare` of the allocator's settings, whose context is the
 *             source.
 * Errors      the request is refused where the source refuses: strict, and the system or the machine
 *             can't have the policy. With best effort never; the source's report tells.
 * Ownership   the source must outlive the allocator.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_MEMORY_MAP_POLICY_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_MEMORY_MAP_POLICY_H_

#include "allocators/memory_map/memory_map.h"
#include "sources/memory_map/memory_map.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gives the mapping the policy of the source at `context`, a ca_memory_map. */
static inline bool ca_memory_map_allocator_policy(void *context, void *ptr, size_t size) {
  ca_memory_map_report report;
  return ca_memory_map_move((ca_memory_map *)context, ptr, size, &report);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_MEMORY_MAP_POLICY_H_ */
