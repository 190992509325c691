// Who can serve malloc from many contexts, as //bench:contexts asks them.
//
// A back-end has
//   Context                what Create() returns; `budget` bytes of blocks are to fit
//   Enter, Leave           make a context current on this thread, and what was before again
//   Allocate, Free         malloc and free, while a context is entered
//   IsNone, Destroy        of a context that isn't entered; its blocks are gone
#ifndef CONTEXT_ALLOCATOR_BENCH_CONTEXTS_BACKENDS_H_
#define CONTEXT_ALLOCATOR_BENCH_CONTEXTS_BACKENDS_H_

#include <jemalloc/jemalloc.h>
#include <mimalloc.h>
#include <stdlib.h>

#include <cstddef>
#include <string>

#include "bench/measure.h"
#include "switchable/context.h"

// What glibc calls its own, whoever is malloc.
extern "C" void *__libc_malloc(std::size_t size);
extern "C" void __libc_free(void *ptr);

namespace ca_bench {

// What becomes of the pages of contexts that aren't: kPagesAhead has those of the next contexts made
// present by the one before, kPagesPresent those of all at the start.
enum class Idle { kPagesKept, kPagesGivenBack, kPagesAhead, kPagesPresent };

// What a context that mostly waits may need.
constexpr std::size_t kSmallBudget = 8 << 10;

// Ours, behind malloc. All settings are here: contexts of a small budget begin in a slot of 1 KiB, of
// which four share a page, and get more when they need it; others have all of theirs from the beginning.
struct Contexts {
  using Context = ca_context;
  static inline std::string kName = "contexts";

  // Room for `most` small ones at the same time. Address space only, until it is used.
  explicit Contexts(std::size_t most, Idle idle = Idle::kPagesKept) : Contexts(most, idle, false) {}
  // Of the allocator in each context, by name. Returns false if there is no such.
  static bool ChooseKind(const std::string &kind);

  static Context Create(std::size_t budget) {
    return CreateWith(budget, budget <= kSmallBudget ? kFirst : 0);
  }
  static bool IsNone(Context context) { return ca_context_is_none(context); }
  static void Enter(Context context) { ca_context_swap_in(context); }
  static void Leave() { ca_context_swap_out(); }
  static void *Allocate(std::size_t size) { return malloc(size); }
  static void Free(void *ptr) { free(ptr); }
  static void Destroy(Context context) { ca_context_destroy(context); }
  static void Reset(Context context) { ca_context_reset(context); }

 protected:
  static constexpr std::size_t kFirst = 600;

  // The headers of bit sets and trees leave no 600 bytes of 1 KiB.
  static std::size_t SmallSlot() { return std::size_t{kind_ == CA_CONTEXT_BUMP ? 1U : 2U} << 10; }

  Contexts(std::size_t most, Idle idle, bool huge_pages)
      : Contexts({SmallSlot(), most + 1024, 0,
                  idle == Idle::kPagesAhead ? (std::size_t{256} << 10) / SmallSlot() - 1 : 0,
                  huge_pages},
                 most, idle) {}
  Contexts(const ca_context_class &smallest, std::size_t most, Idle idle) {
    const std::size_t retained = smallest.retained;
    ca_contexts_settings settings = {};
    settings.classes[0] = smallest;
    settings.classes[1] = {std::size_t{64} << 10, most / 8 + 8192, retained, 0, false};
    settings.classes[2] = {std::size_t{1} << 20, 1024, retained, 0, false};
    settings.classes[3] = {std::size_t{64} << 20, 64, retained, 0, false};
    if (!ca_contexts_init(&settings)) std::exit(1);
    if (idle == Idle::kPagesPresent) ca_contexts_make_present(smallest.slot_size, most + 1);
  }
  static Context CreateWith(std::size_t budget, std::size_t first) {
    ca_context_settings settings = {};
    settings.budget = budget;
    settings.first = first;
    settings.kind = kind_;
    return ca_context_create(&settings);
  }

 private:
  static inline ca_context_kind kind_ = CA_CONTEXT_BUMP;
};

// Each in a slot of 16 KiB, and so in a page of its own.
struct PageContexts : Contexts {
  static inline std::string kName = "contexts_page";

  explicit PageContexts(std::size_t most, Idle idle = Idle::kPagesKept)
      : Contexts({std::size_t{16} << 10, most + 1024, idle == Idle::kPagesGivenBack ? 1U : 0U,
                  idle == Idle::kPagesAhead ? 63U : 0U, false},
                 most, idle) {}
  static Context Create(std::size_t budget) { return CreateWith(budget, 0); }
};

// Each begins in a slot of 1 KiB, also one that needs more at once.
struct GrowingContexts : Contexts {
  static inline std::string kName = "contexts_growing";

  using Contexts::Contexts;
  static Context Create(std::size_t budget) { return CreateWith(budget, kFirst); }
};

// The slots of 1 KiB in transparent huge pages, if the system has them.
struct HugeContexts : Contexts {
  static inline std::string kName = "contexts_huge";

  explicit HugeContexts(std::size_t most, Idle idle = Idle::kPagesKept)
      : Contexts(most, idle, true) {}
};

inline bool Contexts::ChooseKind(const std::string &kind) {
  if (kind == "bit_set" || kind == "trees") {
    kind_ = kind == "trees" ? CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE : CA_CONTEXT_BIT_SET;
    for (std::string *name :
         {&kName, &PageContexts::kName, &GrowingContexts::kName, &HugeContexts::kName}) {
      *name += "_" + kind;
    }
    return true;
  }
  return kind == "bump";
}

// The thread's default heap is what mi_malloc, its malloc, serves from.
struct MimallocHeaps {
  using Context = mi_heap_t *;
  static constexpr const char *kName = "mimalloc";
  static constexpr const char *kLibrary = "libmimalloc.so.2";

