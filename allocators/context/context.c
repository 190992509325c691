#include "allocators/context/context.h"

#include <stddef.h>
#include <string.h>

static const size_t block_size_default = 64;

static const ca_context_allocator_settings settings_default = {.sizes = CA_SIZES_FORGOTTEN,
                                                               .block_size = 0};

ca_context_kind ca_context_kind_for(ca_lifetime_hint hint) {
  return hint == CA_LIFETIME_SHORT    ? CA_CONTEXT_BUMP
         : hint == CA_LIFETIME_MEDIUM ? CA_CONTEXT_BIT_SET
                                      : CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE;
}

ca_context_kind ca_context_kind_named(const char *name) {
  return strcmp(name, "bump") == 0                          ? CA_CONTEXT_BUMP
         : strcmp(name, "bit_set") == 0                     ? CA_CONTEXT_BIT_SET
         : strcmp(name, "multiple_binary_search_tree") == 0 ? CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE
                                                            : CA_CONTEXT_NONE;
}

size_t ca_context_allocator_size(ca_context_kind kind) {
  const size_t before = offsetof(ca_context_allocator, chosen);
  switch (kind) {
    case CA_CONTEXT_BIT_SET:
      return before + sizeof(ca_bit_set);
    case CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE:
      return before + sizeof(ca_multiple_binary_search_tree);
    case CA_CONTEXT_BUMP:
    case CA_CONTEXT_NONE:
      break;
  }
  return before + sizeof(ca_bump);
}

static size_t block_size_of(const ca_context_allocator_settings *settings) {
  return settings->block_size == 0 ? block_size_default : settings->block_size;
}

/* An allocator with a table, so that the interface can be called, that holds nothing. */
static void choose_none(ca_context_allocator *self, ca_sizes sizes) {
  self->kind = CA_CONTEXT_NONE;
  ca_bump_init_range(&self->chosen.bump, ca_block_none(), sizes);
}

bool ca_context_allocator_init(ca_context_allocator *self, ca_source *source, size_t size,
                               ca_context_kind kind,
                               const ca_context_allocator_settings *settings) {
  settings = settings == NULL ? &settings_default : settings;
  bool done = false;
  self->kind = kind;
  switch (kind) {
    case CA_CONTEXT_BUMP:
      done = ca_bump_init(&self->chosen.bump, source, size, settings->sizes);
      break;
    case CA_CONTEXT_BIT_SET:
      done = ca_bit_set_init(&self->chosen.bit_set, source, size, block_size_of(settings),
                             settings->sizes);
      break;
    case CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE:
      done =
          ca_multiple_binary_search_tree_init(&self->chosen.trees, source, size, settings->sizes);
      break;
    case CA_CONTEXT_NONE:
      break;
  }
  if (!done) {
    choose_none(self, settings->sizes);
  }
  return done;
}

bool ca_context_allocator_init_range(ca_context_allocator *self, ca_block range,
                                     ca_context_kind kind,
                                     const ca_context_allocator_settings *settings) {
  settings = settings == NULL ? &settings_default : settings;
  bool done = false;
  self->kind = kind;
  switch (kind) {
    case CA_CONTEXT_BUMP:
      ca_bump_init_range(&self->chosen.bump, range, settings->sizes);
      done = self->chosen.bump.begin < self->chosen.bump.end;
      break;
    case CA_CONTEXT_BIT_SET:
      done = ca_bit_set_init_range(&self->chosen.bit_set, range, block_size_of(settings),
                                   settings->sizes);
      break;
    case CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE:
      ca_multiple_binary_search_tree_init_range(&self->chosen.trees, range, settings->sizes);
      done = self->chosen.trees.first < self->chosen.trees.end;
      break;
    case CA_CONTEXT_NONE:
      break;
  }
  if (!done) {
    choose_none(self, settings->sizes);
  }
  return done;
}

void ca_context_allocator_destroy(ca_context_allocator *self) {
  switch (self->kind) {
    case CA_CONTEXT_BUMP:
      ca_bump_destroy(&self->chosen.bump); /* What is left is what choose_none() makes. */
      self->kind = CA_CONTEXT_NONE;
      return;
    case CA_CONTEXT_BIT_SET:
      ca_bit_set_destroy(&self->chosen.bit_set);
      break;
    case CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE:
      ca_multiple_binary_search_tree_destroy(&self->chosen.trees);
      break;
    case CA_CONTEXT_NONE:
      break;
  }
  choose_none(self, CA_SIZES_FORGOTTEN);
}

static bool is_called(const ca_context_allocator *self, const char *name) {
  return strncmp(self->chosen.base.ops->name, name, strlen(name)) == 0;
}

static bool is_of_its_kind(const ca_context_allocator *self) {
  switch (self->kind) {
    case CA_CONTEXT_BUMP:
      return is_called(self, "bump");
    case CA_CONTEXT_BIT_SET:
      return is_called(self, "bit set");
    case CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE:
      return is_called(self, "multiple_binary_search_tree");
    case CA_CONTEXT_NONE:
      return is_called(self, "bump") && self->chosen.bump.begin == self->chosen.bump.end;
  }
  return false;
}

bool ca_context_allocator_check(const ca_context_allocator *self) {
  if (self->chosen.base.ops == NULL) { /* All-zero. */
    return self->kind == CA_CONTEXT_NONE;
  }
  return is_of_its_kind(self) && self->chosen.base.ops->check(&self->chosen.base);
}

ca_context_allocator_statistics ca_context_allocator_measure(const ca_context_allocator *self) {
  ca_context_allocator_statistics measured = {.used = 0, .peak = 0, .capacity = 0};
  switch (self->kind) {
    case CA_CONTEXT_BUMP:
      measured.used = ca_bump_used(&self->chosen.bump);
      measured.peak = ca_bump_peak(&self->chosen.bump);
      measured.capacity = (size_t)(self->chosen.bump.end - self->chosen.bump.begin);
      break;
    case CA_CONTEXT_BIT_SET:
      measured.used = ca_bit_set_live(&self->chosen.bit_set);
      measured.peak = ca_bit_set_peak(&self->chosen.bit_set);
      measured.capacity = ca_bit_set_capacity(&self->chosen.bit_set);
      break;
    case CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE:
      measured.used = ca_multiple_binary_search_tree_live(&self->chosen.trees);
      measured.peak = ca_multiple_binary_search_tree_peak(&self->chosen.trees);
      measured.capacity = (size_t)(self->chosen.trees.end - self->chosen.trees.first) *
                          CA_MULTIPLE_BINARY_SEARCH_TREE_GRANULE;
      break;
    case CA_CONTEXT_NONE:
      break;
  }
  return measured;
}
