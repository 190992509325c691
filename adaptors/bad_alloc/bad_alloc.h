/* adaptors/bad_alloc/bad_alloc.h - how the C++ adaptors report that an allocator refused.
 *
 * Idea        the interfaces of C++ that must not return null throw std::bad_alloc. A program built
 *             with -fno-exceptions has asked for the end instead, and gets a line that says so.
 * Threads     any.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_BAD_ALLOC_BAD_ALLOC_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_BAD_ALLOC_BAD_ALLOC_H_

#include <new>

#include "base/check.h"

namespace ca {

/* Throws std::bad_alloc; without exceptions writes a line to descriptor 2 and traps. */
[[noreturn]] CA_COLD inline void throw_bad_alloc() {
#if defined(__cpp_exceptions)
  throw std::bad_alloc();
#else
  ca_panic(__FILE__, __LINE__, "out of memory, and this program is built without exceptions");
#endif
}

/* The same for a count of elements whose bytes no size_t can hold. */
[[noreturn]] CA_COLD inline void throw_bad_array_new_length() {
#if defined(__cpp_exceptions)
  throw std::bad_array_new_length();
#else
  ca_panic(__FILE__, __LINE__, "too many elements, and this program is built without exceptions");
#endif
}

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_BAD_ALLOC_BAD_ALLOC_H_
