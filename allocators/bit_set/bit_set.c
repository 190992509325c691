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

/* What stands in front of the map. */

static void check_out(ca_bit_set *self, size_t word) {
  self->bits = ca_free_map_check_out(&self->map, word);
  self->word = word;
  self->word_begin = address_of(self, word * 64);
}

static void check_in(ca_bit_set *self) {
  ca_free_map_check_in(&self->map, self->word, self->bits);
  self->bits = 0;
  self->word = CA_FREE_MAP_NONE;
}

static void check_in_given(ca_bit_set *self) {
  ca_free_map_check_in(&self->map, self->given_word, self->given_bits);
  self->given_bits = 0;
  self->given_word = CA_FREE_MAP_NONE;
}

static void check_in_within(ca_bit_set *self, size_t first, size_t length) {
  const size_t last_word = (first + length - 1) / 64;
  if (self->word >= first / 64 && self->word <= last_word) {
    check_in(self);
  }
  if (self->given_word >= first / 64 && self->given_word <= last_word) {
    check_in_given(self);
  }
}

/* Takes back free blocks of a word. Where many come, more will: the index hears of them once. */
static void take_back(ca_bit_set *self, size_t word, uint64_t bits) {
  if (word == self->word) {
    self->bits |= bits;
  } else if (word == self->given_word) {
    self->given_bits |= bits;
  } else if (ca_bits_clear_lowest(bits) == 0) {
    ca_free_map_give_one(&self->map, word * 64 + ca_bits_lowest(bits));
  } else {
    check_in_given(self);
    self->given_bits = ca_free_map_check_out(&self->map, word) | bits;
    self->given_word = word;
  }
}

/* Lets no block wait any longer; those that follow each other in a word go together. */
static void drain(ca_bit_set *self) {
  const uint32_t count = self->waiting_count;
  for (uint32_t i = 0; i < count;) {
    const size_t word = self->waiting[i] / 64;
    uint64_t bits = 0;
    do {
      bits |= UINT64_C(1) << (self->waiting[i] % 64);
      i++;
    } while (i < count && self->waiting[i] / 64 == word);
    take_back(self, word, bits);
  }
  self->waiting_count = 0;
}

/* Allocating. */

static bool refill(ca_bit_set *self) {
  if (self->given_bits != 0) {
    self->bits = self->given_bits;
    self->word = self->given_word;
    self->word_begin = address_of(self, self->word * 64);
    self->given_bits = 0;
    self->given_word = CA_FREE_MAP_NONE;
    return true;
  }
  const unsigned shortest = ca_run_index_fitting(&self->map.index, 1);
  if (shortest == 0) {
    return false;
  }
  /* Words with only short runs first: long runs stay whole. */
  check_out(self, ca_run_index_first(&self->map.index, shortest));
  return true;
}

static size_t find(const ca_bit_set *self, size_t length, size_t align) {
  const size_t stride = align >> self->block_shift;
  if (stride <= 1) {
    return ca_free_map_find(&self->map, length);
  }
  const size_t offset = ((uintptr_t)self->begin >> self->block_shift) & (stride - 1);
  return ca_free_map_find_placed(&self->map, length,
                                 (ca_free_map_places){.stride = stride, .offset = offset});
}

ca_block ca_bit_set_allocate_run(ca_bit_set *self, size_t size, size_t align) {
  if (((size - 1) | (align - 1)) <= self->block_mask) {
    return refill(self) ? ca_bit_set_allocate(self, size, align) : ca_block_none();
  }
  const size_t length = blocks_for(self, size);
  if (length > self->map.count) {
    return ca_block_none();
  }
  size_t first = find(self, length, align);
  if (CA_UNLIKELY(first == CA_FREE_MAP_NONE)) { /* Unless what stands in front makes one whole. */
    drain(self);
    check_in(self);
    check_in_given(self);
    first = find(self, length, align);
    if (first == CA_FREE_MAP_NONE) {
      return ca_block_none();
    }
  }
  ca_free_map_take(&self->map, first, length);
  ca_words_set(self->live, first, length);
  if (self->borders != NULL && length > 1) {
    ca_words_clear(self->borders, first + 1, length - 1);
  }
  const ca_block run = run_at(self, first, length);
  ca_unpoison(run.ptr, run.size);
  return run;
}

/* Deallocating. */

static size_t border_words(size_t count) { return ca_free_map_word_count(count + 1); }

/* With sizes recorded: where the allocation that begins at the block ends. */
static size_t end_of(const ca_bit_set *self, size_t block) {
  return ca_words_next_set(self->borders, border_words(self->map.count), block + 1);
}

static const char not_a_block[] = "not a block (bit set)";
static const char double_free[] = "double free (bit set)";
static const char wrong_size[] = "wrong size (bit set)";

/* The block at which the live allocation at ptr begins, as far as can be told; else it's reported
 * as a misuse of `call`. */
