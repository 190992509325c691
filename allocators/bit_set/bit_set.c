#include "allocators/bit_set/bit_set.h"

#include <string.h>

static ca_bit_set *from_base(ca_allocator *base) { return (ca_bit_set *)base; }
static const ca_bit_set *from_const_base(const ca_allocator *base) {
  return (const ca_bit_set *)base;
}

static char *address_of(const ca_bit_set *self, size_t block) {
  return self->begin + (block << self->block_shift);
}

/* size > 0; never wraps. */
static size_t blocks_for(const ca_bit_set *self, size_t size) {
  return ((size - 1) >> self->block_shift) + 1;
}

static ca_block run_at(const ca_bit_set *self, size_t first, size_t length) {
  return ca_block_make(address_of(self, first), length << self->block_shift);
}

static size_t border_words(size_t count) { return ca_free_map_word_count(count + 1); }

static bool has_border(const ca_bit_set *self, size_t block) {
  return self->borders[block / 64] >> (block % 64) & 1;
}

/* Whether the block is known, and neither free nor the one freed last. */
static bool is_live(const ca_bit_set *self, size_t block) {
  return block < self->map.known && !ca_free_map_is_free(&self->map, block) &&
         address_of(self, block) != self->last;
}

/* What stands in front of the map. */

static uint64_t *no_word(const ca_bit_set *self) {
  return self->map.words + self->map.index.word_count;
}

/* Follows the map when it knows more than before. */
static void follow(ca_bit_set *self, size_t known_before) {
  if (self->borders == NULL) {
    self->plain = self->map.known;
    return;
  }
  const size_t begin = known_before / 64 + 1; /* The word before that is written already. */
  const size_t end = border_words(self->map.known);
  if (begin < end) {
    memset(self->borders + begin, 0xFF, (end - begin) * sizeof *self->borders);
  }
}

/* The map knows of every free block; whether that is news. */
static bool give_front_back(ca_bit_set *self) {
  const bool is_news = self->last != NULL || *self->current != 0;
  if (self->last != NULL) {
    const size_t block = ca_bit_set_block_at(self, self->last);
    if (block / 64 == self->map.out) { /* Mostly, and then checking in tells the index. */
      ca_words_set(self->map.words, block, 1);
    } else {
      ca_free_map_put(&self->map, block);
    }
    self->last = NULL;
  }
  ca_free_map_check_in(&self->map);
  self->current = no_word(self);
  return is_news;
}

/* Allocating. */

static bool refill(ca_bit_set *self) {
  const size_t known_before = self->map.known;
  const size_t word = ca_free_map_check_out(&self->map);
  if (word == CA_FREE_MAP_NONE) {
    self->current = no_word(self);
    return false;
  }
  follow(self, known_before);
  self->current = self->map.words + word;
  self->current_begin = address_of(self, word * 64);
  return true;
}

static ca_free_map_places places_for(const ca_bit_set *self, size_t align) {
  const size_t stride = align >> self->block_shift;
  if (stride <= 1) {
    return (ca_free_map_places){.stride = 1, .offset = 0};
  }
  const size_t offset = ((uintptr_t)self->begin >> self->block_shift) & (stride - 1);
  return (ca_free_map_places){.stride = stride, .offset = offset};
}

/* Makes a free run a caller's. */
static void take(ca_bit_set *self, size_t first, size_t length) {
  const ca_block run = run_at(self, first, length);
  ca_free_map_take(&self->map, first, length);
  ca_unpoison(run.ptr, run.size);
}

/* With sizes recorded: an allocation reaches across the borders within the run. */
static inline void join_blocks(ca_bit_set *self, size_t first, size_t length) {
  if (self->borders != NULL && length > 1) {
    ca_words_clear(self->borders, first + 1, length - 1);
  }
}

