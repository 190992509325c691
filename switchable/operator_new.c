/* C++'s operator new and delete, every form, over malloc.c: by their mangled names, so that the
 * library needs no C++ runtime of its own and a C program that is given it loads none.
 *
 * libstdc++ would reach malloc too; these save it a call, and bring sizes to the sized deletes.
 */
#include <errno.h>
#include <stddef.h>

#include "base/align.h"
#include "base/check.h"
#include "switchable/malloc.h"
#include "switchable/placement_rules.h"

#define EXPORT __attribute__((visibility("default")))

/* As in malloc.c: who calls operator new counts. */
#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

/* operator_new_nothrow.cc calls the first two, and is called for the other two. */
void *ca_new(size_t size, const void *caller);
void *ca_new_aligned(size_t size, size_t align, const void *caller);
void *ca_new_nothrow(size_t size, const void *caller);
void *ca_new_aligned_nothrow(size_t size, size_t align, const void *caller);

/* The C++ runtime's, where the program has one. */
typedef void new_handler(void);
__attribute__((weak)) new_handler *get_new_handler(void) __asm__("_ZSt15get_new_handlerv");
__attribute__((weak, noreturn)) void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv");

/* As [new.delete.single] asks: the handler frees something and returns, or throws, or ends the
 * program; without a handler it is bad_alloc. */
CA_COLD static void call_new_handler_or_throw(void) {
  new_handler *const handler = get_new_handler == NULL ? NULL : get_new_handler();
  if (handler != NULL) {
    handler();
    return;
  }
  if (throw_bad_alloc != NULL) {
    throw_bad_alloc();
  }
  ca_panic(__FILE__, __LINE__, "operator new is out of memory in a program that cannot throw");
}

static void *allocate_aligned(size_t size, size_t align, const void *caller) {
  return ca_is_power_of_two(align) ? ca_memalign_for(align, size, caller) : NULL;
}

void *ca_new(size_t size, const void *caller) {
  void *ptr;
  while (CA_UNLIKELY((ptr = ca_malloc_for(size, caller)) == NULL)) {
    call_new_handler_or_throw();
  }
  return ptr;
}

void *ca_new_aligned(size_t size, size_t align, const void *caller) {
  void *ptr;
  while (CA_UNLIKELY((ptr = allocate_aligned(size, align, caller)) == NULL)) {
    call_new_handler_or_throw();
  }
  return ptr;
}

#define NEW(name, mangled)                         \
  EXPORT void *name(size_t size) __asm__(mangled); \
  void *name(size_t size) { return ca_new(size, CALLER); }
#define NEW_NOTHROW(name, mangled)                                      \
  EXPORT void *name(size_t size, const void *nothrow) __asm__(mangled); \
  void *name(size_t size, const void *nothrow) {                        \
    (void)nothrow;                                                      \
    return ca_new_nothrow(size, CALLER);                                \
  }
#define NEW_ALIGNED(name, mangled)                               \
  EXPORT void *name(size_t size, size_t align) __asm__(mangled); \
  void *name(size_t size, size_t align) { return ca_new_aligned(size, align, CALLER); }
#define NEW_ALIGNED_NOTHROW(name, mangled)                                            \
  EXPORT void *name(size_t size, size_t align, const void *nothrow) __asm__(mangled); \
  void *name(size_t size, size_t align, const void *nothrow) {                        \
    (void)nothrow;                                                                    \
    return ca_new_aligned_nothrow(size, align, CALLER);                               \
  }

NEW(new_object, "_Znwm")
NEW(new_array, "_Znam")
NEW_NOTHROW(new_object_nothrow, "_ZnwmRKSt9nothrow_t")
NEW_NOTHROW(new_array_nothrow, "_ZnamRKSt9nothrow_t")
NEW_ALIGNED(new_object_aligned, "_ZnwmSt11align_val_t")
NEW_ALIGNED(new_array_aligned, "_ZnamSt11align_val_t")
NEW_ALIGNED_NOTHROW(new_object_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t")
NEW_ALIGNED_NOTHROW(new_array_aligned_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t")

#define DELETE(name, mangled)                   \
  EXPORT void name(void *ptr) __asm__(mangled); \
  void name(void *ptr) { free(ptr); }
#define DELETE_SIZED(name, mangled)                          \
  EXPORT void name(void *ptr, size_t size) __asm__(mangled); \
  void name(void *ptr, size_t size) { free_sized(ptr, size); }
/* An alignment, a nothrow, or both, of which free() makes no use. */
#define DELETE_WITH(name, mangled)                              \
  EXPORT void name(void *ptr, size_t ignored) __asm__(mangled); \
  void name(void *ptr, size_t ignored) {                        \
    (void)ignored;                                              \
    free(ptr);                                                  \
  }
#define DELETE_SIZED_ALIGNED(name, mangled)                                \
  EXPORT void name(void *ptr, size_t size, size_t align) __asm__(mangled); \
  void name(void *ptr, size_t size, size_t align) { free_aligned_sized(ptr, align, size); }

DELETE(delete_object, "_ZdlPv")
DELETE(delete_array, "_ZdaPv")
DELETE_SIZED(delete_object_sized, "_ZdlPvm")
DELETE_SIZED(delete_array_sized, "_ZdaPvm")
DELETE_WITH(delete_object_nothrow, "_ZdlPvRKSt9nothrow_t")
DELETE_WITH(delete_array_nothrow, "_ZdaPvRKSt9nothrow_t")
DELETE_WITH(delete_object_aligned, "_ZdlPvSt11align_val_t")
DELETE_WITH(delete_array_aligned, "_ZdaPvSt11align_val_t")
DELETE_WITH(delete_object_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t")
DELETE_WITH(delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t")
DELETE_SIZED_ALIGNED(delete_object_sized_aligned, "_ZdlPvmSt11align_val_t")
DELETE_SIZED_ALIGNED(delete_array_sized_aligned, "_ZdaPvmSt11align_val_t")
