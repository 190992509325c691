/* switchable/placement_rules.h - which rules of placement.h are in force.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_PLACEMENT_RULES_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_PLACEMENT_RULES_H_

#include <stdbool.h>
#include <stddef.h>

/* Atomic; written once, after all that the rules consist of. */
extern bool ca_placement_stated __attribute__((visibility("hidden")));
extern bool ca_placement_has_initialisers __attribute__((visibility("hidden")));

/* Acquire: pairs with the release in ca_placement_init(), so that the map is seen. */
static inline bool ca_placement_in_force(void) {
  return __atomic_load_n(&ca_placement_stated, __ATOMIC_ACQUIRE);
}

/* malloc() and memalign() on behalf of `caller`. */
void *ca_malloc_for(size_t size, const void *caller);
void *ca_memalign_for(size_t align, size_t size, const void *caller);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_PLACEMENT_RULES_H_ */
