#include "adaptors/for_expat/for_expat.h"

#include <expat.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "adaptors/testing/witness.h"
#include "allocators/bump/bump.h"

namespace {

const XML_Memory_Handling_Suite kSuite = CA_FOR_EXPAT_SUITE;

struct Document {
  const char *name;
  std::string text;
  int elements;
};

// Else its bytes would be printed, and some were never set.
void PrintTo(const Document &document, std::ostream *to) { *to << document.name; }

const Document kDocuments[] = {
    {"Flat", "<a/>", 1},
    {"Deep",
     [] {
       std::string text;
       for (int i = 0; i < 50; ++i) text += "<e" + std::to_string(i) + ">";
       for (int i = 49; i >= 0; --i) text += "</e" + std::to_string(i) + ">";
       return text;
     }(),
     50},
    {"ManyAttributes",
     [] {
       std::string text = "<a";
       for (int i = 0; i < 60; ++i) text += " b" + std::to_string(i) + "='c&amp;'";
       return text + "/>";
     }(),
     1},
    {"Entities", "<!DOCTYPE a [<!ENTITY e '<b/><b/>'>]><a>&e;&e;</a>", 5},
    {"LongNames", "<" + std::string(3000, 'n') + "/>", 1},
};

void CountElement(void *count, const XML_Char *, const XML_Char **) {
  ++*static_cast<int *>(count);
}

// Parses in pieces of 16 bytes, so that buffers grow; returns what went wrong.
XML_Error Parse(const std::string &text, int *elements) {
  XML_Parser parser = XML_ParserCreate_MM(nullptr, &kSuite, nullptr);
  if (parser == nullptr) return XML_ERROR_NO_MEMORY;
  *elements = 0;
  XML_SetUserData(parser, elements);
  XML_SetElementHandler(parser, CountElement, nullptr);
  XML_Status status = XML_STATUS_OK;
  for (std::size_t at = 0; at < text.size() && status == XML_STATUS_OK; at += 16) {
    const std::string piece = text.substr(at, 16);
    status =
        XML_Parse(parser, piece.data(), static_cast<int>(piece.size()), at + 16 >= text.size());
  }
  const XML_Error error = status == XML_STATUS_OK ? XML_ERROR_NONE : XML_GetErrorCode(parser);
  XML_ParserFree(parser);
  return error;
}

class ForExpatTest : public testing::TestWithParam<Document> {};

TEST_P(ForExpatTest, ParsersLiveInTheAllocatorAndGiveAllOfItBack) {
  ca_testing::Witness witness;
  ASSERT_TRUE(ca_for_expat_init(witness.get()));
  int elements = 0;
  EXPECT_EQ(Parse(GetParam().text, &elements), XML_ERROR_NONE);
  EXPECT_EQ(elements, GetParam().elements);
  EXPECT_GT(witness.requests, 5U);
}

TEST_P(ForExpatTest, WhereverMemoryEndsTheParserReportsIt) {
  ca_testing::Witness witness;
  ASSERT_TRUE(ca_for_expat_init(witness.get()));
  const std::size_t runs = ca_testing::RefuseEachRequest(witness, [] {
    int elements = 0;
    const XML_Error error = Parse(GetParam().text, &elements);
    EXPECT_TRUE(error == XML_ERROR_NONE || error == XML_ERROR_NO_MEMORY) << error;
    return error == XML_ERROR_NONE;
  });
  EXPECT_GT(runs, 5U);
}

INSTANTIATE_TEST_SUITE_P(Documents, ForExpatTest, testing::ValuesIn(kDocuments),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(ForExpatTest, NoAllocatorIsNotChosen) {
  ca_testing::Witness witness;
  ASSERT_TRUE(ca_for_expat_init(witness.get()));
  EXPECT_FALSE(ca_for_expat_init(nullptr));
  void *const ptr = ca_for_expat_malloc(10);
  EXPECT_TRUE(witness.Owns(ptr)) << "the one before stays";
  ca_for_expat_free(ptr);
}

TEST(ForExpatTest, AnAllocatorThatForgetsSizesServesToo) {
  std::vector<char> memory(1 << 20);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), CA_SIZES_FORGOTTEN);
  ASSERT_TRUE(ca_for_expat_init(ca_bump_allocator(&bump)));
  int elements = 0;
  EXPECT_EQ(Parse(kDocuments[1].text, &elements), XML_ERROR_NONE);
  EXPECT_EQ(elements, 50);
  EXPECT_GT(ca_bump_used(&bump), 100U);
  ca_bump_destroy(&bump);
}

}  // namespace
