/* dlopen(), so that what the static initialisers of a loaded object allocate is global:
 * placement.h.
 *
 * The dynamic linker looks at who calls dlopen(): where it searches depends on the caller's RPATH
 * and RUNPATH, and $ORIGIN in a name is the caller's. A function in its place would be the caller,
 * and the wrong library might be found. So dlopen() here is a jump that leaves the return address
 * alone: to the real one where the caller matters, and else to open_globally(). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

#include "switchable/placement_rules.h"
#include "switchable/switchable.h"

typedef void *dlopen_function(const char *file, int mode);

/* Relaxed: every thread finds the same. */
static dlopen_function *next_dlopen(void) {
  static dlopen_function *found;
  dlopen_function *function = __atomic_load_n(&found, __ATOMIC_RELAXED);
  if (function == NULL) {
    void *const symbol = dlsym(RTLD_NEXT, "dlopen");
    memcpy(&function, &symbol, sizeof function);
    __atomic_store_n(&found, function, __ATOMIC_RELAXED);
  }
  return function;
}

/* Does the caller matter? */

typedef struct search {
  const void *caller;
  bool matters;
} search;

static const char here; /* An address of the object that this code is in. */

static bool contains(const struct dl_phdr_info *info, const void *address) {
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    if (info->dlpi_phdr[i].p_type == PT_LOAD &&
        (uintptr_t)address - begin < info->dlpi_phdr[i].p_memsz) {
      return true;
    }
  }
  return false;
}

static bool has_entry(const struct dl_phdr_info *info, ElfW(Sxword) tag) {
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) {
      const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
      const ElfW(Dyn) *entry = (const ElfW(Dyn) *)begin;
      while (entry->d_tag != DT_NULL && entry->d_tag != tag) {
        entry++;
      }
      return entry->d_tag == tag;
    }
  }
  return false;
}

/* An RPATH counts for what its object loaded in turn, and the program's for all anyway; a RUNPATH
 * for its own object, which we must not put in the caller's place. */
static int look(struct dl_phdr_info *info, size_t size, void *argument) {
  (void)size;
  search *const self = argument;
  const bool is_program = info->dlpi_name[0] == '\0';
  const bool takes_part = contains(info, self->caller) || contains(info, &here);
  self->matters = self->matters || (!is_program && has_entry(info, DT_RPATH)) ||
                  (takes_part && has_entry(info, DT_RUNPATH));
  return 0;
}

static bool caller_matters(const char *file, const void *caller) {
  if (strchr(file, '$') != NULL) {
    return true;
  }
  if (strchr(file, '/') != NULL) {
    return false;
  }
  search all = {.caller = caller, .matters = false};
  (void)dl_iterate_phdr(look, &all);
  return all.matters;
}

/* Opening. */

typedef struct opening {
  const char *file;
  int mode;
  void *handle;
} opening;

static void open_now(void *argument) {
  opening *const self = argument;
  self->handle = next_dlopen()(self->file, self->mode);
}

static void *open_globally(const char *file, int mode) {
  opening self = {.file = file, .mode = mode};
  (void)ca_switchable_run(CA_CURRENT_GLOBAL, open_now, &self);
  return self.handle;
}

__attribute__((used, visibility("hidden"))) dlopen_function *ca_dlopen_for(const char *file,
                                                                           int mode,
                                                                           const void *caller);

dlopen_function *ca_dlopen_for(const char *file, int mode, const void *caller) {
  (void)mode;
  const bool is_ours = ca_placement_in_force() &&
                       __atomic_load_n(&ca_placement_has_initialisers, __ATOMIC_RELAXED) &&
                       file != NULL && !caller_matters(file, caller);
  return is_ours ? open_globally : next_dlopen();
}

/* Calls ca_dlopen_for(file, mode, return address) and jumps where it says, with all as it was. */
#if defined(__x86_64__)
__asm__(
    ".text\n"
    ".globl dlopen\n"
    ".type dlopen, @function\n"
    "dlopen:\n"
    ".cfi_startproc\n"
    "endbr64\n"
    "pushq %rdi\n"
    ".cfi_adjust_cfa_offset 8\n"
    "pushq %rsi\n"
    ".cfi_adjust_cfa_offset 8\n"
    "subq $8, %rsp\n"
    ".cfi_adjust_cfa_offset 8\n"
    "movq 24(%rsp), %rdx\n"
    "call ca_dlopen_for\n"
    "addq $8, %rsp\n"
    ".cfi_adjust_cfa_offset -8\n"
    "popq %rsi\n"
    ".cfi_adjust_cfa_offset -8\n"
    "popq %rdi\n"
    ".cfi_adjust_cfa_offset -8\n"
    "jmp *%rax\n"
    ".cfi_endproc\n"
    ".size dlopen, . - dlopen\n");
#elif defined(__aarch64__)
__asm__(
    ".text\n"
    ".globl dlopen\n"
    ".type dlopen, %function\n"
    "dlopen:\n"
    ".cfi_startproc\n"
    "hint #34\n" /* bti c */
    "stp x29, x30, [sp, #-32]!\n"
    ".cfi_def_cfa_offset 32\n"
    ".cfi_offset x29, -32\n"
    ".cfi_offset x30, -24\n"
    "stp x0, x1, [sp, #16]\n"
    "mov x2, x30\n"
    "bl ca_dlopen_for\n"
    "mov x16, x0\n"
    "ldp x0, x1, [sp, #16]\n"
    "ldp x29, x30, [sp], #32\n"
    ".cfi_restore x30\n"
    ".cfi_restore x29\n"
    ".cfi_def_cfa_offset 0\n"
    "br x16\n"
    ".cfi_endproc\n"
    ".size dlopen, . - dlopen\n");
#endif
