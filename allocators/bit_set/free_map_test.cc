// The words, the index and the map against slow and obvious ones.
#include "allocators/bit_set/free_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace {

using Bits = std::vector<bool>;

Bits FromWords(const std::vector<std::uint64_t> &words) {
  Bits bits;
  for (const std::uint64_t word : words) {
    for (int i = 0; i < 64; ++i) bits.push_back(word >> i & 1);
  }
  return bits;
}

TEST(WordsTest, SetAndClearChangeTheRangeAndNothingElse) {
  for (std::size_t first = 0; first < 192; ++first) {
    for (std::size_t count = 1; first + count <= 192; count += 1 + count % 11) {
      std::vector<std::uint64_t> clear = {0, 0, 0};
      std::vector<std::uint64_t> set = {~0ULL, ~0ULL, ~0ULL};
      ca_words_set(clear.data(), first, count);
      ca_words_clear(set.data(), first, count);
      Bits expected(192);
      for (std::size_t i = first; i < first + count; ++i) expected[i] = true;
      ASSERT_EQ(FromWords(clear), expected) << first << ", " << count;
      expected.flip();
      ASSERT_EQ(FromWords(set), expected) << first << ", " << count;
    }
  }
}

TEST(WordsTest, NextFindsTheLowestBitFromAnyPlaceOn) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::uint64_t> words(1 + random() % 4);
    for (std::uint64_t &word : words) {
      const auto kind = random() % 4;
      word = kind == 0 ? 0 : kind == 1 ? ~0ULL : std::uint64_t{1} << (random() % 64);
    }
    const Bits bits = FromWords(words);
    for (std::size_t from = 0; from <= bits.size(); ++from) {
      std::size_t set = from;
      std::size_t clear = from;
      while (set < bits.size() && !bits[set]) ++set;
      while (clear < bits.size() && bits[clear]) ++clear;
      ASSERT_EQ(ca_words_next_set(words.data(), words.size(), from), set);
      ASSERT_EQ(ca_words_next_clear(words.data(), words.size(), from), clear);
    }
  }
}

struct Index {
  explicit Index(std::size_t words)
      : storage(ca_run_index_words(words), 0xABABABABABABABAB), words(words) {
    ca_run_index_init(&index, storage.data(), words);
  }
  void Extend(std::size_t more, unsigned length) {
    const std::size_t known = model.size();
    ca_run_index_extend(&index, more);
    model.resize(known + more);
    places.resize(model.size());
    stale.resize(model.size());
    for (std::size_t word = known; length > 0 && word < model.size(); ++word) Put(word, length);
  }
  void Reset() {
    ca_run_index_reset(&index);
    model.clear();
    places.clear();
    stale.clear();
  }
  void Put(std::size_t word, unsigned length, unsigned place = 0) {
    ca_run_index_put(&index, word, length, place);
    model[word] = length;
    places[word] = place;
  }
  // Takes the first word of the length out, which is returned, and gives it another one.
  std::size_t Change(unsigned length, unsigned new_length, unsigned new_place) {
    unsigned place = 99;
    const std::size_t group = ca_run_index_first_group(&index, length);
    const std::size_t word = ca_run_index_take_first_in(&index, group, length, &place);
    EXPECT_EQ(place, places[word]);
    EXPECT_EQ(ca_run_index_length(&index, word), 0U);
    model[word] = 0;
    EXPECT_EQ(ca_run_index_fitting(&index, 1), Fitting(1));
    ca_run_index_put_back(&index, word, new_length, new_place);
    model[word] = new_length;
    places[word] = new_place;
    return word;
  }
  void MarkStale(std::size_t word) {
    ca_run_index_mark_stale(&index, word);
    stale[word] = true;
  }
  std::size_t TakeStale() {
    const auto first = std::find(stale.begin(), stale.end(), true);
    if (first == stale.end()) return CA_RUN_INDEX_NONE;
    *first = false;
    return static_cast<std::size_t>(first - stale.begin());
  }
  std::size_t Next(unsigned length, std::size_t from) const {
    for (; from < model.size(); ++from) {
      if (model[from] == length) return from;
    }
    return CA_RUN_INDEX_NONE;
  }
  unsigned Fitting(unsigned length) const {
    unsigned best = 0;
    for (const unsigned have : model) {
      if (have >= length && (best == 0 || have < best)) best = have;
    }
    return best;
  }
  std::size_t First(unsigned length) const {
    return ca_run_index_first_in(&index, ca_run_index_first_group(&index, length), length);
  }
  std::vector<std::uint64_t> storage;
  std::size_t words;
  std::vector<unsigned> model;
  std::vector<unsigned> places;
  std::vector<bool> stale;
  ca_run_index index;
};

