/* adaptors/from_sized/mimalloc.h - a mimalloc heap as an allocator: a worked example.
 *
 *   ca_from_sized it;
 *   ca_from_sized_init(&it, &ca_from_mimalloc, mi_heap_new());
 *
 * Against mimalloc 2.0 (Debian's libmimalloc-dev). Threads: a heap allocates on the thread that
 * made it; any thread may deallocate.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_MIMALLOC_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_MIMALLOC_H_

#include "adaptors/from_sized/from_sized.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The context is the mi_heap_t. */
extern const ca_sized_functions ca_from_mimalloc;

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FROM_SIZED_MIMALLOC_H_ */
