#include "sources/arena/arena.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "base/poison.h"
#include "sources/arena/arena_fixture.h"
#include "sources/buffer/buffer.h"
#include "sources/testing/source_conformance.h"

namespace {

template <std::size_t kSlotSize>
struct ArenaFixture {
  ArenaFixture() {
    ca_arena_settings settings = {};
    settings.slot_size = kSlotSize;
    settings.slots = 20;
    settings.retained = 2;
    EXPECT_TRUE(ca_arena_init(&arena, mappings.get(), &settings));
  }
  ~ArenaFixture() {
    EXPECT_TRUE(ca_arena_check(&arena));
    ca_arena_destroy(&arena);
    EXPECT_EQ(mappings.out, 0) << "ranges not returned to the source";
  }
  ca_source *get() { return ca_arena_source(&arena); }

  static constexpr std::size_t kMaxAlign = kSlotSize;
  static constexpr std::size_t kMaxSize = kSlotSize;
  static constexpr bool kBounded = true;

  Mappings mappings;
  ca_arena arena;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Arena, SourceConformance, ArenaFixture<kSlot>);
INSTANTIATE_TYPED_TEST_SUITE_P(ArenaOfSmallSlots, SourceConformance, ArenaFixture<512>);

TEST_F(ArenaTest, HandsOutEverySlotOnceAndThenRefuses) {
  Init(50);
  std::set<void *> slots;
  for (int i = 0; i < 50; ++i) {
    void *slot = Obtain();
    ASSERT_NE(slot, nullptr);
    EXPECT_TRUE(ca_is_aligned(slot, kSlot));
    EXPECT_TRUE(slots.insert(slot).second) << "handed out twice";
    EXPECT_LT(ca_arena_index(&arena_, slot), 50U);
  }
  EXPECT_EQ(Obtain(), nullptr);
  EXPECT_EQ(Obtain(), nullptr);
  EXPECT_TRUE(ca_arena_check(&arena_));
  ca_arena_release(&arena_, *slots.begin());
  EXPECT_EQ(Obtain(), *slots.begin());
  EXPECT_EQ(Obtain(), nullptr);
}

TEST_F(ArenaTest, TellsSlotIndexAndOwnershipByArithmetic) {
  Init(8);
  unsigned char *begin = Obtain();
  unsigned char *second = Obtain();
  ASSERT_EQ(ca_arena_index(&arena_, begin), 0U);
  ASSERT_EQ(ca_arena_index(&arena_, second), 1U);
  EXPECT_EQ(ca_arena_slot_size(&arena_), kSlot);
  EXPECT_EQ(ca_arena_index(&arena_, second + kSlot - 1), 1U);
  EXPECT_EQ(ca_arena_slot(&arena_, second + kSlot - 1), second);
  EXPECT_EQ(ca_arena_slot(&arena_, second), second);
  EXPECT_TRUE(ca_arena_owns(&arena_, begin));
  EXPECT_TRUE(ca_arena_owns(&arena_, begin + 8 * kSlot - 1)) << "never used, and of the range";
  EXPECT_FALSE(ca_arena_owns(&arena_, begin + 8 * kSlot));
  EXPECT_FALSE(ca_arena_owns(&arena_, begin - 1));
  EXPECT_FALSE(ca_arena_owns(&arena_, nullptr));
  EXPECT_FALSE(ca_arena_owns(&arena_, reinterpret_cast<void *>(UINTPTR_MAX)));
  EXPECT_FALSE(ca_arena_owns(&arena_, this));
}

TEST_F(ArenaTest, RemembersTheOwnerFromSetUntilRelease) {
  Init(4, 1);
  unsigned char *slot = Obtain();
  unsigned char *other = Obtain();
  EXPECT_EQ(ca_arena_owner(&arena_, slot), nullptr);
  ca_arena_set_owner(&arena_, slot, this);
  EXPECT_EQ(ca_arena_owner(&arena_, slot), this);
  EXPECT_EQ(ca_arena_owner(&arena_, slot + kSlot - 1), this);
  EXPECT_EQ(ca_arena_owner(&arena_, other), nullptr);
  ca_arena_set_owner(&arena_, other, slot);
  ca_arena_release(&arena_, slot);
  EXPECT_EQ(ca_arena_owner(&arena_, slot), nullptr);
  ca_arena_release(&arena_, other);  // To the decommitted ones.
  EXPECT_EQ(ca_arena_owner(&arena_, other), nullptr);
  EXPECT_EQ(ca_arena_owner(&arena_, slot + 3 * kSlot), nullptr) << "never used";
}

TEST_F(ArenaTest, PrefersTheSlotReleasedLastWhosePagesAreWarm) {
  Init(8);
  unsigned char *first = Obtain();
  unsigned char *second = Obtain();
  ca_arena_release(&arena_, first);
  ca_arena_release(&arena_, second);
  EXPECT_EQ(Obtain(), second);
  EXPECT_EQ(Obtain(), first);
}

// What saves a thread that was held up between reading a head and replacing it (ABA).
TEST_F(ArenaTest, AHeadIsNeverTheSameAgain) {
  Init(8);
  unsigned char *slot = Obtain();
  ca_arena_release(&arena_, slot);
  std::set<std::uint64_t> heads = {arena_.resident};
  for (int round = 0; round < 10; ++round) {
    ASSERT_EQ(Obtain(), slot);
    EXPECT_TRUE(heads.insert(arena_.resident).second);
    ca_arena_release(&arena_, slot);
    EXPECT_TRUE(heads.insert(arena_.resident).second);
  }
}

TEST_F(ArenaTest, KeepsContentsOfRetainedSlotsAndDropsThoseOfOthers) {
  Init(8, 1);
  unsigned char *kept = Obtain();
  unsigned char *dropped = Obtain();
  EXPECT_EQ(kept[77], 0) << "zeroed source, new slot";
  kept[77] = dropped[77] = 9;
  ca_arena_release(&arena_, kept);
  EXPECT_EQ(mappings_.given, 0U);
  ca_arena_release(&arena_, dropped);
  EXPECT_EQ(mappings_.given, kSlot);
  ca_arena_counts counts = ca_arena_count(&arena_);
  EXPECT_EQ(counts.slots, 8U);
  EXPECT_EQ(counts.used, 2U);
  EXPECT_EQ(counts.resident, 1U);
  EXPECT_EQ(counts.decommitted, 1U);
  ASSERT_EQ(Obtain(), kept) << "one with pages first";
  EXPECT_EQ(kept[77], 9);
  ASSERT_EQ(Obtain(), dropped) << "then one that was used before, to touch few";
  EXPECT_EQ(dropped[77], 0);
  EXPECT_EQ(ca_arena_count(&arena_).used, 2U);
}

TEST_F(ArenaTest, RetainsAllIfNotToldOtherwise) {
  Init(30);
  std::vector<void *> slots;
  while (void *slot = Obtain()) slots.push_back(slot);
  for (void *slot : slots) ca_arena_release(&arena_, slot);
  EXPECT_EQ(ca_arena_count(&arena_).resident, 30U);
  EXPECT_EQ(mappings_.given, 0U);
}

TEST_F(ArenaTest, TrimGivesPagesBackDownToWhatIsRetained) {
  Init(10);
  std::vector<void *> slots;
  while (void *slot = Obtain()) slots.push_back(slot);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 0U) << "nothing is idle";
  for (void *slot : slots) ca_arena_release(&arena_, slot);
  EXPECT_EQ(ca_arena_trim(&arena_, 10), 0U);
  EXPECT_EQ(ca_arena_trim(&arena_, SIZE_MAX), 0U);
  EXPECT_EQ(ca_arena_trim(&arena_, 7), 3 * kSlot);
  EXPECT_EQ(ca_arena_count(&arena_).resident, 7U);
  EXPECT_TRUE(ca_arena_check(&arena_));
  EXPECT_EQ(ca_arena_trim(&arena_, 7), 0U);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 7 * kSlot);
  EXPECT_EQ(mappings_.given, 10 * kSlot);
  EXPECT_EQ(ca_arena_count(&arena_).resident, 0U);
  EXPECT_EQ(ca_arena_count(&arena_).decommitted, 10U);
  for (int i = 0; i < 10; ++i) EXPECT_NE(Obtain(), nullptr);
}

