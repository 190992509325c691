/* adaptors/for_zlib/for_zlib.h - compression streams in a given allocator.
 *
 *   z_stream stream = {0};
 *   stream.zalloc = ca_for_zlib_allocate;
 *   stream.zfree = ca_for_zlib_free;
 *   stream.opaque = allocator;
 *
 * Idea        each stream brings its own hooks and user data: one allocator per stream, if wanted.
 *             It must record sizes, as free() brings none. A stream in a region that is reset needs
 *             neither deflateEnd() nor inflateEnd().
 * Cost        the allocator's own and a multiplication.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses or records no sizes: the stream then reports
 *             Z_MEM_ERROR.
 * Ownership   the allocator must outlive the stream.
 * Threads     as the stream: one at a time, if the allocator is its own.
 * Tested      with zlib 1.2.13.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_ZLIB_FOR_ZLIB_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_ZLIB_FOR_ZLIB_H_

#ifdef __cplusplus
extern "C" {
#endif

/* An alloc_func and a free_func whose opaque pointer is a ca_allocator. */
void *ca_for_zlib_allocate(void *allocator, unsigned items, unsigned size);
void ca_for_zlib_free(void *allocator, void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_ZLIB_FOR_ZLIB_H_ */
