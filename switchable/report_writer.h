/* switchable/report_writer.h - what the formats of a report share.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_REPORT_WRITER_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_REPORT_WRITER_H_

#include "base/line.h"
#include "switchable/report.h"

typedef struct ca_report_writer {
  int descriptor;
  bool failed;
  bool any; /* In the array that is being written. */
} ca_report_writer;

/* Writes nothing any more once it has failed, so that errno stays. */
static inline void ca_report_write(ca_report_writer *self, ca_line *line) {
  if (!self->failed && !ca_line_write_to(line, self->descriptor)) {
    self->failed = true;
  }
}

static inline void ca_report_add(ca_line *line, const char *name, uint64_t value) {
  ca_line_add(line, name);
  ca_line_add_number(line, value, 10);
}

static inline const char *ca_report_kind(ca_context_kind kind) {
  return kind == CA_CONTEXT_BUMP      ? "bump"
         : kind == CA_CONTEXT_BIT_SET ? "bit_set"
                                      : "multiple_binary_search_tree";
}

void ca_report_text(ca_report_writer *self);
void ca_report_json(ca_report_writer *self);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_REPORT_WRITER_H_ */
