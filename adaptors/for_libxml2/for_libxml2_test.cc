#include "adaptors/for_libxml2/for_libxml2.h"

#include <gtest/gtest.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlmemory.h>
#include <libxml/xpath.h>

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>

#include "adaptors/testing/witness.h"

namespace {

struct Document {
  const char *name;
  std::string text;
  const char *query;
  const char *answer;
};

// Else its bytes would be printed, and some were never set.
void PrintTo(const Document &document, std::ostream *to) { *to << document.name; }

std::string Items() {
  std::string text = "<list>";
  for (int i = 0; i < 200; ++i) text += "<item n='" + std::to_string(i) + "'>x</item>";
  return text + "</list>";
}

const Document kDocuments[] = {
    {"Empty", "<a/>", "count(/*)", "1"},
    {"Items", Items(), "count(//item[@n > 99])", "100"},
    {"Text", "<a>" + std::string(20000, 't') + "</a>", "string-length(/a)", "20000"},
    {"Namespaces", "<p:a xmlns:p='urn:p'><p:b/></p:a>", "count(//*[local-name() = 'b'])", "1"},
};

// The answer to the query, or an empty string: it failed.
std::string Ask(const Document &document) {
  std::string answer;
  xmlDocPtr tree = xmlReadMemory(document.text.data(), static_cast<int>(document.text.size()),
                                 nullptr, nullptr, XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  if (tree == nullptr) return answer;
  xmlXPathContextPtr context = xmlXPathNewContext(tree);
  if (context != nullptr) {
    const auto *query = reinterpret_cast<const xmlChar *>(document.query);
    xmlXPathObjectPtr object = xmlXPathEvalExpression(query, context);
    if (object != nullptr) {
      xmlChar *text = xmlXPathCastToString(object);
      if (text != nullptr) answer = reinterpret_cast<char *>(text);
      xmlFree(text);
      xmlXPathFreeObject(object);
    }
    xmlXPathFreeContext(context);
  }
  xmlFreeDoc(tree);
  return answer;
}

void Ignore(void *, const char *, ...) {}

class ForLibxml2Test : public testing::TestWithParam<Document> {
 protected:
  // Each test is a whole life of the library.
  ForLibxml2Test() {
    EXPECT_TRUE(ca_for_libxml2_init(witness_.get()));
    EXPECT_EQ(xmlMemSetup(ca_for_libxml2_free, ca_for_libxml2_malloc, ca_for_libxml2_realloc,
                          ca_for_libxml2_strdup),
              0);
    xmlInitParser();
  }
  ~ForLibxml2Test() override {
    xmlCleanupParser();
    EXPECT_EQ(witness_.live_blocks(), 0U);
  }
  ca_testing::Witness witness_;
};

TEST_P(ForLibxml2Test, DocumentsLiveInTheAllocatorAndGiveAllOfItBack) {
  const std::size_t lasting = witness_.live_blocks();
  xmlDocPtr tree =
      xmlReadDoc(reinterpret_cast<const xmlChar *>(GetParam().text.c_str()), nullptr, nullptr, 0);
  EXPECT_TRUE(witness_.Owns(tree));
  xmlFreeDoc(tree);
  EXPECT_EQ(Ask(GetParam()), GetParam().answer);
  EXPECT_LE(witness_.live_blocks(), lasting + 2) << "the last error, and that of the thread";
}

TEST_P(ForLibxml2Test, StringsOfTheLibraryAreTheAllocators) {
  xmlChar *const copy = xmlStrdup(reinterpret_cast<const xmlChar *>("text"));
  EXPECT_TRUE(witness_.Owns(copy));
  xmlFree(copy);
  char *const string = xmlMemStrdup("text");
  EXPECT_TRUE(witness_.Owns(string));
  EXPECT_STREQ(string, "text");
  xmlFree(string);
}

// Of all requests at once only: refused in the middle, libxml2 2.9 itself loses a block here and
// there, whatever allocates.
TEST_P(ForLibxml2Test, WithoutMemoryThereIsNoAnswer) {
  xmlSetGenericErrorFunc(nullptr, Ignore);
  const std::size_t before = witness_.live_blocks();
  witness_.refuse_from = 0;
  EXPECT_EQ(Ask(GetParam()), "");
  EXPECT_EQ(xmlStrdup(reinterpret_cast<const xmlChar *>("text")), nullptr);
  EXPECT_EQ(ca_for_libxml2_strdup("text"), nullptr);
  EXPECT_GE(witness_.refusals, 3U);
  EXPECT_EQ(witness_.live_blocks(), before);
  witness_.refuse_from = SIZE_MAX;
  EXPECT_EQ(Ask(GetParam()), GetParam().answer);
  xmlSetGenericErrorFunc(nullptr, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Documents, ForLibxml2Test, testing::ValuesIn(kDocuments),
                         [](const auto &info) { return std::string(info.param.name); });

// By the functions alone, for the same reason.
TEST(ForLibxml2Test, EachRequestRefusedInTurnLosesNothing) {
  ca_testing::Witness witness;
  ASSERT_TRUE(ca_for_libxml2_init(witness.get()));
  const std::size_t runs = ca_testing::RefuseEachRequest(witness, [] {
    void *const block = ca_for_libxml2_malloc(100);
    char *const copy = ca_for_libxml2_strdup("text");
    void *const moved = ca_for_libxml2_realloc(block, 200);
    const bool all = block != nullptr && copy != nullptr && moved != nullptr;
    ca_for_libxml2_free(moved != nullptr ? moved : block);
    ca_for_libxml2_free(copy);
    return all;
  });
  EXPECT_EQ(runs, 3U);
}

TEST(ForLibxml2Test, NoAllocatorIsNotChosen) {
  ca_testing::Witness witness;
  ASSERT_TRUE(ca_for_libxml2_init(witness.get()));
  EXPECT_FALSE(ca_for_libxml2_init(nullptr));
  void *const ptr = ca_for_libxml2_malloc(10);
  EXPECT_TRUE(witness.Owns(ptr)) << "the one before stays";
  ca_for_libxml2_free(ptr);
}

}  // namespace
