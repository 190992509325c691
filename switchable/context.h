/* switchable/context.h - one coroutine's memory: made in O(1), gone in O(1), whatever leaked.
 *
 * Idea        a context is a slot of an arena: its header, then a local allocator over the rest.
 *             While a thread has it swapped in, that thread's malloc is served from it. Whose a
 *             block is follows from its address alone, so it may be freed by anybody, anywhere:
 *             by the thread that holds the context at once; by another through a lock-free list,
 *             kept in the freed blocks themselves, which the context takes in when it is next
 *             swapped in, or when it would else refuse a request.
 * Cost        create, destroy, reset, swap: O(1). A swap takes in what was freed by others
 *             meanwhile: O(1) each. A thread keeps the slot of a context that it ends, one of each
 *             class up to 64 KiB, for the next one it creates, which costs one locked instruction;
 *             else create and destroy take three. That one, and a context which a thread parks twice
 *             in a row, is biased to the thread: swaps there take no locked instruction, nor does
 *             destroy. The first other thread that
 *             wants to hold it pays a system call which interrupts every processor that runs a thread
 *             of the process (membarrier: microseconds), and the bias is gone. Where contexts go from
 *             thread to thread all the time this is soon noticed, and none is biased: there are 64
 *             such calls, one more for each 4,096 swaps, and those for what was biased when the 64
 *             were spent. The first use of contexts takes milliseconds, once, if the process has
 *             several threads by then. Destroy gives pages back when more slots than `retained` are
 *             idle: then the kernel's time for the pages touched.
 * Kinds       the local allocator is a bump, a bit set or trees (allocators/context): what is freed
 *             within the context is used again by the last two.
 * Overhead    one header a slot, of CA_CONTEXT_OVERHEAD bytes or what the kind's own struct needs
 *             more, and 64 for a family budget; 16 bytes a used slot; a block costs its kind's.
 * Growth      with `first`, a context begins in a slot of the smallest class that holds so many
 *             bytes. That slot may be as small as CA_CONTEXT_LEAST_SLOT, so that many that wait
 *             share a page. Where it would refuse a request, it gets one more slot, an extension:
 *             at least twice as large as its last one, or large enough for all that its budget
 *             leaves, and for the request. A context that counts in no family gets one of the
 *             largest class up to 64 KiB, or of the smallest that holds all that is left, if one is
 *             idle. Of the slot it has as many bytes as the budget leaves, or where a family has
 *             less room for it and the slot is none of the largest, as that has. So there are at
 *             most CA_CONTEXT_CLASSES - 1 of them. A block lies in one slot, so that
 *             the budget can't all be one block. Where no such slot is idle, it is as over budget.
 *             Reset and destroy give the extensions back, O(1) each. Costs nobody else anything; a
 *             block in an extension is freed at the price of one more load, and where the kind
 *             isn't a bump, of a search among the slots of its context.
 * Families    the ranges of contexts, their budgets or with `first` what they have of them, count in
 *             the family budgets that they lie within: a context's own, if it has one, those of its
 *             ancestors, and that of the heap of the thread which made the root of their tree. They
 *             count in all of these from when they are got to the end, used or not, so that malloc
 *             asks nobody: of an orphan until its last block is freed, of a context in quarantine no
 *             longer. What would pass a family budget by a byte is not made there, nor handed there,
 *             nor grows there; the contexts that are there go on with what they have. Where they
 *             count doesn't depend on the thread that they run on, and is changed by
 *             ca_context_set_parent() alone. A family budget that ends before what counts in it, as
 *             that of a thread's heap may, or one with orphans, goes on until that ends, and its
 *             slot is taken until then. Costs create and destroy an addition for each of these
 *             budgets, under one lock of the process; nothing where there is none.
 * Holding     a context is held by the thread that it is swapped in on, and by nobody while it is
 *             parked. It may be created on one thread, swapped in on another, destroyed on a third.
 *             A process that comes to forbid itself membarrier, by a seccomp filter, does so
 *             before its threads use contexts, and none is biased; else those that are stay with
 *             their threads: HELD for all others.
 * Handles     a ca_context is a value that carries a generation: used after destroy, it is
 *             recognised and refused, also when its slot serves another context.
 * Errors      values; a failed call changes nothing.
 * Misuse      ends the process with a report that names the call, for every kind: a free into a slot
 *             that was given back, of what lies in a context's header, and, where the context is
 *             held by the caller, of the inside of a block or of one that was freed. In a parked
 *             context a bump reports the latter two at once; of a bit set or trees they are reported
 *             when the context takes in what others freed, and a pointer inside a block has by then
 *             cost that block eight bytes. Two threads that free a block at once: reported then,
 *             too, unless the context is reset or released first, which forgets both. Not seen: in
 *             an orphan, a block of a bit set or trees that is freed twice, and some pointers into
 *             these; a stale pointer to where a new context of the same slot has a block. A
 *             swapped-in context isn't destroyed: CA_CONTEXT_HELD. A destroyed one isn't swapped in:
 *             CA_CONTEXT_GONE. A budget is never below use, as it doesn't change; nor is a family
 *             budget. What callbacks may do stands where they are declared.
 * Threads     any function from any thread; two that need to hold the same context at the same
 *             time: one of them gets CA_CONTEXT_HELD.
 * Fork        the child goes on with all contexts, also with the one that the thread which forks
 *             has swapped in, but for those that other threads held at that moment: these stay
 *             held. So that nothing else is in the middle of a change, fork() waits for who changes
 *             a tree, families or the quarantine, or writes a text report.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/context/context.h"
#include "sources/memory_source.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ca_context_header;

/* A handle: copy it freely. All-zero is no context. */
typedef struct ca_context {
  struct ca_context_header *header;
  uint64_t generation;
} ca_context;

