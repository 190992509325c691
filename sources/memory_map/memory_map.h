/* sources/memory_map/memory_map.h - memory of the operating system, by anonymous private mappings.
 *
 * Idea        one mmap() for each range, trimmed to the alignment asked. What the settings wish
 *             beyond that (a NUMA policy, huge pages, guards, locked or present pages, a name) is
 *             applied before the caller sees the range. With best effort a wish that the machine
 *             or the kernel refuses is left out and told by the report; strict refuses the range.
 * Cost        obtain, release: one system call each; an alignment above the page, or guards, cost
 *             up to three more, each further wish one or two. Pages are paid for when first
 *             touched, unless prefaulted.
 * Overhead    sizes are rounded up to whole pages, with explicit huge pages to whole huge ones;
 *             guards are addresses without memory.
 * Alignment   any power of two for which the address space has room.
 * Errors      none iff the operating system refuses: RLIMIT_AS, overcommit, too many mappings; or,
 *             strict, a wish. errno is kept; ca_memory_map_obtain() tells it.
 * Ownership   a range belongs to the caller until release(), which unmaps it. Where the kernel
 *             refuses to unmap (too many mappings) the pages go back and only addresses are lost, with
 *             what they are charged against the commit limit.
 * Threads     every function may be called by any number of threads at once.
 * Full node   the kernel kills a process (SIGKILL) that touches memory bound to a node which has
 *             none left: mbind() promises nothing about room. NEVER_OVERCOMMIT refuses before
 *             that; PREFERRED goes to another node; so does a chain of two sources.
 */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_

#include "sources/memory_map/node_set.h"
#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What stands behind an address before it is touched. */
typedef enum ca_memory_map_backing {
  /* Read and written at once, charged against the system's commit limit. */
  CA_MEMORY_MAP_COMMITTED = 0,
  /* Read and written at once, but not charged where vm.overcommit_memory is 0 or 1: more can be
   * reserved than the machine has, as long as only a part is touched. */
  CA_MEMORY_MAP_RESERVED = 1,
  /* Addresses only: a touch faults until ca_memory_map_commit(). */
  CA_MEMORY_MAP_INACCESSIBLE = 2,
  /* Refused (ENOMEM) unless the memory available now, on the nodes if bound to some, holds it
   * with a little to spare; then prefaulted, so that the pages are there. Others may take the
   * memory between the two: then the kernel decides. Reads /proc or /sys at each obtain. */
  CA_MEMORY_MAP_NEVER_OVERCOMMIT = 3
} ca_memory_map_backing;

typedef enum ca_memory_map_effort {
  CA_MEMORY_MAP_BEST_EFFORT = 0,
  CA_MEMORY_MAP_STRICT = 1
} ca_memory_map_effort;

/* On which NUMA nodes pages are made; `nodes` of the settings says which, none of them stands for
 * all that the process may use. Policies as of set_mempolicy(2). */
typedef enum ca_memory_map_policy {
  CA_MEMORY_MAP_AS_THREAD = 0,  /* By the policy of the thread that touches: no call is made. */
  CA_MEMORY_MAP_BIND = 1,       /* On these nodes only. */
  CA_MEMORY_MAP_PREFERRED = 2,  /* On these while they have room (several: Linux 5.15). */
  CA_MEMORY_MAP_INTERLEAVE = 3, /* Page by page on each in turn. */
  CA_MEMORY_MAP_LOCAL = 4       /* On the node of the thread that touches first. */
} ca_memory_map_policy;

typedef enum ca_memory_map_huge_pages {
  CA_MEMORY_MAP_HUGE_AS_SYSTEM = 0,
  CA_MEMORY_MAP_HUGE_NEVER = 1,       /* Ordinary pages, also where the system prefers huge. */
  CA_MEMORY_MAP_HUGE_TRANSPARENT = 2, /* By advice; ranges of 2 MiB and more are aligned to it. */
  /* From the pool of the administrator, never swapped. Best effort falls back from 1 GiB to 2 MiB
   * to TRANSPARENT, and tells it. INACCESSIBLE and RESERVED ranges have no explicit ones. */
  CA_MEMORY_MAP_HUGE_2_MIB = 3,
  CA_MEMORY_MAP_HUGE_1_GIB = 4
} ca_memory_map_huge_pages;

