#include "switchable/context_family.h"

#include "switchable/context_tree.h"
#include "switchable/lock.h"

_Static_assert(sizeof(ca_family) <= CA_FAMILY_SIZE, "as the header says");

/* Requires that self has one. */
static ca_family *own(const ca_context_header *self) {
  return (ca_family *)((uintptr_t)self + self->overhead - CA_FAMILY_SIZE);
}

/* What counts self from outside. */
static ca_family *above(const ca_context_header *self) {
  return self->has_family ? own(self)->above : ca_family_of(self);
}

static void set_family(ca_context_header *self, ca_family *family) {
  __atomic_store_n(&self->family, family, __ATOMIC_RELAXED);
}

static size_t used(const ca_family *self) { return __atomic_load_n(&self->used, __ATOMIC_RELAXED); }

/* All of these require the lock. */

static void add(ca_family *family, size_t bytes) {
  for (; family != NULL; family = family->above) {
    __atomic_store_n(&family->used, family->used + bytes, __ATOMIC_RELAXED);
  }
}

static void subtract(ca_family *family, size_t bytes) {
  for (; family != NULL; family = family->above) {
    CA_ASSERT(family->used >= bytes);
    __atomic_store_n(&family->used, family->used - bytes, __ATOMIC_RELAXED);
  }
}

static bool take(ca_family *family, size_t bytes) {
  for (ca_family *one = family; one != NULL; one = one->above) {
    if (bytes > one->budget - one->used) {
      __atomic_store_n(&one->refusals, one->refusals + 1, __ATOMIC_RELAXED);
      return false;
    }
  }
  add(family, bytes);
  return true;
}

/* Those whose contexts are gone, and in which nothing counts any more. */
static void release_left(ca_family *family) {
  while (family != NULL) {
    ca_family *const next = family->above;
    if (family->left && family->used == 0) {
      ca_context_header_release_slot(family->head);
    }
    family = next;
  }
}

/* Nobody else takes for it or moves it. */
static bool is_alone(const ca_context_header *self) {
  return ca_family_of(self) == NULL && self->parent == NULL;
}

size_t ca_family_room(const ca_context_header *self) {
  size_t room = SIZE_MAX;
  if (CA_UNLIKELY(!is_alone(self))) {
    ca_lock_take(CA_LOCK_FAMILIES);
    for (const ca_family *one = ca_family_of(self); one != NULL; one = one->above) {
      const size_t left = one->budget - one->used;
      room = left < room ? left : room;
    }
    ca_lock_release(CA_LOCK_FAMILIES);
  }
  return room;
}

void ca_family_begin_own(ca_context_header *self, size_t budget) {
  *own(self) = (ca_family){.budget = budget, .head = self};
}

bool ca_family_charge(ca_context_header *self, size_t bytes) {
  if (CA_LIKELY(is_alone(self))) {
    self->taken += bytes;
    return true;
  }
  ca_lock_take(CA_LOCK_FAMILIES);
  const bool taken = take(ca_family_of(self), bytes);
  if (taken) {
    self->taken += bytes;
  }
  ca_lock_release(CA_LOCK_FAMILIES);
  return taken;
}

void ca_family_refund(ca_context_header *self, size_t bytes) {
  if (CA_LIKELY(is_alone(self))) {
    self->taken -= bytes;
    return;
  }
  ca_lock_take(CA_LOCK_FAMILIES);
  self->taken -= bytes;
  subtract(ca_family_of(self), bytes);
  release_left(ca_family_of(self));
  ca_lock_release(CA_LOCK_FAMILIES);
}

bool ca_family_join_any(ca_context_header *self, ca_family *above_it) {
  ca_family *family = above_it;
  if (self->has_family) {
    family = own(self);
    family->above = above_it;
  }
  set_family(self, family);
  self->taken = 0;
  if (ca_family_charge(self, ca_context_ranges_size(self))) {
    return true;
  }
  set_family(self, NULL);
  self->taken = ca_context_ranges_size(self);
  return false;
}

/* What self brings along when all that counts in `from` is to count elsewhere. */
static size_t share(const ca_context_header *self, const ca_family *from) {
  if (above(self) != from) {
    return 0;
  }
  return self->has_family ? own(self)->used : self->taken;
}

static void redirect(ca_context_header *self, const ca_family *from, ca_family *to) {
  if (above(self) != from) {
    return;
  }
  if (self->has_family) {
    own(self)->above = to;
  } else {
    set_family(self, to);
  }
}

/* Taken from the old ones first, as the new ones may be some of them. */
static bool exchange(ca_family *from, ca_family *to, size_t bytes) {
  subtract(from, bytes);
  const bool taken = take(to, bytes);
  if (!taken) {
    add(from, bytes);
  }
  return taken;
}

bool ca_family_move(ca_context_header *self, ca_family *to) {
  ca_family *const from = above(self);
  if (from == to) {
    return true;
  }
  ca_lock_take(CA_LOCK_FAMILIES);
  size_t bytes = 0;
  for (ca_context_header *one = self; one != NULL; one = ca_context_tree_next(one, self)) {
    bytes += share(one, from);
  }
  const bool moved = exchange(from, to, bytes);
  if (moved) {
    for (ca_context_header *one = self; one != NULL; one = ca_context_tree_next(one, self)) {
      redirect(one, from, to);
    }
    release_left(from);
  }
  ca_lock_release(CA_LOCK_FAMILIES);
  return moved;
}

void ca_family_stop_counting(ca_context_header *self) {
  if (self->taken > 0) { /* Else the families may be gone. */
    ca_family_refund(self, self->taken);
  }
}

bool ca_family_leave(ca_context_header *self) {
  ca_family_stop_counting(self);
  set_family(self, NULL);
  if (!self->has_family) {
    return true;
  }
  ca_lock_take(CA_LOCK_FAMILIES);
  const bool gone = own(self)->used == 0;
  own(self)->left = !gone;
  ca_lock_release(CA_LOCK_FAMILIES);
  return gone;
}

/* Looking. */

void ca_family_count(const ca_context_header *self, ca_context_counts *counts) {
  if (self->has_family) {
    counts->family_budget = own(self)->budget;
    counts->family_used = used(own(self));
    counts->family_refusals = __atomic_load_n(&own(self)->refusals, __ATOMIC_RELAXED);
  } else {
    counts->family_budget = 0;
    counts->family_used = 0;
    counts->family_refusals = 0;
  }
}

/* Requires the lock. */
static bool is_of_right_family(const ca_context_header *self) {
  return (!self->has_family || ca_family_of(self) == own(self)) &&
         (self->parent == NULL || above(self) == ca_family_of(self->parent));
}

bool ca_family_check(const ca_context_header *self) {
  ca_lock_take(CA_LOCK_FAMILIES);
  bool right = self->taken == ca_context_ranges_size(self) && is_of_right_family(self);
  size_t least = self->taken;
  for (const ca_family *one = ca_family_of(self); one != NULL; one = one->above) {
    right = right && one->used >= least && one->used <= one->budget;
    least = one->used;
  }
  ca_lock_release(CA_LOCK_FAMILIES);
  return right;
}