TEST_F(ArenaTest, ASlotWhosePagesAreNotTakenBackStaysResident) {
  Init(4, 1);
  mappings_.decommits = false;
  unsigned char *slots[] = {Obtain(), Obtain(), Obtain()};
  for (unsigned char *slot : slots) {
    slot[5] = 1;
    ca_arena_release(&arena_, slot);
  }
  EXPECT_EQ(ca_arena_count(&arena_).resident, 3U);
  EXPECT_EQ(ca_arena_count(&arena_).decommitted, 0U);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 0U);
  EXPECT_EQ(ca_arena_count(&arena_).resident, 3U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Obtain()[5], 1);
}

void Initialise(void *slot, std::size_t slot_size, void *argument) {
  ++*static_cast<std::atomic<int> *>(argument);
  EXPECT_EQ(slot_size, kSlot);
  EXPECT_EQ(static_cast<unsigned char *>(slot)[100], 0) << "nothing of an earlier use";
  std::memset(slot, 0xC0, slot_size);
}

TEST_F(ArenaTest, InitialisesASlotBeforeItsFirstUseAndAfterItsPagesWentBack) {
  Init(3, 1, Initialise);
  EXPECT_EQ(initialised_, 0);
  unsigned char *first = Obtain();
  EXPECT_EQ(initialised_, 1);
  EXPECT_EQ(first[kSlot - 1], 0xC0);
  unsigned char *second = Obtain();
  EXPECT_EQ(initialised_, 2);
  first[100] = 1;
  ca_arena_release(&arena_, first);
  ca_arena_release(&arena_, second);
  ASSERT_EQ(Obtain(), first);
  EXPECT_EQ(initialised_, 2) << "its pages were kept";
  EXPECT_EQ(first[100], 1);
  ASSERT_EQ(Obtain(), second);
  EXPECT_EQ(initialised_, 3);
  EXPECT_EQ(second[100], 0xC0);
}