TEST(RunIndexTest, AgreesWithAListOfLengths) {
  for (const std::size_t words : {1, 2, 7, 8, 9, 63, 64, 65, 200, 511, 512, 513, 4097, 33000}) {
    SCOPED_TRACE(words);
    std::mt19937 random(static_cast<unsigned>(words));
    Index index(words);
    ASSERT_TRUE(ca_run_index_check(&index.index));
    ASSERT_EQ(ca_run_index_take_stale(&index.index), CA_RUN_INDEX_NONE);
    for (int step = 0; step < 200; ++step) {
      if (step % 60 == 50) index.Reset();
      const std::size_t room = words - index.model.size();
      if (room > 0 && (index.model.empty() || random() % 4 == 0)) {
        index.Extend(1 + random() % room, random() % 2 == 0 ? 64 : 0);
      }
      const std::size_t known = index.model.size();
      const std::size_t word = random() % 3 == 0 ? known - 1 : random() % known;
      index.Put(word, random() % 65, random() % 64);
      for (const std::size_t at : {word, random() % known}) {
        ASSERT_EQ(ca_run_index_length(&index.index, at), index.model[at]);
        ASSERT_EQ(ca_run_index_place(&index.index, at), index.places[at]);
      }
      if (random() % 3 == 0) index.MarkStale(random() % known);
      if (random() % 4 == 0) {
        ASSERT_EQ(ca_run_index_take_stale(&index.index), index.TakeStale());
      }
      const unsigned length = 1 + random() % 64;
      ASSERT_EQ(ca_run_index_fitting(&index.index, length), index.Fitting(length));
      const std::size_t from = random() % words;
      ASSERT_EQ(ca_run_index_next(&index.index, length, from), index.Next(length, from));
      ASSERT_EQ(ca_run_index_next(&index.index, length, words), CA_RUN_INDEX_NONE);
      const unsigned used = index.Fitting(1);
      if (used != 0) {
        const std::size_t first = index.Next(used, 0);
        ASSERT_EQ(index.First(used), first);
        ASSERT_EQ(index.Change(used, random() % 2 == 0 ? 0 : random() % 65, random() % 64), first);
        ASSERT_EQ(ca_run_index_length(&index.index, first), index.model[first]);
        ASSERT_EQ(ca_run_index_place(&index.index, first), index.places[first]);
      }
      if (step % 20 == 0) ASSERT_TRUE(ca_run_index_check(&index.index));
    }
    ASSERT_TRUE(ca_run_index_check(&index.index));
  }
}

TEST(RunIndexTest, FindsAcrossEmptyStretchesOfEveryLevel) {
  Index index(64 * 64 * 3);
  index.Extend(64 * 64 * 3, 0);
  EXPECT_EQ(ca_run_index_fitting(&index.index, 1), 0U);
  for (const std::size_t word : {0, 63, 64, 4095, 4096, 8191, 12287}) {
    index.Put(word, 7);
    index.MarkStale(word);
    for (const std::size_t from : {0, 1, 62, 63, 64, 65, 4094, 4095, 4096, 8190, 8191, 12287}) {
      ASSERT_EQ(ca_run_index_next(&index.index, 7, from), index.Next(7, from)) << word << from;
    }
    EXPECT_TRUE(ca_run_index_check(&index.index));
    EXPECT_TRUE(ca_run_index_is_stale(&index.index, word));
    EXPECT_EQ(ca_run_index_take_stale(&index.index), word);
    EXPECT_EQ(ca_run_index_take_stale(&index.index), CA_RUN_INDEX_NONE);
    index.Put(word, 0);
  }
}

