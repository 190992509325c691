#define _GNU_SOURCE
#include "switchable/samples.h"

#include <execinfo.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/line.h"
#include "switchable/context_header.h"
#include "switchable/thread_life.h"

/* All members are atomic and relaxed but for `number`, which tells whether the others belong
 * together: 0 while they are written. */
typedef struct sample {
  uint64_t number; /* From 1 on, of all samples. */
  uintptr_t ptr;
  size_t size;
  size_t frames;
  void *addresses[CA_SAMPLE_FRAMES];
} sample;

static sample *ring;   /* Atomic. Written once; NULL: nothing was ever sampled. */
static uint64_t count; /* Atomic. */
unsigned ca_samples_of_all;

/* backtrace() loads a library the first time, and so calls malloc: not in whose context it may. */
static void prepare(void) {
  ca_thread_state *const state = ca_thread_state_get();
  /* A heap that was promised comes now, or it would be left again. */
  ca_context_header *const current = ca_thread_current(state);
  void *addresses[2];
  ca_thread_state_use(state, NULL);
  (void)backtrace(addresses, 2);
  ca_thread_state_use(state, current);
  void *const memory = mmap(NULL, CA_SAMPLES * sizeof(sample), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  /* Release: pairs with the acquire of who reports. */
  __atomic_store_n(&ring, memory == MAP_FAILED ? NULL : memory, __ATOMIC_RELEASE);
}

/* What is created while the first one prepares is not sampled. */
unsigned ca_samples_begin_each(unsigned each) {
  static bool begun; /* Atomic. */
  /* Not pthread_once(): preparing may create a thread's heap, and so come back here. */
  if (!__atomic_exchange_n(&begun, true, __ATOMIC_RELAXED)) {
    prepare();
  }
  return __atomic_load_n(&ring, __ATOMIC_RELAXED) == NULL ? 0 : each;
}

void ca_samples_set_default(unsigned each) {
  __atomic_store_n(&ca_samples_of_all, each, __ATOMIC_RELAXED);
}

CA_COLD void ca_samples_take(ca_block block) {
  void *addresses[CA_SAMPLE_FRAMES];
  const int frames = backtrace(addresses, CA_SAMPLE_FRAMES);
  const uint64_t number = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
  sample *const one = &__atomic_load_n(&ring, __ATOMIC_RELAXED)[number % CA_SAMPLES];
  /* The exchange acquires: what follows isn't written before it. */
  (void)__atomic_exchange_n(&one->number, 0, __ATOMIC_ACQ_REL);
  __atomic_store_n(&one->ptr, (uintptr_t)block.ptr, __ATOMIC_RELAXED);
  __atomic_store_n(&one->size, block.size, __ATOMIC_RELAXED);
  __atomic_store_n(&one->frames, frames < 0 ? 0 : (size_t)frames, __ATOMIC_RELAXED);
  for (int i = 0; i < frames; i++) {
    __atomic_store_n(&one->addresses[i], addresses[i], __ATOMIC_RELAXED);
  }
  /* Release: pairs with the acquire in read(). */
  __atomic_store_n(&one->number, number, __ATOMIC_RELEASE);
}

/* Whether it is whole, and of a block that ptr lies in. */
static bool read_sample(const sample *from, const void *ptr, sample *to) {
  to->number = __atomic_load_n(&from->number, __ATOMIC_ACQUIRE);
  to->ptr = __atomic_load_n(&from->ptr, __ATOMIC_RELAXED);
  to->size = __atomic_load_n(&from->size, __ATOMIC_RELAXED);
  if (to->number == 0 || (uintptr_t)ptr - to->ptr >= to->size) {
    return false;
  }
  to->frames = __atomic_load_n(&from->frames, __ATOMIC_RELAXED);
  for (size_t i = 0; i < CA_SAMPLE_FRAMES; i++) {
    /* Acquire, so that the number is read again after all of them. */
    to->addresses[i] = __atomic_load_n(&from->addresses[i], __ATOMIC_ACQUIRE);
  }
  return __atomic_load_n(&from->number, __ATOMIC_RELAXED) == to->number;
}

bool ca_samples_report(const void *ptr, int descriptor) {
  const sample *const samples = __atomic_load_n(&ring, __ATOMIC_ACQUIRE);
  sample newest = {.number = 0};
  for (size_t i = 0; samples != NULL && i < CA_SAMPLES; i++) {
    sample one;
    if (read_sample(&samples[i], ptr, &one) && one.number > newest.number) {
      newest = one;
    }
  }
  if (newest.number == 0) {
    return false;
  }
  ca_line line = {.used = 0};
  ca_line_add(&line, "context_allocator: byte ");
  ca_line_add_number(&line, (uintptr_t)ptr - newest.ptr, 10);
  ca_line_add(&line, " of the block of ");
  ca_line_add_number(&line, newest.size, 10);
  ca_line_add(&line, " at 0x");
  ca_line_add_number(&line, newest.ptr, 16);
  ca_line_add(&line, ", allocated by");
  (void)ca_line_write_to(&line, descriptor);
  if (newest.frames > 1) { /* The first is in here. */
    backtrace_symbols_fd(newest.addresses + 1, (int)newest.frames - 1, descriptor);
  }
  return true;
}
