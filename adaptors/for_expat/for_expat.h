/* adaptors/for_expat/for_expat.h - XML parsers in a given allocator.
 *
 *   static const XML_Memory_Handling_Suite suite = CA_FOR_EXPAT_SUITE;
 *   if (ca_for_expat_init(allocator)) {
 *     XML_Parser parser = XML_ParserCreate_MM(NULL, &suite, NULL);
 *   }
 *
 * Idea        each parser may have hooks of its own, but they carry no user data: hence one
 *             allocator for all parsers that are made with this suite, chosen before the first.
 *             free() brings no size: an allocator that forgets sizes is served by adaptors/sized,
 *             at 8 bytes a block. For parsers in the memory of whichever coroutine runs, choose an
 *             allocator that asks who runs.
 * Cost        the allocator's own and a load.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses: the parser then reports XML_ERROR_NO_MEMORY, and
 *             XML_ParserCreate_MM() returns NULL.
 * Ownership   the allocator must outlive the parsers.
 * Threads     the hooks as the allocator where that records sizes, else one thread at a time
 *             (adaptors/sized has no lock); init before other threads make parsers.
 * Tested      with Expat 2.5.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_EXPAT_FOR_EXPAT_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_EXPAT_FOR_EXPAT_H_

#include <stdbool.h>
#include <stddef.h>

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Chooses the allocator. Returns false, and leaves the choice as it was, iff it is NULL. */
bool ca_for_expat_init(ca_allocator *allocator);

/* The hooks. Require a chosen allocator. */
void *ca_for_expat_malloc(size_t size);
void *ca_for_expat_realloc(void *ptr, size_t size);
void ca_for_expat_free(void *ptr);

/* Initialises an XML_Memory_Handling_Suite. */
#define CA_FOR_EXPAT_SUITE \
  { ca_for_expat_malloc, ca_for_expat_realloc, ca_for_expat_free }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_EXPAT_FOR_EXPAT_H_ */