  explicit MimallocHeaps(std::size_t = 0, Idle = Idle::kPagesKept) {}
  Context Create(std::size_t) { return new_(); }
  static bool IsNone(Context context) { return context == nullptr; }
  void Enter(Context context) { before_ = set_default_(context); }
  void Leave() { set_default_(before_); }
  void *Allocate(std::size_t size) { return malloc_(size); }
  void Free(void *ptr) { free_(ptr); }
  void Destroy(Context context) { destroy_(context); }
  static void Reset(Context) {}

 private:
  mi_heap_t *before_ = nullptr;
  decltype(mi_heap_new) *new_ = LoadFrom<decltype(mi_heap_new)>(kLibrary, "mi_heap_new");
  decltype(mi_heap_destroy) *destroy_ =
      LoadFrom<decltype(mi_heap_destroy)>(kLibrary, "mi_heap_destroy");
  decltype(mi_heap_set_default) *set_default_ =
      LoadFrom<decltype(mi_heap_set_default)>(kLibrary, "mi_heap_set_default");
  decltype(mi_malloc) *malloc_ = LoadFrom<decltype(mi_malloc)>(kLibrary, "mi_malloc");
  decltype(mi_free) *free_ = LoadFrom<decltype(mi_free)>(kLibrary, "mi_free");
};

// Its malloc keeps serving from the thread's cache, whatever arena is set: to have a block in the
// arena, it must be asked for there. To switch costs what setting thread.arena costs.
struct JemallocArenas {
  using Context = unsigned;
  static constexpr const char *kName = "jemalloc";
  static constexpr const char *kLibrary = "libjemalloc.so.2";

  explicit JemallocArenas(std::size_t = 0, Idle = Idle::kPagesKept) {
    Find("thread.arena", thread_arena_, 2);
    Find("arena.0.destroy", arena_destroy_, 3);
    Find("arena.0.reset", arena_reset_, 3);
  }
  Context Create(std::size_t) {
    unsigned arena = 0;
    std::size_t size = sizeof arena;
    return mallctl_("arenas.create", &arena, &size, nullptr, 0) == 0 ? arena : 0;
  }
  static bool IsNone(Context context) { return context == 0; }
  void Enter(Context context) {
    std::size_t size = sizeof before_;
    by_mib_(thread_arena_, 2, &before_, &size, &context, sizeof context);
    flags_ = static_cast<int>(MALLOCX_ARENA(context) | MALLOCX_TCACHE_NONE);
  }
  void Leave() { by_mib_(thread_arena_, 2, nullptr, nullptr, &before_, sizeof before_); }
  void *Allocate(std::size_t size) { return mallocx_(size, flags_); }
  void Free(void *ptr) { dallocx_(ptr, flags_); }
  void Destroy(Context context) { OnArena(arena_destroy_, context); }
  void Reset(Context context) { OnArena(arena_reset_, context); }

 private:
  void Find(const char *name, std::size_t *mib, std::size_t length) {
    if (to_mib_(name, mib, &length) != 0) std::exit(1);
  }
  void OnArena(std::size_t *mib, unsigned arena) {
    mib[1] = arena;
    by_mib_(mib, 3, nullptr, nullptr, nullptr, 0);
  }
  std::size_t thread_arena_[2];
  std::size_t arena_destroy_[3];
  std::size_t arena_reset_[3];
  unsigned before_ = 0;
  int flags_ = 0;
  decltype(mallctl) *mallctl_ = LoadFrom<decltype(mallctl)>(kLibrary, "mallctl");
  decltype(mallctlnametomib) *to_mib_ =
      LoadFrom<decltype(mallctlnametomib)>(kLibrary, "mallctlnametomib");
  decltype(mallctlbymib) *by_mib_ = LoadFrom<decltype(mallctlbymib)>(kLibrary, "mallctlbymib");
  decltype(mallocx) *mallocx_ = LoadFrom<decltype(mallocx)>(kLibrary, "mallocx");
  decltype(dallocx) *dallocx_ = LoadFrom<decltype(dallocx)>(kLibrary, "dallocx");
};

// Who has no contexts, or is used without: one malloc for everything.
struct PlainMalloc {
  using Context = bool;
  static Context Create(std::size_t) { return true; }
  static void Enter(Context) {}
  static void Leave() {}
  static void Reset(Context) {}
  void *Allocate(std::size_t size) { return malloc_(size); }
  void Free(void *ptr) { free_(ptr); }

  using Malloc = void *(std::size_t);
  using Deallocate = void(void *);
  const char *name;
  Malloc *malloc_;
  Deallocate *free_;
};

inline PlainMalloc GlibcMalloc() { return {"glibc", __libc_malloc, __libc_free}; }

inline PlainMalloc MimallocMalloc() {
  return {"mimalloc", LoadFrom<PlainMalloc::Malloc>(MimallocHeaps::kLibrary, "mi_malloc"),
          LoadFrom<PlainMalloc::Deallocate>(MimallocHeaps::kLibrary, "mi_free")};
}

inline PlainMalloc JemallocMalloc() {
  return {"jemalloc", LoadFrom<PlainMalloc::Malloc>(JemallocArenas::kLibrary, "malloc"),
          LoadFrom<PlainMalloc::Deallocate>(JemallocArenas::kLibrary, "free")};
}

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_CONTEXTS_BACKENDS_H_
