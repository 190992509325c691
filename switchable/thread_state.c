#include "switchable/thread_state.h"

/* The static thread-local memory that a dlopened library may take is little, and shared by all. */
_Static_assert(sizeof(ca_thread_state) <= 64, "the whole library may take 256 bytes of static TLS");

__thread ca_thread_state ca_thread_state_of_this_thread;

#if !defined(__x86_64__) && !defined(__aarch64__)
__attribute__((noinline)) ca_thread_state *ca_thread_state_get(void) {
  __asm__ volatile("");
  return &ca_thread_state_of_this_thread;
}
#endif
