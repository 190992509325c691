// The nothrow forms of operator new are the throwing ones with what they throw caught: C can't.
//
// A C program that is given the library has no C++ runtime: what this file needs of it is weak, and
// only called by C++ code, which brings one along.
#include <cstddef>

__asm__(".weak __gxx_personality_v0");
__asm__(".weak __cxa_begin_catch");
__asm__(".weak __cxa_end_catch");
__asm__(".weak _ZSt9terminatev");  // clang's end of a noexcept function.

extern "C" {

void *ca_new(std::size_t size, const void *caller);
void *ca_new_aligned(std::size_t size, std::size_t align, const void *caller);

void *ca_new_nothrow(std::size_t size, const void *caller) noexcept {
  try {
    return ca_new(size, caller);
  } catch (...) {
    return nullptr;
  }
}

void *ca_new_aligned_nothrow(std::size_t size, std::size_t align, const void *caller) noexcept {
  try {
    return ca_new_aligned(size, align, caller);
  } catch (...) {
    return nullptr;
  }
}

}  // extern "C"
