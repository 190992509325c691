/* adaptors/zeroed/zeroed.h - every byte handed out is zero.
 *
 * Idea        allocate clears the whole block, grow all that lies beyond the size that the caller
 *             names. So the excess that a block came with is zero, and what was written there is
 *             cleared by a grow that isn't told of it. What a shrink leaves of the tail, as excess,
 *             is as the caller left it.
 *             Put it above whatever serves a grow from bytes that it holds itself: below sized,
 *             redzone, limiting that records sizes, and aligned beyond its `most`, it isn't asked
 *             each time, and those bytes are not cleared.
 * Cost        one indirect call more than the inner allocator's, and clearing the bytes.
 * Overhead    0 bytes a block.
 * Alignment, errors, threads   as the inner allocator's.
 * Ownership   the inner allocator must outlive the adaptor.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_ZEROED_ZEROED_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_ZEROED_ZEROED_H_

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ca_zeroed {
  ca_wrapper wrapper; /* First. */
} ca_zeroed;

/* Puts *self around inner. Never fails; nothing to destroy. */
void ca_zeroed_init(ca_zeroed *self, ca_allocator *inner);

/* The allocator interface of *self; valid as long as *self is. */
static inline ca_allocator *ca_zeroed_allocator(ca_zeroed *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_ZEROED_ZEROED_H_ */
