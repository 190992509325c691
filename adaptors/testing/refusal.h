// Refuse each request in turn: what every composition of an adaptor and an allocator owes when the
// allocators below it run dry, at any moment and for once or for good.
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Tracking, Refusal, Tracking<Refusing>);
//
// Below the adaptor: adaptors/failing, which refuses, around adaptors/tracking, which sees what
// was not given back, around the allocator.
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TESTING_REFUSAL_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TESTING_REFUSAL_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "adaptors/failing/failing.h"
#include "adaptors/testing/allocators.h"
#include "adaptors/tracking/tracking.h"

namespace ca_testing {

// All fixtures of one composition share the plan and are found here, also the two sides of a pair.
struct RefusalPlan {
  static inline ca_failing_plan plan = {};
  static inline std::vector<ca_tracking *> below = {};
};

struct Refusing : AdaptorFixture<> {
  explicit Refusing(bool tells = false) : AdaptorFixture(tells) {
    ca_tracking_init(&tracking, inner.get(), CA_SIZES_RECORDED);
    ca_failing_init(&failing, ca_tracking_allocator(&tracking), &RefusalPlan::plan);
    RefusalPlan::below.push_back(&tracking);
  }
  ~Refusing() { RefusalPlan::below.clear(); }
  ca_allocator *get() { return ca_failing_allocator(&failing); }
  ca_tracking tracking;
  ca_failing failing;
};

// A fixed workload, small enough to be run once for each of its requests: the model finds a
// refusal that changed a live block, and broken invariants, after every step. Returns the first
// false sentence.
std::string RunWork(ca_allocator *composition);

// What the allocators below still have out is a failure of the test.
void ExpectNothingLeaked();

}  // namespace ca_testing

template <typename Composition>
class Refusal : public testing::Test {
 protected:
  static void Run(std::size_t nth, ca_failing_how how) {
    SCOPED_TRACE(testing::Message() << "refused: " << nth << ", how: " << how);
    Composition composition;
    ca_failing_plan_set(&ca_testing::RefusalPlan::plan, nth, how);
    EXPECT_EQ(ca_testing::RunWork(composition.get()), "");
    ca_testing::ExpectNothingLeaked();
  }
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
