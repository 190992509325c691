/* adaptors/for_zlib/for_zlib.h - compression streams in a given allocator.
 *
 *   ca_to_malloc family;
 *   ca_to_malloc_init(&family, allocator);
 *   z_stream stream = {0};
 *   stream.zalloc = ca_for_zlib_allocate;
 *   stream.zfree = ca_for_zlib_free;
 *   stream.opaque = &family;
 *
 * Idea        each stream brings its own hooks and user data: one allocator per stream, if wanted.
 *             free() brings no size: an allocator that forgets sizes is served by adaptors/sized,
 *             at 8 bytes a block. A stream in a region that is reset needs neither deflateEnd() nor
 *             inflateEnd().
 * Cost        the allocator's own and a multiplication.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses: the stream then reports Z_MEM_ERROR.
 * Ownership   the ca_to_malloc and its allocator must outlive the stream.
 * Threads     as the stream: one at a time, if the allocator is its own.
 * Tested      with zlib 1.2.13.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_ZLIB_FOR_ZLIB_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_ZLIB_FOR_ZLIB_H_

#ifdef __cplusplus
extern "C" {
#endif

/* An alloc_func and a free_func whose opaque pointer is a ca_to_malloc. */
void *ca_for_zlib_allocate(void *family, unsigned items, unsigned size);
void ca_for_zlib_free(void *family, void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_ZLIB_FOR_ZLIB_H_ */
