// What a trace can be replayed on. Each back-end is a class of its own, so that the replaying loop
// is compiled with its calls in it; a back-end without a region ignores `region`.
#ifndef CONTEXT_ALLOCATOR_BENCH_REPLAY_BACKENDS_H_
#define CONTEXT_ALLOCATOR_BENCH_REPLAY_BACKENDS_H_

#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory_resource>
#include <new>

#include "allocators/bit_set/bit_set.h"
#include "allocators/bump/bump.h"
#include "allocators/context/context.h"
#include "allocators/memory_map/memory_map.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

namespace replay {

struct Object {
  void *ptr;
  std::size_t size;
};

// Peers' shared libraries, opened privately: linked in, both would take malloc over.
inline void *OpenPeer(const char *file) {
  void *const library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(2);
  }
  return library;
}

template <typename Function>
Function *FindIn(void *library, const char *name) {
  void *const found = dlsym(library, name);
  if (found == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(2);
  }
  return reinterpret_cast<Function *>(found);
}

// Plain malloc, which in this program is libc's.
struct Glibc {
  static constexpr bool kRegion = false;
  explicit Glibc(ca_block) {}
  ~Glibc() { malloc_trim(0); }
  void *Allocate(std::size_t size, std::size_t align) {
    return align <= 16 ? std::malloc(size) : std::aligned_alloc(align, ca_round_up(size, align));
  }
  void Free(Object object, std::size_t) { std::free(object.ptr); }
  void *Reallocate(Object object, std::size_t size, std::size_t, std::size_t) {
    return std::realloc(object.ptr, size);
  }
};

// A heap of its own. mi_heap_destroy() drops what is live at a pass's end.
struct Mimalloc {
  static constexpr bool kRegion = false;
  struct Calls {
    void *library = OpenPeer("libmimalloc.so.2");
    void *(*heap_new)() = FindIn<void *()>(library, "mi_heap_new");
    void (*heap_destroy)(void *) = FindIn<void(void *)>(library, "mi_heap_destroy");
    void *(*malloc)(void *, std::size_t) = FindIn<void *(void *, std::size_t)>(library,
                                                                               "mi_heap_malloc");
    void *(*aligned)(void *, std::size_t, std::size_t) =
        FindIn<void *(void *, std::size_t, std::size_t)>(library, "mi_heap_malloc_aligned");
    void *(*realloc)(void *, void *,
                     std::size_t) = FindIn<void *(void *, void *, std::size_t)>(library,
                                                                                "mi_heap_realloc");
    void (*free)(void *) = FindIn<void(void *)>(library, "mi_free");
  };
  static const Calls &calls() {
    static const Calls found;
    return found;
  }
  const Calls &call = calls();
  void *const heap = call.heap_new();

  explicit Mimalloc(ca_block) {}
  ~Mimalloc() { call.heap_destroy(heap); }
  void *Allocate(std::size_t size, std::size_t align) {
    return align <= 16 ? call.malloc(heap, size) : call.aligned(heap, size, align);
  }
  void Free(Object object, std::size_t) { call.free(object.ptr); }
  void *Reallocate(Object object, std::size_t size, std::size_t, std::size_t) {
    return call.realloc(heap, object.ptr, size);
  }
};

// The default arena behind the thread's cache, with sized frees.
struct Jemalloc {
  static constexpr bool kRegion = false;
  struct Calls {
    void *library = OpenPeer("libjemalloc.so.2");
    void *(*mallocx)(std::size_t, int) = FindIn<void *(std::size_t, int)>(library, "mallocx");
    void *(*rallocx)(void *, std::size_t,
                     int) = FindIn<void *(void *, std::size_t, int)>(library, "rallocx");
    void (*sdallocx)(void *, std::size_t, int) = FindIn<void(void *, std::size_t, int)>(library,
                                                                                        "sdallocx");
  };
  static const Calls &calls() {
    static const Calls found;
    return found;
  }
  const Calls &call = calls();

  explicit Jemalloc(ca_block) {}
  static int Flags(std::size_t align) {
    return align <= 16 ? 0 : static_cast<int>(ca_log2_floor(align));
  }
  void *Allocate(std::size_t size, std::size_t align) { return call.mallocx(size, Flags(align)); }
  void Free(Object object, std::size_t align) {
    call.sdallocx(object.ptr, object.size, Flags(align));
  }
  void *Reallocate(Object object, std::size_t size, std::size_t, std::size_t align) {
    return call.rallocx(object.ptr, size, Flags(align));
  }
};

// Has no realloc: allocate, copy, free. A refusal is an exception.
struct PmrPools {
  static constexpr bool kRegion = false;
  std::pmr::unsynchronized_pool_resource pools;