ca_block ca_bit_set_allocate_run(ca_bit_set *self, size_t size, size_t align) {
  if (self->map.count == 0) {
    return ca_block_none();
  }
  if (((size - 1) | (align - 1)) < self->block_size) {
    return refill(self) ? ca_bit_set_allocate(self, size, align) : ca_block_none();
  }
  const size_t length = blocks_for(self, size);
  if (length <= 64 && align <= self->block_size) {
    const size_t first = ca_free_map_take_known(&self->map, (unsigned)length);
    if (CA_LIKELY(first != CA_FREE_MAP_NONE)) {
      const ca_block run = run_at(self, first, length);
      join_blocks(self, first, length);
      ca_unpoison(run.ptr, run.size);
      return run;
    }
  }
  if (length > self->map.count) {
    return ca_block_none();
  }
  const ca_free_map_places places = places_for(self, align);
  const size_t known_before = self->map.known;
  size_t first = ca_free_map_find(&self->map, length, places);
  if (CA_UNLIKELY(first == CA_FREE_MAP_NONE) && give_front_back(self)) {
    first = ca_free_map_find(&self->map, length, places);
  }
  follow(self, known_before);
  if (first == CA_FREE_MAP_NONE) {
    return ca_block_none();
  }
  take(self, first, length);
  join_blocks(self, first, length);
  return run_at(self, first, length);
}

/* Deallocating. */

/* With sizes recorded: where the allocation that begins at the block ends. */
static size_t end_of(const ca_bit_set *self, size_t block) {
  return ca_words_next_set(self->borders, border_words(self->map.known), block + 1);
}

static const char not_a_block[] = "not a block (bit set)";
static const char double_free[] = "double free (bit set)";
static const char wrong_size[] = "wrong size (bit set)";

/* The block at which the live allocation at ptr begins, as far as can be told; else it's reported
 * as a misuse of `call`. */
static size_t live_block(const ca_bit_set *self, const void *ptr, const char *call) {
  const size_t block = ca_bit_set_block_at(self, ptr);
  if (CA_UNLIKELY(block >= self->map.count ||
                  (self->borders != NULL && block < self->map.known && !has_border(self, block)))) {
    ca_panic_misuse(call, ptr, not_a_block);
  }
  if (CA_UNLIKELY(!is_live(self, block))) {
    ca_panic_misuse(call, ptr, double_free);
  }
  return block;
}

static bool all_live(const ca_bit_set *self, size_t first, size_t length) {
  return length <= self->map.known - first && ca_free_map_all_taken(&self->map, first, length) &&
         (self->last == NULL || ca_bit_set_block_at(self, self->last) - first >= length);
}

/* As many blocks as `size` takes, all of them live: what can be told of a size. */
static size_t live_length(const ca_bit_set *self, size_t block, const void *ptr, size_t size,
                          const char *call) {
  const size_t length = blocks_for(self, size);
  if (CA_UNLIKELY(length > self->map.count - block ||
                  (self->borders != NULL && end_of(self, block) != block + length))) {
    ca_panic_misuse(call, ptr, wrong_size);
  }
  if (length > 1 && CA_UNLIKELY(!all_live(self, block, length))) {
    ca_panic_misuse(call, ptr, wrong_size);
  }
  return length;
}

static void give(ca_bit_set *self, size_t first, size_t length) {
  const ca_block run = run_at(self, first, length);
  if (length == 1 && self->last == NULL) {
    self->last = run.ptr;
  } else if (length == 1) {
    ca_free_map_put(&self->map, first);
  } else {
    ca_free_map_give(&self->map, first, length);
  }
  if (self->borders != NULL && length > 1) {
    ca_words_set(self->borders, first + 1, length - 1);
  }
  ca_poison(run.ptr, run.size);
}

void ca_bit_set_deallocate_run(ca_bit_set *self, void *ptr, size_t size) {
  const size_t block = live_block(self, ptr, "deallocate");
  if (self->borders != NULL && size <= self->block_size && has_border(self, block + 1)) {
    give(self, block, 1);
    return;
  }
  give(self, block, live_length(self, block, ptr, size, "deallocate"));
}

/* The interface. */

static ca_block op_allocate(ca_allocator *base, size_t size, size_t align) {
  return ca_bit_set_allocate(from_base(base), size, align);
}

static void op_deallocate(ca_allocator *base, void *ptr, size_t size, size_t align) {
  (void)align;
  ca_bit_set_deallocate(from_base(base), ptr, size);
}

/* What isn't known is free. */
static bool is_free_up_to(const ca_bit_set *self, size_t first, size_t end) {
  const size_t known = end < self->map.known ? end : self->map.known;
  return first >= known || ca_free_map_all_free(&self->map, first, known - first);
}