typedef enum ca_context_result {
  CA_CONTEXT_DONE = 0,
  CA_CONTEXT_GONE = 1,     /* No context, or one that was destroyed. */
  CA_CONTEXT_HELD = 2,     /* Swapped in somewhere, or just being reset or destroyed. */
  CA_CONTEXT_OCCUPIED = 3, /* This thread has another context swapped in. */
  CA_CONTEXT_LIVE = 4,     /* It refuses to go while blocks are live: see ca_context_count(). */
  CA_CONTEXT_CYCLE = 5,    /* It would become its own ancestor. */
  CA_CONTEXT_DONE_BUT_CLEANUP_FAILED = 6, /* Done all the same. */
  CA_CONTEXT_DAMAGED = 7,                 /* Somebody wrote over what it knows of its blocks. */
  CA_CONTEXT_OVER_BUDGET = 8,             /* A family budget has no room for it. */
  CA_CONTEXT_OUT_OF_RANGE = 9,            /* No context can be made with these settings. */
  CA_CONTEXT_NO_SLOT = 10,                /* All that could hold it are taken. */
} ca_context_result;

/* What becomes of blocks that are live when their context is destroyed. */
typedef enum ca_context_policy {
  CA_CONTEXT_RELEASE = 0, /* They are gone at once. */
  CA_CONTEXT_REFUSE = 1,  /* The context is not destroyed: CA_CONTEXT_LIVE. */
  CA_CONTEXT_ORPHAN = 2,  /* The memory stays until the last of them is freed, by whomever. */
  /* Gone, and their pages can't be touched for a while: quarantine.h. The header then takes a page of
   * its own, so that the slot is of a class of at least two pages. */
  CA_CONTEXT_QUARANTINE = 3,
} ca_context_policy;

/* What serves an allocation that doesn't fit the context's budget. */
typedef enum ca_over_budget {
  CA_OVER_BUDGET_REFUSE = 0, /* Nothing. */
  CA_OVER_BUDGET_PARENT = 1, /* The parent, within its own budget, if it is parked. */
  CA_OVER_BUDGET_ASK = 2,    /* `exhausted` is called, and while it says so it is tried again. */
} ca_over_budget;

