#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

/* Texts longer than this are cut: the line stays whole in the log. */
enum { LINE_SIZE = 512 };

typedef struct line {
  char text[LINE_SIZE];
  size_t used;
} line;

static void add_text(line *self, const char *text) {
  const size_t room = LINE_SIZE - 1 - self->used; /* One byte is kept for the newline. */
  const size_t wanted = strlen(text);
  const size_t size = wanted < room ? wanted : room;
  memcpy(self->text + self->used, text, size);
  self->used += size;
}

static void add_number(line *self, uintptr_t value, unsigned base) {
  char digits[sizeof(uintptr_t) * 8 + 1];
  size_t at = sizeof digits - 1;
  digits[at] = '\0';
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  add_text(self, digits + at);
}

__attribute__((noreturn)) static void write_and_trap(line *self) {
  self->text[self->used++] = '\n';
  size_t written = 0;
  while (written < self->used) {
    const ssize_t now = write(STDERR_FILENO, self->text + written, self->used - written);
    if (now <= 0) {
      break;
    }
    written += (size_t)now;
  }
  __builtin_trap();
}

void ca_panic(const char *file, unsigned line_number, const char *text) {
  line report = {.used = 0};
  add_text(&report, file);
  add_text(&report, ":");
  add_number(&report, line_number, 10);
  add_text(&report, ": ");
  add_text(&report, text);
  write_and_trap(&report);
}

void ca_panic_misuse(const char *call, const void *ptr, const char *what) {
  line report = {.used = 0};
  add_text(&report, "context_allocator: ");
  add_text(&report, call);
  add_text(&report, "(0x");
  add_number(&report, (uintptr_t)ptr, 16);
  add_text(&report, "): ");
  add_text(&report, what);
  write_and_trap(&report);
}
