/* switchable/placement_program.c - a program that is not linked with the library, for
 * preload_test.sh: it prints who serves an allocation of each of a few places while a context is
 * current. Usage: placement_program LIBRARY_OF_PLACED_CC [LIBRARY...] */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "switchable/context.h"

/* Finds a function of the preloaded library, or of a loaded one. */
#define FIND(handle, name, function)                \
  do {                                              \
    void *const symbol = dlsym((handle), (name));   \
    if (symbol == NULL) {                           \
      fprintf(stderr, "there is no %s\n", (name));  \
      exit(1);                                      \
    }                                               \
    memcpy(&(function), &symbol, sizeof(function)); \
  } while (0)

static ca_context context;

static const char *server_of(const void *ptr) {
  const uintptr_t default_slot_size = (uintptr_t)1 << 20;
  return (uintptr_t)ptr - (uintptr_t)context.header < default_slot_size ? "context" : "global";
}

static void look_at(const char *path) {
  void *const handle = dlopen(path, RTLD_NOW);
  if (handle == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  void *(*probe)(int way);
  void **initialised;
  FIND(handle, "probe", probe);
  FIND(handle, "probe_initialised", initialised);
  const char *const name = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
  fprintf(stderr, "%s: initialiser %s, malloc %s, new %s\n", name, server_of(*initialised),
          server_of(probe(0)), server_of(probe(7)));
}

int main(int count, char **arguments) {
  ca_context (*create)(const ca_context_settings *settings);
  ca_context_result (*swap_in)(ca_context context);
  ca_context (*swap_out)(void);
  FIND(RTLD_DEFAULT, "ca_context_create", create);
  FIND(RTLD_DEFAULT, "ca_context_swap_in", swap_in);
  FIND(RTLD_DEFAULT, "ca_context_swap_out", swap_out);
  context = create(NULL);
  if (swap_in(context) != CA_CONTEXT_DONE) {
    return 1;
  }
  fprintf(stderr, "program: malloc %s\n", server_of(malloc(100)));
  for (int i = 1; i < count; i++) {
    look_at(arguments[i]);
  }
  (void)swap_out();
  return 0;
}
