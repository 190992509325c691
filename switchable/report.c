#define _GNU_SOURCE
#include "switchable/report.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "switchable/context_header.h"
#include "switchable/quarantine.h"
#include "switchable/report_writer.h"
#include "switchable/slots.h"
#include "switchable/thread_counts.h"

typedef struct visit {
  ca_contexts_visitor *visitor;
  void *argument;
} visit;

static void visit_slot(void *argument, ca_context_header *slot) {
  const visit *const self = argument;
  const uint64_t generation = __atomic_load_n(&slot->generation, __ATOMIC_RELAXED);
  if (generation != 0) { /* Else it is just being made or ended, or in quarantine. */
    ca_context_counts counts;
    memset(&counts, 0, sizeof counts);
    ca_context_header_count(slot, &counts);
    self->visitor(self->argument, (ca_context){slot, generation}, &counts);
  }
}

void ca_contexts_visit(ca_contexts_visitor *visitor, void *argument) {
  visit self = {visitor, argument};
  ca_slots_visit(visit_slot, &self);
}

static void sum_up(void *argument, ca_context context, const ca_context_counts *counts) {
  ca_contexts_counts *const sums = argument;
  (void)context;
  sums->contexts++;
  sums->slots += counts->slot_size;
  sums->used += counts->used;
  sums->peak += counts->peak;
  sums->live += counts->allocations - counts->deallocations;
  sums->allocations += counts->allocations;
  sums->deallocations += counts->deallocations;
  sums->taken_in += counts->taken_in;
  sums->refusals += counts->refusals;
}

ca_contexts_counts ca_contexts_count(void) {
  ca_contexts_counts sums;
  memset(&sums, 0, sizeof sums);
  ca_contexts_visit(sum_up, &sums);
  sums.quarantined = ca_quarantine_size();
  sums.quarantined_bytes = ca_quarantine_bytes();
  uint64_t ever[CA_THREAD_EVENTS];
  ca_thread_sum_up(ever);
  sums.created = ever[CA_THREAD_CREATED];
  sums.destroyed = ever[CA_THREAD_DESTROYED];
  sums.foreign_frees = ever[CA_THREAD_FOREIGN_FREES];
  sums.past_allocations = ever[CA_THREAD_ALLOCATIONS];
  sums.past_deallocations = ever[CA_THREAD_DEALLOCATIONS];
  sums.past_taken_in = ever[CA_THREAD_TAKEN_IN];
  sums.past_refusals = ever[CA_THREAD_REFUSALS];
  sums.classes_in_use = ca_slots_count(sums.classes);
  return sums;
}

typedef struct threads_visit {
  ca_threads_visitor *visitor;
  void *argument;
} threads_visit;

static uint64_t own(const ca_thread_record *record, ca_thread_event event) {
  return __atomic_load_n(&record->counts[event], __ATOMIC_RELAXED) -
         __atomic_load_n(&record->before[event], __ATOMIC_RELAXED);
}

static void visit_thread(void *argument, const ca_thread_record *record) {
  const threads_visit *const self = argument;
  const ca_context_header *const heap = __atomic_load_n(&record->heap, __ATOMIC_RELAXED);
  ca_thread_counts counts;
  memset(&counts, 0, sizeof counts);
  counts.thread = __atomic_load_n(&record->thread, __ATOMIC_RELAXED);
  counts.created = own(record, CA_THREAD_CREATED);
  counts.destroyed = own(record, CA_THREAD_DESTROYED);
  counts.foreign_frees = own(record, CA_THREAD_FOREIGN_FREES);
  if (heap != NULL && __atomic_load_n(&heap->generation, __ATOMIC_RELAXED) != 0) {
    ca_context_header_count(heap, &counts.heap);
  }
  self->visitor(self->argument, &counts);
}

void ca_threads_visit(ca_threads_visitor *visitor, void *argument) {
  threads_visit self = {visitor, argument};
  ca_thread_visit(visit_thread, &self);
}

bool ca_contexts_report(int descriptor, ca_report_format format) {
  ca_report_writer self = {.descriptor = descriptor, .failed = false, .any = false};
  int before;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* It may have the tree's lock. */
  if (format == CA_REPORT_JSON) {
    ca_report_json(&self);
  } else {
    ca_report_text(&self);
  }
  (void)pthread_setcancelstate(before, &before);
  return !self.failed;
}

/* Set before the handler is. */
static int signal_descriptor;
static ca_report_format signal_format;

static void on_signal(int signal_number) {
  const int saved = errno;
  (void)signal_number;
  (void)ca_contexts_report(signal_descriptor, signal_format);
  errno = saved;
}

bool ca_contexts_report_on_signal(int signal_number, int descriptor, ca_report_format format) {
  if ((unsigned)format > CA_REPORT_JSON) {
    errno = EINVAL;
    return false;
  }
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  signal_descriptor = descriptor;
  signal_format = format;
  return sigaction(signal_number, &action, NULL) == 0;
}
