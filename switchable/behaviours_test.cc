// The conformance suite for every behaviour adaptor over the front end, under the thread's heap and
// within a context of each kind: the part of the matrix in adaptors/testing that its layer can't see.
// Which behaviour it is, and where, is chosen while the program runs, so that the suite is compiled
// once: each test runs once for each of them.
#include <gtest/gtest.h>

#include <cstdio>
#include <iterator>

#include "adaptors/aligned/aligned.h"
#include "adaptors/failing/failing.h"
#include "adaptors/fallback/fallback.h"
#include "adaptors/limiting/limiting.h"
#include "adaptors/locked/locked.h"
#include "adaptors/logging/logging.h"
#include "adaptors/retry/retry.h"
#include "adaptors/segregate/segregate.h"
#include "adaptors/tracking/tracking.h"
#include "adaptors/zeroed/zeroed.h"
#include "allocators/bump/bump.h"
#include "allocators/testing/allocator_conformance.h"
#include "switchable/context.h"
#include "switchable/switchable.h"

namespace {

constexpr std::size_t kBudget = 320000, kBump = 4096;  // A pair has its bump's bytes besides.

// One of each, of which one is used.
struct Adaptors {
  Adaptors() {
    ca_bump_init_range(&bump, ca_block_make(memory, sizeof memory), CA_SIZES_RECORDED);
    ca_locked_init(&locked, ca_switchable_allocator());
  }
  ~Adaptors() {
    ca_logging_finish(&logging);
    std::fclose(file);
    ca_locked_destroy(&locked);
    ca_bump_destroy(&bump);
  }
  alignas(16) char memory[kBump];
  alignas(16) char table[16384];
  std::FILE *file = std::tmpfile();
  ca_bump bump;  // The other side of a pair: one that tells what it owns.
  ca_tracking tracking;
  ca_limiting limiting;
  ca_fallback fallback;
  ca_segregate segregate;
  ca_locked locked;
  ca_aligned aligned;
  ca_zeroed zeroed;
  ca_failing_plan plan = {};
  ca_failing failing;
  ca_logging logging = {};
  ca_retry retry;
};

struct Behaviour {
  const char *name;
  ca_allocator *(*make)(Adaptors *all, ca_allocator *inner);
};

template <ca_sizes kSizes>
ca_allocator *Tracking(Adaptors *all, ca_allocator *inner) {
  ca_tracking_init(&all->tracking, inner, kSizes);
  return ca_tracking_allocator(&all->tracking);
}

template <ca_sizes kSizes>
ca_allocator *Limiting(Adaptors *all, ca_allocator *inner) {
  ca_limiting_init(&all->limiting, inner, kSizes, PTRDIFF_MAX, nullptr);
  return ca_limiting_allocator(&all->limiting);
}

ca_allocator *Fallback(Adaptors *all, ca_allocator *inner) {
  EXPECT_TRUE(ca_fallback_init(&all->fallback, ca_bump_allocator(&all->bump), inner));
  return ca_fallback_allocator(&all->fallback);
}

ca_allocator *Segregate(Adaptors *all, ca_allocator *inner) {
  EXPECT_TRUE(ca_segregate_init(&all->segregate, inner, ca_bump_allocator(&all->bump), SIZE_MAX));
  return ca_segregate_allocator(&all->segregate);
}

ca_allocator *Locked(Adaptors *all, ca_allocator *) { return ca_locked_allocator(&all->locked); }

template <std::size_t kLeast, std::size_t kMost>
ca_allocator *Aligned(Adaptors *all, ca_allocator *inner) {
  EXPECT_TRUE(ca_aligned_init(&all->aligned, inner, kLeast, kMost));
  return ca_aligned_allocator(&all->aligned);
}

ca_allocator *Zeroed(Adaptors *all, ca_allocator *inner) {
  ca_zeroed_init(&all->zeroed, inner);
  return ca_zeroed_allocator(&all->zeroed);
}

ca_allocator *Failing(Adaptors *all, ca_allocator *inner) {
  ca_failing_init(&all->failing, inner, &all->plan);
  return ca_failing_allocator(&all->failing);
}

ca_allocator *Logging(Adaptors *all, ca_allocator *inner) {
  EXPECT_TRUE(ca_logging_init_alone(&all->logging, inner, fileno(all->file), all->table,
                                    sizeof all->table, 0));
  return ca_logging_allocator(&all->logging);
}

ca_allocator *Retry(Adaptors *all, ca_allocator *inner) {
  ca_retry_init(&all->retry, inner, nullptr, nullptr);
  return ca_retry_allocator(&all->retry);
}

const Behaviour kBehaviours[] = {
    {"tracking", Tracking<CA_SIZES_FORGOTTEN>},
    {"tracking, sizes recorded", Tracking<CA_SIZES_RECORDED>},
    {"limiting", Limiting<CA_SIZES_FORGOTTEN>},
    {"limiting, sizes recorded", Limiting<CA_SIZES_RECORDED>},
    {"fallback", Fallback},
    {"segregate", Segregate},
    {"locked", Locked},
    {"aligned, raising", Aligned<64, 0>},
    {"aligned, within", Aligned<16, 16>},
    {"zeroed", Zeroed},
    {"failing", Failing},
    {"logging", Logging},
    {"retry", Retry},
};

const Behaviour *current = &kBehaviours[0];

// What serves the front end.
struct Place {
  const char *name;
  ca_context_kind kind;  // None: the thread's heap. What that can't serve the global one does.
  std::size_t capacity;
  bool reclaims;
};

const Place kPlaces[] = {
    {"the thread's heap", CA_CONTEXT_NONE, 0, true},
    {"a bump context", CA_CONTEXT_BUMP, kBudget + kBump, false},
    {"a bit set's", CA_CONTEXT_BIT_SET, kBudget + kBump, true},
    {"one of trees", CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE, kBudget + kBump, true},
};

const Place *place = &kPlaces[0];

struct Capacity {
  operator std::size_t() const { return place->capacity; }
};
struct Reclaims {
  operator bool() const { return place->reclaims; }
};

struct Behaving {
  Behaving() : allocator(current->make(&all, ca_switchable_allocator())) {}
  ca_allocator *get() { return allocator; }
  static constexpr std::size_t kMaxAlign = 4096;
  static constexpr Capacity kCapacity = {};
  static constexpr Reclaims kReclaims = {};
  static constexpr unsigned kSeeds = 2;
  Adaptors all;
  ca_allocator *allocator;
};

INSTANTIATE_TYPED_TEST_SUITE_P(OverTheFrontEnd, AllocatorConformance, Behaving);

class OneAfterTheOther : public testing::EmptyTestEventListener {
  void OnTestIterationStart(const testing::UnitTest &, int iteration) override {
    current = &kBehaviours[static_cast<std::size_t>(iteration) % std::size(kBehaviours)];
    place = &kPlaces[static_cast<std::size_t>(iteration) / std::size(kBehaviours)];
    std::printf("%s, within %s\n", current->name, place->name);
  }
  void OnTestStart(const testing::TestInfo &) override {
    EXPECT_TRUE(ca_switchable_thread_init(nullptr));
    EXPECT_TRUE(ca_switchable_use(CA_CURRENT_THREAD));
    if (place->kind == CA_CONTEXT_NONE) return;
    ca_context_settings settings = {};
    settings.budget = kBudget;
    settings.kind = place->kind;
    settings.on_destroy = CA_CONTEXT_REFUSE;
    context_ = ca_context_create(&settings);
    EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE);
  }
  void OnTestEnd(const testing::TestInfo &) override {
    if (place->kind != CA_CONTEXT_NONE) {
      ca_context_swap_out();
      EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE) << "nothing is left in it";
    }
    ca_switchable_thread_release();
  }
  ca_context context_ = {};
};

}  // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new OneAfterTheOther);
  testing::FLAGS_gtest_repeat = static_cast<int>(std::size(kBehaviours) * std::size(kPlaces));
  return RUN_ALL_TESTS();
}
