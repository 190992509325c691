// Refuse each request in turn: what every composition of an adaptor and an allocator owes when the
// allocators below it run dry, at any moment and for once or for good.
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Tracking, Refusal, OverEveryRefusingAllocator<Tracking>,
//                                  AllocatorName);
//
// Below the adaptor: adaptors/failing, which refuses, around adaptors/tracking, which sees what
// was not given back, around the allocator.
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TESTING_REFUSAL_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TESTING_REFUSAL_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "adaptors/failing/failing.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/tracking/tracking.h"
#include "allocators/testing/allocator_model.h"

namespace ca_testing {

// All fixtures of one composition share the plan and are found here, also the two sides of a pair.
struct RefusalPlan {
  static inline ca_failing_plan plan = {};
  static inline std::vector<ca_tracking *> below = {};
};

template <typename Allocator>
struct Refusing : AdaptorFixture<Allocator> {
  Refusing() {
    ca_tracking_init(&tracking, this->inner.get(), CA_SIZES_RECORDED);
    ca_failing_init(&failing, ca_tracking_allocator(&tracking), &RefusalPlan::plan);
    RefusalPlan::below.push_back(&tracking);
  }
  ~Refusing() { RefusalPlan::below.clear(); }
  ca_allocator *get() { return ca_failing_allocator(&failing); }
  ca_tracking tracking;
  ca_failing failing;
};

template <template <typename> class Adaptor>
struct AroundRefusing {
  template <typename Allocator>
  using Fixture = Adaptor<Refusing<Allocator>>;
};

template <template <typename> class Adaptor>
using OverEveryRefusingAllocator = OverEveryAllocator<AroundRefusing<Adaptor>::template Fixture>;

// A fixed workload, small enough to be run once for each of its requests: the model finds a
// refusal that changed a live block, and broken invariants, after every step.
template <typename Composition>
std::string RunWork(Composition *composition) {
  std::mt19937 random(3);
  ModelLimits limits;
  limits.max_size = 500;
  limits.max_align = 256;
  limits.max_blocks = 12;
  AllocatorModel model(
      composition->get(), [&random] { return static_cast<std::uint32_t>(random()); }, limits);
  for (int step = 0; step < 60; ++step) {
    const std::string wrong = model.Step();
    if (!wrong.empty()) return wrong;
  }
  // Recovered: what is asked for now is served, since nothing was lost.
  ca_failing_plan_set(&RefusalPlan::plan, 0, CA_FAILING_ONCE);
  const ca_block block = ca_allocate(composition->get(), 64, CA_ALIGN_DEFAULT);
  if (ca_block_is_none(block)) return "does not recover";
  ca_deallocate(composition->get(), block.ptr, 64, CA_ALIGN_DEFAULT);
  return model.FreeAll();
}

}  // namespace ca_testing

template <typename Composition>
class Refusal : public testing::Test {
 protected:
  static std::size_t Run(std::size_t nth, ca_failing_how how) {
    Composition composition;
    ca_failing_plan *plan = &ca_testing::RefusalPlan::plan;
    ca_failing_plan_set(plan, nth, how);
    EXPECT_EQ(ca_testing::RunWork(&composition), "") << "refused: " << nth << ", how: " << how;
    for (ca_tracking *below : ca_testing::RefusalPlan::below) {
      const ca_tracking_usage usage = ca_tracking_read(below);
      EXPECT_EQ(ca_tracking_live_bytes(&usage), 0) << "leaked; refused: " << nth;
      EXPECT_EQ(ca_tracking_live_blocks(&usage), 0) << "leaked; refused: " << nth;
    }
    return CountRequests();
  }

  static std::size_t CountRequests() { return ca_testing::RefusalPlan::plan.requests; }
};

TYPED_TEST_SUITE_P(Refusal);

TYPED_TEST_P(Refusal, OfEachRequestInTurnLosesNothing) {
  for (const ca_failing_how how : {CA_FAILING_ONCE, CA_FAILING_FROM_THEN_ON}) {
    for (std::size_t nth = 1; nth <= 80; ++nth) {
      this->Run(nth, how);
      if (this->HasFailure()) return;
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(Refusal, OfEachRequestInTurnLosesNothing);

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TESTING_REFUSAL_H_
