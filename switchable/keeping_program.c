/* switchable/keeping_program.c - a program that is not linked with the library, for
 * preload_test.sh: has libc keep things, in a context where the library is preloaded, and uses them
 * after that has gone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "switchable/context.h"

static void find(const char *name, void *function) {
  void *const symbol = dlsym(RTLD_DEFAULT, name);
  memcpy(function, &symbol, sizeof symbol);
}

static const time_t when = 1000000000;

static void keep(void) {
  FILE *const stays_open = fopen("kept", "w");
  if (stays_open != NULL) {
    fputs("written at exit", stays_open);
  }
  setenv("KEPT", "by a request", 1);
  setenv("TZ", "EST5EDT", 1);
  printf("%s", ctime(&when));
  printf("%s\n", strerror(123456));
}

static void use(void) {
  fflush(NULL);
  printf("%s\n%s", getenv("KEPT"), ctime(&when));
  printf("%s\n", strerror(123456));
}

static void keep_in_context(void) {
  ca_context (*create)(const ca_context_settings *);
  find("ca_context_create", &create);
  if (create == NULL) {
    keep();
    return;
  }
  ca_context_result (*swap_in)(ca_context);
  ca_context (*swap_out)(void);
  ca_context_counts (*count)(ca_context);
  ca_context_result (*destroy)(ca_context);
  find("ca_context_swap_in", &swap_in);
  find("ca_context_swap_out", &swap_out);
  find("ca_context_count", &count);
  find("ca_context_destroy", &destroy);
  const ca_context_settings settings = {.on_destroy = CA_CONTEXT_QUARANTINE};
  const ca_context context = create(&settings);
  swap_in(context);
  keep();
  swap_out();
  if (count(context).allocations != 0) {
    printf("some of it is the context's\n");
  }
  destroy(context);
}

int main(void) {
  keep_in_context();
  use();
  return 0;
}
