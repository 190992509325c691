#include "adaptors/limiting/budget.h"

#include <stdint.h>

/* How much is taken ahead. Up to twice as much is kept, so that neither steady growth nor a block
 * that comes and goes asks above each time. */
static size_t stride_of(const ca_budget *self) {
  const size_t most = (size_t)16 << 10;
  return self->limit / 4 < most ? self->limit / 4 : most;
}

static ca_budget *root_of(ca_budget *self) {
  while (self->parent != NULL) {
    self = self->parent;
  }
  return self;
}

void ca_budget_init(ca_budget *self, size_t limit, ca_budget *parent) {
  *self = (ca_budget){.limit = limit, .parent = parent};
  if (parent == NULL) {
    self->granted = limit;
    self->keep = SIZE_MAX;
  }
}

/* Between self and those above it. */

/* The first, from self on, that has no room for its part of the bytes; NULL if all have. */
static ca_budget *find_full(ca_budget *self, size_t bytes) {
  for (ca_budget *at = self; at != NULL && bytes > 0; at = at->parent) {
    size_t taken;
    if (__builtin_add_overflow(at->taken, bytes, &taken) || taken > at->limit) {
      return at;
    }
    bytes = taken > at->granted ? taken - at->granted : 0;
  }
  return NULL;
}

static void charge(ca_budget *self, size_t bytes) {
  for (ca_budget *at = self; at != NULL && bytes > 0; at = at->parent) {
    at->taken += bytes;
    bytes = at->parent != NULL && at->taken > at->granted ? at->taken - at->granted : 0;
    at->granted += bytes;
  }
}

static void give_above(ca_budget *self, size_t bytes) {
  for (ca_budget *at = self; at->parent != NULL; at = at->parent) {
    at->granted -= bytes;
    at->parent->taken -= bytes;
  }
}

/* The list of those that took ahead. */

static void enlist(ca_budget *self) {
  if (self->link != NULL) {
    return;
  }
  ca_budget *const root = root_of(self);
  self->next = root->ahead;
  if (self->next != NULL) {
    self->next->link = &self->next;
  }
  self->link = &root->ahead;
  root->ahead = self;
  self->keep = 2 * stride_of(self);
}

static void leave_list(ca_budget *self) {
  *self->link = self->next;
  if (self->next != NULL) {
    self->next->link = self->link;
  }
  self->link = NULL;
  self->keep = 0;
}

/* Gives back all that is ahead in the tree: from then on `taken` is what is used, everywhere. */
static void settle(ca_budget *self) {
  ca_budget *const root = root_of(self);
  while (root->ahead != NULL) {
    ca_budget *const at = root->ahead;
    leave_list(at);
    give_above(at, at->granted - at->taken);
  }
}

/* The calls. */

CA_COLD bool ca_budget_take_from_above(ca_budget *self, size_t bytes) {
  if (bytes == 0) {
    return true;
  }
  const size_t stride = stride_of(self);
  if (self->parent != NULL && bytes <= stride && find_full(self, bytes + stride) == NULL) {
    charge(self, bytes + stride);
    self->taken -= stride;
    enlist(self);
    return true;
  }
  if (find_full(self, bytes) != NULL) {
    settle(self);
    ca_budget *const full = find_full(self, bytes);
    if (full != NULL) {
      full->refusals++;
      return false;
    }
  }
  charge(self, bytes);
  return true;
}

void ca_budget_take_anyway(ca_budget *self, size_t bytes) {
  settle(self); /* Nothing may be ahead where a limit is passed. */
  charge(self, bytes);
}

CA_COLD void ca_budget_give_above(ca_budget *self) {
  give_above(self, self->granted - self->taken - self->keep / 2);
}

void ca_budget_reset(ca_budget *self) {
  if (self->link != NULL) {
    leave_list(self);
  }
  give_above(self, self->granted);
  self->taken = 0;
}

void ca_budget_set_limit(ca_budget *self, size_t limit) {
  settle(self);
  self->limit = limit;
  if (self->parent == NULL) {
    self->granted = limit;
  }
}

size_t ca_budget_used(ca_budget *self) {
  settle(self);
  return self->taken;
}

size_t ca_budget_room(ca_budget *self) {
  const size_t used = ca_budget_used(self);
  return used < self->limit ? self->limit - used : 0;
}

static bool holds(const ca_budget *self) {
  if (self->parent == NULL) {
    return self->granted == self->limit && self->keep == SIZE_MAX && self->link == NULL;
  }
  return self->ahead == NULL && self->taken <= self->granted &&
         self->granted - self->taken <= self->keep && self->granted <= self->parent->taken &&
         (self->link != NULL ? *self->link == self : self->keep == 0);
}

bool ca_budget_check(const ca_budget *self) {
  for (const ca_budget *at = self; at != NULL; at = at->parent) {
    if (!holds(at)) {
      return false;
    }
  }
  return true;
}