static size_t live_block(const ca_bit_set *self, const void *ptr, const char *call) {
  const size_t block = ca_bit_set_block_at(self, ptr);
  if (CA_UNLIKELY(block >= self->map.count ||
                  (self->borders != NULL && !ca_bit_set_has_border(self, block)))) {
    ca_panic_misuse(call, ptr, not_a_block);
  }
  if (CA_UNLIKELY((self->live[block / 64] >> (block % 64) & 1) == 0)) {
    ca_panic_misuse(call, ptr, double_free);
  }
  return block;
}

static bool all_live(const ca_bit_set *self, size_t first, size_t length) {
  const size_t words = ca_free_map_word_count(first + length);
  return ca_words_next_clear(self->live, words, first) >= first + length;
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

static void give_block(ca_bit_set *self, size_t block) {
  if (block / 64 == self->given_word) {
    self->given_bits |= UINT64_C(1) << (block % 64);
    return;
  }
  if (self->waiting_count == CA_BIT_SET_WAITING) {
    drain(self);
  }
  self->waiting[self->waiting_count++] = (uint32_t)block;
}

static void give_run(ca_bit_set *self, size_t first, size_t length) {
  check_in_within(self, first, length);
  ca_free_map_give(&self->map, first, length);
}

static void give(ca_bit_set *self, size_t first, size_t length) {
  const ca_block run = run_at(self, first, length);
  ca_words_clear(self->live, first, length);
  if (length == 1) {
    give_block(self, first);
  } else {
    give_run(self, first, length);
  }
  if (self->borders != NULL && length > 1) {
    ca_words_set(self->borders, first + 1, length - 1);
  }
  ca_poison(run.ptr, run.size);
}

void ca_bit_set_deallocate_run(ca_bit_set *self, void *ptr, size_t size) {
  const size_t block = live_block(self, ptr, "deallocate");
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
  if (!ca_free_map_all_free(&self->map, block + length, more)) {
    drain(self);
    check_in_within(self, block + length, more);
    if (!ca_free_map_all_free(&self->map, block + length, more)) {
      return ca_block_none();
    }
  }
  ca_free_map_take(&self->map, block + length, more);
  ca_words_set(self->live, block + length, more);
  if (self->borders != NULL) {
    ca_words_clear(self->borders, block + length, more);
  }
  const ca_block tail = run_at(self, block + length, more);
  ca_unpoison(tail.ptr, tail.size);
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

static bool op_owns(const ca_allocator *base, const void *ptr) {
  const ca_bit_set *const self = from_const_base(base);
  return (uintptr_t)ptr - (uintptr_t)self->begin < ca_bit_set_capacity(self);
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
};

/* Layout: padding up to a block, the blocks, padding up to a word, live, borders, the map. */

static size_t records_bytes(size_t count, ca_sizes sizes) {
  const size_t borders = sizes == CA_SIZES_RECORDED ? border_words(count) * sizeof(uint64_t) : 0;
  return ca_free_map_word_count(count) * sizeof(uint64_t) + borders + ca_free_map_bytes(count);
}

/* How many blocks have room in `room` bytes from an address aligned to the block size on. */
static size_t count_for(size_t room, unsigned shift, ca_sizes sizes) {
  /* Too many at first: all but what an index costs that isn't proportional. */
  const size_t group = ((size_t)64 << shift) + (sizes == CA_SIZES_RECORDED ? 33 : 25);
  size_t count = room / group * 64 + (room % group >> shift);
  count = count < CA_BIT_SET_COUNT_MAX ? count : CA_BIT_SET_COUNT_MAX;
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
  self->block_mask = ((size_t)1 << shift) - 1;
  self->begin = (char *)range.ptr + padding;
  self->live = (uint64_t *)(void *)(self->begin + (count << shift));
  uint64_t *records = self->live + ca_free_map_word_count(count);
  if (sizes == CA_SIZES_RECORDED) {
    self->borders = records;
    records += border_words(count);
  }
  ca_free_map_init(&self->map, records, count);
  return true;
}

static bool is_usable(ca_block range, size_t block_size) {
  return ca_is_power_of_two(block_size) && block_size >= CA_BIT_SET_BLOCK_SIZE_MIN &&
         !ca_block_is_none(range) && range.size <= PTRDIFF_MAX &&
         (uintptr_t)range.ptr <= UINTPTR_MAX - range.size;
}

bool ca_bit_set_init_range(ca_bit_set *self, ca_block range, size_t block_size, ca_sizes sizes) {
  *self = (ca_bit_set){
      .base = {.ops = sizes == CA_SIZES_RECORDED ? &recording_ops : &forgetting_ops},
  };
  if (!is_usable(range, block_size) || !lay_out(self, range, ca_log2_floor(block_size), sizes)) {
    return false;
  }
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
  ca_free_map_fill(&self->map);
  memset(self->live, 0, self->map.index.word_count * sizeof *self->live);
  if (self->borders != NULL) {
    memset(self->borders, 0xFF, border_words(self->map.count) * sizeof *self->borders);
  }
  self->bits = 0;
  self->word = CA_FREE_MAP_NONE;
  self->given_bits = 0;
  self->given_word = CA_FREE_MAP_NONE;
  self->waiting_count = 0;
  ca_poison(self->begin, ca_bit_set_capacity(self));
}

void ca_bit_set_destroy(ca_bit_set *self) {
  if (!ca_block_is_none(self->range)) {
    ca_unpoison(self->range.ptr, self->range.size);
    if (self->source != NULL) {
      ca_source_release(self->source, self->range);
    }
  }
  *self = (ca_bit_set){.base = self->base};
}

size_t ca_bit_set_live(const ca_bit_set *self) {
  size_t live = 0;
  for (size_t word = 0; word < self->map.index.word_count; word++) {
    live += ca_bits_count(self->live[word]);
  }
  return live << self->block_shift;
}

/* The invariant. */

static bool is_laid_out(const ca_bit_set *self) {
  ca_bit_set right = {.base = self->base};
  if (!is_usable(self->range, self->block_mask + 1) ||
      !lay_out(&right, self->range, ca_log2_floor(self->block_mask + 1),
               self->base.ops == &recording_ops ? CA_SIZES_RECORDED : CA_SIZES_FORGOTTEN)) {
    return false;
  }
  const ca_run_index *const index = &self->map.index;
  return self->begin == right.begin && self->block_shift == right.block_shift &&
         self->live == right.live && self->borders == right.borders &&
         self->map.words == right.map.words && self->map.count == right.map.count &&
         index->sets == right.map.index.sets && index->lengths == right.map.index.lengths &&
         index->word_count == right.map.index.word_count &&
         index->set_words == right.map.index.set_words &&
         index->level_count == right.map.index.level_count &&
         memcmp(index->level_begin, right.map.index.level_begin, sizeof index->level_begin) == 0;
}

static bool front_holds(const ca_bit_set *self) {
  if (self->waiting_count > CA_BIT_SET_WAITING) {
    return false;
  }
  if (self->given_word == CA_FREE_MAP_NONE
          ? self->given_bits != 0
          : self->given_word >= self->map.index.word_count || self->given_word == self->word ||
                self->map.words[self->given_word] != 0) {
    return false;
  }
  if (self->word == CA_FREE_MAP_NONE) {
    return self->bits == 0;
  }
  return self->word < self->map.index.word_count && self->map.words[self->word] == 0 &&
         self->word_begin == address_of(self, self->word * 64);
}

static uint64_t free_in(const ca_bit_set *self, size_t word) {
  return word == self->word         ? self->bits
         : word == self->given_word ? self->given_bits
                                    : self->map.words[word];
}

/* Whether each entry of `waiting` is a block, and is nowhere else. */
static bool waiting_hold(const ca_bit_set *self) {
  for (uint32_t i = 0; i < self->waiting_count; i++) {
    const size_t block = self->waiting[i];
    const size_t word = block / 64;
    if (block >= self->map.count ||
        ((free_in(self, word) | self->live[word]) >> (block % 64) & 1) != 0) {
      return false;
    }
    for (uint32_t other = 0; other < i; other++) {
      if (self->waiting[other] == block) {
        return false;
      }
    }
  }
  return true;
}

static bool blocks_hold(const ca_bit_set *self) {
  size_t total = self->waiting_count;
  for (size_t word = 0; word < self->map.index.word_count; word++) {
    const uint64_t any = free_in(self, word) | self->live[word];
    const size_t left = self->map.count - word * 64;
    if ((free_in(self, word) & self->live[word]) != 0 || (left < 64 && any >> left != 0)) {
      return false;
    }
    total += ca_bits_count(any);
  }
  return total == self->map.count;
}

static bool borders_hold(const ca_bit_set *self) {
  const size_t words = border_words(self->map.count);
  if (!ca_bit_set_has_border(self, 0) || !ca_bit_set_has_border(self, self->map.count)) {
    return false;
  }
  for (size_t word = 0; word < self->map.index.word_count; word++) {
    const size_t left = self->map.count - word * 64;
    const uint64_t dead = ~self->live[word] & ca_bits_low(left < 64 ? (unsigned)left : 64U);
    const uint64_t below = self->borders[word];
    const uint64_t next = word + 1 < words ? self->borders[word + 1] : 0;
    if ((dead & ~(below & (below >> 1 | next << 63))) != 0) {
      return false;
    }
  }
  return true;
}

static bool op_check(const ca_allocator *base) {
  const ca_bit_set *const self = from_const_base(base);
  if (self->map.count == 0) {
    return ca_block_is_none(self->range) && self->bits == 0 && self->waiting_count == 0;
  }
  return is_laid_out(self) && ca_free_map_check(&self->map) && front_holds(self) &&
         waiting_hold(self) && blocks_hold(self) && (self->borders == NULL || borders_hold(self));
}
