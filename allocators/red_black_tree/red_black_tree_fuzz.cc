// Inserts, erases and replaces as the fuzzer's bytes say, beside a std::set; then damages words of
// the nodes and expects check to return. Nodes fill a page between two that nobody may touch.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>

#include "allocators/red_black_tree/red_black_tree.h"

namespace {

constexpr std::uint32_t kNodes = 255;  // Numbers from 1 on.
constexpr std::uint32_t kOwner = 0xABCD;

void Require(bool holds, const char *sentence) {
  if (holds) return;
  std::fprintf(stderr, "red_black_tree: %s\n", sentence);
  std::abort();
}

// Where node 0 would stand, which there is not: node 1 is the page's first.
ca_red_black_node *Nodes() {
  static ca_red_black_node *const nodes = [] {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    auto *const bytes =
        static_cast<char *>(mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    Require(bytes != MAP_FAILED, "no memory");
    Require(mprotect(bytes + page, page, PROT_READ | PROT_WRITE) == 0, "no memory");
    return reinterpret_cast<ca_red_black_node *>(bytes + page - sizeof(ca_red_black_node));
  }();
  return nodes;
}

class Run {
 public:
  Run() {
    ca_unpoison(Nodes() + 1, kNodes * sizeof(ca_red_black_node));
    std::memset(Nodes() + 1, 0xEE, kNodes * sizeof(ca_red_black_node));
    for (std::uint32_t number = 1; number <= kNodes; ++number) Nodes()[number].owner = kOwner;
  }

  void Change(std::uint32_t number) {
    if (number == 0) {
      ReplaceLowest();
    } else if (model_.count(number) == 0) {
      ca_red_black_insert(&tree_, Nodes(), number);
      model_.insert(number);
    } else {
      ca_red_black_erase(&tree_, Nodes(), number);
      model_.erase(number);
    }
    // What is wrong in a long run is wrong in a short one, too, which a fuzzer finds.
    if (++changes_ < 32 || changes_ % 32 == 0) Compare();
  }

  // Any word of any node, whether it is in the tree or not. Such a tree may be right by chance.
  void Damage(std::uint32_t number, std::uint32_t word, std::uint32_t value) {
    ca_red_black_node *const node = &Nodes()[number];
    ca_unpoison_defined(node, sizeof *node);
    std::uint32_t *const fields[] = {&node->left, &node->right, &node->parent};
    *fields[word % 3] = value;
    Check();
  }

 private:
  // By its neighbour above where that is free: nothing lies between.
  void ReplaceLowest() {
    if (model_.empty()) return;
    const std::uint32_t lowest = *model_.begin();
    if (lowest == kNodes || model_.count(lowest + 1) != 0) return;
    ca_red_black_replace(&tree_, Nodes(), lowest, lowest + 1);
    model_.erase(lowest);
    model_.insert(lowest + 1);
  }

  bool Check() {
    const auto count = [](void *context, std::uint32_t) {
      ++*static_cast<std::size_t *>(context);
      return true;
    };
    visited_ = 0;
    const bool holds = ca_red_black_check(&tree_, Nodes(), 1, kNodes + 1, count, &visited_);
    Require(visited_ <= kNodes, "check visits more nodes than there are");
    return holds;
  }

  void Compare() {
    Require(Check(), "its invariant does not hold");
    Require(visited_ == model_.size(), "check visits other nodes than it holds");
    Require((tree_.root == 0) == model_.empty(), "is empty while it is not, or the reverse");
    if (model_.empty()) return;
    std::uint32_t at = tree_.leftmost;
    for (const std::uint32_t number : model_) {
      Require(at == number, "its order is not that of the numbers");
      ca_unpoison_defined(&Nodes()[at], sizeof(ca_red_black_node));
      Require(Nodes()[at].owner == kOwner, "the owner's word has changed");
      at = ca_red_black_next(Nodes(), at);
    }
    Require(at == 0, "goes on behind the highest");
    Require(ca_red_black_is_only(&tree_, Nodes(), *model_.rbegin()) == (model_.size() == 1),
            "the only one or not");
  }

  ca_red_black_tree tree_ = {};
  std::set<std::uint32_t> model_;
  std::size_t visited_ = 0;
  std::size_t changes_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Run run;
  const std::size_t changes = size - size / 4;
  for (std::size_t i = 0; i < changes; ++i) run.Change(data[i]);
  for (std::size_t i = changes; i + 2 < size; i += 3) {
    if (data[i] == 0) continue;
    // Small values are nodes' numbers and links up to them; the others lie far outside.
    const std::uint32_t value =
        data[i + 1] < 0xF0 ? data[i + 1] * (1U + data[i + 2] / 3 % 2) : 0xFFFFFF00U + data[i + 2];
    run.Damage(data[i], data[i + 2], value);
  }
  return 0;
}