TEST(RunIndexTest, CheckFindsEveryKindOfDamage) {
  Index index(200);
  index.Extend(150, 64);
  index.Put(70, 3);
  index.MarkStale(130);
  ASSERT_TRUE(ca_run_index_check(&index.index));
  const auto damaged = [&index](auto damage, auto repair) {
    damage();
    const bool found = !ca_run_index_check(&index.index);
    repair();
    EXPECT_TRUE(ca_run_index_check(&index.index));
    return found;
  };
  std::uint64_t *const set = index.index.sets + 3 - 1;  // Of length 3: word 9 of the groups.
  std::uint64_t *const other = index.index.sets + 4 - 1;
  std::uint64_t *const stale = index.index.stale;
  ca_run_group *const groups = index.index.groups;
  const auto flips = [&damaged](std::uint64_t &word, std::uint64_t bits) {
    return damaged([&] { word ^= bits; }, [&] { word ^= bits; });
  };
  EXPECT_TRUE(flips(set[0], 1)) << "a group without the length";
  EXPECT_TRUE(flips(set[0], 1 << 8)) << "and one with it: word 70 is in group 8";
  EXPECT_TRUE(flips(set[0], 1ULL << 63)) << "beyond the known";
  EXPECT_TRUE(flips(stale[2], 1 << 2));
  EXPECT_TRUE(flips(stale[2], 1 << 30)) << "beyond the known";
  EXPECT_TRUE(flips(stale[3 + 1], 1)) << "a summary";
  EXPECT_TRUE(flips(groups[8].lengths, UINT64_C(7) << 48)) << "3 to 4";
  EXPECT_TRUE(flips(groups[8].lengths, UINT64_C(0xFC) << 48)) << "3 to 255";
  EXPECT_TRUE(flips(groups[18].lengths, UINT64_C(1) << 48)) << "beyond the known";
  EXPECT_TRUE(flips(groups[8].places, UINT64_C(64) << 48));
  EXPECT_TRUE(damaged([&] { index.index.used ^= 4; }, [&] { index.index.used ^= 4; }));
  EXPECT_TRUE(damaged([&] { index.index.used ^= 1; }, [&] { index.index.used ^= 1; }));
  EXPECT_TRUE(damaged([&] { index.index.known = 149; }, [&] { index.index.known = 150; }));
  EXPECT_TRUE(damaged([&] { index.index.known = 999; }, [&] { index.index.known = 150; }));
  other[0] ^= 1;  // Garbage: no word has the length, and one level is all there is.
  EXPECT_TRUE(ca_run_index_check(&index.index));
  index.Put(3, 4);
  EXPECT_TRUE(ca_run_index_check(&index.index)) << "it's gone once a word has it";
}

TEST(RunIndexTest, CheckFindsDamageInTheLevelsAbove) {
  Index index(64 * 8 * 3);
  index.Extend(64 * 8 * 2, 64);
  index.Put(700, 3);
  ASSERT_EQ(index.index.level.count, 2U);
  ASSERT_TRUE(ca_run_index_check(&index.index));
  const auto found = [&index](unsigned level, std::size_t at, unsigned length, std::uint64_t bits) {
    const std::size_t word = (index.index.level.begin[level] + at) * CA_RUN_LENGTHS + length - 1;
    index.index.sets[word] ^= bits;
    const bool holds = ca_run_index_check(&index.index);
    index.index.sets[word] ^= bits;
    return !holds && ca_run_index_check(&index.index);
  };
  EXPECT_TRUE(found(0, 1, 3, 1));
  EXPECT_TRUE(found(0, 1, 4, 1)) << "a length that no word has";
  EXPECT_TRUE(found(1, 0, 3, 1));
  EXPECT_TRUE(found(1, 0, 3, 2));
  EXPECT_FALSE(found(1, 0, 4, 2)) << "garbage, and known to be";
}

