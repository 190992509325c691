#include "adaptors/for_jansson/for_jansson.h"

#include <gtest/gtest.h>
#include <jansson.h>

#include <cstring>
#include <ostream>
#include <string>
#include <vector>

#include "adaptors/testing/witness.h"
#include "allocators/bump/bump.h"

namespace {

struct Document {
  const char *name;
  std::string text;
};

// Else its bytes would be printed, and some were never set.
void PrintTo(const Document &document, std::ostream *to) { *to << document.name; }

std::string Numbers() {
  std::string text = "[0";
  for (int i = 1; i < 100; ++i) text += "," + std::to_string(i);
  return text + "]";
}

std::string Members() {
  std::string text = "{\"m\":0";
  for (int i = 0; i < 50; ++i) text += ",\"m" + std::to_string(i) + "\":" + std::to_string(i);
  return text + "}";
}

const Document kDocuments[] = {
    {"Empty", "{}"},
    {"Numbers", Numbers()},
    {"Members", Members()},
    {"Text", "[\"" + std::string(2000, 'x') + "\",\"\\u00e9\"]"},
    {"Nested", "[[[[[[{\"a\":[1.5,true,null]}]]]]]]"},
};

// Reads and writes a document; an empty string: it failed.
std::string RoundTrip(const std::string &text) {
  json_error_t error;
  json_t *value = json_loads(text.c_str(), 0, &error);
  if (value == nullptr) return "";
  char *written = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
  json_decref(value);
  if (written == nullptr) return "";
  const std::string result = written;
  ca_for_jansson_free(written);
  return result;
}

class ForJanssonTest : public testing::TestWithParam<Document> {
 protected:
  ForJanssonTest() {
    json_object_seed(1);
    EXPECT_TRUE(ca_for_jansson_init(witness_.get()));
    json_set_alloc_funcs(ca_for_jansson_malloc, ca_for_jansson_free);
  }
  ca_testing::Witness witness_;
};

TEST_P(ForJanssonTest, ValuesLiveInTheAllocatorAndGiveAllOfItBack) {
  json_error_t error;
  json_t *value = json_loads(GetParam().text.c_str(), 0, &error);
  ASSERT_NE(value, nullptr) << error.text;
  EXPECT_TRUE(witness_.Owns(value));
  json_decref(value);
  EXPECT_EQ(witness_.live_blocks(), 0U);
  const std::string written = RoundTrip(GetParam().text);
  EXPECT_EQ(RoundTrip(written), written);
  EXPECT_EQ(written.size() >= 2, true);
}

TEST_P(ForJanssonTest, WhereverMemoryEndsTheFunctionsSaySo) {
  const std::size_t runs =
      ca_testing::RefuseEachRequest(witness_, [] { return !RoundTrip(GetParam().text).empty(); });
  EXPECT_GT(runs, 2U);
}

INSTANTIATE_TEST_SUITE_P(Documents, ForJanssonTest, testing::ValuesIn(kDocuments),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(ForJanssonTest, NoAllocatorIsNotChosen) {
  ca_testing::Witness witness;
  ASSERT_TRUE(ca_for_jansson_init(witness.get()));
  EXPECT_FALSE(ca_for_jansson_init(nullptr));
  void *const ptr = ca_for_jansson_malloc(10);
  EXPECT_TRUE(witness.Owns(ptr)) << "the one before stays";
  ca_for_jansson_free(ptr);
}

TEST(ForJanssonTest, AnAllocatorThatForgetsSizesServesToo) {
  std::vector<char> memory(1 << 20);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), CA_SIZES_FORGOTTEN);
  ASSERT_TRUE(ca_for_jansson_init(ca_bump_allocator(&bump)));
  json_set_alloc_funcs(ca_for_jansson_malloc, ca_for_jansson_free);
  EXPECT_EQ(RoundTrip("[1,2,3]"), "[1,2,3]");
  EXPECT_GT(ca_bump_used(&bump), 100U);
  ca_bump_destroy(&bump);
}

}  // namespace
