// What //bench:replay can replay a trace on. To add one, write a class like these and name it in
// ForEachBackend().
//
// A back-end whose `kRegion` is true lives in one range of given size, and is searched for the
// smallest one that serves.
#ifndef CONTEXT_ALLOCATOR_BENCH_REPLAY_BACKENDS_H_
#define CONTEXT_ALLOCATOR_BENCH_REPLAY_BACKENDS_H_

#include <dlfcn.h>
#include <jemalloc/jemalloc.h>
#include <malloc.h>
#include <mimalloc.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory_resource>

#include "allocators/bump/bump.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

namespace ca_bench {

// Both peers define malloc: linked in, they would take glibc's place. So they are loaded by hand,
// each into a scope of its own.
template <typename Function>
Function *Load(const char *library, const char *name) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  void *function = handle == nullptr ? nullptr : dlsym(handle, name);
  if (function == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(1);
  }
  return reinterpret_cast<Function *>(function);
}

// The loop's own time, which is taken off everybody else's.
struct Nothing {
  static constexpr const char *kName = "nothing";
  static constexpr bool kRegion = false;
  explicit Nothing(std::size_t) {}
  void *Allocate(std::size_t, std::size_t) { return &byte; }
  void Free(void *, std::size_t, std::size_t) {}
  void *Resize(void *ptr, std::size_t, std::size_t, std::size_t) { return ptr; }
  char byte;
};

struct Glibc {
  static constexpr const char *kName = "glibc";
  static constexpr bool kRegion = false;
  explicit Glibc(std::size_t) {}
  void *Allocate(std::size_t size, std::size_t align) {
    return align <= 16 ? malloc(size) : memalign(align, size);
  }
  void Free(void *ptr, std::size_t, std::size_t) { free(ptr); }
  void *Resize(void *ptr, std::size_t, std::size_t size, std::size_t) { return realloc(ptr, size); }
};

struct Mimalloc {
  static constexpr const char *kName = "mimalloc";
  static constexpr bool kRegion = false;
  static constexpr const char *kLibrary = "libmimalloc.so.2";
  explicit Mimalloc(std::size_t) : heap(Load<decltype(mi_heap_new)>(kLibrary, "mi_heap_new")()) {}
  void *Allocate(std::size_t size, std::size_t align) {
    return align <= 16 ? malloc_(heap, size) : aligned_(heap, size, align);
  }
  void Free(void *ptr, std::size_t, std::size_t) { free_(ptr); }
  void *Resize(void *ptr, std::size_t, std::size_t size, std::size_t) {
    return realloc_(heap, ptr, size);
  }
  mi_heap_t *heap;
  decltype(mi_heap_malloc) *malloc_ = Load<decltype(mi_heap_malloc)>(kLibrary, "mi_heap_malloc");
  decltype(mi_heap_malloc_aligned) *aligned_ =
      Load<decltype(mi_heap_malloc_aligned)>(kLibrary, "mi_heap_malloc_aligned");
  decltype(mi_heap_realloc) *realloc_ =
      Load<decltype(mi_heap_realloc)>(kLibrary, "mi_heap_realloc");
  decltype(mi_free) *free_ = Load<decltype(mi_free)>(kLibrary, "mi_free");
};

struct Jemalloc {
  static constexpr const char *kName = "jemalloc";
  static constexpr bool kRegion = false;
  static constexpr const char *kLibrary = "libjemalloc.so.2";
  explicit Jemalloc(std::size_t) {
    unsigned arena = 0;
    std::size_t size = sizeof arena;
    Load<decltype(mallctl)>(kLibrary, "mallctl")("arenas.create", &arena, &size, nullptr, 0);
    unsigned cache = 0;
    size = sizeof cache;
    Load<decltype(mallctl)>(kLibrary, "mallctl")("tcache.create", &cache, &size, nullptr, 0);
    flags = static_cast<int>(MALLOCX_ARENA(arena) | MALLOCX_TCACHE(cache));
  }
  int Flags(std::size_t align) const { return align <= 16 ? flags : flags | MALLOCX_ALIGN(align); }
  void *Allocate(std::size_t size, std::size_t align) { return mallocx_(size, Flags(align)); }
  void Free(void *ptr, std::size_t size, std::size_t align) { sdallocx_(ptr, size, Flags(align)); }
  void *Resize(void *ptr, std::size_t, std::size_t size, std::size_t align) {
    return rallocx_(ptr, size, Flags(align));
  }
  int flags;
  decltype(mallocx) *mallocx_ = Load<decltype(mallocx)>(kLibrary, "mallocx");
  decltype(rallocx) *rallocx_ = Load<decltype(rallocx)>(kLibrary, "rallocx");
  decltype(sdallocx) *sdallocx_ = Load<decltype(sdallocx)>(kLibrary, "sdallocx");
};

