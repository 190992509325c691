/* switchable/malloc.h - malloc itself: the C and C++ allocation functions, served by who is
 * current.
 *
 * Two forms of the same code:
 *   //switchable:malloc                     for cc_binary(malloc = ...) and static linking;
 *   //switchable:libcontext_allocator.so    for LD_PRELOAD, or linked before libc.
 *
 * What       malloc calloc realloc reallocarray free, aligned_alloc memalign posix_memalign valloc
 *            pvalloc, malloc_usable_size malloc_trim, C23's free_sized and free_aligned_sized, and
 *            every form of C++'s operator new and delete.
 * Whose      an allocation is served by who is current in the calling thread (switchable.h); a
 *            deallocation or a resize goes to the owner of the address. What belongs to no context
 *            is glibc's, and so are all other functions of <malloc.h>.
 *            What libc and the dynamic linker allocate to keep is global: kept_by_libc.h. The
 *            preloaded library stands in front of functions of libc for that; a dynamically linked
 *            program has them by //switchable:keeping_functions.
 * Errors     as the manual pages of glibc 2.36 say: NULL and ENOMEM when there is no memory, or when
 *            size is above PTRDIFF_MAX or a product overflows; EINVAL for an alignment that is not a
 *            power of two (posix_memalign: returned, errno left alone, and the alignment must be a
 *            multiple of sizeof(void *)). malloc_usable_size() is 0 for a block whose size can't be
 *            told (switchable.h). free() leaves errno alone. Over its budget a context refuses like
 *            this; nobody else notices. operator new calls the new-handler, then throws
 *            std::bad_alloc (or returns a null pointer, in the nothrow forms).
 * Alignment  16, or as asked. A size of 0 gives a block of its own; realloc(ptr, 0) frees.
 * Misuse     of a context's block - a double free, an interior or wild pointer, one whose context was
 *            destroyed, a size larger than the block's - is written to descriptor 2 in one line that
 *            names the call, and ends the process. Of glibc's blocks: as glibc does.
 * Threads    any. After fork() the child may allocate; contexts that other threads held stay held.
 *            As in glibc, not from a signal handler.
 *
 * <stdlib.h> and <malloc.h> of glibc 2.36 don't declare C23's two:
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_MALLOC_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_MALLOC_H_

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* free() for a caller who knows the size that ptr was asked with. */
void free_sized(void *ptr, size_t size);

/* free() for a caller who knows the alignment and the size that ptr was asked with. */
void free_aligned_sized(void *ptr, size_t align, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_MALLOC_H_ */
