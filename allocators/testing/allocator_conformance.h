// What every allocator owes its callers: the sentences of allocators/allocator.h as tests.
//
// An allocator's own test gives a fixture and one line:
//
//   struct BumpFixture {
//     ca_allocator *get();                           // the same allocator each time
//     static constexpr std::size_t kMaxAlign = 4096; // honoured alignments
//     static constexpr std::size_t kCapacity = 1 << 20;  // bytes at most; 0: the machine's
//     static constexpr bool kReclaims = false;       // a freed block serves again
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Bump, AllocatorConformance, BumpFixture);
//
// A fixture has room for at least 256 KiB. Of an allocator that may refuse to shrink, because it
// must be told the exact size in the end, the fixture says so by kShrinks = false. A matrix of
// many may say by kSeeds how many random runs each has (else 20).
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_TESTING_ALLOCATOR_CONFORMANCE_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_TESTING_ALLOCATOR_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "allocators/allocator.h"
#include "allocators/testing/allocator_model.h"
#include "base/align.h"

template <typename Fixture, typename = void>
struct AlwaysShrinks : std::true_type {};

template <typename Fixture>
struct AlwaysShrinks<Fixture, std::void_t<decltype(Fixture::kShrinks)>>
    : std::bool_constant<Fixture::kShrinks> {};

template <typename Fixture, typename = void>
struct ModelSeeds : std::integral_constant<unsigned, 20> {};

template <typename Fixture>
struct ModelSeeds<Fixture, std::void_t<decltype(Fixture::kSeeds)>>
    : std::integral_constant<unsigned, Fixture::kSeeds> {};

template <typename Fixture>
class AllocatorConformance : public testing::Test {
 protected:
  struct Held {
    ca_block block;
    std::size_t asked;
    std::size_t align;
    unsigned char stamp;
  };

  ~AllocatorConformance() override {
    while (!held_.empty()) FreeNewest();
    ExpectInvariants();
  }

  ca_allocator *allocator() { return fixture_.get(); }
  const ca_allocator_ops *ops() { return allocator()->ops; }

  void ExpectInvariants() {
    if (ops()->check != nullptr) EXPECT_TRUE(ops()->check(allocator()));
  }

  // Allocates, checks the promise, stamps every byte, and holds the block until the test's end.
  ca_block Allocate(std::size_t size, std::size_t align = CA_ALIGN_DEFAULT) {
    const ca_block block = ca_allocate(allocator(), size, align);
    if (ca_block_is_none(block)) {
      EXPECT_EQ(block.size, 0U);
      return block;
    }
    EXPECT_GE(block.size, size);
    EXPECT_TRUE(ca_is_aligned(block.ptr, align)) << align;
    Hold(block, size, align);
    return block;
  }

  void Hold(ca_block block, std::size_t asked, std::size_t align) {
    stamp_++;
    std::memset(block.ptr, stamp_, block.size);
    held_.push_back({block, asked, align, stamp_});
  }

  static void ExpectStamp(const Held &held, std::size_t size) {
    const auto *bytes = static_cast<const unsigned char *>(held.block.ptr);
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_EQ(bytes[i], held.stamp) << "byte " << i << " of " << size;
    }
  }

  void ExpectAllStamps() {
    for (const Held &held : held_) ExpectStamp(held, held.block.size);
  }

  void FreeNewest() {
    const Held held = held_.back();
    held_.pop_back();
    ExpectStamp(held, held.block.size);
    ca_deallocate(allocator(), held.block.ptr, held.asked, held.align);
  }

  void FreeAt(std::size_t index) {
    std::swap(held_[index], held_.back());
    FreeNewest();
  }

  Fixture fixture_;
  std::vector<Held> held_;
  unsigned char stamp_ = 0;
};

TYPED_TEST_SUITE_P(AllocatorConformance);

TYPED_TEST_P(AllocatorConformance, HasANameAndItsOperations) {
  const ca_allocator_ops *ops = this->ops();
  ASSERT_NE(ops->name, nullptr);
  EXPECT_NE(ops->name[0], '\0');
  EXPECT_NE(ops->allocate, nullptr);
  EXPECT_NE(ops->deallocate, nullptr);
  EXPECT_NE(ops->grow, nullptr);
  EXPECT_NE(ops->shrink, nullptr);
  EXPECT_TRUE(ops->range == nullptr || ops->owns != nullptr);
  EXPECT_TRUE(ops->walk == nullptr || ops->usable_size != nullptr);
  EXPECT_EQ(ops->usable_size == nullptr, ops->deallocate_unsized == nullptr) << "both or neither";
  EXPECT_TRUE(ops->deallocate_recorded == nullptr || ops->usable_size != nullptr);
}

