// Behaviours around behaviours: every two over several allocators, and every three over trees that
// record sizes. The model finds what a block's owner would; in the end nothing may be counted any more.
//
// The matrix tests hold each behaviour alone to the conformance suite.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "adaptors/aligned/aligned.h"
#include "adaptors/failing/failing.h"
#include "adaptors/fallback/fallback.h"
#include "adaptors/from_malloc/from_malloc.h"
#include "adaptors/limiting/limiting.h"
#include "adaptors/locked/locked.h"
#include "adaptors/logging/logging.h"
#include "adaptors/redzone/redzone.h"
#include "adaptors/retry/retry.h"
#include "adaptors/segregate/segregate.h"
#include "adaptors/sized/sized.h"
#include "adaptors/tracking/tracking.h"
#include "adaptors/zeroed/zeroed.h"
#include "allocators/bump/bump.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"
#include "allocators/testing/allocator_model.h"

namespace {

constexpr std::size_t kSize = 60000;

// An allocator, or a behaviour around one.
class Layer {
 public:
  virtual ~Layer() = default;
  virtual ca_allocator *get() = 0;
  // What it counts as live, where it does: bytes, as the blocks were handed out.
  virtual bool Counts() const { return false; }
  virtual std::size_t Live() { return 0; }
};

template <ca_sizes kSizes>
class Trees : public Layer {
 public:
  Trees() : memory_(kSize) {
    ca_multiple_binary_search_tree_init_range(&it_, ca_block_make(memory_.data(), memory_.size()),
                                              kSizes);
  }
  ~Trees() override { ca_multiple_binary_search_tree_destroy(&it_); }
  ca_allocator *get() override { return ca_multiple_binary_search_tree_allocator(&it_); }

 private:
  std::vector<char> memory_;
  ca_multiple_binary_search_tree it_;
};

class Bump : public Layer {
 public:
  Bump() : memory_(kSize) {
    ca_bump_init_range(&it_, ca_block_make(memory_.data(), memory_.size()), CA_SIZES_FORGOTTEN);
  }
  ~Bump() override { ca_bump_destroy(&it_); }
  ca_allocator *get() override { return ca_bump_allocator(&it_); }

 private:
  std::vector<char> memory_;
  ca_bump it_;
};

class FromMalloc : public Layer {
 public:
  FromMalloc() { EXPECT_TRUE(ca_from_malloc_init(&it_, nullptr)); }
  ca_allocator *get() override { return ca_from_malloc_allocator(&it_); }

 private:
  ca_from_malloc it_;
};

template <ca_sizes kSizes>
class Tracking : public Layer {
 public:
  explicit Tracking(ca_allocator *inner) { ca_tracking_init(&it_, inner, kSizes); }
  ca_allocator *get() override { return ca_tracking_allocator(&it_); }
  bool Counts() const override { return true; }
  std::size_t Live() override {
    const ca_tracking_usage usage = ca_tracking_read(&it_);
    return static_cast<std::size_t>(ca_tracking_live_bytes(&usage));
  }

 private:
  ca_tracking it_;
};

// Within a budget that isn't always enough.
template <ca_sizes kSizes>
class Limiting : public Layer {
 public:
  explicit Limiting(ca_allocator *inner) {
    ca_budget_init(&parent_, 12000, nullptr);
    ca_limiting_init(&it_, inner, kSizes, 10000, &parent_);
  }
  ~Limiting() override {
    ca_limiting_reset(&it_);
    EXPECT_EQ(ca_budget_used(&parent_), 0U);
  }
  ca_allocator *get() override { return ca_limiting_allocator(&it_); }
  bool Counts() const override { return true; }
  std::size_t Live() override { return ca_budget_used(ca_limiting_budget(&it_)); }

 private:
  ca_budget parent_;
  ca_limiting it_;
};

class Redzone : public Layer {
 public:
  explicit Redzone(ca_allocator *inner) { ca_redzone_init(&it_, inner); }
  ~Redzone() override { EXPECT_EQ(it_.live, 0U); }
  ca_allocator *get() override { return ca_redzone_allocator(&it_); }

 private:
  ca_redzone it_;
};

class Logging : public Layer {
 public:
  explicit Logging(ca_allocator *inner) {
    EXPECT_TRUE(ca_logging_init_alone(&it_, inner, fileno(file_), memory_, sizeof memory_, 128));
  }
  ~Logging() override {
    EXPECT_TRUE(ca_logging_finish(&it_));
    EXPECT_EQ(it_.events.live, 0U);
    std::fclose(file_);
  }
  ca_allocator *get() override { return ca_logging_allocator(&it_); }

 private:
  std::FILE *file_ = std::tmpfile();
  char memory_[4096];
  ca_logging it_;
};

// The seventh request, once.
class Failing : public Layer {
 public:
  explicit Failing(ca_allocator *inner) { ca_failing_init(&it_, inner, &plan_); }
  ca_allocator *get() override { return ca_failing_allocator(&it_); }

 private:
  ca_failing_plan plan_ = {7, 0, 0, CA_FAILING_ONCE};
  ca_failing it_;
};

class Retry : public Layer {
 public:
  explicit Retry(ca_allocator *inner) { ca_retry_init(&it_, inner, AskTwice, nullptr); }
  ca_allocator *get() override { return ca_retry_allocator(&it_); }

 private:
  static bool AskTwice(void *, std::size_t, std::size_t, std::size_t attempt) {
    return attempt == 1;
  }
  ca_retry it_;
};

class Aligned : public Layer {
 public:
  explicit Aligned(ca_allocator *inner) { EXPECT_TRUE(ca_aligned_init(&it_, inner, 32, 16)); }
  ca_allocator *get() override { return ca_aligned_allocator(&it_); }