struct PmrPools {
  static constexpr const char *kName = "pmr_pools";
  static constexpr bool kRegion = false;
  explicit PmrPools(std::size_t) {}
  void *Allocate(std::size_t size, std::size_t align) { return pools.allocate(size, align); }
  void Free(void *ptr, std::size_t size, std::size_t align) { pools.deallocate(ptr, size, align); }
  void *Resize(void *ptr, std::size_t old_size, std::size_t size, std::size_t align) {
    void *moved = Allocate(size, align);
    std::memcpy(moved, ptr, old_size < size ? old_size : size);
    Free(ptr, old_size, align);
    return moved;
  }
  std::pmr::unsynchronized_pool_resource pools;
};

// Memory of its own for those of ours that live in one range.
struct Region {
  explicit Region(std::size_t size) {
    void *ptr = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    range = ptr == MAP_FAILED ? ca_block_none() : ca_block_make(ptr, size);
  }
  Region(const Region &) = delete;
  Region &operator=(const Region &) = delete;
  ~Region() {
    if (!ca_block_is_none(range)) munmap(range.ptr, range.size);
  }
  ca_block range;
};

struct Bump {
  static constexpr const char *kName = "bump";
  static constexpr bool kRegion = true;
  explicit Bump(std::size_t size) : region(size) {
    ca_bump_init_range(&bump, region.range, CA_SIZES_FORGOTTEN);
  }
  ~Bump() { ca_bump_destroy(&bump); }
  void *Allocate(std::size_t size, std::size_t align) {
    return ca_bump_allocate(&bump, size, align).ptr;
  }
  void Free(void *ptr, std::size_t size, std::size_t) { ca_bump_deallocate(&bump, ptr, size); }
  void *Resize(void *ptr, std::size_t old_size, std::size_t size, std::size_t align) {
    return ca_reallocate(ca_bump_allocator(&bump), ptr, old_size, size, align).ptr;
  }
  void EndPass() { ca_bump_reset(&bump); }
  Region region;
  ca_bump bump;
};

struct Trees {
  static constexpr const char *kName = "trees";
  static constexpr bool kRegion = true;
  explicit Trees(std::size_t size, ca_sizes sizes = CA_SIZES_FORGOTTEN) : region(size) {
    ca_multiple_binary_search_tree_init_range(&trees, region.range, sizes);
  }
  ~Trees() { ca_multiple_binary_search_tree_destroy(&trees); }
  void *Allocate(std::size_t size, std::size_t align) {
    return ca_multiple_binary_search_tree_allocate(&trees, size, align).ptr;
  }
  void Free(void *ptr, std::size_t size, std::size_t) {
    ca_multiple_binary_search_tree_deallocate(&trees, ptr, size);
  }
  void *Resize(void *ptr, std::size_t old_size, std::size_t size, std::size_t align) {
    return ca_reallocate(&trees.base, ptr, old_size, size, align).ptr;
  }
  Region region;
  ca_multiple_binary_search_tree trees;
};

// The same through the interface's table.
struct TreesThroughOps : Trees {
  static constexpr const char *kName = "trees_ops";
  explicit TreesThroughOps(std::size_t size) : Trees(size) {}
  void *Allocate(std::size_t size, std::size_t align) {
    return ca_allocate(&trees.base, size, align).ptr;
  }
  void Free(void *ptr, std::size_t size, std::size_t align) {
    ca_deallocate(&trees.base, ptr, size, align);
  }
};

struct TreesUnsized : Trees {
  static constexpr const char *kName = "trees_unsized";
  explicit TreesUnsized(std::size_t size) : Trees(size, CA_SIZES_RECORDED) {}
  void *Allocate(std::size_t size, std::size_t align) {
    return ca_allocate(&trees.base, size, align).ptr;
  }
  void Free(void *ptr, std::size_t, std::size_t) {
    trees.base.ops->deallocate_unsized(&trees.base, ptr);
  }
};

// Calls visit.template operator()<Backend>() for each.
template <typename Visit>
void ForEachBackend(Visit &visit) {
  visit.template operator()<Glibc>();
  visit.template operator()<Mimalloc>();
  visit.template operator()<Jemalloc>();
  visit.template operator()<PmrPools>();
  visit.template operator()<Bump>();
  visit.template operator()<Trees>();
  visit.template operator()<TreesThroughOps>();
  visit.template operator()<TreesUnsized>();
}

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_REPLAY_BACKENDS_H_
