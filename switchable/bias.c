#define _GNU_SOURCE
#include "switchable/bias.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Invariant: the credit is CREDIT + what threads added - the revocations so far, or far below 0. A
 * thread adds one for each PARKS_A_CREDIT contexts that it parked unbiased for want of credit.
 * Nothing becomes biased unless there is credit: so there are no more revocations than CREDIT +
 * such parks / PARKS_A_CREDIT + what was biased when the credit was spent; besides those that come
 * to nothing, as the thread swapped it in at that very moment. */
enum { CREDIT = 64, PARKS_A_CREDIT = 4096 };
static const int64_t no_credit_ever = INT64_MIN / 2;

int64_t ca_bias_credit;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool membarrier(int command) {
  const int saved = errno;
  const bool done = syscall(SYS_membarrier, command, 0, 0) == 0;
  errno = saved;
  return done;
}

static void begin(void) {
  const bool can = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  __atomic_store_n(&ca_bias_credit, can ? CREDIT : no_credit_ever, __ATOMIC_RELAXED);
}

/* Every thread of the process that is running executes a fence before this returns; one that isn't
 * did when it stopped. False, and no more is biased, where the system has come to refuse it. */
static bool fence_all_threads(void) {
  if (CA_LIKELY(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))) {
    return true;
  }
  /* A child of fork() whose system doesn't hand the registration on. */
  if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
      membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
    return true;
  }
  __atomic_store_n(&ca_bias_credit, no_credit_ever, __ATOMIC_RELAXED);
  return false;
}

static uint16_t mark_of(uintptr_t holder) {
  return (uint16_t)(holder & (((uintptr_t)1 << CA_BIAS_SHIFT) - 1) & ~(uintptr_t)CA_BIAS_TAGS);
}

uint16_t ca_bias_mark(size_t index) {
  pthread_once(&once, begin);
  /* The mark of the last of the records is 0, too. */
  return __atomic_load_n(&ca_bias_credit, __ATOMIC_RELAXED) < no_credit_ever / 2
             ? 0
             : (uint16_t)((index + 1) % CA_THREAD_RECORDS * (CA_BIAS_TAGS + 1));
}

/* Requires that `holder` is biased. */
static const ca_thread_record *record_of(uintptr_t holder) {
  return ca_thread_record_at(mark_of(holder) / (CA_BIAS_TAGS + 1) - 1);
}

CA_COLD static bool has_credit_at_last(ca_thread_state *state) {
  state->parks = (uint16_t)((state->parks + 1) % PARKS_A_CREDIT);
  if (state->parks == 0) {
    (void)__atomic_fetch_add(&ca_bias_credit, 1, __ATOMIC_RELAXED);
  }
  return __atomic_load_n(&ca_bias_credit, __ATOMIC_RELAXED) > 0;
}

uintptr_t ca_bias_for(const ca_context_header *self, ca_thread_state *state) {
  return CA_LIKELY(__atomic_load_n(&ca_bias_credit, __ATOMIC_RELAXED) > 0) ||
                 has_credit_at_last(state)
             ? ca_biased_to(self->generation, state->mark)
             : ca_parked(self->generation);
}

bool ca_bias_is_right(const ca_context_header *self, uintptr_t holder) {
  const uint16_t mark = mark_of(holder);
  return mark != 0 &&
         ((holder & CA_BIAS_TAGS) == CA_REVOKING || holder == ca_biased_to(self->generation, mark));
}

/* Of the revocations ever. A number in `holder` says that nobody else has touched it since. */
static uintptr_t new_revocation(uint16_t mark) {
  static uint64_t last; /* Atomic. Relaxed: only that no two get the same matters. */
  const uint64_t number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
  return (uintptr_t)number << CA_BIAS_SHIFT | mark | CA_REVOKING;
}

static bool replace_holder(ca_context_header *self, uintptr_t seen, uintptr_t holder) {
  /* Acquire: what the last holder did is seen. Release: it is by who goes on from here. */
  return __atomic_compare_exchange_n(&self->holder, &seen, holder, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED);
}

typedef enum verdict { HOLDS, IS_HELD, LOOK_AGAIN } verdict;

static bool is_in(const ca_context_header *self, uintptr_t seen) {
  /* Acquire: pairs with the releases of `in`. */
  return __atomic_load_n(&record_of(seen)->in, __ATOMIC_ACQUIRE) == self;
}

/* `seen` says that it was biased to another thread. */
static verdict revoke_and_hold(ca_context context, uintptr_t seen, const void *mark) {
  ca_context_header *const self = context.header;
  if (is_in(self, seen)) {
    return IS_HELD; /* No need of a fence to see that. */
  }
  const uintptr_t revoking = new_revocation(mark_of(seen));
  if (!replace_holder(self, seen, revoking)) {
    return LOOK_AGAIN;
  }
  const bool fenced = fence_all_threads(); /* Between the exchange and the load. */
  (void)__atomic_fetch_sub(&ca_bias_credit, 1, __ATOMIC_RELAXED);
  if (!fenced || is_in(self, seen)) {
    (void)replace_holder(self, revoking, ca_biased_to(context.generation, mark_of(seen)));
    return IS_HELD;
  }
  if (!replace_holder(self, revoking, (uintptr_t)mark)) {
    return LOOK_AGAIN; /* Its thread has it back, or somebody went on from here. */
  }
  self->parked_by = 0; /* It takes two more parks to be biased again. */
  return HOLDS;
}

/* Where somebody else is revoking: that takes no longer, unless he has vanished. */
static bool has_changed_soon(const ca_context_header *self, uintptr_t seen) {
  for (int i = 0; i < 1000; i++) {
    if (__atomic_load_n(&self->holder, __ATOMIC_RELAXED) != seen) {
      return true;
    }
    sched_yield();
  }
  return false;
}

static verdict try_to_hold(ca_context context, uintptr_t seen, const void *mark) {
  const ca_thread_state *const state = ca_thread_state_get();
  if (mark_of(seen) == state->mark) {
    if (state->coroutine == context.header) {
      return IS_HELD; /* Here. */
    }
    return replace_holder(context.header, seen, (uintptr_t)mark) ? HOLDS : LOOK_AGAIN;
  }
  if ((seen & CA_BIAS_TAGS) == CA_REVOKING && has_changed_soon(context.header, seen)) {
    return LOOK_AGAIN;
  }
  return revoke_and_hold(context, seen, mark);
}

/* Whether the context that `seen` is of is the right one. While it stays, the generation does. */
static bool is_of(ca_context context, uintptr_t seen) {
  if ((seen & CA_BIAS_TAGS) == CA_REVOKING) {
    /* Relaxed: written before `seen`, which was acquired. */
    return __atomic_load_n(&context.header->generation, __ATOMIC_RELAXED) == context.generation;
  }
  return seen == ca_biased_to(context.generation, mark_of(seen));
}

CA_COLD bool ca_hold_biased(ca_context context, const void *mark) {
  verdict one;
  do {
    const uintptr_t seen = __atomic_load_n(&context.header->holder, __ATOMIC_ACQUIRE);
    if (ca_is_biased(seen) && is_of(context, seen)) {
      one = try_to_hold(context, seen, mark);
    } else {
      one = IS_HELD; /* Or gone, or it was held, and let go of meanwhile. */
    }
  } while (one == LOOK_AGAIN);
  return one == HOLDS;
}
