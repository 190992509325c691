#define _GNU_SOURCE
#include "switchable/kept_by_libc.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/check.h"
#include "switchable/thread_life.h"
#include "switchable/thread_state.h"

#define EXPORT __attribute__((visibility("default")))

/* None in a fully static program. */
__attribute__((weak)) void *dlsym(void *restrict handle, const char *restrict name);
__attribute__((weak)) int dladdr1(const void *address, Dl_info *info, void **extra, int flags);

ca_code ca_linker_code;
ca_code ca_keepers_code;

static const char *const keepers[] = {"_IO_file_doallocate", "__cxa_thread_atexit_impl",
                                      "pthread_setspecific"};
enum { KEEPERS = sizeof keepers / sizeof *keepers };
static ca_code keeper_code[KEEPERS];

bool ca_is_keeper(const void *caller) {
  bool kept = false;
  for (int i = 0; i < KEEPERS && !kept; i++) {
    kept = ca_is_in(keeper_code[i], caller);
  }
  return kept;
}

static int find_linker(struct dl_phdr_info *info, size_t size, void *argument) {
  (void)size;
  (void)argument;
  if (info->dlpi_addr == 0 || info->dlpi_addr != getauxval(AT_BASE)) {
    return 0;
  }
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *const segment = &info->dlpi_phdr[i];
    if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
      ca_linker_code =
          (ca_code){.begin = info->dlpi_addr + segment->p_vaddr, .size = segment->p_memsz};
    }
  }
  return 1;
}

static ca_code code_of(const char *function) {
  const void *const address = dlsym(RTLD_DEFAULT, function);
  Dl_info info;
  void *symbol = NULL;
  if (address == NULL || dladdr1(address, &info, &symbol, RTLD_DL_SYMENT) == 0 || symbol == NULL ||
      info.dli_saddr != address) {
    return (ca_code){.begin = 0, .size = 0};
  }
  return (ca_code){.begin = (uintptr_t)address, .size = ((const ElfW(Sym) *)symbol)->st_size};
}

static void include(ca_code *all, ca_code one) {
  const uintptr_t begin = all->size == 0 || one.begin < all->begin ? one.begin : all->begin;
  const uintptr_t end_of_all = all->begin + all->size;
  const uintptr_t end_of_one = one.begin + one.size;
  const uintptr_t end = end_of_one > end_of_all ? end_of_one : end_of_all;
  *all = (ca_code){.begin = begin, .size = end - begin};
}

/* The first of all constructors of this object. */
__attribute__((constructor(101))) static void find_keepers(void) {
  (void)dl_iterate_phdr(find_linker, NULL);
  for (int i = 0; i < KEEPERS && dlsym != NULL && dladdr1 != NULL; i++) {
    keeper_code[i] = code_of(keepers[i]);
    if (keeper_code[i].size != 0) {
      include(&ca_keepers_code, keeper_code[i]);
    }
  }
}

/* The list of functions to call at exit grows in a function of libc that has no name outside: so who
 * calls it stands here. Weak: a fully static program has libc's own, as exit() brings it along. */

typedef int register_at_exit(void (*function)(void *), void *argument, void *object);

/* Relaxed: every thread finds the same. */
static void *next_of(const char *name, void **found) {
  void *symbol = __atomic_load_n(found, __ATOMIC_RELAXED);
  if (symbol == NULL) {
    symbol = dlsym(RTLD_NEXT, name);
    __atomic_store_n(found, symbol, __ATOMIC_RELAXED);
  }
  return symbol;
}

/* Nobody else's code runs between the two. A heap that was promised comes now, or it would be left
 * again. */
static struct ca_context_header *exchange_current(struct ca_context_header *current) {
  ca_thread_state *const state = ca_thread_state_get();
  struct ca_context_header *const before = ca_thread_current(state);
  ca_thread_state_use(state, current);
  return before;
}

int __cxa_atexit(void (*function)(void *), void *argument, void *object);

EXPORT __attribute__((weak)) int __cxa_atexit(void (*function)(void *), void *argument,
                                              void *object) {
  static void *found;
  register_at_exit *next;
  void *const symbol = next_of("__cxa_atexit", &found);
  memcpy(&next, &symbol, sizeof next);
  struct ca_context_header *const before = exchange_current(NULL);
  const int result = next(function, argument, object);
  (void)exchange_current(before);
  return result;
}
