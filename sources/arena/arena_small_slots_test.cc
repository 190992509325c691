// Slots smaller than a page: several share one.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/poison.h"
#include "sources/arena/arena.h"
#include "sources/arena/mappings.h"

namespace {

std::size_t PageSize() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

class SmallSlotsTest : public testing::TestWithParam<std::size_t> {
 protected:
  ~SmallSlotsTest() override {
    EXPECT_TRUE(ca_arena_check(&arena_));
    ca_arena_destroy(&arena_);
    EXPECT_EQ(mappings_.out, 0) << "ranges not returned to the source";
  }

  std::size_t SlotSize() const { return GetParam(); }
  std::size_t SlotsOfAPage() const { return PageSize() / SlotSize(); }

  void Init(std::size_t slots, std::size_t retained = 0,
            ca_arena_initialise *initialise = nullptr) {
    ca_arena_settings settings = {};
    settings.slot_size = SlotSize();
    settings.slots = slots;
    settings.retained = retained;
    settings.initialise = initialise;
    settings.argument = &initialised_;
    ASSERT_TRUE(ca_arena_init(&arena_, mappings_.get(), &settings));
  }
  unsigned char *Obtain() { return static_cast<unsigned char *>(ca_arena_obtain(&arena_)); }
  std::vector<unsigned char *> ObtainAll() {
    std::vector<unsigned char *> slots;
    while (unsigned char *const slot = Obtain()) slots.push_back(slot);
    return slots;
  }
  void Release(const std::vector<unsigned char *> &slots) {
    for (unsigned char *const slot : slots) ca_arena_release(&arena_, slot);
  }
  // The page of the range that a slot lies in.
  std::size_t PageOf(const unsigned char *slot) const {
    return (reinterpret_cast<std::uintptr_t>(slot) - arena_.begin) / PageSize();
  }
  bool IsPresent(std::size_t page) const {
    unsigned char present = 0;
    void *const begin = reinterpret_cast<void *>(arena_.begin + page * PageSize());
    EXPECT_EQ(mincore(begin, PageSize(), &present), 0);
    return (present & 1) != 0;
  }

  Mappings mappings_;
  ca_arena arena_ = {};
  std::atomic<int> initialised_{0};
};

INSTANTIATE_TEST_SUITE_P(Sizes, SmallSlotsTest,
                         testing::Values(CA_ARENA_LEAST_SLOT, 64, 512, 1024, 2048),
                         testing::PrintToStringParamName());

TEST_P(SmallSlotsTest, LieDenselyEachAlignedToItsSize) {
  const std::size_t count = 3 * SlotsOfAPage() + 1;  // The last page isn't full.
  Init(count);
  std::vector<unsigned char *> slots = ObtainAll();
  ASSERT_EQ(slots.size(), count);
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_TRUE(ca_is_aligned(slots[i], SlotSize()));
    EXPECT_EQ(slots[i], slots[0] + i * SlotSize());
    EXPECT_EQ(ca_arena_index(&arena_, slots[i] + SlotSize() - 1), i);
    EXPECT_EQ(ca_arena_slot(&arena_, slots[i] + SlotSize() - 1), slots[i]);
    ca_arena_set_owner(&arena_, slots[i], slots[i]);
  }
  EXPECT_FALSE(ca_arena_owns(&arena_, slots[0] + count * SlotSize()));
  for (unsigned char *const slot : slots) {
    EXPECT_EQ(ca_arena_owner(&arena_, slot + SlotSize() / 2), slot);
  }
  Release(slots);
}

// A page can't go back for one of them.
TEST_P(SmallSlotsTest, AReleasedOneKeepsItsMemoryWhateverIsRetained) {
  Init(2 * SlotsOfAPage(), 1);
  const std::vector<unsigned char *> slots = ObtainAll();
  for (unsigned char *const slot : slots) slot[3] = 7;
  Release(slots);
  EXPECT_EQ(ca_arena_count(&arena_).resident, slots.size());
  EXPECT_EQ(mappings_.asked, 0) << "in vain";
  for (unsigned char *const slot : ObtainAll()) EXPECT_EQ(slot[3], 7);
}