/* Moving could only copy, which is ca_reallocate()'s work: hence `move` is never asked. */
static ca_block op_grow(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                        ca_move move) {
  (void)align;
  (void)move;
  ca_bit_set *const self = from_base(base);
  const size_t block = live_block(self, ptr, "grow");
  const size_t length = live_length(self, block, ptr, size, "grow");
  const size_t new_length = blocks_for(self, new_size);
  const size_t more = new_length - length;
  if (more == 0) {
    return run_at(self, block, length);
  }
  if (new_length > self->map.count - block) {
    return ca_block_none();
  }
  const size_t end = block + length + more;
  if (self->last != NULL && ca_bit_set_block_at(self, self->last) - (block + length) < more) {
    give_front_back(self);
  }
  if (!is_free_up_to(self, block + length, end)) {
    return ca_block_none();
  }
  const size_t known_before = self->map.known;
  ca_free_map_know(&self->map, end);
  follow(self, known_before);
  take(self, block + length, more);
  if (self->borders != NULL) {
    ca_words_clear(self->borders, block + length, more);
  }
  return run_at(self, block, new_length);
}

static ca_block op_shrink(ca_allocator *base, void *ptr, size_t size, size_t new_size, size_t align,
                          ca_move move) {
  (void)align;
  (void)move;
  ca_bit_set *const self = from_base(base);
  const size_t block = live_block(self, ptr, "shrink");
  const size_t length = live_length(self, block, ptr, size, "shrink");
  const size_t new_length = blocks_for(self, new_size);
  if (new_length < length) {
    if (self->borders != NULL) {
      ca_words_set(self->borders, block + new_length, 1);
    }
    give(self, block + new_length, length - new_length);
  }
  return run_at(self, block, new_length);
}

static size_t recording_usable_size(const ca_allocator *base, const void *ptr) {
  const ca_bit_set *const self = from_const_base(base);
  const size_t block = live_block(self, ptr, "usable_size");
  return (end_of(self, block) - block) << self->block_shift;
}

static void recording_deallocate_unsized(ca_allocator *base, void *ptr) {
  ca_bit_set *const self = from_base(base);
  const size_t block = live_block(self, ptr, "deallocate");
  give(self, block, end_of(self, block) - block);
}

static size_t recording_deallocate_recorded(ca_allocator *base, void *ptr, size_t size) {
  ca_bit_set *const self = from_base(base);
  const size_t block = live_block(self, ptr, "deallocate");
  size_t length = 1;
  if (size > self->block_size || !has_border(self, block + 1)) {
    length =
        size == 0 ? end_of(self, block) - block : live_length(self, block, ptr, size, "deallocate");
  }
  give(self, block, length);
  return length << self->block_shift;
}

static bool recording_walk(const ca_allocator *base, ca_block_visitor *visitor, void *argument) {
  const ca_bit_set *const self = from_const_base(base);
  const size_t known = self->map.known;
  const size_t words = ca_free_map_word_count(known);
  size_t block = ca_words_next_clear(self->map.words, words, 0);
  while (block < known) {
    const size_t end = end_of(self, block);
    if (end > known ||
        (is_live(self, block) && !visitor(argument, run_at(self, block, end - block)))) {
      return false;
    }
    block = ca_words_next_clear(self->map.words, words, end);
  }
  return true;
}

static bool op_owns(const ca_allocator *base, const void *ptr) {
  const ca_bit_set *const self = from_const_base(base);
  return (uintptr_t)ptr - (uintptr_t)self->begin < ca_bit_set_capacity(self);
}

static ca_block op_range(const ca_allocator *base) {
  const ca_bit_set *const self = from_const_base(base);
  return ca_block_make(self->begin, ca_bit_set_capacity(self));
}

static bool op_check(const ca_allocator *base);

static const ca_allocator_ops forgetting_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = NULL,
    .deallocate_unsized = NULL,
    .owns = op_owns,
    .check = op_check,
    .name = "bit set",
    .range = op_range,
};

static const ca_allocator_ops recording_ops = {
    .allocate = op_allocate,
    .deallocate = op_deallocate,
    .grow = op_grow,
    .shrink = op_shrink,
    .usable_size = recording_usable_size,
    .deallocate_unsized = recording_deallocate_unsized,
    .owns = op_owns,
    .check = op_check,
    .name = "bit set, sizes recorded",
    .range = op_range,
    .walk = recording_walk,
    .deallocate_recorded = recording_deallocate_recorded,
};

/* Layout: padding up to a block, the blocks, padding up to a word, the map, borders. */

