#include "switchable/context_tree.h"
#include "switchable/report_writer.h"

static void add_blocks(ca_line *line, uint64_t allocations, uint64_t deallocations,
                       uint64_t taken_in, uint64_t refusals) {
  ca_report_add(line, ", allocated ", allocations);
  ca_report_add(line, ", freed ", deallocations);
  ca_report_add(line, ", by others ", taken_in);
  ca_report_add(line, ", refused ", refusals);
}

static void add_counts(ca_line *line, const ca_context_counts *counts) {
  ca_report_add(line, ": live ", counts->allocations - counts->deallocations);
  ca_report_add(line, ", used ", counts->used);
  ca_report_add(line, ", peak ", counts->peak);
  ca_report_add(line, " of ", counts->budget);
  add_blocks(line, counts->allocations, counts->deallocations, counts->taken_in, counts->refusals);
  if (counts->family_budget != 0) {
    ca_report_add(line, ", family ", counts->family_used);
    ca_report_add(line, " of ", counts->family_budget);
    ca_report_add(line, ", refused ", counts->family_refusals);
  }
}

static void write_context(ca_report_writer *self, const ca_context_counts *counts, const void *slot,
                          unsigned depth) {
  ca_line line = {.used = 0};
  for (unsigned i = 0; i < depth && i < 40; i++) {
    ca_line_add(&line, "  ");
  }
  ca_line_add(&line, counts->name[0] == '\0' ? "(no name)" : counts->name);
  ca_line_add(&line, " 0x");
  ca_line_add_number(&line, (uintptr_t)slot, 16);
  ca_line_add(&line, " ");
  ca_line_add(&line, ca_report_kind(counts->kind));
  add_counts(&line, counts);
  ca_report_write(self, &line);
}

static void write_flat(void *argument, ca_context context, const ca_context_counts *counts) {
  write_context(argument, counts, context.header, 0);
}

static void write_node(void *argument, const ca_context_header *node, unsigned depth) {
  ca_context_counts counts;
  ca_context_header_count(node, &counts);
  write_context(argument, &counts, node, depth);
}

static void write_tree(void *argument, ca_context context, const ca_context_counts *counts) {
  (void)counts;
  if (context.header->parent == NULL &&
      !__atomic_load_n(&context.header->ending, __ATOMIC_RELAXED)) {
    ca_tree_visit(context.header, write_node, argument);
  }
}

static void write_thread(void *argument, const ca_thread_counts *counts) {
  ca_line line = {.used = 0};
  ca_report_add(&line, "thread ", counts->thread);
  ca_report_add(&line, ": created ", counts->created);
  ca_report_add(&line, ", destroyed ", counts->destroyed);
  ca_report_add(&line, ", freed of others ", counts->foreign_frees);
  if (counts->heap.slot_size != 0) {
    ca_line_add(&line, "; heap");
    add_counts(&line, &counts->heap);
  }
  ca_report_write(argument, &line);
}

static void write_alive(ca_report_writer *self, const ca_contexts_counts *sums) {
  ca_line line = {.used = 0};
  ca_report_add(&line, "contexts ", sums->contexts);
  ca_report_add(&line, ": live ", sums->live);
  ca_report_add(&line, ", used ", sums->used);
  ca_report_add(&line, ", peak ", sums->peak);
  ca_report_add(&line, " of ", sums->slots);
  add_blocks(&line, sums->allocations, sums->deallocations, sums->taken_in, sums->refusals);
  ca_report_add(&line, ", quarantined ", sums->quarantined);
  ca_report_add(&line, " of ", sums->quarantined_bytes);
  ca_report_write(self, &line);
}

static void write_ever(ca_report_writer *self, const ca_contexts_counts *sums) {
  ca_line line = {.used = 0};
  ca_report_add(&line, "created ", sums->created);
  ca_report_add(&line, ", destroyed ", sums->destroyed);
  ca_report_add(&line, ", freed of others ", sums->foreign_frees);
  ca_line_add(&line, "; in past contexts");
  add_blocks(&line, sums->past_allocations, sums->past_deallocations, sums->past_taken_in,
             sums->past_refusals);
  ca_report_write(self, &line);
}

void ca_report_text(ca_report_writer *self) {
  const ca_contexts_counts sums = ca_contexts_count();
  write_alive(self, &sums);
  write_ever(self, &sums);
  for (size_t i = 0; i < sums.classes_in_use; i++) {
    ca_line line = {.used = 0};
    ca_report_add(&line, "slots of ", sums.classes[i].slot_size);
    ca_report_add(&line, ": out ", sums.classes[i].out);
    ca_report_add(&line, ", most ", sums.classes[i].most);
    ca_report_add(&line, " of ", sums.classes[i].slots);
    ca_report_write(self, &line);
  }
  ca_threads_visit(write_thread, self);
  if (ca_tree_try_lock()) {
    ca_contexts_visit(write_tree, self);
    ca_tree_unlock();
  } else {
    ca_contexts_visit(write_flat, self);
  }
}
