#include <stdlib.h>

#include "switchable/context.h"

int main(void) {
  const ca_context request = ca_context_create(NULL); /* A request's own memory. */
  ca_context_swap_in(request);                        /* From here on it serves malloc, */
  char *leaked = malloc(1000);                        /* also that of any library called here. */
  ca_context_swap_out();                              /* Now malloc is as before. */
  const int served = leaked != NULL;
  ca_context_destroy(request); /* All of the request's memory is gone, in O(1). */
  return served ? 0 : 1;
}
