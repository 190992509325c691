/* adaptors/hooks/hooks.h - malloc, realloc and free for the hooks of other people's libraries.
 *
 * Idea        a library's hook brings a pointer and no size; these three ask the allocator for it.
 *             Each adaptors/for_<library> gives them the shape that its library wants.
 * Requires    an allocator that records sizes (ca_hooks_can_serve()), and answers any thread that
 *             the library may call from.
 * Cost        the allocator's own and one compare; realloc also reads the recorded size.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses; a block to resize is then as it was. A request of 0
 *             bytes is one of 1 byte. errno stays as it is.
 * Threads     as the allocator.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_HOOKS_HOOKS_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_HOOKS_HOOKS_H_

#include "allocators/allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the allocator can free what it is given without a size. NULL cannot. */
static inline bool ca_hooks_can_serve(const ca_allocator *allocator) {
  return allocator != NULL && allocator->ops->usable_size != NULL &&
         allocator->ops->deallocate_unsized != NULL;
}

static inline void *ca_hooks_malloc(ca_allocator *allocator, size_t size) {
  return ca_allocate(allocator, size == 0 ? 1 : size, CA_ALIGN_DEFAULT).ptr;
}

/* The block's memory, zeroed; NULL also if count * size is no size_t. */
void *ca_hooks_calloc(ca_allocator *allocator, size_t count, size_t size);

static inline void ca_hooks_free(ca_allocator *allocator, void *ptr) {
  if (ptr != NULL) {
    allocator->ops->deallocate_unsized(allocator, ptr);
  }
}

/* As the C standard's realloc(); with size 0 it frees and returns NULL, as glibc's. */
void *ca_hooks_realloc(ca_allocator *allocator, void *ptr, size_t size);

/* A copy of the string in memory of the allocator's. */
char *ca_hooks_strdup(ca_allocator *allocator, const char *string);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_HOOKS_HOOKS_H_ */