// A map, and a plain vector of which block is free.
class Map {
 public:
  explicit Map(std::size_t count)
      : storage_(ca_free_map_bytes(count) / 8 + 1, 0xCDCDCDCDCDCDCDCD), free(count, true) {
    ca_free_map_init(&map, storage_.data(), count);
    ca_free_map_reset(&map);
  }
  std::size_t RunAt(std::size_t first) const {
    std::size_t end = first;
    while (end < free.size() && free[end]) ++end;
    return end - first;
  }
  bool HasRun(std::size_t length, ca_free_map_places places) const {
    for (std::size_t first = 0; first < free.size(); ++first) {
      const std::size_t end = first + RunAt(first);
      for (; first + length <= end; ++first) {
        if ((first + places.offset) % places.stride == 0) return true;
      }
      first = std::max(first, end);
    }
    return false;
  }
  // For who doesn't look at `free`.
  void TakeAll() {
    ca_free_map_know(&map, free.size());
    ca_free_map_take(&map, 0, free.size());
  }
  void Set(std::size_t first, std::size_t length, bool value) {
    for (std::size_t i = first; i < first + length; ++i) free[i] = value;
  }

 private:
  std::vector<std::uint64_t> storage_;

 public:
  Bits free;
  ca_free_map map;
};

void ExpectFound(const Map &map, std::size_t found, std::size_t length, ca_free_map_places places) {
  if (found == CA_FREE_MAP_NONE) {
    ASSERT_FALSE(map.HasRun(length, places)) << "refused a run of " << length << " that is there";
    return;
  }
  ASSERT_EQ((found + places.offset) % places.stride, 0U);
  ASSERT_LE(found + length, map.free.size());
  ASSERT_GE(map.RunAt(found), length);
}

constexpr ca_free_map_places kAnywhere = {1, 0};

void GiveBack(Map &map, std::size_t first, std::size_t length, bool as_a_run) {
  map.Set(first, length, true);
  if (as_a_run) {
    ca_free_map_give(&map.map, first, length);
  } else {
    for (std::size_t i = 0; i < length; ++i) ca_free_map_put(&map.map, first + i);
  }
}

// Runs and single blocks, some of these from the word that is checked out.
void Traffic(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  Map map(count);
  const std::size_t most = seed % 2 == 0 ? 200 : 12;
  std::vector<std::pair<std::size_t, std::size_t>> live;
  const auto hide_or_show = [&map](bool shown) {  // What is out isn't found.
    for (std::size_t i = 0; map.map.out != CA_FREE_MAP_NONE && i < 64; ++i) {
      const std::size_t block = map.map.out * 64 + i;
      if (block < map.free.size()) {
        map.free[block] = shown && ca_free_map_is_free(&map.map, block);
      }
    }
  };
  for (int step = 0; step < 300; ++step) {
    if (random() % 8 == 0) ca_free_map_check_out(&map.map);
    if (random() % 12 == 0) ca_free_map_check_in(&map.map);
    if (step == 150) {
      ca_free_map_reset(&map.map);
      map.Set(0, count, true);
      live.clear();
    }
    const std::size_t length = 1 + random() % most;
    ca_free_map_places places = {std::size_t{1} << (random() % 9), 0};
    if (random() % 2 == 0) places.stride = 1;
    places.offset = random() % places.stride;
    hide_or_show(false);
    const std::size_t found = ca_free_map_find(&map.map, length, places);
    ASSERT_NO_FATAL_FAILURE(ExpectFound(map, found, length, places));
    hide_or_show(true);
    if (found != CA_FREE_MAP_NONE) {
      ASSERT_TRUE(ca_free_map_all_free(&map.map, found, length));
      if (places.stride == 1 && length <= 64 && random() % 2 == 0) {
        ASSERT_EQ(ca_free_map_take_known(&map.map, static_cast<unsigned>(length)), found);
      } else {
        ca_free_map_take(&map.map, found, length);
      }
      map.Set(found, length, false);
      ASSERT_TRUE(ca_free_map_all_taken(&map.map, found, length));
      live.push_back({found, length});
    }
    if (!live.empty() && (found == CA_FREE_MAP_NONE || random() % 3 == 0)) {
      std::swap(live[random() % live.size()], live.back());
      GiveBack(map, live.back().first, live.back().second, random() % 2 == 0);
      live.pop_back();
    }
    ASSERT_TRUE(ca_free_map_check(&map.map)) << "in step " << step;
    ASSERT_EQ(ca_free_map_count_free(&map.map),
              static_cast<std::size_t>(std::count(map.free.begin(), map.free.end(), true)));
  }
}