TEST_F(ArenaTest, MakesSlotsPresentThatWereNeverUsedAndTheyAreIdleThen) {
  Init(10, 1, Initialise);
  unsigned char *const used = Obtain();
  EXPECT_EQ(ca_arena_make_present(&arena_, 4), 4U);
  EXPECT_EQ(initialised_, 5);
  EXPECT_EQ(ca_is_poisoned(used + kSlot), ca_poison_is_seen()) << "the next one";
  EXPECT_TRUE(ca_arena_check(&arena_));
  EXPECT_EQ(ca_arena_count(&arena_).used, 5U);
  EXPECT_EQ(ca_arena_count(&arena_).resident, 4U) << "more than are retained";
  for (int i = 0; i < 4; ++i) {
    unsigned char *const slot = Obtain();
    EXPECT_LT(ca_arena_index(&arena_, slot), 5U);
    EXPECT_EQ(slot[kSlot - 1], 0xC0);
  }
  EXPECT_EQ(initialised_, 5) << "each once";
  EXPECT_EQ(ca_arena_make_present(&arena_, SIZE_MAX), 5U) << "no more than there are";
  EXPECT_EQ(ca_arena_make_present(&arena_, 1), 0U);
  EXPECT_EQ(ca_arena_make_present(&arena_, 0), 0U);
  ca_arena_release(&arena_, used);
  EXPECT_TRUE(ca_arena_check(&arena_));
}

TEST_F(ArenaTest, TheFirstPageOfASlotThatWasMadePresentIsThere) {
  Init(3);
  unsigned char *const first = Obtain();
  const auto is_present = [](unsigned char *slot) {
    unsigned char present = 0;
    EXPECT_EQ(mincore(slot, 1, &present), 0);
    return (present & 1) != 0;
  };
  EXPECT_FALSE(is_present(first));
  EXPECT_EQ(ca_arena_make_present(&arena_, 1), 1U);
  EXPECT_TRUE(is_present(first + kSlot));
  EXPECT_FALSE(is_present(first + 2 * kSlot));
}