TYPED_TEST_P(AllocatorConformance, BlocksAreAlignedDisjointAndWhollyUsable) {
  for (std::size_t size = 1; size <= 4096; size = size * 2 + size % 3) {
    for (std::size_t align = 1; align <= 64 && align <= TypeParam::kMaxAlign; align *= 2) {
      ASSERT_FALSE(ca_block_is_none(this->Allocate(size, align))) << size << ", " << align;
    }
  }
  this->ExpectAllStamps();
  this->ExpectInvariants();
}

TYPED_TEST_P(AllocatorConformance, HonoursEveryAlignmentItClaims) {
  for (std::size_t align = 1; align <= TypeParam::kMaxAlign; align *= 2) {
    for (const std::size_t size : {1, 17, 100}) {
      ASSERT_FALSE(ca_block_is_none(this->Allocate(size, align))) << size << ", " << align;
    }
  }
  this->ExpectAllStamps();
}

TYPED_TEST_P(AllocatorConformance, ABlockIsDescribedByAnySizeBetweenAskedAndGot) {
  for (const std::size_t asked : {1, 15, 16, 17, 33, 100, 1000, 5000}) {
    for (int way = 0; way < 3; ++way) {
      const ca_block block = ca_allocate(this->allocator(), asked, CA_ALIGN_DEFAULT);
      ASSERT_FALSE(ca_block_is_none(block));
      const std::size_t size = way == 0 ? asked : way == 1 ? block.size : (asked + block.size) / 2;
      std::memset(block.ptr, 1, block.size);
      ca_deallocate(this->allocator(), block.ptr, size, CA_ALIGN_DEFAULT);
      this->ExpectInvariants();
    }
  }
}

TYPED_TEST_P(AllocatorConformance, RefusesTheImpossibleAndChangesNothing) {
  ASSERT_FALSE(ca_block_is_none(this->Allocate(100)));
  for (const std::size_t size :
       {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 4095, SIZE_MAX / 2 + 1, SIZE_MAX / 2}) {
    for (std::size_t align = 1; align <= TypeParam::kMaxAlign; align *= 2) {
      ASSERT_TRUE(ca_block_is_none(this->Allocate(size, align))) << size << ", " << align;
    }
    const auto held = this->held_.back();
    for (const ca_move move : {CA_MOVE_NEVER, CA_MOVE_ALLOWED}) {
      ASSERT_TRUE(ca_block_is_none(
          ca_grow(this->allocator(), held.block.ptr, held.asked, size, held.align, move)));
    }
    ASSERT_TRUE(ca_block_is_none(
        ca_reallocate(this->allocator(), held.block.ptr, held.asked, size, held.align)));
  }
  this->ExpectAllStamps();
  this->ExpectInvariants();
  EXPECT_FALSE(ca_block_is_none(this->Allocate(100)));
}

TYPED_TEST_P(AllocatorConformance, AlignmentsBeyondItsOwnAreRefusedOrHonoured) {
  // What is bounded only by the machine would take address space beyond reason.
  const std::size_t shifts = TypeParam::kCapacity == 0 ? 31 : 64;
  for (std::size_t shift = 13; shift < shifts; ++shift) {
    const ca_block block = ca_allocate(this->allocator(), 16, std::size_t{1} << shift);
    if (ca_block_is_none(block)) continue;
    EXPECT_TRUE(ca_is_aligned(block.ptr, std::size_t{1} << shift));
    ca_deallocate(this->allocator(), block.ptr, 16, std::size_t{1} << shift);
  }
  EXPECT_FALSE(ca_block_is_none(this->Allocate(16)));
  this->ExpectInvariants();
}

TYPED_TEST_P(AllocatorConformance, RunsOutWithNoneAndStillServesTheSmaller) {
  if (TypeParam::kCapacity == 0) GTEST_SKIP() << "bounded only by the machine";
  for (std::size_t size = 4096; size >= 16; size /= 2) {
    std::size_t served = 0;
    while (!ca_block_is_none(this->Allocate(size))) {
      served += size;
      ASSERT_LE(served, TypeParam::kCapacity) << "more than there is";
    }
  }
  EXPECT_FALSE(this->held_.empty());
  this->ExpectInvariants();
  this->ExpectAllStamps();
}

