// What the arena's tests share: an arena over mappings that are counted.
#ifndef CONTEXT_ALLOCATOR_SOURCES_ARENA_ARENA_FIXTURE_H_
#define CONTEXT_ALLOCATOR_SOURCES_ARENA_ARENA_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>

#include "sources/arena/arena.h"
#include "sources/arena/mappings.h"

constexpr std::size_t kSlot = 65536;

class ArenaTest : public testing::Test {
 protected:
  ~ArenaTest() override {
    EXPECT_TRUE(ca_arena_check(&arena_));
    ca_arena_destroy(&arena_);
    EXPECT_EQ(mappings_.out, 0) << "ranges not returned to the source";
  }

  void Init(std::size_t slots, std::size_t retained = 0,
            ca_arena_initialise *initialise = nullptr) {
    ca_arena_settings settings = {};
    settings.slot_size = kSlot;
    settings.slots = slots;
    settings.retained = retained;
    settings.initialise = initialise;
    settings.argument = &initialised_;
    ASSERT_TRUE(ca_arena_init(&arena_, mappings_.get(), &settings));
  }
  unsigned char *Obtain() { return static_cast<unsigned char *>(ca_arena_obtain(&arena_)); }

  Mappings mappings_;
  ca_arena arena_ = {};
  std::atomic<int> initialised_{0};
};

#endif  // CONTEXT_ALLOCATOR_SOURCES_ARENA_ARENA_FIXTURE_H_