TEST_F(ArenaTest, RefusesSettingsOutOfRange) {
  const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t bad[][2] = {{0, 1},
                                {CA_ARENA_LEAST_SLOT / 2, 1},
                                {page + 1, 1},
                                {3 * page, 1},
                                {page, 0},
                                {page, UINT32_MAX},
                                {page, SIZE_MAX},
                                {kSlot, SIZE_MAX / 2},
                                {std::size_t{1} << 63, 1},
                                {std::size_t{1} << 62, 2},
                                {std::size_t{1} << 62, 5},
                                {SIZE_MAX, 1}};
  for (const auto &[slot_size, slots] : bad) {
    ca_arena arena;
    ca_arena_settings settings = {};
    settings.slot_size = slot_size;
    settings.slots = slots;
    EXPECT_FALSE(ca_arena_init(&arena, mappings_.get(), &settings)) << slot_size << " x " << slots;
    EXPECT_EQ(ca_arena_obtain(&arena), nullptr);
    EXPECT_EQ(mappings_.out, 0);
    ca_arena_destroy(&arena);
  }
}

TEST_F(ArenaTest, ASourceThatRefusesLeavesNothingObtained) {
  for (int refused = 0; refused < 2; ++refused) {
    mappings_.refuse_in = refused;
    ca_arena_settings settings = {};
    settings.slot_size = kSlot;
    settings.slots = 4;
    EXPECT_FALSE(ca_arena_init(&arena_, mappings_.get(), &settings));
    EXPECT_EQ(mappings_.out, 0);
    EXPECT_EQ(ca_arena_obtain(&arena_), nullptr);
    EXPECT_TRUE(ca_block_is_none(ca_source_obtain(ca_arena_source(&arena_), 1, 1)));
    EXPECT_EQ(ca_arena_count(&arena_).slots, 0U);
    EXPECT_FALSE(ca_arena_owns(&arena_, nullptr));
    EXPECT_EQ(ca_arena_trim(&arena_, 0), 0U);
    EXPECT_TRUE(ca_arena_check(&arena_));
    ca_arena_destroy(&arena_);
  }
  mappings_.refuse_in = 2;
  Init(4);
  EXPECT_NE(Obtain(), nullptr);
}

TEST_F(ArenaTest, DestroyReturnsEverythingAlsoSlotsThatAreOut) {
  Init(4);
  Obtain();
  EXPECT_EQ(mappings_.out, 2);
  ca_arena_destroy(&arena_);
  EXPECT_EQ(mappings_.out, 0);
  EXPECT_EQ(Obtain(), nullptr);
  ca_arena_destroy(&arena_);
  ca_arena zero = {};
  EXPECT_EQ(ca_arena_obtain(&zero), nullptr);
  ca_arena_destroy(&zero);
}

TEST_F(ArenaTest, ASourceThatIsNotZeroedWillDo) {
  static char memory[1 << 20];
  std::memset(memory, 0xFF, sizeof memory);
  ca_buffer buffer;
  ca_buffer_init(&buffer, memory, sizeof memory);
  ca_arena arena;
  ca_arena_settings settings = {};
  settings.slot_size = kSlot;
  settings.slots = 10;
  settings.retained = 3;
  ASSERT_TRUE(ca_arena_init(&arena, ca_buffer_source(&buffer), &settings));
  std::vector<void *> slots;
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(ca_arena_owner(&arena, reinterpret_cast<void *>(arena.begin + i * kSlot)), nullptr);
  }
  while (void *slot = ca_arena_obtain(&arena)) slots.push_back(slot);
  EXPECT_EQ(slots.size(), 10U);
  for (void *slot : slots) ca_arena_release(&arena, slot);
  EXPECT_EQ(ca_arena_count(&arena).resident, 10U) << "it takes no pages back";
  EXPECT_TRUE(ca_arena_check(&arena));
  ca_arena_destroy(&arena);
  EXPECT_EQ(buffer.out, 0U);
}

TEST_F(ArenaTest, ServesAsASourceUpToASlot) {
  Init(4);
  ca_source *source = ca_arena_source(&arena_);
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(source, kSlot + 1, 1)));
  EXPECT_TRUE(ca_block_is_none(ca_source_obtain(source, 1, 2 * kSlot)));
  EXPECT_EQ(ca_arena_count(&arena_).used, 0U);
  const ca_block range = ca_source_obtain(source, 1, 1);
  EXPECT_EQ(range.size, kSlot);
  auto *bytes = static_cast<unsigned char *>(range.ptr);
  bytes[0] = bytes[kSlot / 2] = 1;
  EXPECT_EQ(ca_source_decommit(source, bytes + kSlot / 2, kSlot / 2), kSlot / 2);
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[kSlot / 2], 0);
  ca_source_release(source, range);
  EXPECT_EQ(ca_arena_count(&arena_).resident, 1U);
}