TYPED_TEST_P(AllocatorConformance, AfterRunningOutAFreedBlockServesAgain) {
  if (TypeParam::kCapacity == 0) GTEST_SKIP() << "bounded only by the machine";
  while (!ca_block_is_none(this->Allocate(1000))) {
  }
  this->FreeNewest();
  EXPECT_FALSE(ca_block_is_none(this->Allocate(1000)));
  EXPECT_TRUE(ca_block_is_none(this->Allocate(1000)));
}

TYPED_TEST_P(AllocatorConformance, MemoryComesBackInAnyOrder) {
  if (!TypeParam::kReclaims) GTEST_SKIP() << "takes back only what its header says";
  std::mt19937 random(1);
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 60; ++i) {
      ASSERT_FALSE(ca_block_is_none(this->Allocate(1 + random() % 1500))) << round;
    }
    while (!this->held_.empty()) this->FreeAt(random() % this->held_.size());
    this->ExpectInvariants();
  }
}

TYPED_TEST_P(AllocatorConformance, AllOfItIsOnePieceAgainOnceEverythingIsFreed) {
  if (!TypeParam::kReclaims || TypeParam::kCapacity == 0) GTEST_SKIP();
  std::size_t largest = TypeParam::kCapacity;
  ca_block whole = ca_block_none();
  while (ca_block_is_none(whole)) {
    whole = ca_allocate(this->allocator(), largest, CA_ALIGN_DEFAULT);
    if (ca_block_is_none(whole)) largest -= 1024;
  }
  ca_deallocate(this->allocator(), whole.ptr, largest, CA_ALIGN_DEFAULT);
  std::mt19937 random(2);
  while (!ca_block_is_none(this->Allocate(1 + random() % 3000))) {
  }
  while (!this->held_.empty()) this->FreeAt(random() % this->held_.size());
  whole = ca_allocate(this->allocator(), largest, CA_ALIGN_DEFAULT);
  EXPECT_FALSE(ca_block_is_none(whole)) << largest;
  if (!ca_block_is_none(whole)) {
    ca_deallocate(this->allocator(), whole.ptr, largest, CA_ALIGN_DEFAULT);
  }
}

TYPED_TEST_P(AllocatorConformance, GrowKeepsContentsAndMovesOnlyWhenAllowed) {
  for (const std::size_t size : {1, 16, 100, 1000, 5000}) {
    for (const std::size_t more : {0, 1, 15, 16, 100, 3000}) {
      for (const ca_move move : {CA_MOVE_NEVER, CA_MOVE_ALLOWED}) {
        ASSERT_FALSE(ca_block_is_none(this->Allocate(size)));
        auto held = this->held_.back();
        this->held_.pop_back();
        const ca_block grown =
            ca_grow(this->allocator(), held.block.ptr, size, size + more, held.align, move);
        this->ExpectInvariants();
        if (!ca_block_is_none(grown)) {
          EXPECT_GE(grown.size, size + more);
          EXPECT_TRUE(ca_is_aligned(grown.ptr, held.align));
          if (move == CA_MOVE_NEVER) EXPECT_EQ(grown.ptr, held.block.ptr);
          held.block.ptr = grown.ptr;
          this->ExpectStamp(held, size);
          this->Hold(grown, size + more, held.align);
        } else {
          this->ExpectStamp(held, held.block.size);
          this->held_.push_back(held);
        }
        this->FreeNewest();
      }
    }
  }
}

TYPED_TEST_P(AllocatorConformance, ShrinkKeepsContentsAndMovesOnlyWhenAllowed) {
  for (const std::size_t size : {1, 16, 100, 1000, 5000}) {
    for (std::size_t less = size; less >= 1; less /= 3) {
      for (const ca_move move : {CA_MOVE_NEVER, CA_MOVE_ALLOWED}) {
        ASSERT_FALSE(ca_block_is_none(this->Allocate(size)));
        auto held = this->held_.back();
        this->held_.pop_back();
        const ca_block shrunk =
            ca_shrink(this->allocator(), held.block.ptr, size, less, held.align, move);
        this->ExpectInvariants();
        if (ca_block_is_none(shrunk)) {
          ASSERT_FALSE(AlwaysShrinks<TypeParam>::value);
          this->held_.push_back(held);
          this->FreeNewest();
          continue;
        }
        EXPECT_GE(shrunk.size, less);
        if (move == CA_MOVE_NEVER) EXPECT_EQ(shrunk.ptr, held.block.ptr);
        held.block.ptr = shrunk.ptr;
        this->ExpectStamp(held, less);
        this->Hold(shrunk, less, held.align);
        this->FreeNewest();
      }
    }
  }
}

