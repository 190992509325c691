// Trees of contexts with budgets, in random order: by one thread against a model that adds everything up
// anew after each step, so that what is refused is exactly what would pass a budget; and by two threads
// at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "switchable/quarantine.h"
#include "switchable/report.h"
#include "switchable/switchable.h"

namespace {

struct Family {
  std::size_t budget;
  std::shared_ptr<Family> above;
};
using FamilyPointer = std::shared_ptr<Family>;

struct Node {
  ca_context context;
  ca_context_policy policy;
  std::size_t budget;
  FamilyPointer own;
  std::shared_ptr<Node> parent;
  std::vector<void *> blocks;
};
using NodePointer = std::shared_ptr<Node>;

struct Orphan {
  std::size_t budget;
  FamilyPointer family;
  std::vector<void *> blocks;
};

class Model {
 public:
  Model(unsigned seed, FamilyPointer thread) : random_(seed), thread_(std::move(thread)) {}

  void Step() {
    switch (Below(8)) {
      case 0:
      case 1:
      case 2:
        return Create();
      case 3:
      case 4:
        return SetParent();
      case 5:
        return Destroy();
      case 6:
        return Allocate();
      default:
        return FreeOfAnOrphan();
    }
  }

  void Compare() {
    const std::map<Family *, std::size_t> sums = Sums();
    for (const NodePointer &one : nodes_) {
      ASSERT_TRUE(ca_context_check(one->context));
      const ca_context_counts counts = ca_context_count(one->context);
      ASSERT_EQ(counts.family_budget, one->own == nullptr ? 0 : one->own->budget);
      ASSERT_EQ(counts.family_used, one->own == nullptr ? 0 : sums.at(one->own.get()));
    }
  }

  void EndAll() {
    while (!nodes_.empty()) DestroyFrom(nodes_.front());
    while (!orphans_.empty()) FreeOfAnOrphan();
  }

  std::size_t refused() const { return refused_; }

 private:
  std::size_t Below(std::size_t limit) { return random_() % limit; }
  NodePointer Any() { return nodes_.empty() ? nullptr : nodes_[Below(nodes_.size())]; }

  static bool IsIn(const Node *node, const Node *root) {
    while (node != nullptr && node != root) node = node->parent.get();
    return node != nullptr;
  }

  FamilyPointer Above(const Node &node) const {
    return node.parent == nullptr ? thread_ : Of(*node.parent);
  }
  FamilyPointer Of(const Node &node) const { return node.own != nullptr ? node.own : Above(node); }

  // What counts in each family, and whether all are within their budgets.
  std::map<Family *, std::size_t> Sums() const {
    std::map<Family *, std::size_t> sums;
    for (const NodePointer &one : nodes_) {
      if (one->own != nullptr) one->own->above = Above(*one);
    }
    const auto count = [&sums](const FamilyPointer &family, std::size_t bytes) {
      for (Family *one = family.get(); one != nullptr; one = one->above.get()) sums[one] += bytes;
    };
    for (const NodePointer &one : nodes_) count(Of(*one), one->budget);
    for (const Orphan &one : orphans_) count(one.family, one.budget);
    return sums;
  }
  bool AllAreWithin() const {
    const std::map<Family *, std::size_t> sums = Sums();
    return std::all_of(sums.begin(), sums.end(),
                       [](const auto &one) { return one.second <= one.first->budget; });
  }

  void Create() {
    if (nodes_.size() > 40) return;
    const auto node = std::make_shared<Node>();
    ca_context_settings settings{};
    settings.budget = node->budget = 200 + Below(3000);
    static const std::size_t families[] = {0, 0, 2000, 8000, 30000, SIZE_MAX};
    settings.family_budget = families[Below(6)];
    if (settings.family_budget != 0) {
      node->own = std::make_shared<Family>(Family{settings.family_budget, nullptr});
    }
    static const ca_context_policy policies[] = {CA_CONTEXT_RELEASE, CA_CONTEXT_ORPHAN,
                                                 CA_CONTEXT_ORPHAN, CA_CONTEXT_QUARANTINE};
    settings.on_destroy = node->policy = policies[Below(4)];
    node->parent = Below(5) == 0 ? nullptr : Any();
    if (node->parent != nullptr) settings.parent = node->parent->context;
    nodes_.push_back(node);
    node->context = ca_context_create(&settings);
    Agree(!ca_context_is_none(node->context));
    if (ca_context_is_none(node->context)) nodes_.pop_back();
  }

