#include "adaptors/for_sqlite/for_sqlite.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <climits>
#include <string>
#include <vector>

#include "adaptors/testing/witness.h"
#include "allocators/bump/bump.h"

namespace {

struct Query {
  const char *name;
  const char *text;
  const char *answer;  // The last value of the last row.
};

const Query kQueries[] = {
    {"Arithmetic", "select 6 * 7", "42"},
    {"Recursion",
     "with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) "
     "select sum(i) from n",
     "125250"},
    {"Table",
     "create table t(a integer primary key, b text);"
     "insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 60) "
     "select i, 'text' || i from n;"
     "create index ib on t(b); delete from t where a % 3 = 0; select count(*) from t where b > 't'",
     "40"},
    {"Strings", "select length(group_concat(hex(zeroblob(100)))) from (values (1), (2), (3))",
     "602"},
};

int Remember(void *answer, int columns, char **values, char **) {
  const char *const value = values[columns - 1];
  *static_cast<std::string *>(answer) = value == nullptr ? "null" : value;
  return 0;
}

// The library's whole life: sets it up, asks in a database in memory, and shuts it down.
int Ask(const sqlite3_mem_methods &methods, const char *text, std::string *answer) {
  EXPECT_EQ(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
  sqlite3 *database = nullptr;
  int status = sqlite3_initialize();
  if (status == SQLITE_OK) status = sqlite3_open(":memory:", &database);
  if (status == SQLITE_OK) status = sqlite3_exec(database, text, Remember, answer, nullptr);
  EXPECT_EQ(sqlite3_close(database), SQLITE_OK);
  EXPECT_EQ(sqlite3_memory_used(), 0);
  EXPECT_EQ(sqlite3_shutdown(), SQLITE_OK);
  return status;
}

class ForSqliteTest : public testing::TestWithParam<Query> {
 protected:
  ca_testing::Witness witness_;
  const sqlite3_mem_methods methods_ = CA_FOR_SQLITE_METHODS(witness_.get());
};

TEST_P(ForSqliteTest, DatabasesLiveInTheAllocatorAndGiveAllOfItBack) {
  std::string answer;
  ASSERT_EQ(Ask(methods_, GetParam().text, &answer), SQLITE_OK);
  EXPECT_EQ(answer, GetParam().answer);
  EXPECT_GT(witness_.requests, 20U);
}

TEST_P(ForSqliteTest, WhereverMemoryEndsTheStatementFails) {
  const std::size_t runs = ca_testing::RefuseEachRequest(witness_, [this] {
    std::string answer;
    const int status = Ask(methods_, GetParam().text, &answer);
    EXPECT_TRUE(status == SQLITE_OK || status == SQLITE_NOMEM) << status;
    if (status == SQLITE_OK) EXPECT_EQ(answer, GetParam().answer);
    return status == SQLITE_OK;
  });
  EXPECT_GT(runs, 20U);
}

INSTANTIATE_TEST_SUITE_P(Queries, ForSqliteTest, testing::ValuesIn(kQueries),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(ForSqliteTest, CountsTheBytesOfTheAllocator) {
  ca_testing::Witness witness;
  const sqlite3_mem_methods methods = CA_FOR_SQLITE_METHODS(witness.get());
  ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
  ASSERT_EQ(sqlite3_initialize(), SQLITE_OK);
  void *const block = sqlite3_malloc(100);
  EXPECT_TRUE(witness.Owns(block));
  EXPECT_EQ(sqlite3_msize(block), 104U);
  EXPECT_EQ(sqlite3_memory_used(), static_cast<sqlite3_int64>(witness.live_bytes()));
  sqlite3_free(block);
  sqlite3_shutdown();
}

class ForSqliteRegionTest : public testing::TestWithParam<ca_sizes> {};

TEST_P(ForSqliteRegionTest, ADatabaseInARegionGoesWithIt) {
  std::vector<char> memory(8 << 20);
  ca_bump bump;
  ca_bump_init_range(&bump, ca_block_make(memory.data(), memory.size()), GetParam());
  const sqlite3_mem_methods methods = CA_FOR_SQLITE_METHODS(ca_bump_allocator(&bump));
  for (int round = 0; round < 3; ++round) {
    std::string answer;
    ASSERT_EQ(Ask(methods, kQueries[2].text, &answer), SQLITE_OK);
    EXPECT_EQ(answer, "40");
    ca_bump_reset(&bump);
  }
  ca_bump_destroy(&bump);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ForSqliteRegionTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

TEST(ForSqliteTest, NoAllocatorIsMisuse) {
  const sqlite3_mem_methods methods = CA_FOR_SQLITE_METHODS(nullptr);
  ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
  EXPECT_EQ(sqlite3_initialize(), SQLITE_MISUSE);
  sqlite3_shutdown();
}

TEST(ForSqliteTest, SizesAreRoundedToEightAndNeverWrap) {
  EXPECT_EQ(ca_for_sqlite_roundup(1), 8);
  EXPECT_EQ(ca_for_sqlite_roundup(8), 8);
  EXPECT_EQ(ca_for_sqlite_roundup(9), 16);
  EXPECT_EQ(ca_for_sqlite_roundup(INT_MAX - 7), INT_MAX - 7);
  EXPECT_EQ(ca_for_sqlite_roundup(INT_MAX - 6), INT_MAX);
  EXPECT_EQ(ca_for_sqlite_roundup(INT_MAX), INT_MAX);
}

TEST(ForSqliteTest, RefusesWhatIsNoSize) {
  ca_testing::Witness witness;
  ASSERT_EQ(ca_for_sqlite_init(witness.get()), SQLITE_OK);
  EXPECT_EQ(ca_for_sqlite_malloc(-1), nullptr);
  void *const block = ca_for_sqlite_malloc(10);
  EXPECT_EQ(ca_for_sqlite_size(block), 10);
  EXPECT_EQ(ca_for_sqlite_size(nullptr), 0);
  EXPECT_EQ(ca_for_sqlite_realloc(block, -1), nullptr);
  EXPECT_TRUE(witness.Owns(block));
  ca_for_sqlite_free(block);
  ca_for_sqlite_shutdown(witness.get());
}

}  // namespace