TEST_P(SmallSlotsTest, TrimGivesBackThePagesThatIdleOnesFill) {
  const std::size_t each = SlotsOfAPage();
  Init(6 * each);
  std::vector<unsigned char *> slots = ObtainAll();
  for (unsigned char *const slot : slots) slot[3] = 7;
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 0U) << "nothing is idle";
  std::vector<unsigned char *> kept = {slots[each], slots[5 * each - 1]};  // In the pages 1 and 4.
  std::vector<unsigned char *> others;
  for (unsigned char *const slot : slots) {
    if (slot != kept[0] && slot != kept[1]) others.push_back(slot);
  }
  std::shuffle(others.begin(), others.end(), std::mt19937(1));
  Release(others);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 4 * PageSize());
  EXPECT_EQ(mappings_.given, 4 * PageSize());
  EXPECT_EQ(mappings_.asked, 3) << "once for the pages 2 and 3";
  EXPECT_TRUE(ca_arena_check(&arena_));
  const ca_arena_counts counts = ca_arena_count(&arena_);
  EXPECT_EQ(counts.decommitted, 4 * each);
  EXPECT_EQ(counts.resident, 2 * each - 2);
  for (const std::size_t page : {0, 1, 2, 3, 4, 5}) {
    EXPECT_EQ(IsPresent(page), page == 1 || page == 4) << page;
  }
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 0U) << "once";
  EXPECT_EQ(mappings_.asked, 3);
  for (unsigned char *const slot : kept) EXPECT_EQ(slot[3], 7);
  for (unsigned char *const slot : ObtainAll()) {
    EXPECT_EQ(slot[3], PageOf(slot) == 1 || PageOf(slot) == 4 ? 7 : 0);
  }
}

// Else one slot that was used again would keep the page for ever.
TEST_P(SmallSlotsTest, APageThatWasUsedAgainInPartGoesBackAgain) {
  Init(2 * SlotsOfAPage());
  Release(ObtainAll());
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 2 * PageSize());
  unsigned char *const slot = Obtain();
  slot[0] = 1;
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 0U);
  EXPECT_EQ(slot[0], 1);
  ca_arena_release(&arena_, slot);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), PageSize());
  EXPECT_FALSE(IsPresent(PageOf(slot)));
  EXPECT_EQ(ca_arena_count(&arena_).decommitted, 2 * SlotsOfAPage());
}

TEST_P(SmallSlotsTest, TrimKeepsWhatIsToBeRetained) {
  const std::size_t each = SlotsOfAPage();
  Init(4 * each);
  std::vector<unsigned char *> slots = ObtainAll();
  Release(slots);  // Those that were released first lie lowest, and are kept.
  EXPECT_EQ(ca_arena_trim(&arena_, 4 * each), 0U);
  EXPECT_EQ(ca_arena_trim(&arena_, each + 1), 2 * PageSize()) << "and the rest of a page stays";
  EXPECT_EQ(ca_arena_count(&arena_).resident, 2 * each);
  EXPECT_EQ(ca_arena_trim(&arena_, SIZE_MAX), 0U);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 2 * PageSize());
}

TEST_P(SmallSlotsTest, TrimLeavesAPageOfWhichSomeWereNeverUsed) {
  const std::size_t each = SlotsOfAPage();
  Init(3 * each);
  std::vector<unsigned char *> slots;
  for (std::size_t i = 0; i < 2 * each - 1; ++i) slots.push_back(Obtain());
  Release(slots);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), PageSize());
  EXPECT_EQ(ca_arena_count(&arena_).resident, each - 1);
  slots = ObtainAll();
  EXPECT_EQ(slots.size(), 3 * each);
  Release(slots);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 3 * PageSize());
}

TEST_P(SmallSlotsTest, WhatTheSourceDoesNotTakeBackStaysResident) {
  Init(2 * SlotsOfAPage());
  mappings_.decommits = false;
  std::vector<unsigned char *> slots = ObtainAll();
  for (unsigned char *const slot : slots) slot[1] = 5;
  Release(slots);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 0U);
  EXPECT_EQ(ca_arena_count(&arena_).resident, slots.size());
  for (unsigned char *const slot : ObtainAll()) EXPECT_EQ(slot[1], 5);
}

// The lowest first, so that few pages are touched.
TEST_P(SmallSlotsTest, AfterATrimTheLowestServeFirst) {
  Init(2 * SlotsOfAPage());
  std::vector<unsigned char *> slots = ObtainAll();
  std::vector<unsigned char *> mixed = slots;
  std::shuffle(mixed.begin(), mixed.end(), std::mt19937(2));
  Release(mixed);
  ca_arena_trim(&arena_, 0);
  EXPECT_EQ(ObtainAll(), slots);
}