TEST(FreeMapTest, FindsARunIffThereIsOne) {
  for (const std::size_t count : {1, 5, 63, 64, 65, 127, 128, 130, 700, 4500}) {
    for (unsigned seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE(testing::Message() << count << " blocks, seed " << seed);
      ASSERT_NO_FATAL_FAILURE(Traffic(count, seed));
    }
  }
}

TEST(FreeMapTest, SingleBlocksPutInEveryOrderAreFoundAsRuns) {
  for (const bool up : {true, false}) {
    Map map(300);
    ca_free_map_know(&map.map, 300);
    ca_free_map_take(&map.map, 0, 300);
    EXPECT_EQ(ca_free_map_find(&map.map, 1, kAnywhere), CA_FREE_MAP_NONE);
    for (std::size_t i = 0; i < 300; ++i) {
      ca_free_map_put(&map.map, up ? i : 299 - i);
      ASSERT_TRUE(ca_free_map_check(&map.map));
      ASSERT_EQ(ca_free_map_find(&map.map, i + 2, kAnywhere), CA_FREE_MAP_NONE);
      ASSERT_EQ(ca_free_map_find(&map.map, i + 1, kAnywhere), up ? 0 : 299 - i);
    }
  }
}

TEST(FreeMapTest, NothingIsKnownBeforeItIsNeeded) {
  Map map(64 * 1000);
  EXPECT_EQ(map.map.known, 0U);
  EXPECT_EQ(ca_free_map_find(&map.map, 3, kAnywhere), 0U);
  EXPECT_EQ(map.map.known, 64U);
  ca_free_map_take(&map.map, 0, 3);
  EXPECT_EQ(ca_free_map_find(&map.map, 62, kAnywhere), 3U) << "the first word's end serves too";
  EXPECT_EQ(map.map.known, 128U);
  EXPECT_EQ(ca_free_map_find(&map.map, 500, kAnywhere), 3U);
  EXPECT_LE(map.map.known, 64U * 12);
  ca_free_map_reset(&map.map);
  EXPECT_EQ(map.map.known, 0U);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, AWordCheckedOutIsNotFoundUntilItIsCheckedIn) {
  Map map(64 * 3 + 10);
  EXPECT_EQ(ca_free_map_check_out(&map.map), 0U);
  EXPECT_EQ(map.map.words[0], ~0ULL);
  map.map.words[0] = 6;
  EXPECT_TRUE(ca_free_map_check(&map.map));
  EXPECT_EQ(ca_free_map_find(&map.map, 1, kAnywhere), 64U);
  ca_free_map_check_in(&map.map);
  EXPECT_TRUE(ca_free_map_check(&map.map));
  EXPECT_EQ(ca_free_map_find(&map.map, 2, kAnywhere), 1U);
  EXPECT_EQ(ca_free_map_check_out(&map.map), 0U) << "of short runs first";
  ca_free_map_take(&map.map, 64, 64);
  map.map.words[0] = 0;
  ca_free_map_put(&map.map, 70);
  EXPECT_EQ(ca_free_map_check_out(&map.map), 1U) << "what came back before what is new";
  EXPECT_EQ(map.map.words[1], 64U);
  map.map.words[1] = 0;
  EXPECT_EQ(ca_free_map_check_out(&map.map), 2U);
  map.map.words[2] = 0;
  EXPECT_EQ(ca_free_map_check_out(&map.map), 3U);
  EXPECT_EQ(map.map.words[3], 0x3FFU);
  map.map.words[3] = 0;
  EXPECT_EQ(ca_free_map_check_out(&map.map), CA_FREE_MAP_NONE);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, TakesTheTightestWordAndKeepsLongRunsWhole) {
  Map map(64 * 10);
  map.TakeAll();
  ca_free_map_give(&map.map, 10, 40);
  ca_free_map_give(&map.map, 64 * 3 + 5, 9);
  ca_free_map_give(&map.map, 64 * 8 + 60, 8);  // Across two words.
  EXPECT_EQ(ca_free_map_find(&map.map, 8, kAnywhere), 64 * 8 + 60U);
  EXPECT_EQ(ca_free_map_find(&map.map, 9, kAnywhere), 64 * 3 + 5U);
  EXPECT_EQ(ca_free_map_find(&map.map, 10, kAnywhere), 40U) << "the end of it";
  EXPECT_EQ(ca_free_map_find(&map.map, 41, kAnywhere), CA_FREE_MAP_NONE);
}

