#define _GNU_SOURCE
#include "switchable/thread_counts.h"

#include <unistd.h>

#include "switchable/bias.h"
#include "switchable/thread_life.h"

static ca_thread_record records[CA_THREAD_RECORDS];
static ca_thread_record shared; /* Several threads add to it. */
static uint64_t used;           /* Atomic: records that were ever obtained are below. */

void ca_thread_add_first(ca_thread_state *state, ca_thread_event event, uint64_t value) {
  if (!state->ended && !state->unrecorded) {
    ca_thread_notice_end(state);
  }
  if (state->record != NULL) {
    ca_thread_add(state, event, value);
  } else {
    (void)__atomic_fetch_add(&shared.counts[event], value, __ATOMIC_RELAXED);
  }
}

static void rise_to(uint64_t least) {
  uint64_t before = __atomic_load_n(&used, __ATOMIC_RELAXED);
  while (before < least && !__atomic_compare_exchange_n(&used, &before, least, true,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

void ca_thread_record_obtain(ca_thread_state *state) {
  const uint64_t thread = (uint64_t)gettid();
  for (size_t i = 0; i < CA_THREAD_RECORDS && state->record == NULL; i++) {
    ca_thread_record *const record = &records[i];
    uint64_t nobody = 0;
    /* Acquire: pairs with the release of the record, whose counts go on from there. */
    if (__atomic_load_n(&record->thread, __ATOMIC_RELAXED) == 0 &&
        __atomic_compare_exchange_n(&record->thread, &nobody, thread, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
      for (size_t event = 0; event < CA_THREAD_EVENTS; event++) {
        __atomic_store_n(&record->before[event],
                         __atomic_load_n(&record->counts[event], __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
      }
      rise_to(i + 1);
      state->record = record;
      state->mark = ca_bias_mark(i);
    }
  }
  state->unrecorded = state->record == NULL;
}

size_t ca_thread_records(void) { return __atomic_load_n(&used, __ATOMIC_RELAXED); }

ca_thread_record *ca_thread_record_at(size_t index) { return &records[index]; }

void ca_thread_record_release(ca_thread_state *state) {
  ca_thread_record *const record = state->record;
  if (record != NULL) {
    state->record = NULL;
    state->mark = 0;
    __atomic_store_n(&record->heap, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&record->thread, 0, __ATOMIC_RELEASE);
  }
}

void ca_thread_record_heap(const ca_thread_state *state) {
  if (state->record != NULL) {
    __atomic_store_n(&state->record->heap, state->thread, __ATOMIC_RELAXED);
  }
}

void ca_thread_sum_up(uint64_t sums[CA_THREAD_EVENTS]) {
  const uint64_t count = __atomic_load_n(&used, __ATOMIC_RELAXED);
  for (size_t event = 0; event < CA_THREAD_EVENTS; event++) {
    sums[event] = __atomic_load_n(&shared.counts[event], __ATOMIC_RELAXED);
    for (size_t i = 0; i < count; i++) {
      sums[event] += __atomic_load_n(&records[i].counts[event], __ATOMIC_RELAXED);
    }
  }
}

void ca_thread_visit(ca_thread_visitor *visitor, void *argument) {
  const uint64_t count = __atomic_load_n(&used, __ATOMIC_RELAXED);
  for (size_t i = 0; i < count; i++) {
    if (__atomic_load_n(&records[i].thread, __ATOMIC_RELAXED) != 0) {
      visitor(argument, &records[i]);
    }
  }
}