  // After a change that was made in the model.
  void Agree(bool done) {
    EXPECT_EQ(done, AllAreWithin());
    refused_ += !done;
  }

  void SetParent() {
    const NodePointer node = Any();
    const NodePointer to = Below(5) == 0 ? nullptr : Any();
    if (node == nullptr) return;
    const ca_context_result result =
        ca_context_set_parent(node->context, to == nullptr ? ca_context{} : to->context);
    if (IsIn(to.get(), node.get())) {
      EXPECT_EQ(result, CA_CONTEXT_CYCLE);
      return;
    }
    const NodePointer before = node->parent;
    node->parent = to;
    EXPECT_TRUE(result == CA_CONTEXT_DONE || result == CA_CONTEXT_OVER_BUDGET);
    Agree(result == CA_CONTEXT_DONE);
    if (result != CA_CONTEXT_DONE) node->parent = before;
  }

  void Destroy() {
    const NodePointer node = Any();
    if (node != nullptr) DestroyFrom(node);
  }

  void DestroyFrom(const NodePointer root) {
    (void)Sums();  // Families that end remember what is above them.
    ASSERT_EQ(ca_context_destroy(root->context), CA_CONTEXT_DONE);
    for (const NodePointer &one : nodes_) {
      if (!IsIn(one.get(), root.get())) continue;
      if (one->policy == CA_CONTEXT_ORPHAN && !one->blocks.empty()) {
        orphans_.push_back({one->budget, Of(*one), one->blocks});
      }
    }
    nodes_.erase(
        std::remove_if(nodes_.begin(), nodes_.end(),
                       [&](const NodePointer &one) { return IsIn(one.get(), root.get()); }),
        nodes_.end());
  }

  void Allocate() {
    const NodePointer node = Any();
    if (node == nullptr) return;
    ASSERT_EQ(ca_context_swap_in(node->context), CA_CONTEXT_DONE);
    void *const block = ca_switchable_allocate(16, 16).ptr;
    ca_context_swap_out();
    if (block != nullptr) node->blocks.push_back(block);
  }

  void FreeOfAnOrphan() {
    if (orphans_.empty()) return;
    const std::size_t which = Below(orphans_.size());
    ca_switchable_deallocate(orphans_[which].blocks.back());
    orphans_[which].blocks.pop_back();
    if (orphans_[which].blocks.empty()) orphans_.erase(orphans_.begin() + static_cast<long>(which));
  }

  std::minstd_rand random_;
  FamilyPointer thread_;
  std::vector<NodePointer> nodes_;
  std::vector<Orphan> orphans_;
  std::size_t refused_ = 0;
};

void RunModel(unsigned seed) {
  SCOPED_TRACE(seed);
  ca_context_settings heap{};
  heap.budget = 20000;
  heap.family_budget = 60000;
  ASSERT_TRUE(ca_switchable_thread_init(&heap));
  Model model(seed, std::make_shared<Family>(Family{40000, nullptr}));
  for (int step = 0; step < 1500; ++step) {
    ASSERT_NO_FATAL_FAILURE(model.Step());
    ASSERT_NO_FATAL_FAILURE(model.Compare());
    ASSERT_FALSE(testing::Test::HasFailure()) << "step " << step;
  }
  if (seed % 2 == 0) ca_switchable_thread_release();
  model.EndAll();
  EXPECT_GT(model.refused(), 50U);
}

TEST(FamilyBudgetRandomTest, InRandomOrderRefusesExactlyWhatWouldPassABudget) {
  ASSERT_TRUE(ca_quarantine_set_capacity(5));
  for (unsigned seed = 1; seed <= 12 && !HasFailure(); ++seed) std::thread(RunModel, seed).join();
  EXPECT_TRUE(ca_quarantine_set_capacity(0));
  const ca_contexts_counts counts = ca_contexts_count();
  EXPECT_EQ(counts.contexts, 0U);
  for (const ca_class_counts &one : counts.classes) EXPECT_EQ(one.out, 0U);
}

ca_context Make(std::size_t budget, std::size_t family_budget = 0, ca_context parent = {},
                ca_context_policy on_destroy = CA_CONTEXT_RELEASE) {
  ca_context_settings settings{};
  settings.budget = budget;
  settings.family_budget = family_budget;
  settings.parent = parent;
  settings.on_destroy = on_destroy;
  return ca_context_create(&settings);
}

// Each thread makes and ends families within a parent of its own and within one that both use, and hands
// them over; its parent is handed over by the other one meanwhile. All together ask for more than they may
// take.
class Crowd {
 public:
  static constexpr std::size_t kBudget = 10000;
  static constexpr std::size_t kShared = 4000;

