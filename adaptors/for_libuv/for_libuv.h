/* adaptors/for_libuv/for_libuv.h - an event loop in a given allocator.
 *
 *   if (ca_for_libuv_init(allocator)) {
 *     uv_replace_allocator(ca_for_libuv_malloc, ca_for_libuv_realloc, ca_for_libuv_calloc,
 *                          ca_for_libuv_free);
 *   }
 *
 * Idea        the library's hooks carry no user data: hence one allocator for the whole process,
 *             chosen before anything else of the library is called. free() brings no size: an
 *             allocator that forgets sizes is served by adaptors/sized, at 8 bytes a block.
 * Cost        the allocator's own and a load.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses: the library's functions then return UV_ENOMEM, but
 *             where a loop's table of descriptors can't grow libuv 1.44 aborts the process.
 * Ownership   the allocator must live until uv_library_shutdown(), which otherwise runs when the
 *             process ends.
 * Threads     the library allocates on its worker threads too: the allocator must be thread-safe,
 *             and record sizes itself (adaptors/sized has no lock).
 * Tested      with libuv 1.44.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_LIBUV_FOR_LIBUV_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_LIBUV_FOR_LIBUV_H_

#include <stdbool.h>
#include <stddef.h>

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Chooses the allocator. Returns false, and leaves the choice as it was, iff it is NULL. */
bool ca_for_libuv_init(ca_allocator *allocator);

/* The hooks. Require a chosen allocator. */
void *ca_for_libuv_malloc(size_t size);
void *ca_for_libuv_realloc(void *ptr, size_t size);
void *ca_for_libuv_calloc(size_t count, size_t size);
void ca_for_libuv_free(void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_LIBUV_FOR_LIBUV_H_ */
