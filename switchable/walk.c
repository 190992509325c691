/* The live blocks of a context. */
#include "switchable/context_header.h"
#include "switchable/holding.h"

typedef struct walk {
  ca_block_visitor *visitor;
  void *argument;
  bool stopped;
} walk;

static bool visit(void *argument, ca_block block) {
  walk *const self = argument;
  self->stopped = !self->visitor(self->argument, block);
  return !self->stopped;
}

ca_context_result ca_context_walk(ca_context context, ca_block_visitor *visitor, void *argument) {
  bool here;
  const ca_context_result result = ca_hold_or_have(context, &here);
  if (result != CA_CONTEXT_DONE) {
    return result;
  }
  ca_context_header *const self = context.header;
  ca_thread_state *const state = ca_thread_state_get();
  ca_stepped_out before = {CA_CURRENT_GLOBAL, CA_CURRENT_GLOBAL};
  if (here) {
    before = ca_step_out(state, self);
  }
  (void)ca_take_in(self);
  walk one = {visitor, argument, false};
  const bool whole = self->allocator->ops->walk(self->allocator, visit, &one);
  if (here) {
    ca_step_in(state, self, before);
  } else {
    ca_let_go(self);
  }
  return whole || one.stopped ? CA_CONTEXT_DONE : CA_CONTEXT_DAMAGED;
}