 private:
  ca_aligned it_;
};

class Locked : public Layer {
 public:
  explicit Locked(ca_allocator *inner) { ca_locked_init(&it_, inner); }
  ~Locked() override { ca_locked_destroy(&it_); }
  ca_allocator *get() override { return ca_locked_allocator(&it_); }

 private:
  ca_locked it_;
};

template <typename Adaptor, void (*kInit)(Adaptor *, ca_allocator *),
          ca_allocator *(*kAllocator)(Adaptor *)>
class Plain : public Layer {
 public:
  explicit Plain(ca_allocator *inner) { kInit(&it_, inner); }
  ca_allocator *get() override { return kAllocator(&it_); }

 private:
  Adaptor it_;
};

// Beside trees of its own, which come first.
class Fallback : public Layer {
 public:
  explicit Fallback(ca_allocator *inner) {
    EXPECT_TRUE(ca_fallback_init(&it_, first_.get(), inner));
  }
  ca_allocator *get() override { return ca_fallback_allocator(&it_); }

 private:
  Trees<CA_SIZES_RECORDED> first_;
  ca_fallback it_;
};

class Segregate : public Layer {
 public:
  explicit Segregate(ca_allocator *inner) {
    EXPECT_TRUE(ca_segregate_init(&it_, inner, large_.get(), 200));
  }
  ca_allocator *get() override { return ca_segregate_allocator(&it_); }

 private:
  Trees<CA_SIZES_RECORDED> large_;
  ca_segregate it_;
};

using Layers = std::vector<std::unique_ptr<Layer>>;

template <typename Behaviour>
std::unique_ptr<Layer> Around(ca_allocator *inner) {
  return std::make_unique<Behaviour>(inner);
}

using Maker = std::unique_ptr<Layer> (*)(ca_allocator *inner);
const Maker kBehaviours[] = {
    Around<Tracking<CA_SIZES_FORGOTTEN>>,
    Around<Tracking<CA_SIZES_RECORDED>>,
    Around<Limiting<CA_SIZES_FORGOTTEN>>,
    Around<Limiting<CA_SIZES_RECORDED>>,
    Around<Redzone>,
    Around<Logging>,
    Around<Failing>,
    Around<Retry>,
    Around<Aligned>,
    Around<Locked>,
    Around<Plain<ca_zeroed, ca_zeroed_init, ca_zeroed_allocator>>,
    Around<Plain<ca_sized, ca_sized_init, ca_sized_allocator>>,
    Around<Fallback>,
    Around<Segregate>,
};

std::string Describe(const Layers &layers) {
  std::string text;
  for (const auto &layer : layers) {
    text = layer->get()->ops->name + (text.empty() ? "" : ", around " + text);
  }
  return text;
}

// The outermost layer is the last.
void Work(const Layers &layers, unsigned seed, int steps) {
  SCOPED_TRACE(Describe(layers) + ", seed " + std::to_string(seed));
  std::mt19937 random(seed);
  ca_testing::ModelLimits limits;
  limits.max_size = 600;
  limits.max_align = 256;
  limits.max_blocks = 25;
  ca_testing::AllocatorModel model(
      layers.back()->get(), [&random] { return static_cast<std::uint32_t>(random()); }, limits);
  for (int step = 0; step < steps; ++step) {
    ASSERT_EQ(model.Step(), "");
    if (layers.back()->Counts()) ASSERT_EQ(layers.back()->Live(), model.live_bytes());
  }
  ASSERT_EQ(model.FreeAll(), "");
  for (const auto &layer : layers) ASSERT_EQ(layer->Live(), 0U) << layer->get()->ops->name;
}

// The last made goes first: it looks at those below.
void End(Layers *layers) {
  while (!layers->empty()) layers->pop_back();
}

TEST(CompositionsTest, TwoBehavioursOverSeveralAllocators) {
  const auto over = [](std::unique_ptr<Layer> (*make)(), unsigned seed) {
    for (const Maker &below : kBehaviours) {
      for (const Maker &above : kBehaviours) {
        Layers layers;
        layers.push_back(make());
        for (const Maker &behaviour : {below, above}) {
          layers.push_back(behaviour(layers.back()->get()));
        }
        Work(layers, seed, 150);
        End(&layers);
        if (testing::Test::HasFailure()) return;
      }
    }
  };
  over([]() -> std::unique_ptr<Layer> { return std::make_unique<Trees<CA_SIZES_FORGOTTEN>>(); }, 1);
  over([]() -> std::unique_ptr<Layer> { return std::make_unique<Trees<CA_SIZES_RECORDED>>(); }, 2);
  over([]() -> std::unique_ptr<Layer> { return std::make_unique<Bump>(); }, 3);
  over([]() -> std::unique_ptr<Layer> { return std::make_unique<FromMalloc>(); }, 4);
}

TEST(CompositionsTest, ThreeBehavioursOverTrees) {
  for (const Maker &below : kBehaviours) {
    for (const Maker &between : kBehaviours) {
      for (const Maker &above : kBehaviours) {
        Layers layers;
        layers.push_back(std::make_unique<Trees<CA_SIZES_RECORDED>>());
        for (const Maker &behaviour : {below, between, above}) {
          layers.push_back(behaviour(layers.back()->get()));
        }
        Work(layers, 5, 60);
        End(&layers);
        if (HasFailure()) return;
      }
    }
  }
}

}  // namespace
