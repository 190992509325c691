/* base/align.h - arithmetic on alignments: powers of two, in bytes.
 *
 * Each function states what it does at the top of the number range: sizes come from callers, and
 * a sum that wraps is how an allocator hands out too little.
 */
#ifndef CONTEXT_ALLOCATOR_BASE_ALIGN_H_
#define CONTEXT_ALLOCATOR_BASE_ALIGN_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What malloc() promises: enough for every standard type on the 64-bit ABIs. */
#define CA_ALIGN_DEFAULT ((size_t)16)

static inline bool ca_is_power_of_two(size_t value) {
  return value != 0 && (value & (value - 1)) == 0;
}

static inline bool ca_is_aligned(const void *ptr, size_t align) {
  return ((uintptr_t)ptr & (align - 1)) == 0;
}

/* Bytes from address up to the next multiple of align: 0 to align - 1. Never wraps. */
static inline size_t ca_padding_to(uintptr_t address, size_t align) {
  return (size_t)(-address & (align - 1));
}

/* The next multiple of align; wraps to 0 when there is none: the caller bounds value first, or
 * treats 0 as "too large". */
static inline size_t ca_round_up(size_t value, size_t align) {
  return (value + (align - 1)) & ~(align - 1);
}

static inline size_t ca_round_down(size_t value, size_t align) { return value & ~(align - 1); }

/* floor(log2(value)). Requires value > 0. */
static inline unsigned ca_log2_floor(size_t value) {
  return 63U - (unsigned)__builtin_clzll((unsigned long long)value);
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_BASE_ALIGN_H_ */
