// Runs a workload again and again, refusing another of its source's requests each time.
//
//   RefuseInTurn(source, [](ca_source *source) -> testing::AssertionResult { ... });
//
// The workload sets up what it tests over the given source, uses it, and destroys it; it must take
// a refusal as a refusal (and check that what lived before is intact), and return whether all was
// well. It runs once to count its requests, and then for each number n up to that count twice:
// with the n-th request refused, and with the n-th and every later one refused. After each run
// nothing may be out, and a run without refusals must still succeed: that is recovery.
#ifndef CONTEXT_ALLOCATOR_SOURCES_FAILING_REFUSE_IN_TURN_H_
#define CONTEXT_ALLOCATOR_SOURCES_FAILING_REFUSE_IN_TURN_H_

#include <gtest/gtest.h>

#include <cstddef>

#include "sources/failing/failing.h"

namespace ca_testing {

// One run under one plan; the number of requests that the workload made.
template <typename Workload>
std::size_t RunUnderPlan(ca_source *behind, const ca_failing_settings &plan, Workload workload) {
  ca_failing failing;
  ca_failing_init(&failing, behind, &plan);
  EXPECT_TRUE(workload(ca_failing_source(&failing)))
      << "refusing number " << plan.refuse_nth << ", all from number " << plan.refuse_from;
  EXPECT_EQ(ca_failing_ranges_out(&failing), 0U)
      << failing.bytes_out << " bytes leaked, refusing number " << plan.refuse_nth
      << ", all from number " << plan.refuse_from;
  EXPECT_TRUE(ca_failing_check(&failing));
  return failing.requested;
}

// Returns how many requests an undisturbed workload makes, so that a caller can tell that it
// tested something.
template <typename Workload>
std::size_t RefuseInTurn(ca_source *behind, Workload workload) {
  const std::size_t count = RunUnderPlan(behind, ca_failing_settings{}, workload);
  for (std::size_t number = 1; number <= count; ++number) {
    ca_failing_settings one = {};
    one.refuse_nth = number;
    RunUnderPlan(behind, one, workload);
    ca_failing_settings rest = {};
    rest.refuse_from = number;
    RunUnderPlan(behind, rest, workload);
  }
  EXPECT_EQ(RunUnderPlan(behind, ca_failing_settings{}, workload), count) << "recovers";
  return count;
}

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_SOURCES_FAILING_REFUSE_IN_TURN_H_
