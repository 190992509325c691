#include "base/line.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void ca_line_add(ca_line *self, const char *text) {
  const size_t room = CA_LINE_SIZE - 1 - self->used; /* One byte is kept for the newline. */
  const size_t wanted = strlen(text);
  const size_t size = wanted < room ? wanted : room;
  memcpy(self->text + self->used, text, size);
  self->used += size;
}

void ca_line_add_number(ca_line *self, uint64_t value, unsigned base) {
  char digits[sizeof(uint64_t) * 8 + 1];
  size_t at = sizeof digits - 1;
  digits[at] = '\0';
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  ca_line_add(self, digits + at);
}

bool ca_line_write_to(ca_line *self, int descriptor) {
  self->text[self->used++] = '\n';
  size_t written = 0;
  while (written < self->used) {
    const ssize_t now = write(descriptor, self->text + written, self->used - written);
    if (now < 0 && errno == EINTR) {
      continue;
    }
    if (now <= 0) {
      return false;
    }
    written += (size_t)now;
  }
  return true;
}
