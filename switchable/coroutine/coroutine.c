#include "switchable/coroutine/coroutine.h"

#include <errno.h>

/* Each function looks at errno at one moment, and none is ever part of another (this file takes no
 * part in link-time optimisation): so the address of errno can't be kept across a switch. */

ca_context_result ca_coroutine_carry(ca_coroutine *from, const ca_coroutine *to) {
  const int error_number = errno;
  const ca_context_result result = ca_switchable_replace(to->memory, &from->memory);
  if (result == CA_CONTEXT_DONE && (from->carries & CA_CARRY_ERRNO)) {
    from->error_number = error_number;
  }
  return result;
}

void ca_coroutine_take_errno(const ca_coroutine *self) {
  if (self->carries & CA_CARRY_ERRNO) {
    errno = self->error_number;
  }
}

ca_context_result ca_coroutine_exit(ca_coroutine *self, const ca_coroutine *outside) {
  const ca_context_result result = ca_coroutine_carry(self, outside);
  if (result != CA_CONTEXT_DONE) {
    self->memory = ca_switchable_save();
    (void)ca_context_swap_out();
    (void)ca_switchable_use(CA_CURRENT_GLOBAL);
  }
  ca_coroutine_take_errno(outside);
  return result;
}
