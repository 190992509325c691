#include "adaptors/testing/refusal.h"

#include <cstdint>
#include <random>

#include "allocators/testing/allocator_model.h"

namespace ca_testing {

std::string RunWork(ca_allocator *composition) {
  std::mt19937 random(3);
  ModelLimits limits;
  limits.max_size = 500;
  limits.max_align = 256;
  limits.max_blocks = 12;
  AllocatorModel model(
      composition, [&random] { return static_cast<std::uint32_t>(random()); }, limits);
  for (int step = 0; step < 60; ++step) {
    const std::string wrong = model.Step();
    if (!wrong.empty()) return wrong;
  }
  // Recovered: what is asked for now is served, since nothing was lost.
  ca_failing_plan_set(&RefusalPlan::plan, 0, CA_FAILING_ONCE);
  const ca_block block = ca_allocate(composition, 64, CA_ALIGN_DEFAULT);
  if (ca_block_is_none(block)) return "does not recover";
  ca_deallocate(composition, block.ptr, 64, CA_ALIGN_DEFAULT);
  return model.FreeAll();
}

void ExpectNothingLeaked() {
  for (const ca_tracking *below : RefusalPlan::below) {
    const ca_tracking_usage usage = ca_tracking_read(below);
    EXPECT_EQ(ca_tracking_live_bytes(&usage), 0) << "leaked";
    EXPECT_EQ(ca_tracking_live_blocks(&usage), 0) << "leaked";
  }
}

}  // namespace ca_testing
