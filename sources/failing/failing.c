#include "sources/failing/failing.h"

static uint64_t next_random(ca_failing *self) {
  self->random ^= self->random << 13;
  self->random ^= self->random >> 7;
  self->random ^= self->random << 17;
  return self->random;
}

static bool is_picked(ca_failing *self) {
  const ca_failing_settings *const plan = &self->settings;
  const size_t number = self->requested;
  const bool by_number = number == plan->refuse_nth;
  const bool by_limit = plan->refuse_from != 0 && number >= plan->refuse_from;
  const bool by_chance = plan->refuse_percent > 0 && next_random(self) % 100 < plan->refuse_percent;
  return by_number || by_limit || by_chance;
}

static ca_block op_obtain(ca_source *base, size_t size, size_t align) {
  ca_failing *const self = (ca_failing *)base;
  self->requested++;
  const ca_block range =
      is_picked(self) ? ca_block_none() : ca_source_obtain(self->behind, size, align);
  self->refused += ca_block_is_none(range);
  self->bytes_out += range.size;
  return range;
}

static void op_release(ca_source *base, ca_block range) {
  ca_failing *const self = (ca_failing *)base;
  CA_CHECK(ca_failing_ranges_out(self) > 0);
  CA_CHECK(self->bytes_out >= range.size);
  self->released++;
  self->bytes_out -= range.size;
  ca_source_release(self->behind, range);
}

static size_t op_decommit(ca_source *base, void *ptr, size_t size) {
  ca_failing *const self = (ca_failing *)base;
  return self->settings.refuse_decommit ? 0 : ca_source_decommit(self->behind, ptr, size);
}

void ca_failing_init(ca_failing *self, ca_source *behind, const ca_failing_settings *settings) {
  *self = (ca_failing){
      .base = {.ops = &self->ops},
      .behind = behind,
      .ops = {.obtain = op_obtain,
              .release = op_release,
              .decommit = behind->ops->decommit == NULL ? NULL : op_decommit,
              .zeroed = behind->ops->zeroed,
              .name = "failing"},
  };
  if (settings != NULL) {
    self->settings = *settings;
  }
  self->random = self->settings.seed * UINT64_C(0x9E3779B97F4A7C15) | 1; /* Never 0. */
}

bool ca_failing_check(const ca_failing *self) {
  return self->refused <= self->requested && self->released <= self->requested - self->refused;
}
