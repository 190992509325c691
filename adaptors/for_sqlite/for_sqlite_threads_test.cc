// Which allocators will do for several threads; seen under --config=tsan.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <thread>
#include <vector>

#include "adaptors/for_sqlite/for_sqlite.h"
#include "adaptors/locked/locked.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

namespace {

void FillADatabase() {
  sqlite3 *database = nullptr;
  EXPECT_EQ(sqlite3_open(":memory:", &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database,
                         "create table t(a integer primary key, b text);"
                         "insert into t with recursive n(i) as (select 1 union all select i + 1 "
                         "from n where i < 100) select i, 'text' || i from n;"
                         "create index ib on t(b); select group_concat(b) from t",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_EQ(sqlite3_close(database), SQLITE_OK);
}

void FillOnThreads(ca_allocator *allocator) {
  const sqlite3_mem_methods methods = CA_FOR_SQLITE_METHODS(allocator);
  ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
  ASSERT_EQ(sqlite3_initialize(), SQLITE_OK);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(FillADatabase);
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(sqlite3_memory_used(), 0);
  EXPECT_EQ(sqlite3_shutdown(), SQLITE_OK);
}

class ForSqliteThreadsTest : public testing::TestWithParam<ca_sizes> {};

TEST_P(ForSqliteThreadsTest, ALockIsNeededWhereSizesAreRecorded) {
  std::vector<char> memory(8 << 20);
  ca_multiple_binary_search_tree trees;
  ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory.data(), memory.size()),
                                            GetParam());
  ca_allocator *const inner = ca_multiple_binary_search_tree_allocator(&trees);
  ca_locked locked;
  ca_locked_init(&locked, inner);
  FillOnThreads(GetParam() == CA_SIZES_RECORDED ? ca_locked_allocator(&locked) : inner);
  EXPECT_TRUE(inner->ops->check(inner));
  ca_locked_destroy(&locked);
  ca_multiple_binary_search_tree_destroy(&trees);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ForSqliteThreadsTest,
                         testing::Values(CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED));

}  // namespace
