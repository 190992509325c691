#include <stdint.h>

#include "base/check.h"
#include "base/line.h"

void ca_panic(const char *file, unsigned line_number, const char *text) {
  ca_line report = {.used = 0};
  ca_line_add(&report, file);
  ca_line_add(&report, ":");
  ca_line_add_number(&report, line_number, 10);
  ca_line_add(&report, ": ");
  ca_line_add(&report, text);
  (void)ca_line_write_to(&report, 2);
  __builtin_trap();
}

void ca_panic_misuse(const char *call, const void *ptr, const char *what) {
  ca_line report = {.used = 0};
  ca_line_add(&report, "context_allocator: ");
  ca_line_add(&report, call);
  ca_line_add(&report, "(0x");
  ca_line_add_number(&report, (uintptr_t)ptr, 16);
  ca_line_add(&report, "): ");
  ca_line_add(&report, what);
  (void)ca_line_write_to(&report, 2);
  __builtin_trap();
}
