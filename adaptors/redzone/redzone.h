/* adaptors/redzone/redzone.h - guard bytes on both sides of every block of any allocator.
 *
 * Idea        each block stands between zones of a known pattern, in front of which its size is
 *             kept. Poisoned, so that AddressSanitizer and Valgrind report the very access; and
 *             compared when the block is freed, resized, or by check, so that a plain build finds
 *             the damage too. Meant for debug builds and tests: put it around the allocator there.
 * Cost        two calls of the inner allocator's at most, and O(zones) per operation. check: O(live
 *             blocks).
 * Overhead    80 bytes a block; with an alignment above 64 bytes, the alignment and 16 bytes.
 * Alignment   as the inner allocator's.
 * Errors      none iff the inner allocator has none for the block and its zones. grow: always,
 *             unless a shrink has left the room; it never moves.
 * Misuse      reported by name in every build: "write before the block", "write behind the block",
 *             "wrong size" (any but the one asked for last: no excess is handed out), and "not a
 *             block" for what isn't one or was freed. Bytes before ptr are read to tell.
 * Ownership   the inner allocator must outlive the adaptor.
 * Threads     not thread-safe, also where the inner allocator is: live blocks are listed.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_REDZONE_REDZONE_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_REDZONE_REDZONE_H_

#include "adaptors/wrapper/wrapper.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pattern bytes directly before and behind a block; more behind it where there is room. */
enum { CA_REDZONE_SIZE = 16 };

struct ca_redzone_record;

/* Invariant: `newest` is NULL or the head of a list, linked both ways, of as many records as `live`
 * says; each has its seal, and the pattern stands in both zones of its block. */
typedef struct ca_redzone {
  ca_wrapper wrapper; /* First. */
  struct ca_redzone_record *newest;
  size_t live; /* Blocks. */
} ca_redzone;

/* Puts *self around inner. Never fails; nothing to destroy. */
void ca_redzone_init(ca_redzone *self, ca_allocator *inner);

/* The allocator interface of *self; valid as long as *self is. It records sizes whether inner does
 * or not. */
static inline ca_allocator *ca_redzone_allocator(ca_redzone *self) { return &self->wrapper.base; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_REDZONE_REDZONE_H_ */
