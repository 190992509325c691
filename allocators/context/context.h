/* allocators/context/context.h - one of the local allocators, chosen when it's set up.
 *
 * Idea        a tagged union of the local allocators in a struct of fixed size, so that the storage
 *             of a coroutine's allocator doesn't depend on the kind, and a context can be set up
 *             again as another kind. The interface of a context is the chosen allocator's own: its
 *             table, no layer between; a call costs that allocator's, through one indirect call.
 *             What lives shortly is bumped and forgotten whole; what lives for a while and comes
 *             and goes in similar sizes gets a bit set; what lives long and varies, trees.
 * Cost, Overhead, Alignment, Errors, Misuse
 *             the kind's: see bump.h, bit_set.h and multiple_binary_search_tree.h. Reset is O(1) in
 *             each.
 * Ownership   the source must outlive the context; destroy() returns the range to it.
 * Threads     not thread-safe.
 */
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_CONTEXT_CONTEXT_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_CONTEXT_CONTEXT_H_

#include "allocators/allocator.h"
#include "allocators/bit_set/bit_set.h"
#include "allocators/bump/bump.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"
#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How long most blocks are going to live. */
typedef enum ca_lifetime_hint {
  CA_LIFETIME_SHORT = 0,
  CA_LIFETIME_MEDIUM = 1,
  CA_LIFETIME_LONG = 2
} ca_lifetime_hint;

/* The allocators to choose from. */
typedef enum ca_context_kind {
  CA_CONTEXT_NONE = 0, /* Holds nothing and refuses everything. */
  CA_CONTEXT_BUMP = 1,
  CA_CONTEXT_BIT_SET = 2,
  CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE = 3
} ca_context_kind;

/* All-zero is sane. */
typedef struct ca_context_allocator_settings {
  ca_sizes sizes;
  size_t block_size; /* The bit set's; 0: 64. */
} ca_context_allocator_settings;

/* Invariant: `chosen` is the member that `kind` names, and its own invariant holds; with no kind it
 * is a bump allocator that holds nothing. All-zero may be destroyed. Private to context.c. */
typedef struct ca_context_allocator {
  ca_context_kind kind;
  union {
    ca_allocator base; /* First in each of the others, too. */
    ca_bump bump;
    ca_bit_set bit_set;
    ca_multiple_binary_search_tree trees;
  } chosen; /* Last: storage may be cut to ca_context_allocator_size(). */
} ca_context_allocator;

/* How many bytes of its struct a kind uses: where storage is dear and the kind is settled, so many
 * are enough. */
size_t ca_context_allocator_size(ca_context_kind kind);

/* The kind for a lifetime: short is bumped, medium is a bit set, long are trees. */
ca_context_kind ca_context_kind_for(ca_lifetime_hint hint);

/* The kind of this name: "bump", "bit_set" or "multiple_binary_search_tree"; CA_CONTEXT_NONE for any
 * other. */
ca_context_kind ca_context_kind_named(const char *name);

/* Takes a range of `size` bytes from source for an allocator of this kind. Returns false if the kind
 * is none or its own init refuses: *self then refuses every request, through the interface too.
 * settings may be NULL: all-zero then. */
bool ca_context_allocator_init(ca_context_allocator *self, ca_source *source, size_t size,
                               ca_context_kind kind, const ca_context_allocator_settings *settings);

/* Likewise over the caller's own range, which destroy() leaves alone. */
bool ca_context_allocator_init_range(ca_context_allocator *self, ca_block range,
                                     ca_context_kind kind,
                                     const ca_context_allocator_settings *settings);

/* Gives the range back; a new init may choose another kind. Twice is harmless. */
void ca_context_allocator_destroy(ca_context_allocator *self);

/* Forgets every block at once and keeps range and kind. Cost: the kind's. Inline, as after much
 * traffic the code of context.c would be far from the processor's caches. */
static inline void ca_context_allocator_reset(ca_context_allocator *self) {
  switch (self->kind) {
    case CA_CONTEXT_BUMP:
      ca_bump_reset(&self->chosen.bump);
      break;
    case CA_CONTEXT_BIT_SET:
      ca_bit_set_reset(&self->chosen.bit_set);
      break;
    case CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE:
      ca_multiple_binary_search_tree_reset(&self->chosen.trees);
      break;
    case CA_CONTEXT_NONE:
      break;
  }
}

/* The allocator interface of *self, the same for every kind, also after another init. */
static inline ca_allocator *ca_context_allocator_allocator(ca_context_allocator *self) {
  return &self->chosen.base;
}

static inline ca_context_kind ca_context_allocator_kind(const ca_context_allocator *self) {
  return self->kind;
}

/* Whether the invariant holds: that of the kind, which the interface's own check tests alone, and
 * that the interface is this kind's. O(n) as the kind's. */
bool ca_context_allocator_check(const ca_context_allocator *self);

/* What can be derived at no cost to the calls. */
typedef struct ca_context_allocator_statistics {
  size_t used; /* Bytes that blocks take, and of a bump what was freed and isn't the newest. */
  size_t peak; /* How far it was ever used since init or reset: bytes from the first block's begin
                    * to the highest block's end, of a bit set rounded up to 64 blocks. Of a bump with
                    * sizes forgotten only what is used now. */
  size_t capacity; /* Bytes that could be used at most. */
} ca_context_allocator_statistics;

/* used <= peak <= capacity. O(1) for a bump and for trees, O(blocks / 64) for a bit set. */
ca_context_allocator_statistics ca_context_allocator_measure(const ca_context_allocator *self);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ALLOCATORS_CONTEXT_CONTEXT_H_ */