  explicit PmrPools(ca_block) {}
  void *Allocate(std::size_t size, std::size_t align) try {
    return pools.allocate(size, align);
  } catch (const std::bad_alloc &) {
    return nullptr;
  }
  void Free(Object object, std::size_t align) { pools.deallocate(object.ptr, object.size, align); }
  void *Reallocate(Object object, std::size_t size, std::size_t old_align, std::size_t align) {
    void *const to = Allocate(size, align);
    if (to == nullptr) return nullptr;
    std::memcpy(to, object.ptr, object.size < size ? object.size : size);
    pools.deallocate(object.ptr, object.size, old_align);
    return to;
  }
};

// Every allocator of this project goes through its interface, and keeps nothing beyond a pass.
template <typename Allocator>
struct Ours {
  static constexpr bool kRegion = true;
  Allocator of;
  ca_allocator *const base;

  explicit Ours(ca_block region) : of(region), base(of.base()) {}
  void *Allocate(std::size_t size, std::size_t align) {
    return base->ops->allocate(base, size, align).ptr;
  }
  void Free(Object object, std::size_t align) {
    base->ops->deallocate(base, object.ptr, object.size, align);
  }
  // Each of them aligns to 16 what is asked with less.
  void *Reallocate(Object object, std::size_t size, std::size_t, std::size_t align) {
    return ca_reallocate(base, object.ptr, object.size, size, align).ptr;
  }
};

struct BumpOf {
  ca_bump bump;
  explicit BumpOf(ca_block region) { ca_bump_init_range(&bump, region, CA_SIZES_FORGOTTEN); }
  ~BumpOf() { ca_bump_destroy(&bump); }
  ca_allocator *base() { return ca_bump_allocator(&bump); }
};

template <ca_sizes kSizes>
struct TreesOf {
  ca_multiple_binary_search_tree trees;
  explicit TreesOf(ca_block region) {
    ca_multiple_binary_search_tree_init_range(&trees, region, kSizes);
  }
  ~TreesOf() { ca_multiple_binary_search_tree_destroy(&trees); }
  ca_allocator *base() { return ca_multiple_binary_search_tree_allocator(&trees); }
};

// Of blocks of 64 bytes, as a context's are that isn't told otherwise.
struct BitSetOf {
  ca_bit_set set;
  explicit BitSetOf(ca_block region) {
    (void)ca_bit_set_init_range(&set, region, 64, CA_SIZES_FORGOTTEN);
  }
  ~BitSetOf() { ca_bit_set_destroy(&set); }
  ca_allocator *base() { return ca_bit_set_allocator(&set); }
};

// The kind for what lives long.
struct ContextOf {
  ca_context_allocator context;
  explicit ContextOf(ca_block region) {
    (void)ca_context_allocator_init_range(&context, region, ca_context_kind_for(CA_LIFETIME_LONG),
                                          nullptr);
  }
  ~ContextOf() { ca_context_allocator_destroy(&context); }
  ca_allocator *base() { return ca_context_allocator_allocator(&context); }
};

// Not destroyed: what a pass that was cut short leaves goes with the process.
struct MemoryMapOf {
  ca_memory_map_allocator map;
  explicit MemoryMapOf(ca_block) { ca_memory_map_allocator_init(&map, nullptr); }
  ca_allocator *base() { return ca_memory_map_allocator_allocator(&map); }
};

using Bump = Ours<BumpOf>;
using BitSet = Ours<BitSetOf>;
using Context = Ours<ContextOf>;
using Trees = Ours<TreesOf<CA_SIZES_FORGOTTEN>>;

// Frees bring no size, as free() doesn't.
struct TreesUnsized : Ours<TreesOf<CA_SIZES_RECORDED>> {
  using Ours::Ours;
  void Free(Object object, std::size_t) { base->ops->deallocate_unsized(base, object.ptr); }
};

struct MemoryMap : Ours<MemoryMapOf> {
  using Ours::Ours;
  static constexpr bool kRegion = false;
};

// The loop itself: what it costs to read the events and to keep the objects.
struct Nothing {
  static constexpr bool kRegion = false;
  explicit Nothing(ca_block) {}
  void *Allocate(std::size_t size, std::size_t align) {
    return reinterpret_cast<void *>(size + align);
  }
  void Free(Object object, std::size_t) { asm volatile("" : : "r"(object.ptr)); }
  void *Reallocate(Object object, std::size_t, std::size_t, std::size_t) { return object.ptr; }
};

}  // namespace replay

#endif  // CONTEXT_ALLOCATOR_BENCH_REPLAY_BACKENDS_H_