void Initialise(void *slot, std::size_t slot_size, void *argument) {
  ++*static_cast<std::atomic<int> *>(argument);
  const auto *const bytes = static_cast<unsigned char *>(slot);
  EXPECT_EQ(std::count(bytes, bytes + slot_size, 0), static_cast<std::ptrdiff_t>(slot_size));
}

TEST_P(SmallSlotsTest, InitialisesEachBeforeItsFirstUseAndAfterItsMemoryWentBack) {
  const std::size_t each = SlotsOfAPage();
  Init(2 * each, 0, Initialise);
  std::vector<unsigned char *> slots = ObtainAll();
  EXPECT_EQ(initialised_, static_cast<int>(2 * each));
  for (unsigned char *const slot : slots) std::memset(slot, 9, SlotSize());
  unsigned char *const last = slots.back();
  slots.pop_back();
  Release(slots);
  ca_arena_trim(&arena_, 0);
  ObtainAll();
  EXPECT_EQ(initialised_, static_cast<int>(3 * each)) << "those of the page that went back";
  EXPECT_EQ(last[0], 9);
}

TEST_P(SmallSlotsTest, ToolsSeeTouchesOfAnIdleOneBetweenOthers) {
  if (!ca_poison_is_seen()) GTEST_SKIP() << "neither AddressSanitizer nor Valgrind";
  Init(3);
  unsigned char *const slots[] = {Obtain(), Obtain(), Obtain()};
  ca_arena_release(&arena_, slots[1]);
  EXPECT_FALSE(ca_is_poisoned(slots[1] - 1));
  EXPECT_TRUE(ca_is_poisoned(slots[1]));
  EXPECT_TRUE(ca_is_poisoned(slots[1] + SlotSize() - 1));
  EXPECT_FALSE(ca_is_poisoned(slots[2]));
  ca_arena_trim(&arena_, 0);
  EXPECT_TRUE(ca_is_poisoned(slots[1]));
  ASSERT_EQ(Obtain(), slots[1]);
  EXPECT_FALSE(ca_is_poisoned(slots[1]));
  EXPECT_FALSE(ca_is_poisoned(slots[1] + SlotSize() - 1));
}

// Ranges that begin in the middle of a page.
struct ShiftedMappings {
  ca_source base = {&kOps};
  Mappings mappings;
  std::size_t shift;

  static ShiftedMappings *From(ca_source *base) {
    return reinterpret_cast<ShiftedMappings *>(base);
  }
  static ca_block Obtain(ca_source *base, std::size_t size, std::size_t align) {
    ShiftedMappings *const self = From(base);
    const ca_block range = ca_source_obtain(self->mappings.get(), size + self->shift, align);
    return ca_block_make(static_cast<char *>(range.ptr) + self->shift, range.size - self->shift);
  }
  static void Release(ca_source *base, ca_block range) {
    ShiftedMappings *const self = From(base);
    ca_source_release(
        self->mappings.get(),
        ca_block_make(static_cast<char *>(range.ptr) - self->shift, range.size + self->shift));
  }
  static std::size_t Decommit(ca_source *base, void *ptr, std::size_t size) {
    return ca_source_decommit(From(base)->mappings.get(), ptr, size);
  }
  static constexpr ca_source_ops kOps = {Obtain, Release, Decommit, true, "shifted mappings"};
};

TEST_P(SmallSlotsTest, ARangeNotAlignedToPagesWillDo) {
  ShiftedMappings shifted;
  shifted.shift = std::max<std::size_t>(64, SlotSize());
  const std::size_t each = SlotsOfAPage();
  const std::size_t before = each - shifted.shift / SlotSize();  // Slots of no whole page.
  ca_arena_settings settings = {};
  settings.slot_size = SlotSize();
  settings.slots = before + 2 * each;
  ASSERT_TRUE(ca_arena_init(&arena_, &shifted.base, &settings));
  for (unsigned char *const slot : ObtainAll()) {
    std::memset(slot, 9, SlotSize());
    ca_arena_release(&arena_, slot);
  }
  std::vector<unsigned char *> slots = ObtainAll();
  Release(slots);
  EXPECT_EQ(ca_arena_trim(&arena_, 0), 2 * PageSize());
  EXPECT_EQ(ca_arena_count(&arena_).resident, before);
  for (unsigned char *const slot : ObtainAll()) {
    EXPECT_EQ(slot[0], ca_arena_index(&arena_, slot) < before ? 9 : 0);
  }
  EXPECT_TRUE(ca_arena_check(&arena_));
  ca_arena_destroy(&arena_);
  EXPECT_EQ(shifted.mappings.out, 0);
}