/* Runs with the context swapped in, on its thread. It may allocate, free blocks other than one that
 * is being resized, and destroy other contexts. It may switch, and come back on another thread: to
 * return without its context swapped in is a misuse, and reported. Its own context is not reset
 * meanwhile, by itself or with its parent, nor destroyed while it is swapped in: HELD. Not called
 * again for what it allocates itself, nor for who resizes a block of the context while it is
 * parked. Also called, with its budget for a size, where a child that is created while this context
 * is swapped in finds no room in a family. Must not throw. Returns whether to try again. */
typedef bool ca_context_exhausted(void *argument, size_t size);

/* Returns whether it succeeded; what remains to be done is done in either case. Runs on the thread
 * that resets or destroys, with that thread's current, or if its own context is swapped in here, with
 * what is current outside; must not throw. It may allocate, free and resize blocks, also its
 * context's, and use other contexts; its own, and those that are reset or destroyed with it and
 * have not gone yet, are refused as HELD. What it leaves swapped in, or makes current, stays so,
 * but if its own context is swapped in here, that comes back, what was current inside and outside
 * serves there again, and the other is parked. */
typedef bool ca_context_cleanup_callback(void *argument);

/* The caller's, often in the context's own memory; written by this library while it is registered.
 */
typedef struct ca_context_cleanup {
  ca_context_cleanup_callback *callback;
  void *argument;
  struct ca_context_cleanup *older;
} ca_context_cleanup;

enum {
  CA_CONTEXT_CLASSES = 4,
  CA_CONTEXT_OVERHEAD = 320,
  CA_CONTEXT_NAME_SIZE = 24,
  CA_CONTEXT_LEAST_SLOT = 512
};

/* Slots of one size. Those smaller than a page lie densely, so that a page serves several contexts:
 * it is present once one of them is used, and goes back to the operating system by
 * ca_contexts_trim() alone, once all of them are idle. A kind whose own struct and records don't
 * fit such a slot, as those of trees, begins in the next larger class; and so does a context that
 * may end in quarantine, which takes whole pages. */
typedef struct ca_context_class {
  size_t slot_size; /* A power of two, CA_CONTEXT_LEAST_SLOT or more. */
  size_t slots;     /* How many: address space only, until they are used. */
  size_t retained;  /* Idle slots whose pages are kept for the next context, besides one a thread of
                     * each class up to 64 KiB. 0: all; so are they of slots smaller than a page. */
  /* When a context is the first in its slot, and the next `ahead` slots weren't used either, the first
   * page of all of them, or the pages that small ones lie in, are made present by one system call
   * (Linux 6.15; else nothing happens), for pages that may never be used. Measured: from half the
   * time of a fault each to as much, by the machine (README.md). 0: none; at most 63, or of small ones
   * fewer than 64 pages hold. */
  size_t ahead;
  /* The class lies in transparent huge pages, where the system has them (2 MiB on x86-64; not where
   * /sys/kernel/mm/transparent_hugepage/enabled says "never"): the first touch makes 2 MiB of slots
   * present by one fault, measured 0.2 ms where an ordinary fault took 15 us, and 6 ms where the host of
   * a virtual machine had yet to provide them. Meant for small slots, which use all of that; of larger
   * ones the parts that are never touched are resident, too. Resident memory goes by 2 MiB, also that
   * of the 16 bytes a slot, so that the first context takes up to 6 MiB; giving pages back breaks the
   * huge one that they are a part of. A class of less than 2 MiB gets none; ignored if there is a
   * `source`. */
  bool huge_pages;
} ca_context_class;

/* All-zero is sane: 1,048,576 slots of 1 KiB, 65,536 of 64 KiB and of 1 MiB, 1,024 of 64 MiB, fewer
 * where the address space is limited. Unused classes are zero; the others are in rising order of slot size. */
typedef struct ca_contexts_settings {
  ca_context_class classes[CA_CONTEXT_CLASSES];
  ca_source *source; /* Where the slots come from, for the life of the process: its decommit must be
                      * callable by any thread. NULL: mappings of the operating system. */
} ca_contexts_settings;

