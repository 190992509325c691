/* base/poison.h - tells AddressSanitizer and Valgrind which bytes of a region may be touched.
 *
 * Both tools see only what libc's malloc and mmap hand out; inside a region that an allocator
 * divides they are blind unless told. Every allocator here tells them by these three calls, and
 * so may a user's own.
 *
 * Rules       an allocator poisons its whole region when it obtains it, unpoisons what it hands
 *             out, poisons what it takes back, and unpoisons the region before releasing it.
 *             What it keeps inside poisoned memory (a node in a free block) it must unpoison
 *             before it touches it.
 * Cost        none in a plain build: the calls vanish. Valgrind's requests are compiled in with
 *             -DCA_VALGRIND=1 (--config=valgrind), AddressSanitizer's with -fsanitize=address.
 * Precision   AddressSanitizer marks 8-byte groups: of a group only the tail can be poisoned, so
 *             a block that begins inside a group makes the bytes before it addressable.
 * Neighbours  allocators put blocks side by side, as they do in a plain build: a write that ends in a
 *             live neighbour isn't seen. Where it shall be, as in a debug build, put
 *             adaptors/redzone around the allocator.
 * Threads     as the memory they are told about.
 */
#ifndef CONTEXT_ALLOCATOR_BASE_POISON_H_
#define CONTEXT_ALLOCATOR_BASE_POISON_H_

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define CA_POISON_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CA_POISON_ASAN 1
#endif
#endif
#ifndef CA_POISON_ASAN
#define CA_POISON_ASAN 0
#endif

#if CA_POISON_ASAN
#include <sanitizer/asan_interface.h>
#endif
#if defined(CA_VALGRIND)
#include <valgrind/memcheck.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Touching any of these bytes is an error from now on. */
static inline void ca_poison(const void *ptr, size_t size) {
#if CA_POISON_ASAN
  __asan_poison_memory_region(ptr, size);
#endif
#if defined(CA_VALGRIND)
  (void)VALGRIND_MAKE_MEM_NOACCESS(ptr, size);
#endif
  (void)ptr;
  (void)size;
}

/* These bytes may be touched; Valgrind takes their contents for undefined. */
static inline void ca_unpoison(const void *ptr, size_t size) {
#if CA_POISON_ASAN
  __asan_unpoison_memory_region(ptr, size);
#endif
#if defined(CA_VALGRIND)
  (void)VALGRIND_MAKE_MEM_UNDEFINED(ptr, size);
#endif
  (void)ptr;
  (void)size;
}

/* These bytes may be touched and hold what was written there: for an allocator's own records
 * inside poisoned memory, and for zeroed pages. */
static inline void ca_unpoison_defined(const void *ptr, size_t size) {
#if CA_POISON_ASAN
  __asan_unpoison_memory_region(ptr, size);
#endif
#if defined(CA_VALGRIND)
  (void)VALGRIND_MAKE_MEM_DEFINED(ptr, size);
#endif
  (void)ptr;
  (void)size;
}

/* Whether either tool would report a read of the byte at ptr. Always false in a plain build. */
static inline bool ca_is_poisoned(const void *ptr) {
#if CA_POISON_ASAN
  if (__asan_address_is_poisoned(ptr)) {
    return true;
  }
#endif
#if defined(CA_VALGRIND)
  unsigned char bits;
  if (VALGRIND_GET_VBITS(ptr, &bits, 1) == 3) {
    return true;
  }
#endif
  (void)ptr;
  return false;
}

/* Whether a poisoned byte is recognised in this build and run. */
static inline bool ca_poison_is_seen(void) {
#if CA_POISON_ASAN
  return true;
#elif defined(CA_VALGRIND)
  return RUNNING_ON_VALGRIND != 0;
#else
  return false;
#endif
}

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_BASE_POISON_H_ */
