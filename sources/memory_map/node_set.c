#define _GNU_SOURCE
#include "sources/memory_map/node_set.h"

#include <errno.h>
#include <sched.h>

#include "sources/memory_map/numa_calls.h"

unsigned ca_node_set_count(const ca_node_set *self) {
  unsigned count = 0;
  for (size_t i = 0; i < CA_NODE_SET_WORDS; i++) {
    count += (unsigned)__builtin_popcountl(self->words[i]);
  }
  return count;
}

bool ca_node_set_is_within(const ca_node_set *self, const ca_node_set *other) {
  for (size_t i = 0; i < CA_NODE_SET_WORDS; i++) {
    if ((self->words[i] & ~other->words[i]) != 0) {
      return false;
    }
  }
  return true;
}

/* Reads a number below CA_NODE_COUNT_MAX; NULL if there is none. */
static const char *parse_node(const char *text, unsigned *node) {
  if (*text < '0' || *text > '9') {
    return NULL;
  }
  unsigned value = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    value = value * 10 + (unsigned)(*text - '0');
    if (value >= CA_NODE_COUNT_MAX) {
      return NULL;
    }
  }
  *node = value;
  return text;
}

/* Reads "2" or "2-5" into the set; NULL if there is neither. */
static const char *parse_nodes(const char *text, ca_node_set *set) {
  unsigned first;
  text = parse_node(text, &first);
  if (text == NULL) {
    return NULL;
  }
  unsigned last = first;
  if (*text == '-') {
    text = parse_node(text + 1, &last);
  }
  if (text == NULL || last < first) {
    return NULL;
  }
  for (unsigned node = first; node <= last; node++) {
    ca_node_set_add(set, node);
  }
  return text;
}

bool ca_node_set_parse(ca_node_set *self, const char *text) {
  ca_node_set set = {{0}};
  const char *rest = parse_nodes(text, &set);
  while (rest != NULL && *rest == ',') {
    rest = parse_nodes(rest + 1, &set);
  }
  if (rest == NULL || *rest != '\0') {
    return false;
  }
  *self = set;
  return true;
}

bool ca_node_set_allowed(ca_node_set *self) {
  const int kept_errno = errno;
  ca_node_set set = {{0}};
  const bool told = ca_numa_allowed(&set) == 0 && ca_node_set_count(&set) > 0;
  if (told) {
    *self = set;
  }
  errno = kept_errno;
  return told;
}

unsigned ca_node_current(void) {
  const int kept_errno = errno;
  unsigned cpu = 0;
  unsigned node = 0;
  const bool told = getcpu(&cpu, &node) == 0;
  errno = kept_errno;
  return told ? node : 0;
}