// What the index says: of each word the longest of the runs that begin there.
void ExpectListed(const Map &map, std::size_t word, unsigned length, unsigned place) {
  EXPECT_EQ(ca_run_index_length(&map.map.index, word), length) << "word " << word;
  if (length > 0) EXPECT_EQ(ca_run_index_place(&map.map.index, word), place) << "word " << word;
}

TEST(FreeMapTest, ARunIsKnownInTheWordInWhichItBegins) {
  Map map(64 * 6);
  ca_free_map_know(&map.map, 64 * 6);
  ExpectListed(map, 0, 64, 0);
  for (std::size_t word = 1; word < 6; ++word) ExpectListed(map, word, 0, 0);
  ca_free_map_take(&map.map, 0, 64 * 6);
  ca_free_map_give(&map.map, 50, 30);
  ExpectListed(map, 0, 30, 50);
  ExpectListed(map, 1, 0, 0);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 10), 70U);
  ExpectListed(map, 0, 20, 50);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 4), 66U);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 8), 58U);
  ExpectListed(map, 0, 8, 50);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 8), 50U);
  ExpectListed(map, 0, 0, 0);
  ca_free_map_give(&map.map, 50, 70);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 10), 110U) << "of a long one, too, if it ends there";
  ExpectListed(map, 0, 60, 50);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, WhatMayGoOnIsTakenFromItsBeginning) {
  Map map(64 * 6);
  ca_free_map_know(&map.map, 64 * 5);
  ca_free_map_take(&map.map, 0, 64 * 5);
  ca_free_map_give(&map.map, 50, 200);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 20), 50U) << "beyond the next word";
  ExpectListed(map, 0, 0, 0);
  ExpectListed(map, 1, 64, 6);
  EXPECT_TRUE(ca_free_map_check(&map.map));
  ca_free_map_take(&map.map, 128, 122);
  ExpectListed(map, 1, 58, 6);
  ca_free_map_give(&map.map, 64 * 5 - 5, 5);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 3), 64U * 5 - 5) << "among what isn't known";
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, WhatTheWordThatIsOutCutsOffBeginsBehindIt) {
  Map map(64 * 4);
  map.TakeAll();
  ca_free_map_give(&map.map, 60, 80);
  ca_free_map_put(&map.map, 0);  // So that it's the first to be checked out ..
  ca_free_map_put(&map.map, 64 * 3);
  ExpectListed(map, 0, 64, 60);
  EXPECT_EQ(ca_free_map_check_out(&map.map), 0U);
  ExpectListed(map, 1, 64, 0);
  EXPECT_EQ(ca_free_map_find(&map.map, 76, kAnywhere), 64U);
  EXPECT_EQ(ca_free_map_check_out(&map.map), 3U);  // .. and in again.
  ExpectListed(map, 0, 64, 60);
  ExpectListed(map, 1, 0, 0);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, WhatASingleBlockJoinedIsNotListedTwice) {
  Map map(64 * 3);
  map.TakeAll();
  const auto join = [&map] {
    ca_free_map_give(&map.map, 64, 5);
    ca_free_map_give(&map.map, 10, 4);
    ca_free_map_put(&map.map, 63);
    EXPECT_EQ(ca_free_map_take_known(&map.map, 4), 10U);  // So that the word's next run is listed.
  };
  join();
  ExpectListed(map, 0, 6, 63);
  ExpectListed(map, 1, 5, 0);
  EXPECT_TRUE(ca_free_map_check(&map.map));
  EXPECT_EQ(ca_free_map_take_known(&map.map, 6), 63U);
  ExpectListed(map, 1, 0, 0);
  EXPECT_TRUE(ca_free_map_check(&map.map));

  join();
  EXPECT_EQ(ca_free_map_take_known(&map.map, 5), 64U);
  ExpectListed(map, 0, 1, 63);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, WhatASingleBlockMadeLongIsNotListedTwice) {
  Map map(64 * 3);
  map.TakeAll();
  ca_free_map_give(&map.map, 64, 50);
  ca_free_map_give(&map.map, 36, 27);
  ca_free_map_give(&map.map, 0, 34);
  ca_free_map_put(&map.map, 63);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 34), 0U);  // So that the word's next run is listed.
  ExpectListed(map, 0, 64, 36);
  ExpectListed(map, 1, 50, 0);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 60), 54U);
  ExpectListed(map, 0, 18, 36);
  ExpectListed(map, 1, 0, 0);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, OfARunThatBeganBeforeNoneIsListedOnceItsMiddleIsTaken) {
  Map map(64 * 3);
  map.TakeAll();
  ca_free_map_give(&map.map, 66, 3);
  ca_free_map_give(&map.map, 36, 28);
  ca_free_map_give(&map.map, 0, 34);
  ca_free_map_put(&map.map, 64);
  ca_free_map_put(&map.map, 65);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 34), 0U);  // So that the word's next run is listed.
  ExpectListed(map, 0, 33, 36);
  ExpectListed(map, 1, 3, 2);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 3), 66U);
  ExpectListed(map, 0, 30, 36);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, TheRestOfALongRunEndsBeforeTheWordThatIsOut) {
  Map map(64 * 4);
  map.TakeAll();
  ca_free_map_give(&map.map, 128, 3);
  EXPECT_EQ(ca_free_map_check_out(&map.map), 2U);
  ca_free_map_give(&map.map, 50, 78);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 20), 50U);
  ExpectListed(map, 1, 58, 6);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, TheRestOfALongRunMayBeLongItself) {
  Map map(64 * 3);
  map.TakeAll();
  ca_free_map_give(&map.map, 63, 129);
  EXPECT_EQ(ca_free_map_take_known(&map.map, 64), 63U);
  ExpectListed(map, 1, 64, 63);
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

TEST(FreeMapTest, WhatIsListedOfTheRestStaysUnlessItWasTaken) {
  for (const std::size_t listed : {66, 110}) {
    Map map(64 * 3);
    map.TakeAll();
    ca_free_map_give(&map.map, listed, 1);
    ca_free_map_give(&map.map, 36, 28);
    ca_free_map_give(&map.map, 0, 34);
    for (std::size_t block = 64; block < 128; ++block) {
      if (block != listed) ca_free_map_put(&map.map, block);
    }
    EXPECT_EQ(ca_free_map_take_known(&map.map, 34), 0U);  // So that the word's next run is listed.
    ExpectListed(map, 0, 64, 36);
    ExpectListed(map, 1, 1, listed - 64);
    EXPECT_EQ(ca_free_map_take_known(&map.map, 31), 36U);
    if (listed == 66) {
      ExpectListed(map, 1, 61, 3);
    } else {
      ExpectListed(map, 1, 1, 46);
    }
    EXPECT_TRUE(ca_free_map_check(&map.map));
  }
}

TEST(FreeMapTest, ASingleBlockBehindARunDoesNotReachIntoTheNextWord) {
  for (const unsigned length : {10U, 63U}) {
    Map map(64 * 4);
    map.TakeAll();
    ca_free_map_give(&map.map, 128, 9);
    ca_free_map_give(&map.map, 64 - length, length);
    ca_free_map_put(&map.map, 64);
    EXPECT_EQ(ca_free_map_take_known(&map.map, length), 64 - length);
    ExpectListed(map, 1, 1, 0);
    EXPECT_TRUE(ca_free_map_check(&map.map));
  }
}

TEST(FreeMapTest, AnAlignedRunIsFoundFarBehindItsBeginning) {
  Map map(64 * 20);
  map.TakeAll();
  ca_free_map_give(&map.map, 70, 64 * 8);
  EXPECT_EQ(ca_free_map_find(&map.map, 60, {512, 0}), 512U);
  EXPECT_EQ(ca_free_map_find(&map.map, 64, {512, 12}), 500U);
  EXPECT_EQ(ca_free_map_find(&map.map, 70, {512, 0}), 512U) << "its end";
  EXPECT_EQ(ca_free_map_find(&map.map, 71, {512, 0}), CA_FREE_MAP_NONE);
  EXPECT_EQ(ca_free_map_find(&map.map, 30, {512, 512 - 70}), 70U);
  EXPECT_EQ(ca_free_map_find(&map.map, 30, {512, 512 - 69}), CA_FREE_MAP_NONE);
}

TEST(FreeMapTest, CheckFindsDamage) {
  Map map(100);
  ca_free_map_know(&map.map, 100);
  ca_free_map_take(&map.map, 0, 64);
  ca_free_map_put(&map.map, 5);
  const ca_free_map right = map.map;
  const auto found = [&] {
    const bool holds = ca_free_map_check(&map.map);
    map.map = right;
    return !holds && ca_free_map_check(&map.map);
  };
  EXPECT_TRUE((map.map.known = 64, found()));
  EXPECT_TRUE((map.map.out = 2, found()));
  EXPECT_TRUE((map.map.out = 1, found())) << "out, and yet in the index";
  EXPECT_TRUE((map.map.put = 1, found())) << "not stale";
  EXPECT_TRUE((map.map.put = 7, found()));
  map.map.words[1] ^= 1;
  EXPECT_FALSE(ca_free_map_check(&map.map)) << "a length that isn't so";
  map.map.words[1] ^= 1;
  map.map.words[0] = 0;
  EXPECT_TRUE(ca_free_map_check(&map.map)) << "a stale word may have more";
  map.map.words[1] |= 1ULL << 40;
  EXPECT_FALSE(ca_free_map_check(&map.map)) << "a block beyond the last one";
  map.map.words[1] &= ~(1ULL << 40);
  map.map.words[2] = 1;
  EXPECT_FALSE(ca_free_map_check(&map.map)) << "the word behind";
  map.map.words[2] = 0;
  EXPECT_TRUE(ca_free_map_check(&map.map));
}

}  // namespace
