#include "switchable/context_header.h"
#include "switchable/report_writer.h"

/* A line has room for a name and a few numbers of any size: an object takes several. */

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

static void begin_object(ca_report_writer *self, ca_line *line) {
  ca_line_add(line, self->any ? ",{" : "{");
  self->any = true;
}

static void begin_array(ca_report_writer *self, const char *text) {
  ca_line line = {.used = 0};
  ca_line_add(&line, text);
  ca_report_write(self, &line);
  self->any = false;
}

static void add_counts(ca_line *line, const ca_context_counts *counts) {
  ca_report_add(line, "\"budget\":", counts->budget);
  ca_report_add(line, ",\"slot\":", counts->slot_size);
  ca_report_add(line, ",\"live\":", counts->allocations - counts->deallocations);
  ca_report_add(line, ",\"used\":", counts->used);
  ca_report_add(line, ",\"peak\":", counts->peak);
  ca_report_add(line, ",\"allocations\":", counts->allocations);
  ca_report_add(line, ",\"deallocations\":", counts->deallocations);
  ca_report_add(line, ",\"taken_in\":", counts->taken_in);
  ca_report_add(line, ",\"refusals\":", counts->refusals);
  ca_report_add(line, ",\"family_budget\":", counts->family_budget);
  ca_report_add(line, ",\"family_used\":", counts->family_used);
  ca_report_add(line, ",\"family_refusals\":", counts->family_refusals);
}

static void write_context(void *argument, ca_context context, const ca_context_counts *counts) {
  ca_report_writer *const self = argument;
  const ca_context_header *const parent = context.header->parent;
  ca_line line = {.used = 0};
  begin_object(self, &line);
  ca_line_add(&line, "\"name\":");
  add_string(&line, counts->name);
  ca_report_add(&line, ",\"address\":", (uintptr_t)context.header);
  ca_report_add(&line, ",\"parent\":", (uintptr_t)parent);
  ca_line_add(&line, ",\"kind\":");
  add_string(&line, ca_report_kind(counts->kind));
  ca_line_add(&line, ",");
  ca_report_write(self, &line);
  ca_line rest = {.used = 0};
  add_counts(&rest, counts);
  ca_line_add(&rest, "}");
  ca_report_write(self, &rest);
}

static void write_thread(void *argument, const ca_thread_counts *counts) {
  ca_report_writer *const self = argument;
  ca_line line = {.used = 0};
  begin_object(self, &line);
  ca_report_add(&line, "\"thread\":", counts->thread);
  ca_report_add(&line, ",\"created\":", counts->created);
  ca_report_add(&line, ",\"destroyed\":", counts->destroyed);
  ca_report_add(&line, ",\"foreign_frees\":", counts->foreign_frees);
  ca_line_add(&line, ",\"heap\":");
  ca_report_write(self, &line);
  ca_line heap = {.used = 0};
  if (counts->heap.slot_size == 0) {
    ca_line_add(&heap, "null}");
  } else {
    ca_line_add(&heap, "{");
    add_counts(&heap, &counts->heap);
    ca_line_add(&heap, "}}");
  }
  ca_report_write(self, &heap);
}

static void write_class(ca_report_writer *self, const ca_class_counts *counts) {
  ca_line line = {.used = 0};
  begin_object(self, &line);
  ca_report_add(&line, "\"slot_size\":", counts->slot_size);
  ca_report_add(&line, ",\"slots\":", counts->slots);
  ca_report_add(&line, ",\"out\":", counts->out);
  ca_report_add(&line, ",\"most\":", counts->most);
  ca_line_add(&line, "}");
  ca_report_write(self, &line);
}

static void write_alive(ca_report_writer *self, const ca_contexts_counts *sums) {
  ca_line line = {.used = 0};
  ca_report_add(&line, "{\"contexts\":", sums->contexts);
  ca_report_add(&line, ",\"slots\":", sums->slots);
  ca_report_add(&line, ",\"used\":", sums->used);
  ca_report_add(&line, ",\"peak\":", sums->peak);
  ca_report_add(&line, ",\"live\":", sums->live);
  ca_report_add(&line, ",\"allocations\":", sums->allocations);
  ca_report_add(&line, ",\"deallocations\":", sums->deallocations);
  ca_report_add(&line, ",\"taken_in\":", sums->taken_in);
  ca_report_add(&line, ",\"refusals\":", sums->refusals);
  ca_report_add(&line, ",\"quarantined\":", sums->quarantined);
  ca_report_add(&line, ",\"quarantined_bytes\":", sums->quarantined_bytes);
  ca_report_write(self, &line);
}

static void write_ever(ca_report_writer *self, const ca_contexts_counts *sums) {
  ca_line line = {.used = 0};
  ca_report_add(&line, ",\"created\":", sums->created);
  ca_report_add(&line, ",\"destroyed\":", sums->destroyed);
  ca_report_add(&line, ",\"foreign_frees\":", sums->foreign_frees);
  ca_report_add(&line, ",\"past_allocations\":", sums->past_allocations);
  ca_report_add(&line, ",\"past_deallocations\":", sums->past_deallocations);
  ca_report_add(&line, ",\"past_taken_in\":", sums->past_taken_in);
  ca_report_add(&line, ",\"past_refusals\":", sums->past_refusals);
  ca_report_write(self, &line);
}

void ca_report_json(ca_report_writer *self) {
  const ca_contexts_counts sums = ca_contexts_count();
  write_alive(self, &sums);
  write_ever(self, &sums);
  begin_array(self, ",\"classes\":[");
  for (size_t i = 0; i < sums.classes_in_use; i++) {
    write_class(self, &sums.classes[i]);
  }
  begin_array(self, "],\"threads\":[");
  ca_threads_visit(write_thread, self);
  begin_array(self, "],\"all\":[");
  ca_contexts_visit(write_context, self);
  begin_array(self, "]}");
}
