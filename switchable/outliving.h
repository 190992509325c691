/* switchable/outliving.h - things that must outlive a request, made from inside it.
 *
 * Idea        a coroutine that fills a cache, opens a connection for the next request too, or
 *             reports to another must not do so in its context: that memory goes when the request
 *             ends. These are the global allocator's whoever is current, and are freed from
 *             anywhere. What is current doesn't change. In C++: outliving_object.h. For code that
 *             allocates by itself: ca_switchable_run(CA_CURRENT_GLOBAL, ...).
 * Cost        the global allocator's.
 * Alignment   as asked.
 * Errors      none on refusal; errno: left alone. A context's budget is not asked.
 * Misuse      freeing a context's block here, which would not have outlived it, is reported and
 *             ends the process.
 * Threads     any.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_OUTLIVING_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_OUTLIVING_H_

#include <stddef.h>

#include "base/block.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Requires size > 0 and a power of two. */
ca_block ca_outliving_allocate(size_t size, size_t align);

/* A copy of the `size` bytes at ptr, wherever they lie: what they point to is not copied. Requires
 * size > 0 and a power of two. */
ca_block ca_outliving_clone(const void *ptr, size_t size, size_t align);

/* A copy of a string, or NULL. */
char *ca_outliving_clone_string(const char *text);

/* Frees what was allocated here; free() and ca_switchable_deallocate() do it too. NULL: nothing. */
void ca_outliving_free(void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_OUTLIVING_H_ */
