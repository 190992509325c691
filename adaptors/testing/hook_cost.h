// What a library's hook adds to a call of the allocator behind it.
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TESTING_HOOK_COST_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TESTING_HOOK_COST_H_

#include "adaptors/testing/added_cost.h"

namespace ca_testing {

// Beside a pair of calls of `inner` through its table, the second without a size, as hooks have it.
// `allocate` takes a size; `deallocate` takes what it returned.
template <typename Allocate, typename Deallocate>
void ReportHookCost(benchmark::State &state, ca_allocator *inner, Allocate allocate,
                    Deallocate deallocate) {
  inner = Opaque(inner);
  ReportAddedCost(
      state,
      [=] {
        void *ptr = ca_allocate(inner, 64, CA_ALIGN_DEFAULT).ptr;
        benchmark::DoNotOptimize(ptr);
        inner->ops->deallocate_unsized(inner, ptr);
      },
      [=] {
        void *ptr = allocate(64);
        benchmark::DoNotOptimize(ptr);
        deallocate(ptr);
      });
}

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TESTING_HOOK_COST_H_
