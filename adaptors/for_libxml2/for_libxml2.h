/* adaptors/for_libxml2/for_libxml2.h - XML documents in a given allocator.
 *
 *   if (ca_for_libxml2_init(allocator)) {
 *     xmlMemSetup(ca_for_libxml2_free, ca_for_libxml2_malloc, ca_for_libxml2_realloc,
 *                 ca_for_libxml2_strdup);
 *     xmlInitParser();
 *   }
 *
 * Idea        the library's hooks carry no user data: hence one allocator for the whole process,
 *             chosen before anything else of the library is called. free() brings no size: an
 *             allocator that forgets sizes is served by adaptors/sized, at 8 bytes a block.
 * Cost        the allocator's own and a load.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses. The library's functions then return NULL or -1; 2.9
 *             itself loses some blocks on the way, which a region that is reset gets back.
 * Ownership   the allocator must live until xmlCleanupParser(). What xmlStrdup() and its like
 *             return is the allocator's: xmlFree() takes it back.
 * Threads     the hooks as the allocator, which must be thread-safe, and record sizes itself
 *             (adaptors/sized has no lock), if several threads use the library.
 * Tested      with libxml2 2.9.14.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_LIBXML2_FOR_LIBXML2_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_LIBXML2_FOR_LIBXML2_H_

#include <stdbool.h>
#include <stddef.h>

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Chooses the allocator. Returns false, and leaves the choice as it was, iff it is NULL. */
bool ca_for_libxml2_init(ca_allocator *allocator);

/* The hooks. Require a chosen allocator. */
void *ca_for_libxml2_malloc(size_t size);
void *ca_for_libxml2_realloc(void *ptr, size_t size);
void ca_for_libxml2_free(void *ptr);
char *ca_for_libxml2_strdup(const char *string);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_LIBXML2_FOR_LIBXML2_H_ */