/* All-zero is sane. */
typedef struct ca_context_settings {
  size_t budget;    /* Bytes for blocks, with their overheads; 0: what a slot of 1 MiB holds. Over
                     * it, an allocation in this context is refused, and nobody else notices. */
  const char *name; /* For reports: copied, and cut to 23 characters. NULL: none. */
  ca_context_kind kind;      /* CA_CONTEXT_NONE: as `lifetime` says; trees for a thread's heap. */
  ca_lifetime_hint lifetime; /* Of most blocks. */
  size_t block_size;         /* Of a bit set; 0: 64. */
  ca_context parent;         /* All-zero: none. Has to be parked, or swapped in on this thread. */
  ca_context_policy on_destroy;
  ca_over_budget over_budget;
  ca_context_exhausted *exhausted; /* Required by CA_OVER_BUDGET_ASK. */
  void *exhausted_argument;
  size_t reserve;  /* Of the budget, bytes that only the error path may use, by
                    * ca_context_use_reserve(); less than the budget. A bump has them in its first slot,
                    * besides `first`. Other kinds have them in a slot of its own, the smallest that holds
                    * them, and what the kind needs to know of its blocks comes out of them: see
                    * bit_set.h (with blocks of 64, 160 bytes at least) and multiple_binary_search_tree.h. */
  unsigned sample; /* Has each Nth allocation sampled (samples.h); 0: as ca_samples_set_default()
                    * says. */
  size_t first;    /* Bytes for blocks that it begins with, at least, and grows from as said above,
                    * where that is less than the budget. 0: the whole budget. */
  /* Bytes that its budget and those of all of its descendants may add up to; of a thread's heap, its
   * and those of all contexts that the thread makes. 0: that isn't counted; SIZE_MAX: it is, and never
   * refused. Less than what it begins with: refused. */
  size_t family_budget;
} ca_context_settings;

/* Of a bit set that may end in quarantine, and isn't swapped in on the calling thread, `used` is the
 * peak: to count its bits isn't safe where another thread may end it meanwhile. */
typedef struct ca_context_counts {
  size_t budget;    /* Bytes that blocks may take. */
  size_t slot_size; /* Bytes of address space that the context takes, in all of its slots. */
  ca_context_kind kind;
  size_t used;            /* Bytes that they take now, freed ones that can't be reused included. */
  size_t peak;            /* The most of the budget that was needed since creation or reset: bytes
                           * up to the highest block, of a bit set rounded up to 64 blocks. */
  uint64_t allocations;   /* Blocks handed out since creation or reset. */
  uint64_t deallocations; /* Blocks taken back, by whomever they were freed. */
  uint64_t taken_in;      /* Of these, freed by who did not hold the context. */
  uint64_t refusals;      /* Requests refused. */
  size_t family_budget;   /* 0: none, and so are the next two. */
  size_t family_used;     /* Bytes that count in it now; exact also from another thread. */
  uint64_t family_refusals; /* How often this budget, and none within it, had no room. */
  char name[CA_CONTEXT_NAME_SIZE];
} ca_context_counts;

/* Reserves the address space of all contexts of the process. Optional: the first create does it
 * with all-zero settings. Returns false if it was done before, if a setting is out of range, or if
 * even an eighth of the slots can't be had: nothing is kept then, and it may be tried again. Once
 * done, not undone. */
bool ca_contexts_init(const ca_contexts_settings *settings);

/* Gives the pages of idle slots back to the operating system. Returns the bytes given back. O(slots
 * given back), and of classes smaller than a page O(slots ever used), whose idle slots serve nobody
 * meanwhile: a context that is made then begins in a larger class, or is refused. */
size_t ca_contexts_trim(void);

/* Has the first page made present of each of the next `most` slots of this size that nobody has used
 * yet, which then are idle slots with pages, also beyond `retained`: a context that begins in one
 * doesn't wait for the system. For the start of a server, or for a thread that does it again
 * whenever ca_contexts_count() says that few are left. Returns for how many slots: fewer where there
 * are no more, 0 if no class has slots of this size. Any thread, also while others make contexts.
 * O(slots), each a page that is resident from then on, or its part of one, and the system's time for
 * that. */
size_t ca_contexts_make_present(size_t slot_size, size_t most);

/* Makes a context, parked. settings may be NULL: all zero. Returns the all-zero handle if it can't:
 * ca_context_try_create() says why. */
