/* adaptors/for_jansson/for_jansson.h - JSON values in a given allocator.
 *
 *   if (ca_for_jansson_init(allocator)) {
 *     json_set_alloc_funcs(ca_for_jansson_malloc, ca_for_jansson_free);
 *   }
 *
 * Idea        the library's hook carries no user data: hence one allocator for the whole process,
 *             chosen before the first use. free() brings no size: an allocator that forgets sizes
 *             is served by adaptors/sized, at 8 bytes a block. For JSON in the memory of whichever
 *             coroutine runs, choose an allocator that asks who runs.
 * Cost        the allocator's own and a load.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses: the library's functions then return NULL or -1.
 * Ownership   the allocator must outlive every value. What json_dumps() returns is the allocator's
 *             too: ca_for_jansson_free() takes it back, libc's free() must not.
 * Threads     the hooks as the allocator where that records sizes, else one thread at a time
 *             (adaptors/sized has no lock); init before other threads use the library.
 * Tested      with Jansson 2.14.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_JANSSON_FOR_JANSSON_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_JANSSON_FOR_JANSSON_H_

#include <stdbool.h>
#include <stddef.h>

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Chooses the allocator. Returns false, and leaves the choice as it was, iff it is NULL. */
bool ca_for_jansson_init(ca_allocator *allocator);

/* A json_malloc_t and a json_free_t. Require a chosen allocator. */
void *ca_for_jansson_malloc(size_t size);
void ca_for_jansson_free(void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_JANSSON_FOR_JANSSON_H_ */