/* All-zero: committed zeroed memory, best effort, no wishes. */
typedef struct ca_memory_map_settings {
  ca_memory_map_backing backing;
  ca_memory_map_effort effort;
  ca_memory_map_policy policy;
  ca_node_set nodes;
  ca_memory_map_huge_pages huge_pages;
  bool prefault; /* The pages are there when obtain or commit returns. */
  bool lock;     /* Pages never leave memory: with prefault at once, else when touched. */
  /* Decommit is lazy (MADV_FREE): cheaper, but what it gave back may be read again until the
   * kernel needs it, and the source is not `zeroed`. */
  bool contents_unspecified;
  size_t guard_before; /* Bytes in front of each range where a touch faults; whole pages. */
  size_t guard_after;  /* The same behind it. */
  void *hint;          /* Where a range should begin, if it is free there. */
  /* In /proc/self/maps: up to 79 printable characters except \ ` $ [ ]. Must outlive *self. */
  const char *name;
} ca_memory_map_settings;

/* Wishes, as bits. */
typedef enum ca_memory_map_wish {
  CA_MEMORY_MAP_WISH_POLICY = 1 << 0,
  CA_MEMORY_MAP_WISH_HUGE_PAGES = 1 << 1,
  CA_MEMORY_MAP_WISH_PREFAULT = 1 << 2,
  CA_MEMORY_MAP_WISH_LOCK = 1 << 3,
  CA_MEMORY_MAP_WISH_HINT = 1 << 4,
  CA_MEMORY_MAP_WISH_NAME = 1 << 5,
  CA_MEMORY_MAP_WISH_NEVER_OVERCOMMIT = 1 << 6 /* What is available could not be read. */
} ca_memory_map_wish;

typedef struct ca_memory_map_report {
  unsigned missed; /* Wishes that were left out: bits of ca_memory_map_wish. */
  int error;       /* The errno of the last refusal, of a wish or of the range; 0 for none. */
} ca_memory_map_report;

/* settings and page_size never change after init; what is told below is kept in `missed` and
 * `error`, which any thread may set: relaxed, since each is one word and orders nothing else.
 * Private to the implementation. */
typedef struct ca_memory_map {
  ca_source base; /* First. */
  ca_source_ops ops;
  ca_memory_map_settings settings;
  size_t page_size;
  unsigned missed;
  int error;
} ca_memory_map;

/* Makes *self a source with these settings; NULL stands for all-zero ones. *self must not be
 * copied or moved afterwards. Holds nothing that would have to be destroyed. */
void ca_memory_map_init(ca_memory_map *self, const ca_memory_map_settings *settings);

/* The source interface of *self; valid as long as *self is. */
static inline ca_source *ca_memory_map_source(ca_memory_map *self) { return &self->base; }

/* ca_source_obtain() for a caller who wants to know: *report tells of this range. */
ca_block ca_memory_map_obtain(ca_memory_map *self, size_t size, size_t align,
                              ca_memory_map_report *report);

/* What was missed in any call since init, by whichever interface, and the last errno. */
ca_memory_map_report ca_memory_map_report_so_far(const ca_memory_map *self);

/* Makes [ptr, ptr + size), rounded outward to pages, part of an obtained INACCESSIBLE range,
 * readable and writable; it reads as zero where it was not committed before. Returns false, with
 * nothing changed, if the operating system refuses; also, strict and with prefault, if the pages
 * can't be had now: they are then accessible all the same, and a touch asks for them again. */
bool ca_memory_map_commit(ca_memory_map *self, void *ptr, size_t size);

/* Gives the whole pages inside [ptr, ptr + size) back, and makes them inaccessible again if that
 * is the backing. Returns their bytes, 0 if refused, as locked pages are. The commit charge is
 * kept until release(). This is what ca_source_decommit() does. */
size_t ca_memory_map_decommit(ca_memory_map *self, void *ptr, size_t size);

/* Gives the whole pages inside [ptr, ptr + size), of any private mapping of the process, the
 * policy of *self, and moves those that exist to where it wants them. Returns false if refused or,
 * strict, if a page could not be moved (EIO); pages may have moved even so. */
bool ca_memory_map_move(ca_memory_map *self, void *ptr, size_t size, ca_memory_map_report *report);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MEMORY_MAP_H_ */