TEST_F(ArenaTest, ToolsSeeTouchesOfAnIdleSlot) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  Init(4, 1);
  unsigned char *slot = Obtain();
  EXPECT_FALSE(ca_is_poisoned(slot));
  ca_arena_release(&arena_, slot);
  EXPECT_TRUE(ca_is_poisoned(slot));
  EXPECT_TRUE(ca_is_poisoned(slot + kSlot - 1));
  ASSERT_EQ(Obtain(), slot);
  EXPECT_FALSE(ca_is_poisoned(slot));
  EXPECT_FALSE(ca_is_poisoned(slot + kSlot - 1));
}

TEST_F(ArenaTest, ToolsLetTheBeginningOfAnIdleSlotBeReadIfToldSo) {
  ca_arena_settings settings = {};
  settings.slot_size = kSlot;
  settings.slots = 4;
  settings.readable = kSlot + 1;
  EXPECT_FALSE(ca_arena_init(&arena_, mappings_.get(), &settings));
  settings.readable = 64;
  ASSERT_TRUE(ca_arena_init(&arena_, mappings_.get(), &settings));
  unsigned char *slot = Obtain();
  EXPECT_EQ(ca_arena_make_present(&arena_, 1), 1U);
  ca_arena_release(&arena_, slot);
  for (const unsigned char *one : {slot, slot + kSlot}) {
    EXPECT_FALSE(ca_is_poisoned(one));
    EXPECT_FALSE(ca_is_poisoned(one + 63));
    EXPECT_EQ(ca_is_poisoned(one + 64), ca_poison_is_seen());
    EXPECT_EQ(ca_is_poisoned(one + kSlot - 1), ca_poison_is_seen());
  }
}

TEST_F(ArenaTest, CheckFindsDamage) {
  Init(8, 2);
  unsigned char *slots[5];
  for (unsigned char *&slot : slots) slot = Obtain();
  for (int i = 0; i < 4; ++i) ca_arena_release(&arena_, slots[i]);
  ASSERT_TRUE(ca_arena_check(&arena_));
  const ca_arena good = arena_;
  const auto damaged = [&](auto damage) {
    const std::vector<std::uint64_t> places(good.places, good.places + 8);
    damage();
    const bool found = !ca_arena_check(&arena_);
    arena_ = good;
    std::copy(places.begin(), places.end(), good.places);
    EXPECT_TRUE(ca_arena_check(&arena_));
    return found;
  };
  EXPECT_TRUE(damaged([&] { arena_.begin += 4096; }));
  EXPECT_TRUE(damaged([&] { arena_.size -= kSlot; }));
  EXPECT_TRUE(damaged([&] { arena_.fresh = 9; }));
  EXPECT_TRUE(damaged([&] { arena_.fresh = 6; })) << "a used slot in no state";
  EXPECT_TRUE(damaged([&] { arena_.fresh = 1; })) << "an idle slot that was never used";
  EXPECT_TRUE(damaged([&] { arena_.resident = 0; })) << "idle slots lost";
  EXPECT_TRUE(damaged([&] { arena_.resident = 5; })) << "a slot that is out";
  EXPECT_TRUE(damaged([&] { arena_.resident = 100; })) << "no slot at all";
  EXPECT_TRUE(damaged([&] { arena_.resident = arena_.decommitted; })) << "on both stacks";
  EXPECT_TRUE(damaged([&] { arena_.places[1] = std::uint64_t{2} << 32 | 2; })) << "a ring";
  EXPECT_TRUE(damaged([&] { arena_.places[1] = std::uint64_t{2} << 32; })) << "cut short";
  EXPECT_TRUE(damaged([&] { arena_.places[0] |= 3; })) << "not ended";
  EXPECT_TRUE(damaged([&] { arena_.places[4] = 0; })) << "in no state";
  arena_.owners[0] = this;
  EXPECT_FALSE(ca_arena_check(&arena_)) << "an idle slot with an owner";
  arena_.owners[0] = nullptr;
}

using ArenaDeathTest = ArenaTest;