  Crowd()
      : root(Make(500, kBudget)),
        shared(Make(500, kShared, root)),
        parents{Make(500, 0, root), Make(500, 8000, root)} {}

  void Work(unsigned which) {
    std::minstd_rand random(which + 1);
    std::vector<Child> children;
    for (int step = 0; step < 20000; ++step) {
      const unsigned what = random() % 8;
      const auto target = [&] { return random() % 2 == 0 ? shared : parents[which]; };
      if (what < 4 || children.empty()) {
        const auto policy = random() % 2 == 0 ? CA_CONTEXT_ORPHAN : CA_CONTEXT_RELEASE;
        const ca_context parent = what == 1 && !children.empty() ? children.back().first : target();
        const ca_context child = Make(100 + random() % 900, what == 0 ? 2000 : 0, parent, policy);
        if (!ca_context_is_none(child)) children.emplace_back(child, policy);
      } else if (what == 4) {
        Move(children[random() % children.size()].first, target());
      } else if (what == 5) {
        Move(parents[1 - which], random() % 2 == 0 ? shared : root);
      } else {
        End(children.back());
        children.pop_back();
      }
      ASSERT_LE(ca_context_count(root).family_used, kBudget);
      ASSERT_LE(ca_context_count(shared).family_used, kShared);
    }
    for (; !children.empty(); children.pop_back()) End(children.back());
  }

  const ca_context root;
  const ca_context shared;
  const ca_context parents[2];

 private:
  using Child = std::pair<ca_context, ca_context_policy>;

  static void Move(ca_context context, ca_context parent) {
    const ca_context_result result = ca_context_set_parent(context, parent);
    EXPECT_TRUE(result == CA_CONTEXT_DONE || result == CA_CONTEXT_OVER_BUDGET ||
                result == CA_CONTEXT_HELD);
  }
  static void End(const Child &child) {
    void *block = nullptr;
    if (child.second == CA_CONTEXT_ORPHAN) {
      ASSERT_EQ(ca_context_swap_in(child.first), CA_CONTEXT_DONE);
      block = ca_switchable_allocate(10, 16).ptr;
      ca_context_swap_out();
    }
    EXPECT_EQ(ca_context_destroy(child.first), CA_CONTEXT_DONE);
    if (block != nullptr) ca_switchable_deallocate(block);
  }
};

TEST(FamilyBudgetRandomTest, TwoThreadsNeverPassIt) {
  Crowd crowd;
  std::thread first(&Crowd::Work, &crowd, 0);
  std::thread second(&Crowd::Work, &crowd, 1);
  first.join();
  second.join();
  EXPECT_GT(ca_context_count(crowd.shared).family_refusals, 10U);
  EXPECT_GT(ca_context_count(crowd.root).family_refusals, 10U);
  for (const ca_context one : crowd.parents) {
    EXPECT_EQ(ca_context_set_parent(one, crowd.root), CA_CONTEXT_DONE);
  }
  EXPECT_EQ(ca_context_count(crowd.shared).family_used, 500U);
  EXPECT_EQ(ca_context_count(crowd.parents[1]).family_used, 500U);
  EXPECT_EQ(ca_context_count(crowd.root).family_used, 2000U);
  EXPECT_EQ(ca_context_destroy(crowd.root), CA_CONTEXT_DONE);
}

}  // namespace
