/* sources/memory_map/node_set.h - a set of NUMA nodes.
 *
 * Idea        one bit for each node, in the form that the kernel's calls take.
 * Errors      as each function says. errno is kept.
 * Threads     as for any plain value.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_NODE_SET_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_NODE_SET_H_

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As many as Linux can be configured for. */
#define CA_NODE_COUNT_MAX 1024U
#define CA_NODE_SET_WORD_BITS (8U * (unsigned)sizeof(unsigned long))
#define CA_NODE_SET_WORDS (CA_NODE_COUNT_MAX / CA_NODE_SET_WORD_BITS)

/* All-zero is the empty set. */
typedef struct ca_node_set {
  unsigned long words[CA_NODE_SET_WORDS];
} ca_node_set;

/* Requires node < CA_NODE_COUNT_MAX. */
static inline void ca_node_set_add(ca_node_set *self, unsigned node) {
  self->words[node / CA_NODE_SET_WORD_BITS] |= 1UL << (node % CA_NODE_SET_WORD_BITS);
}

static inline bool ca_node_set_has(const ca_node_set *self, unsigned node) {
  return node < CA_NODE_COUNT_MAX &&
         (self->words[node / CA_NODE_SET_WORD_BITS] >> (node % CA_NODE_SET_WORD_BITS) & 1) != 0;
}

/* How many nodes are in it. */
unsigned ca_node_set_count(const ca_node_set *self);

/* Whether every node of *self is also in *other. */
bool ca_node_set_is_within(const ca_node_set *self, const ca_node_set *other);

/* Reads "0,2-5". Returns false, with *self unchanged, unless the whole text is such a list. */
bool ca_node_set_parse(ca_node_set *self, const char *text);

/* The nodes on which this process may have memory. Returns false, with *self unchanged, on a
 * kernel without NUMA or where the call is forbidden. */
bool ca_node_set_allowed(ca_node_set *self);

/* The node of the CPU that this thread runs on now; 0 where that can't be told. */
unsigned ca_node_current(void);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_NODE_SET_H_ */