ca_context ca_context_create(const ca_context_settings *settings);

/* The same, by its result, into *context:
 *   OUT_OF_RANGE  a setting is out of range, or the budget is larger than the largest slot holds,
 *                 or, as the reserve may be, too small for its kind: it will always be refused;
 *   NO_SLOT       all slots that could hold it, what it begins with or its reserve are taken, or the
 *                 address space for them can't be had: until others are destroyed;
 *   GONE, HELD    the parent is gone, or held elsewhere;
 *   OVER_BUDGET   a family budget has no room for it, and that family's count of refusals has risen.
 * *context is written when it is DONE. */
ca_context_result ca_context_try_create(const ca_context_settings *settings, ca_context *context);

/* Makes this thread hold the context, and what was current in it current here: the context itself
 * the first time. HELD if it is swapped in already, here or elsewhere. */
ca_context_result ca_context_swap_in(ca_context context);

/* Parks the context that this thread holds, makes current again what was before, and returns the
 * handle: all-zero if there was none. */
ca_context ca_context_swap_out(void);

/* Runs its cleanup callbacks and forgets every block; its descendants first. Requires, else HELD,
 * that it is parked or swapped in on this thread, that its descendants are parked, and that no
 * `exhausted` of these is running. O(1) for each. */
ca_context_result ca_context_reset(ca_context context);

/* Ends the context and its descendants, each as its settings say; their cleanup callbacks run first.
 * HELD if one of them is swapped in, also on this thread: a coroutine can't destroy the ground that
 * it stands on. LIVE if one of them refuses. */
ca_context_result ca_context_destroy(ca_context context);

/* Whether the reserve of a context serves. */
typedef enum ca_reserve { CA_RESERVE_SHUT = 0, CA_RESERVE_OPEN = 1 } ca_reserve;

/* For a request that ran out of memory, and has yet to say so: opens the reserve of the context that
 * this thread has swapped in, or shuts it again, and returns what it was: SHUT where there is no
 * reserve, or no context. A context is made with its reserve shut, and reset shuts it; it is open
 * while `exhausted` runs. Blocks from the reserve are like any others; shut, no more of it is handed
 * out, but what is freed of a bump's serves like other freed memory. Open, other kinds use it when
 * the slots that they have are full. O(1). */
ca_reserve ca_context_use_reserve(ca_reserve reserve);

/* The tree. Each requires, else HELD, that the contexts it names are parked or swapped in on this
 * thread. */

/* Makes it a child of another, or with the all-zero handle of none. It then counts in the families of
 * that, or of this thread's heap, together with its descendants; OVER_BUDGET if they have no room. */
ca_context_result ca_context_set_parent(ca_context context, ca_context parent);

/* Has cleanup->callback called once, when the context is reset or destroyed; the last one registered
 * is called first. Requires that *cleanup stays until then, and isn't registered already. */
ca_context_result ca_context_add_cleanup(ca_context context, ca_context_cleanup *cleanup);

/* Takes it back. DONE also if it isn't there. O(cleanups). */
ca_context_result ca_context_remove_cleanup(ca_context context, ca_context_cleanup *cleanup);

/* What the context was asked and what it used. Exact while it is parked or held here; from another
 * thread the counts may be of different moments. All-zero if it is gone. */
ca_context_counts ca_context_count(ca_context context);

/* Calls visitor(argument, block) for each live block, its size what is usable, by rising address;
 * no further once visitor returns false. Requires, else HELD, that it is parked or swapped in on
 * this thread. What others freed is taken in before. The visitor runs with what is current outside
 * the context, and may do what a cleanup callback may: the block that it frees or resizes may also be
 * the one that it is shown. DAMAGED where a block was written past its end, so that the next one
 * isn't found. O(blocks handed out). */
ca_context_result ca_context_walk(ca_context context, ca_block_visitor *visitor, void *argument);

/* Whether the context's invariants hold, and those of its allocator. O(n) in its blocks; requires that
 * it is parked or held here. False if it is gone. */
bool ca_context_check(ca_context context);

static inline bool ca_context_is_none(ca_context context) { return context.header == NULL; }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_CONTEXT_H_ */
