#include "allocators/red_black_tree/red_black_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "base/poison.h"

namespace {

class Tree {
 public:
  explicit Tree(std::uint32_t indices) : nodes_(indices) {}
  Tree(const Tree &other) : tree_(other.tree_), expected_(other.expected_), nodes_(other.end()) {
    for (std::uint32_t at = 0; at < end(); ++at) {
      nodes_[at] = other.Load(at);
    }
  }
  Tree &operator=(const Tree &) = delete;
  ~Tree() { ca_unpoison(nodes_.data(), nodes_.size() * sizeof nodes_[0]); }

  void Insert(std::uint32_t index) {
    ca_red_black_tree_insert(&tree_, nodes_.data(), index);
    expected_.insert(index);
  }
  void Erase(std::uint32_t index) {
    ca_red_black_tree_erase(&tree_, nodes_.data(), index);
    expected_.erase(index);
  }
  bool Check() const {
    std::size_t count = 0;
    return ca_red_black_tree_check(&tree_, nodes_.data(), 1, end(), &count) &&
           count == expected_.size();
  }
  // Derives the properties anew, without the code under test.
  bool IsRight() const {
    if (tree_.root != 0 && (Load(tree_.root).parent != 0 || IsRed(tree_.root))) return false;
    std::vector<std::uint32_t> met;
    if (BlackHeight(tree_.root, &met) < 0) return false;
    return std::equal(met.begin(), met.end(), expected_.begin(), expected_.end()) &&
           tree_.leftmost == (met.empty() ? 0 : met.front());
  }
  bool WalkIsRight() const {
    std::uint32_t at = tree_.leftmost;
    for (const std::uint32_t index : expected_) {
      if (at != index) return false;
      at = ca_red_black_tree_next(nodes_.data(), at);
    }
    return at == 0;
  }
  std::uint32_t end() const { return static_cast<std::uint32_t>(nodes_.size()); }

  ca_red_black_node Load(std::uint32_t index) const {
    ca_unpoison_defined(&nodes_[index], sizeof nodes_[0]);
    return nodes_[index];
  }
  ca_red_black_node &At(std::uint32_t index) {
    ca_unpoison_defined(&nodes_[index], sizeof nodes_[0]);
    return nodes_[index];
  }
  bool IsRed(std::uint32_t index) const { return index != 0 && (Load(index).bits & 1) != 0; }

  ca_red_black_tree tree_ = {};
  std::set<std::uint32_t> expected_;

 private:
  int BlackHeight(std::uint32_t index, std::vector<std::uint32_t> *met) const {
    if (index == 0) return 1;
    const ca_red_black_node node = Load(index);
    const int left = BlackHeight(node.child[0], met);
    met->push_back(index);
    const int right = BlackHeight(node.child[1], met);
    for (const std::uint32_t child : node.child) {
      if (child != 0 && Load(child).parent != index) return -1;
      if (IsRed(index) && IsRed(child)) return -1;
    }
    return left < 0 || left != right ? -1 : left + (IsRed(index) ? 0 : 1);
  }

