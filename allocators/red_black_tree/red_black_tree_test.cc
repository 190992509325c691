#include "allocators/red_black_tree/red_black_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <vector>

namespace {

// A tree beside a std::set. Its properties are derived again here, by recursion over a copy of the
// nodes, independently of ca_red_black_check().
class RedBlackTreeTest : public testing::Test {
 protected:
  RedBlackTreeTest() : nodes_(kNodes) {
    for (auto &node : nodes_) node.owner = 0xABCD;
  }
  ~RedBlackTreeTest() override { ca_unpoison(nodes_.data(), nodes_.size() * sizeof nodes_[0]); }

  void Insert(std::uint32_t number) {
    ca_red_black_insert(&tree_, nodes_.data(), number);
    model_.insert(number);
  }
  void Erase(std::uint32_t number) {
    ca_red_black_erase(&tree_, nodes_.data(), number);
    model_.erase(number);
  }
  bool Check() { return ca_red_black_check(&tree_, nodes_.data(), 1, kNodes, nullptr, nullptr); }
  ca_red_black_node &At(std::uint32_t number) {
    ca_unpoison_defined(&nodes_[number], sizeof nodes_[number]);
    return nodes_[number];
  }

  // Appends the numbers below `at` in order; returns the black height, or -1 if a property fails.
  int Derive(std::uint32_t at, std::uint32_t parent, bool parent_red, int depth,
             std::vector<std::uint32_t> *order) {
    deepest_ = std::max(deepest_, depth);
    if (at == 0) return 0;
    const ca_red_black_node node = At(at);
    const bool red = (node.parent & 1) != 0;
    if (node.parent >> 1 != parent || (red && parent_red) || node.owner != 0xABCD) return -1;
    const int left = Derive(node.left, at, red, depth + 1, order);
    order->push_back(at);
    const int right = Derive(node.right, at, red, depth + 1, order);
    if (left < 0 || left != right) return -1;
    return left + (red ? 0 : 1);
  }

  void ExpectProperties() {
    std::vector<std::uint32_t> order;
    deepest_ = 0;
    // A red root counts as the child of a red node.
    ASSERT_GE(Derive(tree_.root, 0, true, 0, &order), 0);
    ASSERT_TRUE(std::equal(order.begin(), order.end(), model_.begin(), model_.end()));
    if (!model_.empty()) ASSERT_EQ(tree_.leftmost, *model_.begin());
    for (const std::uint32_t number : model_) {
      ASSERT_EQ(ca_red_black_is_only(&tree_, nodes_.data(), number), model_.size() == 1);
    }
    ASSERT_LE(deepest_, 2 * std::log2(static_cast<double>(model_.size() + 1)));
    ASSERT_TRUE(Check());
  }

  void ExpectWalk() {
    std::vector<std::uint32_t> walked;
    if (tree_.root != 0) {
      for (std::uint32_t at = tree_.leftmost; at != 0; at = ca_red_black_next(nodes_.data(), at)) {
        walked.push_back(at);
      }
    }
    ASSERT_TRUE(std::equal(walked.begin(), walked.end(), model_.begin(), model_.end()));
  }

  static constexpr std::uint32_t kNodes = 2048;
  std::vector<ca_red_black_node> nodes_;
  ca_red_black_tree tree_ = {};
  std::set<std::uint32_t> model_;
  int deepest_ = 0;
};

// Every order of inserting and erasing up to eight keys, interleaved in every way and of any
// length: from each tree that is met for the first time, each operation that is possible, until no
// new tree turns up. Trees are told apart by all their words, so that none of the orders is left
// out.
class EveryTree : public RedBlackTreeTest {
 protected:
  static constexpr std::uint32_t kKeys = 8;
  using Words = std::vector<std::uint32_t>;

  Words Save() {
    Words words = {tree_.root, tree_.root == 0 ? 0 : tree_.leftmost};
    for (std::uint32_t at = 1; at <= kKeys; ++at) {
      const ca_red_black_node node = At(at);
      const bool in = model_.count(at) != 0;
      for (const std::uint32_t word : {node.left, node.right, node.parent}) {
        words.push_back(in ? word : UINT32_MAX);
      }
    }
    return words;
  }

