// What the tests of contexts have in common.
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_TESTING_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_TESTING_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <thread>

#include "switchable/report.h"
#include "switchable/switchable.h"

namespace ca_testing {

// For INSTANTIATE_TEST_SUITE_P(Kinds, ..., EveryKind(), KindName).
inline auto EveryKind() {
  return testing::Values(CA_CONTEXT_BUMP, CA_CONTEXT_BIT_SET,
                         CA_CONTEXT_MULTIPLE_BINARY_SEARCH_TREE);
}

inline std::string KindName(const testing::TestParamInfo<ca_context_kind> &info) {
  return info.param == CA_CONTEXT_BUMP      ? "Bump"
         : info.param == CA_CONTEXT_BIT_SET ? "BitSet"
                                            : "Trees";
}

// By whatever is current.
inline char *Allocate(std::size_t size, std::size_t align = 16) {
  return static_cast<char *>(ca_switchable_allocate(size, align).ptr);
}

template <typename Work>
void OnAnotherThread(Work work) {
  std::thread(work).join();
}

// Of contexts that are alive, in quarantine, or ended before what counts in them.
inline std::size_t SlotsOut() {
  const ca_contexts_counts counts = ca_contexts_count();
  std::size_t out = 0;
  for (const ca_class_counts &one : counts.classes) out += one.out;
  return out;
}

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_SWITCHABLE_TESTING_H_
