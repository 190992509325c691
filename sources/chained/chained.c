#include "sources/chained/chained.h"

static ca_block op_obtain(ca_source *base, size_t size, size_t align) {
  const ca_chained *const self = (const ca_chained *)base;
  ca_block range = ca_block_none();
  for (size_t i = 0; i < self->count && ca_block_is_none(range); i++) {
    range = ca_source_obtain(self->links[i].source, size, align);
  }
  return range;
}

static ca_source *owner_of(const ca_chained *self, const void *ptr) {
  for (size_t i = 0; i < self->count; i++) {
    const ca_chained_link *const link = &self->links[i];
    if (link->owns == NULL || link->owns(link->source, ptr)) {
      return link->source;
    }
  }
  ca_panic_misuse("release", ptr, "no source of the chain owns it (chained)");
}

static void op_release(ca_source *base, ca_block range) {
  ca_source_release(owner_of((const ca_chained *)base, range.ptr), range);
}

static size_t op_decommit(ca_source *base, void *ptr, size_t size) {
  return ca_source_decommit(owner_of((const ca_chained *)base, ptr), ptr, size);
}

/* What is true of every link: all are zeroed; any can decommit. */
static bool all_zeroed(const ca_chained_link *links, size_t count) {
  bool zeroed = true;
  for (size_t i = 0; i < count; i++) {
    zeroed = zeroed && links[i].source->ops->zeroed;
  }
  return zeroed;
}

static bool any_decommits(const ca_chained_link *links, size_t count) {
  bool decommits = false;
  for (size_t i = 0; i < count; i++) {
    decommits = decommits || links[i].source->ops->decommit != NULL;
  }
  return decommits;
}

void ca_chained_init(ca_chained *self, const ca_chained_link *links, size_t count) {
  CA_ASSERT(count > 0);
  *self = (ca_chained){
      .base = {.ops = &self->ops},
      .ops = {.obtain = op_obtain,
              .release = op_release,
              .decommit = any_decommits(links, count) ? op_decommit : NULL,
              .zeroed = all_zeroed(links, count),
              .name = "chained"},
      .links = links,
      .count = count,
  };
}

bool ca_chained_check(const ca_chained *self) {
  for (size_t i = 0; i < self->count; i++) {
    if (self->links[i].source == NULL) {
      return false;
    }
  }
  return self->count > 0 && self->ops.zeroed == all_zeroed(self->links, self->count);
}