  void Restore(const Words &words) {
    tree_ = {words[0], words[1]};
    model_.clear();
    for (std::uint32_t at = 1; at <= kKeys; ++at) {
      At(at) = {words[3 * at - 1], words[3 * at], words[3 * at + 1], 0xABCD};
      if (words[3 * at - 1] != UINT32_MAX) model_.insert(at);
    }
  }
};

TEST_F(EveryTree, OfUpToEightKeysKeepsItsPropertiesInEveryOrderOfOperations) {
  std::set<Words> met = {Save()};
  std::vector<Words> open(met.begin(), met.end());
  while (!open.empty()) {
    const Words from = open.back();
    open.pop_back();
    for (std::uint32_t key = 1; key <= kKeys; ++key) {
      Restore(from);
      model_.count(key) != 0 ? Erase(key) : Insert(key);
      ASSERT_NO_FATAL_FAILURE(ExpectProperties());
      ASSERT_NO_FATAL_FAILURE(ExpectWalk());
      const Words to = Save();
      if (met.insert(to).second) open.push_back(to);
    }
  }
  // Of n nodes there are 1, 1, 2, 2, 4, 8, 16, 33, 56 coloured trees, thus 1673 over all choices of
  // keys; all but a few are reached.
  EXPECT_GT(met.size(), 1600U);
  EXPECT_LE(met.size(), 1673U);
}

TEST_F(RedBlackTreeTest, RandomInsertionsErasuresAndReplacements) {
  std::mt19937 random(1);
  for (int step = 0; step < 20000; ++step) {
    const std::uint32_t number = 1 + static_cast<std::uint32_t>(random() % (kNodes - 1));
    const bool grows = step % 8000 < 4000;
    if (model_.count(number) == 0) {
      const auto above = model_.upper_bound(number);
      if (above != model_.end() && random() % 4 == 0) {
        const std::uint32_t from = *above;  // Nothing between the two.
        ca_red_black_replace(&tree_, nodes_.data(), from, number);
        model_.erase(from);
        model_.insert(number);
      } else if (grows || random() % 4 == 0) {
        Insert(number);
      }
    } else if (!grows || random() % 4 == 0) {
      Erase(number);
    }
    if (step % 50 == 0) {
      ASSERT_NO_FATAL_FAILURE(ExpectProperties());
      ASSERT_NO_FATAL_FAILURE(ExpectWalk());
    } else if (step % 5 == 0) {
      ASSERT_TRUE(Check());
    }
  }
}

TEST_F(RedBlackTreeTest, AscendingAndDescendingOrdersStayShallow) {
  for (std::uint32_t i = 1; i < 1024; ++i) Insert(i);
  ASSERT_NO_FATAL_FAILURE(ExpectProperties());
  for (std::uint32_t i = 1; i < 1024; ++i) Erase(i);
  ASSERT_NO_FATAL_FAILURE(ExpectProperties());
  for (std::uint32_t i = 1023; i > 0; --i) Insert(i);
  ASSERT_NO_FATAL_FAILURE(ExpectProperties());
}

TEST_F(RedBlackTreeTest, InsertFirstForgetsWhatTheTreeHeld) {
  tree_ = {12345678, 9};
  ca_red_black_insert_first(&tree_, nodes_.data(), 7);
  model_.insert(7);
  ExpectProperties();
}

TEST_F(RedBlackTreeTest, CheckAsksTheOwnerAboutEachNodeInOrder) {
  for (const std::uint32_t number : {5, 3, 9}) Insert(number);
  std::vector<std::uint32_t> asked;
  const auto hold = [](void *context, std::uint32_t number) {
    static_cast<std::vector<std::uint32_t> *>(context)->push_back(number);
    return number != 9;
  };
  EXPECT_FALSE(ca_red_black_check(&tree_, nodes_.data(), 1, kNodes, hold, &asked));
  EXPECT_EQ(asked, (std::vector<std::uint32_t>{3, 5, 9}));
  EXPECT_FALSE(ca_red_black_check(&tree_, nodes_.data(), 4, kNodes, nullptr, nullptr));
  EXPECT_FALSE(ca_red_black_check(&tree_, nodes_.data(), 1, 9, nullptr, nullptr));
  EXPECT_TRUE(ca_red_black_check(&tree_, nodes_.data(), 3, 10, nullptr, nullptr));
}

TEST_F(RedBlackTreeTest, CheckFindsANodeOnTheWrongSideOfItsGrandparent) {
  for (const std::uint32_t number : {10, 5, 15, 7}) Insert(number);
  ASSERT_TRUE(Check());
  ASSERT_EQ(At(5).right, 7U);
  At(12) = At(7);
  At(5).right = 12;  // Above 5, as it must be, but above 10 too.
  EXPECT_FALSE(Check());
}

// Each link of each node, set to each of a few values that differ from the right one: none of
// these is a red-black tree with the same leftmost, and none may be followed out of the nodes.
TEST_F(RedBlackTreeTest, CheckFindsEachDamagedLinkWithoutFollowingIt) {
  std::mt19937 random(2);
  while (model_.size() < 100) {
    const std::uint32_t number = 1 + static_cast<std::uint32_t>(random() % (kNodes - 1));
    if (model_.count(number) == 0) Insert(number);
  }
  const std::set<std::uint32_t> numbers = model_;
  for (const std::uint32_t number : numbers) {
    for (int link = 0; link < 3; ++link) {
      ca_red_black_node &node = At(number);
      std::uint32_t &damaged = link == 0 ? node.left : link == 1 ? node.right : node.parent;
      const std::uint32_t right = damaged;
      for (const std::uint32_t wrong : {UINT32_MAX, kNodes, number, number << 1, *numbers.begin(),
                                        *numbers.rbegin(), right ^ 1U, right ^ 2U, 0U}) {
        At(number);
        if (wrong == right) continue;
        // A tree without one of its red leaves is a tree.
        if (wrong == 0 && link < 2 && (At(right).parent & 1) != 0) continue;
        damaged = wrong;
        EXPECT_FALSE(Check()) << number << ", link " << link << ": " << wrong;
        At(number);
        damaged = right;
      }
    }
  }
  EXPECT_TRUE(Check());
  tree_.leftmost = *std::next(numbers.begin());
  EXPECT_FALSE(Check());
}

}  // namespace
