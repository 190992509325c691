// Slots made present before anybody needs them: in a program of its own, as the contexts' slots are
// reserved once in a process.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "switchable/testing.h"

namespace {

constexpr std::size_t kSmall = 1024;
constexpr std::size_t kMiddle = std::size_t{16} << 10;
constexpr std::size_t kLarge = std::size_t{64} << 10;
constexpr std::size_t kLargest = std::size_t{256} << 10;
constexpr std::size_t kSmallSlots = 4096;
constexpr std::size_t kSlots = 200;  // More than one system call takes.

class Slots : public testing::Environment {
 public:
  void SetUp() override {
    ca_contexts_settings settings = {};
    settings.classes[0] = {kSmall, kSmallSlots};
    settings.classes[1] = {kMiddle, kSlots};
    settings.classes[2] = {kLarge, kSlots};
    settings.classes[3] = {kLargest, kSlots, 0, 2};  // And two ahead of each that is used.
    ASSERT_TRUE(ca_contexts_init(&settings));
  }
};
[[maybe_unused]] testing::Environment *const g_slots = testing::AddGlobalTestEnvironment(new Slots);

// Of the `count` slots from this one on: how many have their first page.
std::size_t Present(const char *slot, std::size_t slot_size, std::size_t count) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  std::size_t present = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto address = reinterpret_cast<std::uintptr_t>(slot + i * slot_size);
    unsigned char is_present = 0;
    EXPECT_EQ(mincore(reinterpret_cast<void *>(address - address % page), 1, &is_present), 0);
    present += is_present & 1;
  }
  return present;
}

class MakePresentTest : public testing::Test {
 protected:
  ~MakePresentTest() override {
    for (const ca_context context : made_) EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  }
  // Its slot, which follows that of the one made before.
  char *Create(std::size_t slot_size) {
    ca_context_settings settings = {};
    settings.budget = slot_size / 2;
    made_.push_back(ca_context_create(&settings));
    EXPECT_EQ(ca_context_count(made_.back()).slot_size, slot_size);
    return reinterpret_cast<char *>(made_.back().header);
  }

  std::vector<ca_context> made_;
};

TEST_F(MakePresentTest, TheNextSlotsHaveTheirFirstPageAndTheOthersNot) {
  const char *const first = Create(kLarge);
  EXPECT_EQ(Present(first, kLarge, kSlots), 1U);
  EXPECT_EQ(ca_contexts_make_present(kLarge, 3), 3U);
  EXPECT_EQ(Present(first, kLarge, 4), 4U);
  EXPECT_EQ(Present(first, kLarge, kSlots), 4U);
  EXPECT_EQ(ca_contexts_make_present(kLarge, 100), 100U);
  EXPECT_EQ(Present(first, kLarge, 104), 104U) << "further ones";
  EXPECT_EQ(Present(first, kLarge, kSlots), 104U);
  EXPECT_EQ(Present(first + sysconf(_SC_PAGESIZE), kLarge, kSlots - 1), 0U)
      << "the first page only";
}

TEST_F(MakePresentTest, WhatIsLeftIsLessAndWhatIsInUseIsUnharmed) {
  char *const first = Create(kMiddle);
  ASSERT_EQ(ca_context_swap_in(made_.back()), CA_CONTEXT_DONE);
  char *const block = ca_testing::Allocate(100);
  std::memset(block, 7, 100);
  EXPECT_EQ(ca_contexts_make_present(kMiddle, SIZE_MAX), kSlots - 1);
  EXPECT_EQ(Present(first, kMiddle, kSlots), kSlots);
  EXPECT_EQ(std::string(block, 100), std::string(100, 7));
  ca_context_swap_out();
}

TEST_F(MakePresentTest, OfSmallSlotsAllPagesThatTheyLieIn) {
  const char *const first = Create(kSmall);
  const std::size_t of_a_page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / kSmall;
  EXPECT_EQ(ca_contexts_make_present(kSmall, 2 * of_a_page), 2 * of_a_page);
  EXPECT_EQ(Present(first, kSmall, 3 * of_a_page), 3 * of_a_page);
  EXPECT_EQ(Present(first, kSmall, kSmallSlots), 3 * of_a_page);
  const std::size_t more_than_a_call = 65 * of_a_page;
  EXPECT_EQ(ca_contexts_make_present(kSmall, more_than_a_call), more_than_a_call);
  EXPECT_EQ(Present(first, kSmall, more_than_a_call + 1), more_than_a_call + 1);
}

TEST_F(MakePresentTest, NothingIsDoneAheadOfThem) {
  EXPECT_EQ(ca_contexts_make_present(kLargest, 4), 4U);
  const char *first = Create(kLargest);
  for (int i = 0; i < 3; ++i) first = std::min<const char *>(first, Create(kLargest));
  EXPECT_EQ(Present(first, kLargest, kSlots), 4U);
  EXPECT_EQ(Create(kLargest), first + 4 * kLargest);
}

TEST_F(MakePresentTest, TheyAreIdleAndServeBeforeOthers) {
  const std::size_t used = ca_contexts_count().classes[2].most;
  const std::size_t added = ca_contexts_make_present(kLarge, 10);
  EXPECT_EQ(ca_contexts_count().classes[2].out, 0U);
  EXPECT_EQ(ca_contexts_count().classes[2].most, used + added);
  for (std::size_t i = 0; i < used + added; ++i) Create(kLarge);
  EXPECT_EQ(ca_contexts_count().classes[2].most, used + added);
}

TEST_F(MakePresentTest, NoneOfASizeThatNoClassHas) {
  EXPECT_EQ(ca_contexts_make_present(kLarge / 2, 10), 0U);
  EXPECT_EQ(ca_contexts_make_present(0, 10), 0U);
  EXPECT_EQ(ca_contexts_make_present(kLarge, 0), 0U);
}

}  // namespace