  std::vector<ca_red_black_node> nodes_;
};

// What an operation does depends only on the tree as it stands. So from each tree of up to 8 keys
// that can be reached, do every operation that is possible, and go on from each new tree: that
// covers every order of inserting and erasing them, mixed in every way.
TEST(RedBlackTreeTest, EveryOrderOfInsertingAndErasingUpToEightKeys) {
  constexpr std::uint32_t kKeys = 8;
  std::set<std::vector<std::uint32_t>> met = {std::vector<std::uint32_t>(kKeys)};
  std::vector<Tree> open = {Tree(kKeys + 1)};
  std::size_t steps = 0;
  while (!open.empty()) {
    const Tree tree = open.back();
    open.pop_back();
    for (std::uint32_t key = 1; key <= kKeys; ++key) {
      Tree next = tree;
      if (next.expected_.count(key) != 0) {
        next.Erase(key);
      } else {
        next.Insert(key);
      }
      steps++;
      ASSERT_TRUE(next.IsRight()) << key;
      ASSERT_TRUE(next.Check()) << key;
      std::vector<std::uint32_t> shape;
      for (std::uint32_t at = 1; at <= kKeys; ++at) {
        const bool in = next.expected_.count(at) != 0;
        shape.push_back(in ? 1 + next.Load(at).parent * 2 + next.IsRed(at) : 0);
      }
      if (met.insert(shape).second) open.push_back(next);
    }
  }
  EXPECT_GT(met.size(), 256U) << "each subset of the keys has at least one tree";
  EXPECT_EQ(steps, met.size() * kKeys);
}

TEST(RedBlackTreeTest, RandomStepsKeepTheProperties) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    Tree tree(300);
    for (int step = 0; step < 1500; ++step) {
      const std::uint32_t key = 1 + random() % 299;
      if (tree.expected_.count(key) != 0) {
        tree.Erase(key);
      } else {
        tree.Insert(key);
      }
      ASSERT_TRUE(tree.IsRight()) << "seed " << seed << " step " << step;
      ASSERT_TRUE(tree.Check());
      if (step % 50 == 0) ASSERT_TRUE(tree.WalkIsRight());
    }
  }
}

TEST(RedBlackTreeTest, LeavesTheOwnersBits) {
  Tree tree(64);
  for (std::uint32_t key = 1; key < 64; ++key) {
    tree.At(key).bits = key << 1;
    tree.Insert(key);
  }
  for (std::uint32_t key = 2; key < 64; key += 2) {
    tree.Erase(key);
  }
  for (std::uint32_t key = 1; key < 64; ++key) {
    EXPECT_EQ(tree.Load(key).bits >> 1, key);
  }
}

class RedBlackTreeCheckTest : public testing::Test {
 protected:
  RedBlackTreeCheckTest() : tree_(32) {
    for (std::uint32_t key = 1; key < 32; ++key) {
      tree_.Insert(key);
    }
    EXPECT_TRUE(tree_.Check());
  }
  Tree tree_;
};

TEST_F(RedBlackTreeCheckTest, FindsEachDamagedLinkAndFollowsNone) {
  for (std::uint32_t key = 1; key < 32; ++key) {
    const ca_red_black_node right = tree_.Load(key);
    for (const std::uint32_t wrong : {std::uint32_t{0}, key, 32U, 1000000U, UINT32_MAX, 7U}) {
      for (int field = 0; field < 3; ++field) {
        std::uint32_t &link = field < 2 ? tree_.At(key).child[field] : tree_.At(key).parent;
        const std::uint32_t was = link;
        if (wrong == was) continue;
        link = wrong;
        EXPECT_FALSE(tree_.Check()) << key << " field " << field << " to " << wrong;
        tree_.At(key) = right;
      }
    }
    tree_.At(key).bits ^= 1;
    EXPECT_FALSE(tree_.Check()) << "colour of " << key;
    tree_.At(key) = right;
  }
  EXPECT_TRUE(tree_.Check());
}

TEST_F(RedBlackTreeCheckTest, FindsAWrongRootOrLeftmost) {
  const ca_red_black_tree right = tree_.tree_;
  for (const std::uint32_t wrong : {0U, 5U, 32U, UINT32_MAX}) {
    tree_.tree_.leftmost = wrong;
    EXPECT_FALSE(tree_.Check());
    tree_.tree_ = right;
    tree_.tree_.root = wrong;
    EXPECT_FALSE(tree_.Check());
    tree_.tree_ = right;
  }
  std::size_t count = 0;
  EXPECT_FALSE(ca_red_black_tree_check(&tree_.tree_, &tree_.At(0), 2, 32, &count));
  EXPECT_FALSE(ca_red_black_tree_check(&tree_.tree_, &tree_.At(0), 1, 31, &count));
  EXPECT_FALSE(ca_red_black_tree_check(&tree_.tree_, &tree_.At(0), 0, 32, &count));
}

}  // namespace