static size_t records_bytes(size_t count, ca_sizes sizes) {
  const size_t borders = sizes == CA_SIZES_RECORDED ? border_words(count) * sizeof(uint64_t) : 0;
  return borders + ca_free_map_bytes(count);
}

/* The largest count up to this one that has room, or nearly. */
static size_t count_below(size_t count, size_t room, unsigned shift, ca_sizes sizes) {
  while (count > 0) {
    const size_t used = ca_round_up(count << shift, sizeof(uint64_t)) + records_bytes(count, sizes);
    if (used <= room) {
      break;
    }
    const size_t surplus = (used - room) >> shift;
    count = surplus < count ? count - (surplus > 0 ? surplus : 1) : 0;
  }
  return count;
}

/* a / b, quicker where both are small. */
static size_t quotient(size_t a, size_t b) {
  return (a | b) >> 32 == 0 ? (uint32_t)a / (uint32_t)b : a / b;
}

/* How many blocks have room in `room` bytes from an address aligned to the block size on. */
static size_t count_for(size_t room, unsigned shift, ca_sizes sizes) {
  if (room >> shift < 64) {
    return count_below(room >> shift, room, shift, sizes);
  }
  /* Too many at first: all but what an index costs that isn't proportional. */
  const size_t group = ((size_t)64 << shift) + (sizes == CA_SIZES_RECORDED ? 18 : 10);
  /* More than 512 blocks have the sets of the index, too: of 512 bytes at least. */
  const size_t most = (room - 512) >> shift > 640 ? room - 512 : room;
  const size_t groups = quotient(most, group);
  const size_t count = groups * 64 + ((most - groups * group) >> shift);
  return count_below(count < CA_BIT_SET_COUNT_MAX ? count : CA_BIT_SET_COUNT_MAX, room, shift,
                     sizes);
}

/* Sets everything that follows from the range, the block size and the mode; whether a block fits.
 */
static bool lay_out(ca_bit_set *self, ca_block range, unsigned shift, ca_sizes sizes) {
  const size_t padding = ca_padding_to((uintptr_t)range.ptr, (size_t)1 << shift);
  const size_t room = padding < range.size ? range.size - padding : 0;
  const size_t count = count_for(room, shift, sizes);
  if (count == 0) {
    return false;
  }
  self->range = range;
  self->block_shift = shift;
  self->block_size = (size_t)1 << shift;
  self->begin = (char *)range.ptr + padding;
  uint64_t *const records =
      (uint64_t *)(void *)(self->begin + ca_round_up(count << shift, sizeof(uint64_t)));
  ca_free_map_init(&self->map, records, count);
  self->borders =
      sizes == CA_SIZES_RECORDED ? records + ca_free_map_bytes(count) / sizeof *records : NULL;
  return true;
}

/* Holds nothing, whatever it held. Member by member: most needn't be written. */
static void hold_nothing(ca_bit_set *self) {
  self->last = NULL;
  self->current = NULL;
  self->begin = NULL;
  self->block_size = 0;
  self->plain = 0;
  self->block_shift = 0;
  self->borders = NULL;
  self->map.words = NULL;
  self->map.known = 0;
  self->map.count = 0;
  self->map.index.known = 0;
  self->map.index.word_count = 0;
  self->range = ca_block_none();
  self->source = NULL;
}

static bool is_usable(ca_block range, size_t block_size) {
  return ca_is_power_of_two(block_size) && block_size >= CA_BIT_SET_BLOCK_SIZE_MIN &&
         !ca_block_is_none(range) && range.size <= PTRDIFF_MAX &&
         (uintptr_t)range.ptr <= UINTPTR_MAX - range.size;
}

bool ca_bit_set_init_range(ca_bit_set *self, ca_block range, size_t block_size, ca_sizes sizes) {
  self->base.ops = sizes == CA_SIZES_RECORDED ? &recording_ops : &forgetting_ops;
  if (!is_usable(range, block_size) || !lay_out(self, range, ca_log2_floor(block_size), sizes)) {
    hold_nothing(self);
    return false;
  }
  self->source = NULL;
  /* Who had the range before, and didn't destroy, may have poisoned where the bits come to lie. */
  ca_unpoison_defined(range.ptr, range.size);
  ca_bit_set_reset(self);
  return true;
}

