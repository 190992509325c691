/* adaptors/from_sized/jemalloc.h - jemalloc's sized interface as an allocator: a worked example.
 *
 *   ca_from_sized it;
 *   ca_from_sized_init(&it, &ca_from_jemalloc, ca_from_jemalloc_flags(MALLOCX_ARENA(arena)));
 *
 * Against jemalloc 5.3 with unprefixed names (Debian's libjemalloc-dev), which takes over the
 * program's malloc too.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_JEMALLOC_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_JEMALLOC_H_

#include <stdint.h>

#include "adaptors/from_sized/from_sized.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mallocx, sdallocx, xallocx, rallocx, nallocx; the context is made of their flags. */
extern const ca_sized_functions ca_from_jemalloc;

/* A context: MALLOCX_ flags, which name an arena or a thread cache; 0: none. */
static inline void *ca_from_jemalloc_flags(int flags) { return (void *)(intptr_t)flags; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_JEMALLOC_H_ */