TYPED_TEST_P(AllocatorConformance, ReallocateKeepsContentsAndNeighbours) {
  ASSERT_FALSE(ca_block_is_none(this->Allocate(64)));
  auto block = this->Allocate(64);
  ASSERT_FALSE(ca_block_is_none(this->Allocate(64)));
  std::size_t size = 64;
  std::memset(block.ptr, 0x5A, size);
  auto subject = this->held_[1];
  this->held_.erase(this->held_.begin() + 1);
  for (const std::size_t new_size : {65, 200, 5000, 4999, 100, 1, 300}) {
    const ca_block moved =
        ca_reallocate(this->allocator(), subject.block.ptr, size, new_size, CA_ALIGN_DEFAULT);
    ASSERT_FALSE(ca_block_is_none(moved)) << new_size;
    EXPECT_EQ(*static_cast<unsigned char *>(moved.ptr), 0x5A);
    const std::size_t kept = size < new_size ? size : new_size;
    EXPECT_EQ(static_cast<unsigned char *>(moved.ptr)[kept - 1], 0x5A);
    std::memset(moved.ptr, 0x5A, moved.size);
    subject.block = moved;
    size = new_size;
    this->ExpectAllStamps();
    this->ExpectInvariants();
  }
  ca_deallocate(this->allocator(), subject.block.ptr, size, CA_ALIGN_DEFAULT);
}

TYPED_TEST_P(AllocatorConformance, OwnsItsBlocksAndNothingElse) {
  if (this->ops()->owns == nullptr) GTEST_SKIP() << "does not tell";
  const ca_block block = this->Allocate(100);
  const auto *bytes = static_cast<const char *>(block.ptr);
  EXPECT_TRUE(this->ops()->owns(this->allocator(), bytes));
  EXPECT_TRUE(this->ops()->owns(this->allocator(), bytes + 50));
  EXPECT_TRUE(this->ops()->owns(this->allocator(), bytes + 99));
  int local = 0;
  EXPECT_FALSE(this->ops()->owns(this->allocator(), nullptr));
  EXPECT_FALSE(this->ops()->owns(this->allocator(), &local));
  EXPECT_FALSE(this->ops()->owns(this->allocator(), reinterpret_cast<void *>(UINTPTR_MAX)));
  if (this->ops()->range == nullptr) return;
  const ca_block range = this->ops()->range(this->allocator());
  if (ca_block_is_none(range)) return;
  const auto *begin = static_cast<const char *>(range.ptr);
  EXPECT_TRUE(this->ops()->owns(this->allocator(), begin));
  EXPECT_TRUE(this->ops()->owns(this->allocator(), begin + range.size - 1));
  EXPECT_FALSE(this->ops()->owns(this->allocator(), begin - 1));
  EXPECT_FALSE(this->ops()->owns(this->allocator(), begin + range.size));
}

TYPED_TEST_P(AllocatorConformance, WhatItRecordsIsWhatItHandedOut) {
  if (this->ops()->usable_size == nullptr) GTEST_SKIP() << "records no sizes";
  for (const std::size_t size : {1, 15, 16, 17, 100, 1000, 10000}) {
    for (std::size_t align = 1; align <= TypeParam::kMaxAlign; align *= 4) {
      const ca_block block = this->Allocate(size, align);
      ASSERT_FALSE(ca_block_is_none(block));
      const std::size_t usable = this->ops()->usable_size(this->allocator(), block.ptr);
      EXPECT_EQ(usable, block.size);
      this->held_.pop_back();
      this->ops()->deallocate_unsized(this->allocator(), block.ptr);
      this->ExpectInvariants();
    }
  }
}

