#include "adaptors/for_sqlite/for_sqlite.h"

#include <limits.h>
#include <stddef.h>

#include "adaptors/to_malloc/to_malloc.h"

enum { STATUS_OK = 0, STATUS_MISUSE = 21 }; /* SQLITE_OK, SQLITE_MISUSE */

/* Set by xInit: the other functions are given no user data. */
static ca_to_malloc chosen;

void *ca_for_sqlite_malloc(int size) {
  CA_ASSERT(chosen.allocator != NULL);
  return ca_to_malloc_malloc(&chosen, (size_t)size); /* A negative one is more than there can be. */
}

void ca_for_sqlite_free(void *ptr) {
  CA_ASSERT(chosen.allocator != NULL);
  ca_to_malloc_free(&chosen, ptr);
}

void *ca_for_sqlite_realloc(void *ptr, int size) {
  CA_ASSERT(chosen.allocator != NULL);
  return ca_to_malloc_realloc(&chosen, ptr, (size_t)size);
}

int ca_for_sqlite_size(void *ptr) {
  CA_ASSERT(chosen.allocator != NULL);
  const size_t usable = ca_to_malloc_usable_size(&chosen, ptr);
  return usable > INT_MAX ? INT_MAX : (int)usable;
}

/* Sizes that SQLite tells apart; 8 is what it aligns to. Never above INT_MAX. */
int ca_for_sqlite_roundup(int size) { return size > INT_MAX - 7 ? INT_MAX : (size + 7) & ~7; }

int ca_for_sqlite_init(void *allocator) {
  if (allocator == NULL) {
    return STATUS_MISUSE;
  }
  ca_to_malloc_init(&chosen, allocator);
  return STATUS_OK;
}

void ca_for_sqlite_shutdown(void *allocator) {
  (void)allocator;
  chosen.allocator = NULL;
}