// Every byte of every slot is its own: written by who has it, and found again.
TEST_P(SmallSlotsTest, AModelAgreesAfterEachOfManySteps) {
  const std::size_t each = SlotsOfAPage();
  const std::size_t count = 4 * each + each / 2;
  for (unsigned seed = 1; seed <= 3; ++seed) {
    std::mt19937 random(seed);
    Init(count);
    std::vector<unsigned char *> out;
    std::vector<unsigned char> marks(count);
    std::size_t used = 0;
    std::size_t idle = 0;
    const auto expect_whole = [&](const unsigned char *slot) {
      const unsigned char mark = marks[ca_arena_index(&arena_, slot)];
      return std::count(slot, slot + SlotSize(), mark) == static_cast<std::ptrdiff_t>(SlotSize());
    };
    for (int step = 0; step < 3000; ++step) {
      // Now more and now fewer of them are out.
      const unsigned taking = step % 1000 < 500 ? 60 : 35;
      const unsigned choice = random() % 100;
      if (choice < taking) {
        unsigned char *const slot = Obtain();
        ASSERT_EQ(slot == nullptr, out.size() == count);
        if (slot != nullptr) {
          idle > 0 ? --idle : ++used;
          const unsigned char mark = static_cast<unsigned char>(1 + random() % 255);
          marks[ca_arena_index(&arena_, slot)] = mark;
          std::memset(slot, mark, SlotSize());
          out.push_back(slot);
        }
      } else if (choice < 97 && !out.empty()) {
        std::swap(out[random() % out.size()], out.back());
        ASSERT_TRUE(expect_whole(out.back()));
        ca_arena_release(&arena_, out.back());
        out.pop_back();
        ++idle;
      } else if (choice >= 97) {
        const std::size_t before = ca_arena_count(&arena_).decommitted;
        const std::size_t given = ca_arena_trim(&arena_, random() % 8);
        ASSERT_EQ(given % PageSize(), 0U);
        ASSERT_LE(ca_arena_count(&arena_).decommitted, before + given / SlotSize());
      }
      const ca_arena_counts counts = ca_arena_count(&arena_);
      ASSERT_EQ(counts.used, used);
      ASSERT_EQ(counts.resident + counts.decommitted, idle);
      ASSERT_TRUE(ca_arena_check(&arena_)) << "seed " << seed << " step " << step;
    }
    for (const unsigned char *slot : out) ASSERT_TRUE(expect_whole(slot));
    ca_arena_destroy(&arena_);
  }
}

// Two trim while others obtain and release: no slot has two holders, and no byte is lost.
TEST_P(SmallSlotsTest, TrimsTakeNothingFromWhoHoldsASlot) {
  const std::size_t count = 4 * SlotsOfAPage();
  Init(count);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(static_cast<unsigned>(thread));
      std::vector<unsigned char *> held;
      const auto mark = static_cast<unsigned char>(1 + thread);
      const auto release = [&] {
        ASSERT_EQ(held.back()[0], mark);
        ASSERT_EQ(held.back()[SlotSize() - 1], mark);
        ca_arena_release(&arena_, held.back());
        held.pop_back();
      };
      for (int round = 0; round < 2000; ++round) {
        if (thread < 2 && round % 16 == 0) {
          ca_arena_trim(&arena_, 0);
        } else if (random() % 2 == 0) {
          unsigned char *const slot = Obtain();
          if (slot != nullptr) {
            slot[0] = slot[SlotSize() - 1] = mark;
            held.push_back(slot);
          }
        } else if (!held.empty()) {
          release();
        }
      }
      while (!held.empty()) release();
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_TRUE(ca_arena_check(&arena_));
  const ca_arena_counts counts = ca_arena_count(&arena_);
  EXPECT_EQ(counts.used, counts.resident + counts.decommitted) << "a slot is lost";
  EXPECT_EQ(ObtainAll().size(), count);
}

}  // namespace
