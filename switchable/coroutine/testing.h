// What the tests of this folder have in common.
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_TESTING_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_TESTING_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "base/poison.h"
#include "switchable/context.h"
#include "switchable/testing.h"

#if CA_POISON_ASAN
// Also where the test is run by hand: else there are no fake stacks.
extern "C" inline __attribute__((used, visibility("default"))) const char *
__asan_default_options() {
  return "detect_stack_use_after_return=1";
}
#endif

namespace ca_testing {

// Few contexts: Valgrind is told of every page that they might have.
inline const bool has_few_contexts = [] {
  ca_contexts_settings few = {};
  few.classes[0] = {std::size_t{1} << 20, 64, 0};
  return ca_contexts_init(&few);
}();

class Stack {
 public:
  static constexpr std::size_t kSize = std::size_t{256} << 10;
  explicit Stack(std::size_t size = kSize)
      : size_(size),
        data_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  ~Stack() { munmap(data_, size_); }
  Stack(const Stack &) = delete;
  Stack &operator=(const Stack &) = delete;
  void *data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  void *data_;
};

inline bool IsOf(ca_context context, const void *ptr) {
  const auto slot = reinterpret_cast<std::uintptr_t>(context.header);
  return reinterpret_cast<std::uintptr_t>(ptr) - slot < ca_context_count(context).slot_size;
}

// Apart, since a compiler may keep the address of errno across a switch.
__attribute__((noinline)) inline int ReadErrno() {
  __asm__ volatile("");
  return errno;
}

// The optimiser has to leave it in memory.
template <typename T>
void Touch(T &what) {
  __asm__ volatile("" : : "r"(&what) : "memory");
}

template <typename Work>
__attribute__((noinline)) void Recurse(int depth, Work work) {
  char frame[64];
  Touch(frame);
  Touch(depth);
  if (depth > 0) {
    Recurse(depth - 1, work);
  } else {
    work();
  }
  Touch(frame);
}

// Bytes of the process.
inline std::size_t AddressSpace() {
  std::FILE *const file = std::fopen("/proc/self/statm", "r");
  std::size_t pages = 0;
  if (file != nullptr) {
    if (std::fscanf(file, "%zu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// How much less to do where every instruction is slow.
inline int SlowBy() {
#if defined(CA_VALGRIND)
  return 100;
#else
  return 1;
#endif
}

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_TESTING_H_
