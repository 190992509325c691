#define _GNU_SOURCE
#include "switchable/placement.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/check.h"
#include "switchable/context_header.h"
#include "switchable/lock.h"
#include "switchable/placement_rules.h"

/* In a fully static program, which loads nothing, there is no dlopen(), and maybe no dlsym() to
 * find it. */
__attribute__((weak)) void *dlsym(void *restrict handle, const char *restrict name);

bool ca_placement_stated;
bool ca_placement_has_initialisers;

typedef struct range {
  uintptr_t begin, end; /* Of executable pages. */
  bool is_global;
} range;

/* Written under the lock, before ca_placement_stated is, and then only read.
 * Invariant: ranges are sorted, don't overlap, and belong to objects that are never unloaded. */
static struct {
  range *ranges;
  size_t count;
  char names[CA_PLACEMENT_NAMES][CA_PLACEMENT_NAME_SIZE];
  size_t names_count;
} rules;

/* Names. */

static bool add_name(const char *name, size_t length) {
  if (length == 0 || length >= CA_PLACEMENT_NAME_SIZE || memchr(name, '/', length) != NULL ||
      rules.names_count == CA_PLACEMENT_NAMES) {
    return false;
  }
  memcpy(rules.names[rules.names_count], name, length);
  rules.names[rules.names_count][length] = '\0';
  rules.names_count++;
  return true;
}

static bool parse_names(const char *names) {
  rules.names_count = 0;
  while (names != NULL) {
    const char *const end = strchrnul(names, ':');
    if (!add_name(names, (size_t)(end - names))) {
      return false;
    }
    names = *end == ':' ? end + 1 : NULL;
  }
  return true;
}

static bool is_named(const char *path) {
  const char *const slash = strrchr(path, '/');
  const char *const file = slash == NULL ? path : slash + 1;
  for (size_t i = 0; i < rules.names_count; i++) {
    const size_t length = strlen(rules.names[i]);
    if (strncmp(file, rules.names[i], length) == 0 &&
        (file[length] == '\0' || file[length] == '.')) {
      return true;
    }
  }
  return false;
}

/* The map. */

enum { PATH_SIZE = 256 }; /* What has a longer path is left to is_global_elsewhere(). */

/* An executable segment of an object that is loaded, but might be unloaded. */
typedef struct candidate {
  uintptr_t begin, end;
  uintptr_t base;
  char path[PATH_SIZE];
} candidate;

typedef struct candidates {
  candidate *all; /* NULL: they are only counted. */
  size_t count, most;
} candidates;

typedef ElfW(Phdr) program_header;

static void add_candidate(candidates *self, const struct dl_phdr_info *info,
                          const program_header *segment) {
  if (self->all == NULL) {
    self->count++;
  } else if (self->count < self->most && strlen(info->dlpi_name) < PATH_SIZE) {
    candidate *const one = &self->all[self->count++];
    one->begin = info->dlpi_addr + segment->p_vaddr;
    one->end = one->begin + segment->p_memsz;
    one->base = info->dlpi_addr;
    strcpy(one->path, info->dlpi_name);
  }
}

static int add_candidates(struct dl_phdr_info *info, size_t size, void *argument) {
  (void)size;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
      add_candidate(argument, info, &info->dlpi_phdr[i]);
    }
  }
  return 0;
}

static bool is_program(const candidate *one) { return one->path[0] == '\0'; }

static bool is_loader(const candidate *one) {
  return one->base != 0 && one->base == getauxval(AT_BASE);
}

typedef void *dlopen_function(const char *file, int mode);

static dlopen_function *find_dlopen(void) {
  void *const symbol = dlsym == NULL ? NULL : dlsym(RTLD_DEFAULT, "dlopen");
  dlopen_function *function;
  memcpy(&function, &symbol, sizeof function);
  return function;
}

/* Whether it is, and from now on stays, loaded. */
static bool pin(const candidate *one, dlopen_function *open) {
  if (is_program(one) || is_loader(one)) {
    return true;
  }
  const int mode = RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE;
  const struct link_map *const map = open == NULL ? NULL : open(one->path, mode);
  return map != NULL && map->l_addr == one->base;
}