bool ca_bit_set_init(ca_bit_set *self, ca_source *source, size_t size, size_t block_size,
                     ca_sizes sizes) {
  ca_block range = ca_block_none();
  if (size > 0 && ca_is_power_of_two(block_size)) {
    const size_t align = block_size > CA_ALIGN_DEFAULT ? block_size : CA_ALIGN_DEFAULT;
    range = ca_source_obtain(source, size, align);
  }
  const bool fits = ca_bit_set_init_range(self, range, block_size, sizes);
  if (fits) {
    self->source = source;
  } else if (!ca_block_is_none(range)) {
    ca_source_release(source, range);
  }
  return fits;
}

void ca_bit_set_reset(ca_bit_set *self) {
  if (self->map.count == 0) {
    return;
  }
  ca_free_map_reset(&self->map);
  if (self->borders != NULL) {
    self->borders[0] = UINT64_MAX;
  }
  self->plain = 0;
  self->last = NULL;
  self->current = no_word(self);
  self->current_begin = NULL;
  ca_poison(self->begin, ca_bit_set_capacity(self));
}

void ca_bit_set_destroy(ca_bit_set *self) {
  const ca_block range = self->range;
  ca_source *const source = self->source;
  hold_nothing(self);
  if (!ca_block_is_none(range)) {
    ca_unpoison(range.ptr, range.size);
    if (source != NULL) {
      ca_source_release(source, range);
    }
  }
}

size_t ca_bit_set_live(const ca_bit_set *self) {
  const size_t count = self->map.count == 0 ? 0 : ca_free_map_count_free(&self->map);
  const size_t live = self->map.count - count - (self->last != NULL);
  return live << self->block_shift;
}

/* The invariant. */

static bool levels_are(const ca_run_levels *levels, const ca_run_levels *right) {
  return levels->count == right->count &&
         memcmp(levels->begin, right->begin, right->count * sizeof *right->begin) == 0;
}

static bool is_laid_out(const ca_bit_set *self) {
  ca_bit_set right = {.base = self->base};
  if (!is_usable(self->range, self->block_size) ||
      !lay_out(&right, self->range, ca_log2_floor(self->block_size),
               self->base.ops == &recording_ops ? CA_SIZES_RECORDED : CA_SIZES_FORGOTTEN)) {
    return false;
  }
  const ca_run_index *const index = &self->map.index;
  return self->begin == right.begin && self->block_shift == right.block_shift &&
         self->borders == right.borders && self->map.words == right.map.words &&
         self->map.count == right.map.count && index->sets == right.map.index.sets &&
         index->groups == right.map.index.groups && index->stale == right.map.index.stale &&
         index->word_count == right.map.index.word_count &&
         levels_are(&index->level, &right.map.index.level) &&
         levels_are(&index->stale_level, &right.map.index.stale_level);
}

static bool front_holds(const ca_bit_set *self) {
  const size_t out = self->map.out;
  if (self->plain != (self->borders == NULL ? self->map.known : 0)) {
    return false;
  }
  if (out == CA_FREE_MAP_NONE) {
    return self->current == no_word(self);
  }
  return self->current == self->map.words + out &&
         self->current_begin == address_of(self, out * 64);
}

static bool last_holds(const ca_bit_set *self) {
  if (self->last == NULL) {
    return true;
  }
  const size_t block = ca_bit_set_block_at(self, self->last);
  return block < self->map.known && !ca_free_map_is_free(&self->map, block) &&
         (self->borders == NULL || (has_border(self, block) && has_border(self, block + 1)));
}

static bool borders_hold(const ca_bit_set *self) {
  const size_t known = self->map.known;
  if (!has_border(self, 0) || !has_border(self, known)) {
    return false;
  }
  for (size_t word = 0; word < self->map.index.known; word++) {
    const uint64_t below = self->borders[word];
    const uint64_t next = word + 1 < border_words(known) ? self->borders[word + 1] : 0;
    if ((self->map.words[word] & ~(below & (below >> 1 | next << 63))) != 0) {
      return false;
    }
  }
  return true;
}

static bool op_check(const ca_allocator *base) {
  const ca_bit_set *const self = from_const_base(base);
  if (self->map.count == 0) {
    return ca_block_is_none(self->range) && self->block_size == 0 && self->map.known == 0 &&
           self->last == NULL;
  }
  return is_laid_out(self) && ca_free_map_check(&self->map) && front_holds(self) &&
         (self->borders == NULL || borders_hold(self)) && last_holds(self);
}
