/* base/block.h - a run of bytes, as every interface of this project returns it.
 *
 * Two words, which the x86-64 and AArch64 procedure calls return in registers: an allocation can
 * tell how much it really handed out without an out-parameter.
 */
#ifndef CONTEXT_ALLOCATOR_BASE_BLOCK_H_
#define CONTEXT_ALLOCATOR_BASE_BLOCK_H_

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ca_block {
  void *ptr;   /* First byte, or NULL for "no block". */
  size_t size; /* Bytes usable from ptr on; 0 exactly when ptr is NULL. */
} ca_block;

static inline ca_block ca_block_make(void *ptr, size_t size) {
  ca_block block;
  block.ptr = ptr;
  block.size = size;
  return block;
}

/* The value by which every interface says that it could not, and changed nothing. */
static inline ca_block ca_block_none(void) { return ca_block_make(NULL, 0); }

static inline bool ca_block_is_none(ca_block block) { return block.ptr == NULL; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_BASE_BLOCK_H_ */