static void insert(const candidate *one, bool initialisers) {
  size_t at = rules.count++;
  for (; at > 0 && rules.ranges[at - 1].begin > one->begin; at--) {
    rules.ranges[at] = rules.ranges[at - 1];
  }
  rules.ranges[at] = (range){.begin = one->begin,
                             .end = one->end,
                             .is_global = is_named(one->path) || (initialisers && is_loader(one))};
}

static void *map_pages(size_t size) {
  void *const pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? NULL : pages;
}

/* An object that is loaded meanwhile by another thread may be left out: is_global_elsewhere(). */
static bool make_map(bool initialisers) {
  candidates found = {.all = NULL};
  (void)dl_iterate_phdr(add_candidates, &found);
  found.most = found.count;
  found.count = 0;
  found.all = map_pages(found.most * sizeof *found.all);
  rules.ranges = map_pages(found.most * sizeof *rules.ranges);
  if (found.all != NULL && rules.ranges != NULL) {
    (void)dl_iterate_phdr(add_candidates, &found);
    dlopen_function *const open = find_dlopen();
    for (size_t i = 0; i < found.count; i++) {
      if (pin(&found.all[i], open)) {
        insert(&found.all[i], initialisers);
      }
    }
  }
  if (found.all != NULL) {
    (void)munmap(found.all, found.most * sizeof *found.all);
  }
  return found.all != NULL && rules.ranges != NULL;
}

static bool init_locked(const ca_placement_settings *settings) {
  const bool has_contexts = __atomic_load_n(&ca_context_slots_size, __ATOMIC_RELAXED) != 0;
  if (ca_placement_in_force() || has_contexts ||
      (settings->objects == NULL && !settings->initialisers) || !parse_names(settings->objects) ||
      !make_map(settings->initialisers)) {
    return false;
  }
  __atomic_store_n(&ca_placement_has_initialisers, settings->initialisers, __ATOMIC_RELAXED);
  /* Release: pairs with the acquire in ca_placement_in_force(). */
  __atomic_store_n(&ca_placement_stated, true, __ATOMIC_RELEASE);
  return true;
}

bool ca_placement_init(const ca_placement_settings *settings) {
  ca_lock_take(CA_LOCK_PLACEMENT);
  const bool done = init_locked(settings);
  ca_lock_release(CA_LOCK_PLACEMENT);
  return done;
}

/* Looking up. */

/* Return addresses that were found in the map: the address shifted by one, and whether it is
 * global. Atomic, relaxed: a word is right by itself, as what it says never changes. */
enum { REMEMBERED_SHIFT = 8 };
static uintptr_t remembered[1 << REMEMBERED_SHIFT];

static uintptr_t *remembered_of(uintptr_t address) {
  const uint64_t fibonacci = UINT64_C(0x9E3779B97F4A7C15); /* 2^64 by the golden ratio. */
  return &remembered[address * fibonacci >> (64 - REMEMBERED_SHIFT)];
}

static const range *find(uintptr_t address) {
  size_t low = 0;
  size_t high = rules.count;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (rules.ranges[middle].end <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < rules.count && rules.ranges[low].begin <= address ? &rules.ranges[low] : NULL;
}

/* What is loaded later may be unloaded again: nothing is remembered of it. */
CA_COLD static bool is_global_elsewhere(uintptr_t address) {
  struct dl_find_object found;
  return _dl_find_object((void *)address, &found) == 0 && is_named(found.dlfo_link_map->l_name);
}

CA_COLD static bool look_up(uintptr_t address) {
  const range *const one = find(address);
  if (one == NULL) {
    return is_global_elsewhere(address);
  }
  __atomic_store_n(remembered_of(address), address << 1 | one->is_global, __ATOMIC_RELAXED);
  return one->is_global;
}

bool ca_placement_is_global(const void *address) {
  if (!ca_placement_in_force()) {
    return false;
  }
  const uintptr_t sought = (uintptr_t)address;
  const uintptr_t word = __atomic_load_n(remembered_of(sought), __ATOMIC_RELAXED);
  return CA_LIKELY(word >> 1 == sought) ? (word & 1) != 0 : look_up(sought);
}
