/* adaptors/for_openssl/for_openssl.h - OpenSSL's memory in a given allocator.
 *
 *   if (ca_for_openssl_init(allocator)) {
 *     CRYPTO_set_mem_functions(ca_for_openssl_malloc, ca_for_openssl_realloc, ca_for_openssl_free);
 *   }
 *
 * Idea        the library's hooks carry no user data: hence one allocator for the whole process,
 *             chosen before anything of the library allocates: afterwards
 *             CRYPTO_set_mem_functions() returns 0 and changes nothing. free() brings no size: an
 *             allocator that forgets sizes is served by adaptors/sized, at 8 bytes a block.
 * Cost        the allocator's own and a load.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses: the library's functions then fail.
 * Ownership   the allocator must live until OPENSSL_cleanup(), which the library runs when the
 *             process ends. OPENSSL_secure_malloc() has a heap of its own, once it is set up.
 * Threads     all threads of the process that use the library: the allocator must be thread-safe,
 *             and record sizes itself (adaptors/sized has no lock).
 * Tested      with OpenSSL 3.0.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_OPENSSL_FOR_OPENSSL_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_OPENSSL_FOR_OPENSSL_H_

#include <stdbool.h>
#include <stddef.h>

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Chooses the allocator. Returns false, and leaves the choice as it was, iff it is NULL. */
bool ca_for_openssl_init(ca_allocator *allocator);

/* The hooks; file and line say who asks, and are ignored. Require a chosen allocator. */
void *ca_for_openssl_malloc(size_t size, const char *file, int line);
void *ca_for_openssl_realloc(void *ptr, size_t size, const char *file, int line);
void ca_for_openssl_free(void *ptr, const char *file, int line);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_OPENSSL_FOR_OPENSSL_H_ */