// Whether it offers that in one call or is asked twice.
TYPED_TEST_P(AllocatorConformance, TellsTheSizeOfWhatItTakesBack) {
  if (this->ops()->usable_size == nullptr) GTEST_SKIP() << "records no sizes";
  for (const std::size_t size : {1, 15, 16, 17, 100, 1000, 10000}) {
    for (int way = 0; way < 3; ++way) {
      const ca_block block = this->Allocate(size);
      ASSERT_FALSE(ca_block_is_none(block));
      ASSERT_FALSE(ca_block_is_none(this->Allocate(16)));
      this->held_.erase(this->held_.end() - 2);
      const std::size_t named = way == 0 ? 0 : way == 1 ? size : block.size;
      EXPECT_EQ(ca_deallocate_recorded(this->allocator(), block.ptr, named), block.size);
      this->ExpectInvariants();
      this->FreeNewest();
    }
  }
  this->ExpectAllStamps();
}

TYPED_TEST_P(AllocatorConformance, AWalkShowsEachLiveBlockUntilItIsStopped) {
  struct Walk {
    std::vector<ca_block> seen;
    std::size_t most;
  };
  if (this->ops()->walk == nullptr) GTEST_SKIP() << "walks over nothing";
  const auto visitor = [](void *argument, ca_block block) {
    auto &self = *static_cast<Walk *>(argument);
    self.seen.push_back(block);
    return self.seen.size() < self.most;
  };
  Walk none{{}, 100};
  if (!this->ops()->walk(this->allocator(), visitor, &none))
    GTEST_SKIP() << "nor does what is below";
  EXPECT_TRUE(none.seen.empty());
  for (const std::size_t size : {1, 15, 16, 100, 1000, 7, 64}) {
    for (std::size_t align = 1; align <= 64 && align <= TypeParam::kMaxAlign; align *= 4) {
      ASSERT_FALSE(ca_block_is_none(this->Allocate(size, align)));
    }
  }
  for (std::size_t i = 0; i < 5; ++i) this->FreeAt(i * 2);
  Walk all{{}, SIZE_MAX};
  EXPECT_TRUE(this->ops()->walk(this->allocator(), visitor, &all));
  EXPECT_EQ(all.seen.size(), this->held_.size());
  for (const ca_block block : all.seen) {
    EXPECT_EQ(block.size, this->ops()->usable_size(this->allocator(), block.ptr));
  }
  Walk two{{}, 2};
  EXPECT_FALSE(this->ops()->walk(this->allocator(), visitor, &two));
  EXPECT_EQ(two.seen.size(), 2U);
}

TYPED_TEST_P(AllocatorConformance, KeepsErrno) {
  errno = 4321;
  this->Allocate(100);
  this->Allocate(SIZE_MAX / 2);
  this->FreeNewest();
  EXPECT_EQ(errno, 4321);
}

TYPED_TEST_P(AllocatorConformance, RandomOperationsAgreeWithTheModel) {
  constexpr unsigned kSeeds = ModelSeeds<TypeParam>::value;
  constexpr int kSteps = 1000;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    ca_testing::ModelLimits limits;
    limits.max_align = TypeParam::kMaxAlign < 4096 ? TypeParam::kMaxAlign : 4096;
    TypeParam fresh;
    ca_testing::AllocatorModel model(
        fresh.get(), [&random] { return static_cast<std::uint32_t>(random()); }, limits);
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_EQ(model.Step(), "") << "in step " << step;
    }
    ASSERT_EQ(model.FreeAll(), "");
  }
}

REGISTER_TYPED_TEST_SUITE_P(
    AllocatorConformance, HasANameAndItsOperations, BlocksAreAlignedDisjointAndWhollyUsable,
    HonoursEveryAlignmentItClaims, ABlockIsDescribedByAnySizeBetweenAskedAndGot,
    RefusesTheImpossibleAndChangesNothing, AlignmentsBeyondItsOwnAreRefusedOrHonoured,
    RunsOutWithNoneAndStillServesTheSmaller, AfterRunningOutAFreedBlockServesAgain,
    MemoryComesBackInAnyOrder, AllOfItIsOnePieceAgainOnceEverythingIsFreed,
    GrowKeepsContentsAndMovesOnlyWhenAllowed, ShrinkKeepsContentsAndMovesOnlyWhenAllowed,
    ReallocateKeepsContentsAndNeighbours, OwnsItsBlocksAndNothingElse,
    WhatItRecordsIsWhatItHandedOut, TellsTheSizeOfWhatItTakesBack,
    AWalkShowsEachLiveBlockUntilItIsStopped, KeepsErrno, RandomOperationsAgreeWithTheModel);

#endif  // CONTEXT_ALLOCATOR_ALLOCATORS_TESTING_ALLOCATOR_CONFORMANCE_H_
