#include "adaptors/bad_alloc/bad_alloc.h"

#include <gtest/gtest.h>

namespace {

#if defined(__cpp_exceptions)
TEST(BadAllocTest, ThrowsWhatTheStandardNames) {
  EXPECT_THROW(ca::throw_bad_alloc(), std::bad_alloc);
  EXPECT_THROW(ca::throw_bad_array_new_length(), std::bad_array_new_length);
}
#else
TEST(BadAllocDeathTest, WithoutExceptionsTheLastLineSaysWhy) {
  EXPECT_DEATH(ca::throw_bad_alloc(), "out of memory, and this program is built without");
  EXPECT_DEATH(ca::throw_bad_array_new_length(), "too many elements");
}
#endif

}  // namespace
