#include "switchable/switchable.h"

#include "switchable/context_header.h"
#include "switchable/global.h"
#include "switchable/guard.h"
#include "switchable/thread_counts.h"
#include "switchable/thread_life.h"
#include "switchable/thread_state.h"

/* What is current. */

ca_current ca_switchable_current(void) { return ca_thread_state_current(ca_thread_state_get()); }

/* Before what is current is changed or asked for by name: a promised heap would come later, and in
 * the wrong place. */
static void begin_if_new(ca_thread_state *state) {
  if (CA_UNLIKELY(!state->registered)) {
    ca_thread_begin(state);
  }
}

bool ca_switchable_use(ca_current current) {
  ca_thread_state *const state = ca_thread_state_get();
  begin_if_new(state);
  ca_context_header *const next = ca_thread_state_resolve(state, current);
  if (next == NULL && current != CA_CURRENT_GLOBAL) {
    return false;
  }
  ca_thread_state_use(state, next);
  return true;
}

ca_switchable_state ca_switchable_save(void) {
  const ca_thread_state *const state = ca_thread_state_get();
  ca_switchable_state saved = {{NULL, 0}, ca_thread_state_current(state)};
  if (state->coroutine != NULL) {
    saved.coroutine = (ca_context){state->coroutine, state->coroutine->generation};
  }
  return saved;
}

static bool would_have(const ca_thread_state *state, ca_switchable_state next) {
  return next.current == CA_CURRENT_GLOBAL ||
         (next.current == CA_CURRENT_THREAD ? state->thread != NULL
                                            : !ca_context_is_none(next.coroutine));
}

ca_context_result ca_switchable_replace(ca_switchable_state next, ca_switchable_state *previous) {
  const ca_switchable_state before = ca_switchable_save();
  ca_thread_state *const state = ca_thread_state_get();
  begin_if_new(state);
  if (!would_have(state, next)) {
    return CA_CONTEXT_GONE;
  }
  const bool same = before.coroutine.header == next.coroutine.header &&
                    before.coroutine.generation == next.coroutine.generation;
  if (!same) {
    if (ca_context_is_none(next.coroutine)) {
      (void)ca_context_swap_out();
    } else {
      const ca_context_result result = ca_context_swap_to(next.coroutine);
      if (result != CA_CONTEXT_DONE) {
        return result;
      }
    }
  }
  ca_thread_state_use(state, ca_thread_state_resolve(state, next.current));
  if (previous != NULL) {
    *previous = before;
  }
  return CA_CONTEXT_DONE;
}

bool ca_switchable_run(ca_current current, ca_switchable_callback *callback, void *argument) {
  __attribute__((cleanup(ca_guard_leave))) ca_guard guard;
  begin_if_new(ca_thread_state_get());
  if (!ca_guard_enter(&guard, current)) {
    guard.left = true;
    guard.registered = false;
    return false;
  }
  callback(argument);
  return true;
}

/* The thread's own heap. */

bool ca_switchable_thread_init(const ca_context_settings *settings) {
  ca_thread_state *const state = ca_thread_state_get();
  if (state->thread != NULL) {
    return false;
  }
  begin_if_new(state);
  if (state->thread != NULL) { /* It was promised one, and has it now. */
    return false;
  }
  state->thread = ca_context_header_create(settings);
  ca_thread_record_heap(state);
  return state->thread != NULL;
}

void ca_switchable_thread_release(void) {
  ca_thread_state *const state = ca_thread_state_get();
  ca_context_header *const heap = state->thread;
  if (heap == NULL) {
    return;
  }
  state->thread = NULL;
  ca_thread_record_heap(state);
  if (state->current == heap) {
    state->current = NULL;
  }
  if (state->outside == heap) {
    state->outside = NULL;
  }
  ca_context_header_orphan(heap);
}

/* Blocks. */

ca_block ca_switchable_allocate(size_t size, size_t align) {
  ca_context_header *const current = ca_thread_current(ca_thread_state_get());
  return current == NULL ? ca_global_allocate(size, align)
                         : ca_context_header_allocate(current, size, align);
}

void ca_switchable_deallocate(void *ptr) {
  ca_context_header *const owner = ca_context_header_of(ptr);
  if (owner == NULL) {
    ca_global_free(ptr);
  } else {
    ca_context_header_deallocate(owner, ptr, 0, "deallocate");
  }
}

ca_block ca_switchable_reallocate(void *ptr, size_t new_size, size_t align) {
  ca_context_header *const owner = ca_context_header_of(ptr);
  return owner == NULL ? ca_global_reallocate(ptr, new_size, align)
                       : ca_context_header_reallocate(owner, ptr, new_size, align, "reallocate");
}

size_t ca_switchable_usable_size(void *ptr) {
  ca_context_header *const owner = ca_context_header_of(ptr);
  return owner == NULL ? ca_global_usable_size(ptr)
                       : ca_context_header_usable_size(owner, ptr, "usable_size");
}

static ca_block op_allocate(ca_allocator *self, size_t size, size_t align) {
  (void)self;
  return ca_switchable_allocate(size, align);
}

static void op_deallocate(ca_allocator *self, void *ptr, size_t size, size_t align) {
  (void)self;
  (void)size;
  (void)align;
  ca_switchable_deallocate(ptr);
}

static void op_deallocate_unsized(ca_allocator *self, void *ptr) {
  (void)self;
  ca_switchable_deallocate(ptr);
}

static size_t op_usable_size(const ca_allocator *self, const void *ptr) {
  (void)self;
  return ca_switchable_usable_size((void *)(uintptr_t)ptr);
}

static ca_block op_grow(ca_allocator *self, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  (void)self;
  (void)size;
  const size_t usable = ca_switchable_usable_size(ptr);
  if (new_size <= usable) {
    return ca_block_make(ptr, usable);
  }
  return move == CA_MOVE_NEVER ? ca_block_none() : ca_switchable_reallocate(ptr, new_size, align);
}

static ca_block op_shrink(ca_allocator *self, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  (void)self;
  if (move == CA_MOVE_NEVER) {
    const size_t usable = ca_switchable_usable_size(ptr); /* 0: it can't be told. */
    return ca_block_make(ptr, usable < size ? size : usable);
  }
  return ca_switchable_reallocate(ptr, new_size, align);
}

static const ca_allocator_ops ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = op_usable_size,
    .deallocate_unsized = op_deallocate_unsized,
    .owns = NULL, /* The global allocator doesn't tell. */
    .check = NULL,
    .name = "switchable",
};

ca_allocator *ca_switchable_allocator(void) {
  static ca_allocator switchable = {&ops};
  return &switchable;
}
