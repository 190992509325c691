/* base/line.h - one line of text for descriptor 2, made without stdio and without memory.
 *
 * For reports from inside malloc and from signal handlers: async-signal-safe.
 */
#ifndef CONTEXT_ALLOCATOR_BASE_LINE_H_
#define CONTEXT_ALLOCATOR_BASE_LINE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Texts longer than this are cut: the line stays whole in the log. */
enum { CA_LINE_SIZE = 512 };

/* Begins as {.used = 0}. */
typedef struct ca_line {
  char text[CA_LINE_SIZE];
  size_t used;
} ca_line;

void ca_line_add(ca_line *self, const char *text);

/* base: 2 to 16. */
void ca_line_add_number(ca_line *self, uint64_t value, unsigned base);

/* Writes it and a newline to a descriptor. False, with errno, if not all could be written. */
bool ca_line_write_to(ca_line *self, int descriptor);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_BASE_LINE_H_ */
