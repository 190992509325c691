/* bench/consumer/consumer.c - a program of another workspace: a bump allocator over its own buffer.
 */
#include <stdio.h>
#include <string.h>

#include "allocators/bump/bump.h"
#include "sources/buffer/buffer.h"

int main(void) {
  static char memory[4096];
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  ca_bump bump;
  if (!ca_bump_init(&bump, ca_buffer_source(&buffer), 4000, CA_SIZES_FORGOTTEN)) {
    return 1;
  }
  char *const text = ca_bump_allocate(&bump, 6, 1).ptr;
  memcpy(text, "hello", 6);
  const int refused = ca_block_is_none(ca_bump_allocate(&bump, 4000, 16));
  printf("%s, %zu bytes used, too much is %s\n", text, ca_bump_used(&bump),
         refused ? "refused" : "served");
  ca_bump_destroy(&bump);
  return refused ? 0 : 1;
}
