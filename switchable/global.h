/* switchable/global.h - the global allocator, as the front end calls it.
 *
 * libc's malloc by default (global.c, weak symbols); where malloc is ours, malloc.c takes their
 * place by what glibc calls its own.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_GLOBAL_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_GLOBAL_H_

#include <stddef.h>

#include "base/block.h"

void *ca_global_malloc(size_t size);
void ca_global_free(void *ptr);
void *ca_global_realloc(void *ptr, size_t size);
void *ca_global_memalign(size_t align, size_t size);
size_t ca_global_usable_size(void *ptr);

/* The same as the interfaces of this project have it: none on refusal, errno kept. */
ca_block ca_global_allocate(size_t size, size_t align);
ca_block ca_global_reallocate(void *ptr, size_t new_size, size_t align);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_GLOBAL_H_ */
