// A shared object whose allocations placement_test and preload_test look at: built under two names,
// of which a rule names one. It allocates from a static initialiser, from C and from C++.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <new>

extern "C" {
void *probe_initialised;  // By the static initialiser.
}

namespace {

// Not a tail call, in which the caller's caller would count.
template <typename Pointer>
Pointer Kept(Pointer ptr) {
  __asm__ volatile("" : : "r"(ptr) : "memory");
  return ptr;
}

struct Initialiser {
  Initialiser() { probe_initialised = Kept(std::malloc(100)); }
  ~Initialiser() { std::free(probe_initialised); }
} initialiser;

constexpr std::align_val_t kAlign{64};

}  // namespace

extern "C" {

enum { PROBE_WAYS = 17 };

// Allocates 100 bytes by the way of this number.
void *probe(int way) {
  void *ptr = nullptr;
  switch (way) {
    case 0:
      return Kept(std::malloc(100));
    case 1:
      return Kept(std::calloc(10, 10));
    case 2:
      return Kept(std::realloc(nullptr, 100));
    case 3:
      return Kept(reallocarray(nullptr, 10, 10));
    case 4:
      return Kept(std::aligned_alloc(64, 128));
    case 5:
      return posix_memalign(&ptr, 64, 100) == 0 ? ptr : nullptr;
    case 6:
      return Kept(valloc(100));
    case 7:
      return Kept(::operator new(100));
    case 8:
      return Kept(::operator new[](100));
    case 9:
      return Kept(::operator new(100, std::nothrow));
    case 10:
      return Kept(::operator new[](100, std::nothrow));
    case 11:
      return Kept(::operator new(100, kAlign));
    case 12:
      return Kept(::operator new[](100, kAlign));
    case 13:
      return Kept(::operator new(100, kAlign, std::nothrow));
    case 14:
      return Kept(::operator new[](100, kAlign, std::nothrow));
    case 15:
      return Kept(std::malloc(5 << 20));  // More than a context's slot holds.
    case 16:
      return Kept(std::calloc(5, 1 << 20));
    default:
      return nullptr;
  }
}

void *probe_realloc(void *ptr) { return Kept(std::realloc(ptr, 3000)); }

// Opens by a name that is searched for: in this object's RUNPATH, if it has one.
void *probe_open(const char *name) { return Kept(dlopen(name, RTLD_NOW)); }

}  // extern "C"