TEST_F(ArenaDeathTest, AReleaseOfWhatIsNotOutIsReported) {
  Init(8, 1);
  unsigned char *kept = Obtain();
  unsigned char *dropped = Obtain();
  unsigned char *out = Obtain();
  ca_arena_release(&arena_, kept);
  ca_arena_release(&arena_, dropped);
  const auto release = [&](void *ptr) { ca_arena_release(&arena_, ptr); };
  EXPECT_DEATH(release(kept), "context_allocator: release\\(0x[0-9a-f]+\\): .*released twice");
  EXPECT_DEATH(release(dropped), "released twice");
  EXPECT_DEATH(release(out + kSlot), "is not out") << "never used";
  EXPECT_DEATH(release(out + 16), "not a slot of this arena");
  EXPECT_DEATH(release(out + 8 * kSlot), "not a slot of this arena");
  EXPECT_DEATH(release(reinterpret_cast<void *>(arena_.begin - kSlot)), "not a slot");
  EXPECT_DEATH(release(nullptr), "release\\(0x0\\): not a slot");
  EXPECT_DEATH(release(this), "not a slot");
  ca_arena_release(&arena_, out);
}

// What the arena is to have done, as counts.
class ArenaModelTest : public ArenaTest {
 protected:
  static constexpr std::size_t kSlots = 24;
  static constexpr std::size_t kRetained = 5;

  void Begin(unsigned seed) {
    random_.seed(seed);
    Init(kSlots, kRetained, Initialise);
    out_.clear();
    resident_ = decommitted_ = used_ = 0;
    expected_initialised_ = initialised_;
  }

  void Step() {
    const auto choice = random_() % 100;
    if (choice < 48) {
      ObtainOne();
    } else if (choice == 48) {
      MakePresent(std::min<std::size_t>(random_() % 4, kSlots - used_));
    } else if (choice < 97 && !out_.empty()) {
      ReleaseOne();
    } else if (choice >= 97) {
      Trim(random_() % 8);
    }
  }

  void ObtainOne() {
    unsigned char *slot = Obtain();
    ASSERT_EQ(slot == nullptr, out_.size() == kSlots);
    if (slot == nullptr) return;
    EXPECT_EQ(ca_arena_owner(&arena_, slot), nullptr);
    for (const unsigned char *other : out_) ASSERT_NE(slot, other);
    if (resident_ > 0) {
      --resident_;
    } else {
      ++expected_initialised_;
      decommitted_ > 0 ? --decommitted_ : ++used_;
    }
    slot[100] = 1;
    ca_arena_set_owner(&arena_, slot, slot + 1);
    out_.push_back(slot);
  }

  void MakePresent(std::size_t more) {
    ASSERT_EQ(ca_arena_make_present(&arena_, more), more);
    expected_initialised_ += static_cast<int>(more);
    resident_ += more;
    used_ += more;
  }

  void ReleaseOne() {
    std::swap(out_[random_() % out_.size()], out_.back());
    ASSERT_EQ(ca_arena_owner(&arena_, out_.back() + random_() % kSlot), out_.back() + 1);
    ca_arena_release(&arena_, out_.back());
    out_.pop_back();
    ++(resident_ < kRetained ? resident_ : decommitted_);
  }

  void Trim(std::size_t keep) {
    const std::size_t more = resident_ > keep ? resident_ - keep : 0;
    ASSERT_EQ(ca_arena_trim(&arena_, keep), more * kSlot);
    resident_ -= more;
    decommitted_ += more;
  }

  void ExpectAgreement() {
    const ca_arena_counts counts = ca_arena_count(&arena_);
    ASSERT_EQ(counts.resident, resident_);
    ASSERT_EQ(counts.decommitted, decommitted_);
    ASSERT_EQ(counts.used, used_);
    ASSERT_EQ(out_.size() + resident_ + decommitted_, used_);
    ASSERT_EQ(initialised_, expected_initialised_);
    ASSERT_TRUE(ca_arena_check(&arena_));
  }

  std::mt19937 random_;
  std::vector<unsigned char *> out_;
  std::size_t resident_;
  std::size_t decommitted_;
  std::size_t used_;
  int expected_initialised_;
};

TEST_F(ArenaModelTest, AgreesAfterEachOfManySteps) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    Begin(seed);
    for (int step = 0; step < 2000; ++step) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " step " << step);
      Step();
      ExpectAgreement();
      if (HasFatalFailure()) return;
    }
    ca_arena_destroy(&arena_);
  }
}

}  // namespace
