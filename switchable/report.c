#define _GNU_SOURCE
#include "switchable/report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/line.h"
#include "switchable/context_tree.h"
#include "switchable/quarantine.h"
#include "switchable/slots.h"

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
  return sums;
}

/* Writing. */

typedef struct writer {
  int descriptor;
  bool failed;
  bool any;
} writer;

static void write_line(writer *self, ca_line *line) {
  if (!self->failed && !ca_line_write_to(line, self->descriptor)) {
    self->failed = true;
  }
}

static void add_field(ca_line *line, const char *name, uint64_t value) {
  ca_line_add(line, name);
  ca_line_add_number(line, value, 10);
}

static const char *kind_name(ca_context_kind kind) {
  return kind == CA_CONTEXT_BUMP      ? "bump"
         : kind == CA_CONTEXT_BIT_SET ? "bit_set"
                                      : "multiple_binary_search_tree";
}

static void write_text(writer *self, const ca_context_counts *counts, const void *slot,
                       unsigned depth) {
  ca_line line = {.used = 0};
  for (unsigned i = 0; i < depth && i < 40; i++) {
    ca_line_add(&line, "  ");
  }
  ca_line_add(&line, counts->name[0] == '\0' ? "(no name)" : counts->name);
  ca_line_add(&line, " 0x");
  ca_line_add_number(&line, (uintptr_t)slot, 16);
  ca_line_add(&line, " ");
  ca_line_add(&line, kind_name(counts->kind));
  add_field(&line, ": live ", counts->allocations - counts->deallocations);
  add_field(&line, ", used ", counts->used);
  add_field(&line, " of ", counts->budget);
  add_field(&line, ", allocated ", counts->allocations);
  add_field(&line, ", freed ", counts->deallocations);
  add_field(&line, ", by others ", counts->taken_in);
  add_field(&line, ", refused ", counts->refusals);
  write_line(self, &line);
}

static void write_text_flat(void *argument, ca_context context, const ca_context_counts *counts) {
  write_text(argument, counts, context.header, 0);
}

static void write_text_node(void *argument, const ca_context_header *node, unsigned depth) {
  ca_context_counts counts;
  ca_context_header_count(node, &counts);
  write_text(argument, &counts, node, depth);
}

static void write_text_tree(void *argument, ca_context context, const ca_context_counts *counts) {
  (void)counts;
  if (context.header->parent == NULL &&
      !__atomic_load_n(&context.header->ending, __ATOMIC_RELAXED)) {
    ca_tree_visit(context.header, write_text_node, argument);
  }
}

static void report_text(writer *self) {
  const ca_contexts_counts sums = ca_contexts_count();
  ca_line line = {.used = 0};
  add_field(&line, "contexts ", sums.contexts);
  add_field(&line, ": live ", sums.live);
  add_field(&line, ", used ", sums.used);
  add_field(&line, " of ", sums.slots);
  add_field(&line, ", allocated ", sums.allocations);
  add_field(&line, ", freed ", sums.deallocations);
  add_field(&line, ", by others ", sums.taken_in);
  add_field(&line, ", refused ", sums.refusals);
  add_field(&line, ", quarantined ", sums.quarantined);
  write_line(self, &line);
  if (ca_tree_try_lock()) {
    ca_contexts_visit(write_text_tree, self);
    ca_tree_unlock();
  } else {
    ca_contexts_visit(write_text_flat, self);
  }
}

static void add_string(ca_line *line, const char *text) {
  ca_line_add(line, "\"");
  for (; *text != '\0'; text++) {
    const unsigned char byte = (unsigned char)*text;
    if (byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x7F) {
      ca_line_add(line, byte < 0x10 ? "\\u000" : "\\u00");
      ca_line_add_number(line, byte, 16);
    } else {
      const char one[2] = {*text, '\0'};
      ca_line_add(line, one);
    }
  }
  ca_line_add(line, "\"");
}

static void add_counts(ca_line *line, size_t used, uint64_t allocations, uint64_t deallocations,
                       uint64_t taken_in) {
  add_field(line, ",\"live\":", allocations - deallocations);
  add_field(line, ",\"used\":", used);
  add_field(line, ",\"allocations\":", allocations);
  add_field(line, ",\"deallocations\":", deallocations);
  add_field(line, ",\"taken_in\":", taken_in);
}

static void write_json(void *argument, ca_context context, const ca_context_counts *counts) {
  writer *const self = argument;
  const ca_context_header *const parent = context.header->parent;
  ca_line line = {.used = 0};
  ca_line_add(&line, self->any ? ",{\"name\":" : "{\"name\":");
  self->any = true;
  add_string(&line, counts->name);
  add_field(&line, ",\"address\":", (uintptr_t)context.header);
  add_field(&line, ",\"parent\":", (uintptr_t)parent);
  ca_line_add(&line, ",\"kind\":");
  add_string(&line, kind_name(counts->kind));
  add_field(&line, ",\"budget\":", counts->budget);
  add_field(&line, ",\"slot\":", counts->slot_size);
  add_counts(&line, counts->used, counts->allocations, counts->deallocations, counts->taken_in);
  add_field(&line, ",\"refusals\":", counts->refusals);
  ca_line_add(&line, "}");
  write_line(self, &line);
}

static void report_json(writer *self) {
  const ca_contexts_counts sums = ca_contexts_count();
  ca_line line = {.used = 0};
  add_field(&line, "{\"contexts\":", sums.contexts);
  add_field(&line, ",\"slots\":", sums.slots);
  add_counts(&line, sums.used, sums.allocations, sums.deallocations, sums.taken_in);
  add_field(&line, ",\"refusals\":", sums.refusals);
  add_field(&line, ",\"quarantined\":", sums.quarantined);
  ca_line_add(&line, ",\"all\":[");
  write_line(self, &line);
  ca_contexts_visit(write_json, self);
  ca_line end = {.used = 0};
  ca_line_add(&end, "]}");
  write_line(self, &end);
}

bool ca_contexts_report(int descriptor, ca_report_format format) {
  writer self = {.descriptor = descriptor, .failed = false, .any = false};
  if (format == CA_REPORT_JSON) {
    report_json(&self);
  } else {
    report_text(&self);
  }
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
