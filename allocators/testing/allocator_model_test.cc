// Tests the test: a toy allocator with one deliberate fault at a time, each of which the model has
// to name.
#include "allocators/testing/allocator_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "allocators/allocator.h"

namespace {

enum class Fault {
  kNone,
  kTooSmall,
  kMisaligned,
  kOverlap,
  kMoves,
  kLosesContents,
  kServesHuge,
  kGrowsHuge,
  kDisowns,
  kRecordsLess,
  kRecordsMore,
  kTellsMore,
  kFailsCheck,
  kWalksOverTheDead,
  kWalksPast,
  kWalksWithWrongSizes,
  kStopsWalking,
};

// Hands out 64 KiB cells of a static array, one block in each, first free cell first.
struct Toy {
  ca_allocator base;
  Fault fault;
  bool used[400];
  std::size_t size[400];
};

constexpr std::size_t kCell = 65536;
alignas(4096) char g_cells[400 * kCell];

Toy *FromBase(ca_allocator *base) { return reinterpret_cast<Toy *>(base); }
std::size_t IndexOf(const void *ptr) {
  return static_cast<std::size_t>(static_cast<const char *>(ptr) - g_cells) / kCell;
}

ca_block Allocate(ca_allocator *base, std::size_t size, std::size_t) {
  Toy *toy = FromBase(base);
  if (size > kCell / 2)
    return toy->fault == Fault::kServesHuge ? ca_block_make(g_cells, size) : ca_block_none();
  for (std::size_t i = 0; i < 400; ++i) {
    if (toy->used[i]) continue;
    if (toy->fault == Fault::kOverlap && i % 8 == 7)
      return ca_block_make(g_cells + (i - 1) * kCell, size);
    toy->used[i] = true;
    toy->size[i] = size;
    char *ptr = g_cells + i * kCell;
    if (toy->fault == Fault::kMisaligned && i % 4 == 3) ptr += 8;
    return ca_block_make(ptr, toy->fault == Fault::kTooSmall && i % 4 == 3 ? size - 1 : size);
  }
  return ca_block_none();
}

void Deallocate(ca_allocator *base, void *ptr, std::size_t, std::size_t) {
  FromBase(base)->used[IndexOf(ptr)] = false;
}

ca_block Resize(ca_allocator *base, void *ptr, std::size_t size, std::size_t new_size,
                std::size_t align, ca_move) {
  Toy *toy = FromBase(base);
  if (new_size > kCell / 2) {
    return toy->fault == Fault::kGrowsHuge ? ca_block_make(ptr, new_size) : ca_block_none();
  }
  if (toy->fault == Fault::kLosesContents) std::memset(ptr, 0, 1);
  if (toy->fault == Fault::kMoves) {
    const ca_block block = Allocate(base, new_size, align);
    if (ca_block_is_none(block)) return block;
    std::memcpy(block.ptr, ptr, size < new_size ? size : new_size);
    toy->used[IndexOf(ptr)] = false;
    return block;
  }
  toy->size[IndexOf(ptr)] = new_size;
  return ca_block_make(ptr, new_size);
}

std::size_t UsableSize(const ca_allocator *base, const void *ptr) {
  const Toy *toy = FromBase(const_cast<ca_allocator *>(base));
  const std::size_t size = toy->size[IndexOf(ptr)];
  if (toy->fault == Fault::kRecordsLess) return size - 1;
  return toy->fault == Fault::kRecordsMore ? size + 1 : size;
}

void DeallocateUnsized(ca_allocator *base, void *ptr) { Deallocate(base, ptr, 0, 0); }

std::size_t DeallocateRecorded(ca_allocator *base, void *ptr, std::size_t) {
  const std::size_t size = UsableSize(base, ptr);
  Deallocate(base, ptr, 0, 0);
  return FromBase(base)->fault == Fault::kTellsMore ? size + 1 : size;
}

bool Owns(const ca_allocator *base, const void *) {
  return FromBase(const_cast<ca_allocator *>(base))->fault != Fault::kDisowns;
}

bool Check(const ca_allocator *base) {
  return FromBase(const_cast<ca_allocator *>(base))->fault != Fault::kFailsCheck;
}

bool Walk(const ca_allocator *base, ca_block_visitor *visitor, void *argument) {
  const Toy *toy = FromBase(const_cast<ca_allocator *>(base));
  for (std::size_t i = 0; i < 400; ++i) {
    if (!toy->used[i] && (toy->fault != Fault::kWalksOverTheDead || toy->size[i] == 0)) continue;
    if (toy->fault == Fault::kWalksPast && i == 7) continue;
    if (toy->fault == Fault::kStopsWalking && i == 7) return false;
    const std::size_t size = toy->size[i] + (toy->fault == Fault::kWalksWithWrongSizes ? 1 : 0);
    if (!visitor(argument, ca_block_make(g_cells + i * kCell, size))) return false;
  }
  return true;
}

constexpr ca_allocator_ops kOps = {Allocate,   Deallocate,        Resize, Resize,
                                   UsableSize, DeallocateUnsized, Owns,   Check,
                                   "toy",      nullptr,           Walk,   DeallocateRecorded};

std::string FirstComplaint(Fault fault) {
  static Toy toy;
  toy = Toy{{&kOps}, fault, {}, {}};
  std::mt19937 random(7);
  ca_testing::AllocatorModel model(&toy.base,
                                   [&random] { return static_cast<std::uint32_t>(random()); });
  for (int step = 0; step < 3000; ++step) {
    const std::string wrong = model.Step();
    if (!wrong.empty()) return wrong;
  }
  return model.FreeAll();
}

TEST(AllocatorModelTest, HasNothingAgainstARightAllocator) {
  EXPECT_EQ(FirstComplaint(Fault::kNone), "");
}

TEST(AllocatorModelTest, NamesEveryFault) {
  EXPECT_EQ(FirstComplaint(Fault::kTooSmall), "handed out less than was asked");
  EXPECT_EQ(FirstComplaint(Fault::kMisaligned), "is not aligned as asked");
  EXPECT_EQ(FirstComplaint(Fault::kOverlap), "overlaps the block after it");
  EXPECT_EQ(FirstComplaint(Fault::kMoves), "moved although told not to");
  EXPECT_EQ(FirstComplaint(Fault::kLosesContents), "changed a live block's contents");
  EXPECT_EQ(FirstComplaint(Fault::kServesHuge), "served a size near SIZE_MAX");
  EXPECT_EQ(FirstComplaint(Fault::kGrowsHuge), "grew to a size near SIZE_MAX");
  EXPECT_EQ(FirstComplaint(Fault::kDisowns), "does not own what it handed out");
  EXPECT_EQ(FirstComplaint(Fault::kRecordsLess), "recorded another size than it handed out");
  EXPECT_EQ(FirstComplaint(Fault::kRecordsMore), "recorded another size than it handed out");
  EXPECT_EQ(FirstComplaint(Fault::kTellsMore), "tells another size of what it took back");
  EXPECT_EQ(FirstComplaint(Fault::kFailsCheck), "its own invariants do not hold");
  EXPECT_EQ(FirstComplaint(Fault::kWalksOverTheDead), "walks over a block that does not live");
  EXPECT_EQ(FirstComplaint(Fault::kWalksPast), "misses a live block on its walk");
  EXPECT_EQ(FirstComplaint(Fault::kWalksWithWrongSizes), "walks over a block of another size");
  EXPECT_EQ(FirstComplaint(Fault::kStopsWalking), "stops its walk");
}

// The calls beside the interface: what the allocator counts is compared before and after each.
TEST(FuzzAllocatorDeathTest, NamesACountThatIsNotTheModels) {
  std::mt19937 random(3);
  std::vector<std::uint8_t> data(2000);
  for (std::uint8_t &byte : data) byte = static_cast<std::uint8_t>(random());
  static Toy toy;
  toy = Toy{{&kOps}, Fault::kNone, {}, {}};
  int tidied = 0;
  bool resets = true;
  ca_testing::FuzzCalls calls;
  calls.tidy = [&tidied] { tidied++; };
  calls.reset = [&resets] {
    if (resets) std::fill(std::begin(toy.used), std::end(toy.used), false);
  };
  calls.live = [] {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < 400; ++i) bytes += toy.used[i] ? toy.size[i] : 0;
    return bytes;
  };
  ca_testing::FuzzAllocator(&toy.base, data.data(), data.size(), {}, calls);
  EXPECT_EQ(tidied, 2);
  resets = false;
  EXPECT_DEATH(ca_testing::FuzzAllocator(&toy.base, data.data(), data.size(), {}, calls),
               "toy: counts other bytes than live now");
  calls.live = [] { return std::size_t{1}; };
  EXPECT_DEATH(ca_testing::FuzzAllocator(&toy.base, data.data(), data.size(), {}, calls),
               "toy: counts other bytes than live\n");
}

}  // namespace
