// Threads that pass blocks and contexts to each other, with every policy, kind and way over a
// budget: nobody sees a byte of another's, and at the end every block, slot and byte is back.
//
//   bazel run -c opt //switchable:stress_test -- --rounds=N --seed=N
//
// Families of contexts wait in cells; whoever takes one out is its owner for a while and does to it
// what a scheduler may do. Blocks wait in other cells, and are resized and freed by whoever takes
// them. Other threads swap contexts in that they don't own, so that an owner is refused now and
// then, and dead handles are tried. What should be true is kept beside, and compared.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "switchable/quarantine.h"
#include "switchable/report.h"
#include "switchable/switchable.h"

extern "C" {
#include "switchable/context_header.h"
#include "switchable/global.h"
}

namespace {

constexpr int kThreads = 8;
constexpr std::size_t kFamilies = 12;
constexpr std::size_t kBlocks = 48;
constexpr std::size_t kMembers = 6;  // In a family.
constexpr std::size_t kQuarantine = 5;
constexpr ca_contexts_settings kContexts = {
    {{1 << 10, 40, 0}, {16 << 10, 40, 8}, {64 << 10, 24, 0}, {1 << 20, 24, 4}}, nullptr};

std::uint64_t g_rounds = 2000;
std::uint64_t g_seed = 1;
std::atomic<std::int64_t> g_global_bytes{0};

#define REQUIRE(condition)                        \
  do {                                            \
    if (!(condition)) Fail(__LINE__, #condition); \
  } while (false)

[[noreturn]] void Fail(int line, const char *what) {
  std::fprintf(stderr, "stress_test.cc:%d: not so: %s (--seed=%llu)\n", line, what,
               static_cast<unsigned long long>(g_seed));
  std::abort();
}

void *Counted(void *ptr) {
  if (ptr != nullptr) g_global_bytes += static_cast<std::int64_t>(malloc_usable_size(ptr));
  return ptr;
}

}  // namespace

// The global allocator, with its bytes counted.
extern "C" {
void *ca_global_malloc(std::size_t size) { return Counted(std::malloc(size)); }
void ca_global_free(void *ptr) {
  g_global_bytes -= static_cast<std::int64_t>(malloc_usable_size(ptr));
  std::free(ptr);
}
void *ca_global_realloc(void *ptr, std::size_t size) {
  const auto before = static_cast<std::int64_t>(malloc_usable_size(ptr));
  void *const resized = std::realloc(ptr, size);
  if (resized != nullptr) g_global_bytes -= before;
  return Counted(resized);
}
void *ca_global_memalign(std::size_t align, std::size_t size) {
  return Counted(memalign(align, size));
}
std::size_t ca_global_usable_size(void *ptr) { return malloc_usable_size(ptr); }
}

namespace {

struct Block;

// What should be true of a context. All but the counts belongs to the family's owner.
struct Member {
  ca_context context{};
  ca_context_settings settings{};
  Member *parent = nullptr;
  std::vector<Block> own;              // Blocks that nobody else has.
  std::atomic<std::uint64_t> made{0};  // Since it was made or reset.
  std::atomic<std::uint64_t> ended{0};
  std::atomic<std::int64_t> away{0};  // Blocks that others have, and may count in the two above.
};

struct Block {
  unsigned char *ptr;
  std::size_t size;
  unsigned char mark;
  Member *member;  // Whose memory it is; NULL: the global allocator's.
};

using Family = std::vector<Member *>;  // Root first.

std::array<std::atomic<Family *>, kFamilies> g_families;
std::array<std::atomic<Block *>, kBlocks> g_blocks;

// Handles for anybody to try. Read one half after the other, hence often of no context at all.
struct Published {
  std::atomic<ca_context_header *> header{nullptr};
  std::atomic<std::uint64_t> generation{0};
};
std::array<Published, 16> g_published;

void Mark(Block *block, unsigned char mark) {
  block->mark = mark;
  std::memset(block->ptr, mark, block->size);
}

bool HoldsMark(const Block &block, std::size_t size) {
  return block.ptr[0] == block.mark && std::memcmp(block.ptr, block.ptr + 1, size - 1) == 0;
}

// The context that a block lies in: that of its owner so far, of one of its ancestors, or none.
Member *OwnerOf(const void *ptr, Member *member) {
  ca_context_header *const slot = ca_context_header_of(ptr);
  if (slot == nullptr) return nullptr;
  const ca_context_header *const header = ca_context_header_owner(slot);
  while (member != nullptr && member->context.header != header) member = member->parent;
  REQUIRE(member != nullptr);
  return member;
}

bool IsIn(const Member *member, const Member *root) {
  while (member != nullptr && member != root) member = member->parent;
  return member != nullptr;
}

// No block of the family is in others' hands: its counts stand still.
bool IsQuiet(const Family &family) {
  return std::all_of(family.begin(), family.end(), [](const Member *one) {
    return one->away.load(std::memory_order_acquire) == 0;
  });
}

// Somebody else holds it, for a moment: he swaps it in, or resizes a block of it.
template <typename Call>
ca_context_result UntilNotHeld(Call call) {
  ca_context_result result;
  while ((result = call()) == CA_CONTEXT_HELD) std::this_thread::yield();
  return result;
}

class Worker {
 public:
  explicit Worker(std::uint64_t number) : random_(g_seed * 1000 + number) {
    // There may be no slot left for it.
    ca_context_settings settings{};
    settings.family_budget = number % 4 == 0 ? SIZE_MAX : 0;
    settings.first = number % 4 == 0 ? 1000 : 0;
    if (number % 2 == 0 && ca_switchable_thread_init(&settings)) {
      heap_ = std::make_unique<Member>();
    }
  }

  void Run() {
    for (std::uint64_t round = 0; round < g_rounds; ++round) {
      Round();
    }
    for (Block &block : loose_) End(&block);
    loose_.clear();
    ca_switchable_thread_release();
  }

  std::uint64_t Made() const { return made_; }
  std::uint64_t Extended() const { return extended_; }

  // The rest is of one thread, after the others.
  void CleanUp() {
    for (auto &cell : g_blocks) {
      std::unique_ptr<Block> block(cell.exchange(nullptr));
      if (block != nullptr) End(block.get());
    }
    for (auto &cell : g_families) {
      const std::unique_ptr<Family> family(cell.exchange(nullptr));
      if (family != nullptr) EndFamily(family.get());
    }
    for (Block &block : loose_) End(&block);
    loose_.clear();
  }

  void EndWaiting(Worker *other) {
    for (const auto &family : other->waiting_) EndFamily(family.get());
    other->waiting_.clear();
  }

  void Bury() {
    const auto kept = std::remove_if(dead_.begin(), dead_.end(), [](Member *one) {
      if (one->away.load(std::memory_order_acquire) != 0) return false;
      delete one;
      return true;
    });
    dead_.erase(kept, dead_.end());
  }
  std::size_t Unburied() const { return dead_.size(); }
  std::unique_ptr<Member> TakeHeap() { return std::move(heap_); }

 private:
  std::size_t Below(std::size_t end) { return random_() % end; }
  bool OneIn(std::size_t count) { return Below(count) == 0; }
  std::size_t Size() {
    if (OneIn(40)) return 5000 + Below(40000);
    return 1 + Below(std::size_t{8} << Below(10));
  }
  unsigned char NewMark() { return static_cast<unsigned char>(random_()); }

  void Round() {
    switch (Below(8)) {
      case 0:
        return TryAHandle();
      case 1:
        return UseOwnHeap();
      case 2:
        for (std::size_t i = Below(8); i > 0; --i) TakeABlock();
        return;
      default:
        break;
    }
    std::unique_ptr<Family> family = TakeAFamily();
    if (family->empty()) AddMember(family.get());
    for (std::size_t i = 1 + Below(4); i > 0 && !family->empty(); --i) Act(family.get());
    if (!family->empty()) PutBack(std::move(family));
    if (loose_.size() > 30) {
      End(&loose_.back());
      loose_.pop_back();
    }
    if (dead_.size() > 100) Bury();
  }

  std::unique_ptr<Family> TakeAFamily() {
    std::unique_ptr<Family> family;
    if (waiting_.empty()) {
      family.reset(g_families[Below(kFamilies)].exchange(nullptr));
    } else {
      family = std::move(waiting_.back());
      waiting_.pop_back();
    }
    return family == nullptr ? std::make_unique<Family>() : std::move(family);
  }

  // Into a cell; what was there before waits for this thread's next rounds.
  void PutBack(std::unique_ptr<Family> family) {
    Member *const one = (*family)[Below(family->size())];
    Published *const published = &g_published[Below(g_published.size())];
    published->header.store(one->context.header, std::memory_order_relaxed);
    published->generation.store(one->context.generation, std::memory_order_relaxed);
    Family *const before = g_families[Below(kFamilies)].exchange(family.release());
    if (before != nullptr) waiting_.emplace_back(before);
  }

  void EndFamily(Family *family) {
    REQUIRE(IsQuiet(*family));
    for (Member *one : *family) {
      Compare(one);
      while (!one->own.empty()) EndOwn(one, one->own.size() - 1);
    }
    for (Member *one : *family) Compare(one);
    REQUIRE(Destroy(family, family->front()));
  }

  // What the owner of a family does.

  void Act(Family *family) {
    Member *const one = (*family)[Below(family->size())];
    switch (Below(10)) {
      case 0:
        if (family->size() < kMembers) AddMember(family);
        return;
      case 1:
        return MoveWithin(family, one);
      case 2:
        return HandOver(family, one);
      case 3:
        if (IsQuiet(*family)) Reset(*family, one);
        return;
      case 4:
        (void)Destroy(family, one);
        return;
      case 5:
        if (IsQuiet(*family)) Compare(one);
        return;
      default:
        return WorkIn(one);
    }
  }

  void AddMember(Family *family) {
    static const std::size_t budgets[] = {3000, 12000, 40000, 300000};
    auto one = std::make_unique<Member>();
    ca_context_settings &settings = one->settings;
    settings.budget = budgets[Below(4)];
    settings.name = "stressed";
    settings.family_budget = OneIn(3) ? SIZE_MAX : 0;
    settings.reserve = OneIn(2) ? settings.budget / 4 : 0;
    settings.kind = static_cast<ca_context_kind>(1 + Below(3));
    settings.first = OneIn(2) ? 0 : settings.budget / 8;
    settings.on_destroy = static_cast<ca_context_policy>(Below(4));
    settings.over_budget = static_cast<ca_over_budget>(Below(3));
    settings.exhausted = GiveOneUp;
    settings.exhausted_argument = one.get();
    if (!family->empty()) {
      one->parent = (*family)[Below(family->size())];
      settings.parent = one->parent->context;
    }
    one->context = ca_context_create(&settings);
    if (ca_context_is_none(one->context)) return;  // No slot is left, or the parent is tried.
    family->push_back(one.release());
  }

  void WorkIn(Member *one) {
    REQUIRE(UntilNotHeld([&] { return ca_context_swap_in(one->context); }) == CA_CONTEXT_DONE);
    REQUIRE(ca_switchable_current() == CA_CURRENT_COROUTINE);
    REQUIRE(ca_context_swap_in(one->context) == CA_CONTEXT_HELD);
    (void)ca_context_use_reserve(OneIn(4) ? CA_RESERVE_OPEN : CA_RESERVE_SHUT);
    for (std::size_t i = 1 + Below(30); i > 0; --i) {
      const std::size_t which = one->own.empty() ? 0 : Below(one->own.size());
      switch (one->own.empty() ? 0 : Below(8)) {
        case 5:
          EndOwn(one, which);
          break;
        case 6:
          Give(TakeOwn(one, which));
          break;
        case 7: {
          Block block = TakeOwn(one, which);
          (void)Resize(&block);
          Keep(block);
          break;
        }
        default:
          Allocate(one);
      }
    }
    if (OneIn(4)) TakeABlock();
    REQUIRE(ca_context_check(one->context));
    REQUIRE(ca_context_swap_out().header == one->context.header);
  }

  // Moves the last one into the gap.
  static Block TakeOwn(Member *one, std::size_t which) {
    const Block block = one->own[which];
    one->own[which] = one->own.back();
    one->own.pop_back();
    block.member->away.fetch_add(1, std::memory_order_relaxed);
    return block;
  }

  void EndOwn(Member *one, std::size_t which) {
    Block block = TakeOwn(one, which);
    End(&block);
  }

  // A block that came from a family which this thread owns.
  void Keep(const Block &block) {
    if (block.member == nullptr) {
      loose_.push_back(block);
      return;
    }
    block.member->own.push_back(block);
    block.member->away.fetch_sub(1, std::memory_order_relaxed);
  }

  void Allocate(Member *one) {
    const std::size_t size = Size();
    const ca_block got = ca_switchable_allocate(size, OneIn(8) ? 64 : 16);
    if (ca_block_is_none(got)) return;
    REQUIRE(got.size >= size);
    Block block = {static_cast<unsigned char *>(got.ptr), size, 0, OwnerOf(got.ptr, one)};
    Mark(&block, NewMark());
    block.member->made.fetch_add(1, std::memory_order_relaxed);
    block.member->own.push_back(block);
    extended_ += ca_context_header_of(got.ptr) != block.member->context.header;
    made_++;
  }

  // By the thread that has the context swapped in.
  static bool GiveOneUp(void *argument, std::size_t) {
    auto *const one = static_cast<Member *>(argument);
    if (one->own.empty()) return false;
    Block block = TakeOwn(one, one->own.size() - 1);
    End(&block);
    return true;
  }

  void MoveWithin(Family *family, Member *one) {
    Member *const parent = OneIn(4) ? nullptr : (*family)[Below(family->size())];
    if (one == family->front() || parent == nullptr || !IsQuiet(*family)) return;
    const ca_context_result expected = IsIn(parent, one) ? CA_CONTEXT_CYCLE : CA_CONTEXT_DONE;
    REQUIRE(UntilNotHeld([&] { return ca_context_set_parent(one->context, parent->context); }) ==
            expected);
    if (expected == CA_CONTEXT_DONE) one->parent = parent;
  }

  void HandOver(Family *from, Member *one) {
    if (one == from->front() || !IsQuiet(*from)) return;
    std::unique_ptr<Family> to = TakeAFamily();  // If that is none, it becomes a root.
    if (to->size() + from->size() <= 2 * kMembers) {
      Member *const parent = to->empty() ? nullptr : to->front();
      const ca_context there = parent == nullptr ? ca_context{} : parent->context;
      REQUIRE(UntilNotHeld([&] { return ca_context_set_parent(one->context, there); }) ==
              CA_CONTEXT_DONE);
      one->parent = parent;
      const auto moving = std::stable_partition(from->begin(), from->end(),
                                                [one](Member *other) { return !IsIn(other, one); });
      // Root first, if it is one.
      std::stable_sort(moving, from->end(),
                       [one](Member *a, Member *b) { return a == one && b != one; });
      to->insert(to->end(), moving, from->end());
      from->erase(moving, from->end());
    }
    PutBack(std::move(to));
  }

  static void Reset(const Family &family, Member *one) {
    REQUIRE(UntilNotHeld([&] { return ca_context_reset(one->context); }) == CA_CONTEXT_DONE);
    for (Member *other : family) {
      if (!IsIn(other, one)) continue;
      other->own.clear();
      other->made.store(0, std::memory_order_relaxed);
      other->ended.store(0, std::memory_order_relaxed);
    }
  }

  // Not asked of some policies while others have blocks. One of our own is enough for a refusal.
  bool Destroy(Family *family, Member *one) {
    const bool quiet = IsQuiet(*family);
    bool has_own = false;
    for (const Member *other : *family) {
      const ca_context_policy policy = other->settings.on_destroy;
      const bool patient = policy == CA_CONTEXT_ORPHAN || policy == CA_CONTEXT_REFUSE;
      if (!quiet && (other->settings.over_budget == CA_OVER_BUDGET_PARENT ||
                     (IsIn(other, one) && !patient))) {
        return false;
      }
      has_own |= IsIn(other, one) && policy == CA_CONTEXT_REFUSE && !other->own.empty();
    }
    const ca_context_result result = UntilNotHeld([&] { return ca_context_destroy(one->context); });
    if (result == CA_CONTEXT_LIVE) {
      REQUIRE(has_own || !quiet);
      return false;
    }
    REQUIRE(result == CA_CONTEXT_DONE && !has_own);
    const auto gone = std::stable_partition(family->begin(), family->end(),
                                            [one](Member *other) { return !IsIn(other, one); });
    for (auto it = gone; it != family->end(); ++it) Mourn(*it);
    family->erase(gone, family->end());
    return true;
  }

  void Mourn(Member *one) {
    gone_[Below(gone_.size())] = one->context;
    if (one->settings.on_destroy == CA_CONTEXT_ORPHAN) {
      while (!one->own.empty()) loose_.push_back(TakeOwn(one, one->own.size() - 1));
    }
    one->own.clear();
    dead_.push_back(one);
  }

  // Requires that its family is quiet.
  static void Compare(Member *one) {
    REQUIRE(UntilNotHeld([&] { return ca_context_swap_in(one->context); }) == CA_CONTEXT_DONE);
    const ca_context_counts counts = ca_context_count(one->context);
    REQUIRE(counts.allocations == one->made.load());
    REQUIRE(counts.deallocations == one->ended.load());
    REQUIRE(counts.allocations - counts.deallocations == one->own.size());
    REQUIRE(counts.taken_in <= counts.deallocations);
    REQUIRE(!one->own.empty() || counts.kind == CA_CONTEXT_BUMP || counts.used == 0);
    REQUIRE(ca_context_check(one->context));
    for (const Block &block : one->own) REQUIRE(HoldsMark(block, block.size));
    ca_context_swap_out();
  }

  // What anybody does.

  static void End(Block *block) {
    REQUIRE(HoldsMark(*block, block->size));
    ca_switchable_deallocate(block->ptr);
    if (block->member == nullptr) return;
    block->member->ended.fetch_add(1, std::memory_order_relaxed);
    block->member->away.fetch_sub(1, std::memory_order_release);
  }

  bool Resize(Block *block) {
    const std::size_t size = Size();
    const ca_block got = ca_switchable_reallocate(block->ptr, size, 16);
    if (ca_block_is_none(got)) {
      REQUIRE(HoldsMark(*block, block->size));
      return false;
    }
    const void *const before = block->ptr;
    block->ptr = static_cast<unsigned char *>(got.ptr);
    REQUIRE(HoldsMark(*block, std::min(size, block->size)));
    block->size = size;
    Mark(block, NewMark());
    if (got.ptr == before) return true;
    made_++;
    Member *const from = block->member;
    if (from == nullptr) return true;
    block->member = OwnerOf(got.ptr, from);
    if (block->member != nullptr) {
      block->member->made.fetch_add(1, std::memory_order_relaxed);
      block->member->away.fetch_add(1, std::memory_order_relaxed);
    }
    from->ended.fetch_add(1, std::memory_order_relaxed);
    from->away.fetch_sub(1, std::memory_order_release);
    return true;
  }

  void Give(const Block &block) {
    std::unique_ptr<Block> taken(g_blocks[Below(kBlocks)].exchange(new Block(block)));
    if (taken != nullptr) Dispose(*taken);
  }

  void TakeABlock() {
    std::unique_ptr<Block> taken(g_blocks[Below(kBlocks)].exchange(nullptr));
    if (taken != nullptr) Dispose(*taken);
  }

  void Dispose(Block block) {
    REQUIRE(HoldsMark(block, block.size));
    if (OneIn(3)) {
      (void)Resize(&block);
      if (OneIn(2)) return Give(block);
    }
    End(&block);
  }

  void UseOwnHeap() {
    if (!ca_switchable_use(CA_CURRENT_THREAD)) return;
    const std::size_t size = Size();
    void *const ptr = ca_switchable_allocate(size, 16).ptr;
    ca_switchable_use(CA_CURRENT_GLOBAL);
    REQUIRE(ptr != nullptr);  // The global allocator serves when the heap is full.
    ca_context_header *const slot = ca_context_header_of(ptr);
    if (slot != nullptr) heap_->context.header = ca_context_header_owner(slot);
    Block block = {static_cast<unsigned char *>(ptr), size, 0, OwnerOf(ptr, heap_.get())};
    Mark(&block, NewMark());
    if (block.member != nullptr) block.member->away.fetch_add(1, std::memory_order_relaxed);
    made_++;
    Give(block);
  }

  // A living handle may be swapped in by anybody, a dead one by nobody.
  void TryAHandle() {
#if defined(__SANITIZE_ADDRESS__)
    return;  // For a moment, the header of a slot that is just given back is poisoned.
#endif
    const Published &one = g_published[Below(g_published.size())];
    const ca_context context = {one.header.load(std::memory_order_relaxed),
                                one.generation.load(std::memory_order_relaxed)};
    if (ca_context_swap_in(context) == CA_CONTEXT_DONE) {
      REQUIRE(ca_context_check(context));
      REQUIRE(ca_context_destroy(context) == CA_CONTEXT_HELD);
      REQUIRE(ca_context_swap_out().header == context.header);
    }
    const ca_context gone = gone_[Below(gone_.size())];
    REQUIRE(ca_context_swap_in(gone) == CA_CONTEXT_GONE);
    REQUIRE(ca_context_reset(gone) == CA_CONTEXT_GONE);
    REQUIRE(ca_context_destroy(gone) == CA_CONTEXT_GONE);
    REQUIRE(ca_context_set_parent(gone, ca_context{}) == CA_CONTEXT_GONE);
  }

  std::mt19937_64 random_;
  std::unique_ptr<Member> heap_;
  std::vector<Block> loose_;    // Of contexts that are gone, or the global allocator's.
  std::vector<Member *> dead_;  // Contexts that are gone, as others may count in them yet.
  std::array<ca_context, 16> gone_{};
  std::vector<std::unique_ptr<Family>> waiting_;  // None is empty.
  std::uint64_t made_ = 0;
  std::uint64_t extended_ = 0;  // Of these, in another slot than their context's first.
};

// All of them, by taking all.
std::size_t FreeSlots(std::size_t budget) {
  std::vector<ca_context> contexts;
  ca_context_settings settings{};
  settings.budget = budget;
  for (;;) {
    const ca_context context = ca_context_create(&settings);
    if (ca_context_is_none(context)) break;
    contexts.push_back(context);
  }
  for (const ca_context context : contexts) ca_context_destroy(context);
  return contexts.size();
}

TEST(StressTest, ThreadsPassBlocksAndContextsAndNothingIsLost) {
  std::printf("--rounds=%llu --seed=%llu\n", static_cast<unsigned long long>(g_rounds),
              static_cast<unsigned long long>(g_seed));
  ASSERT_TRUE(ca_contexts_init(&kContexts));
  ASSERT_TRUE(ca_quarantine_set_capacity(kQuarantine));
  const std::size_t slots[] = {FreeSlots(100), FreeSlots(60 << 10), FreeSlots(900 << 10)};
  ASSERT_EQ(slots[0], 128U);
  std::vector<std::unique_ptr<Worker>> workers(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&workers, i] {
      workers[i] = std::make_unique<Worker>(i);
      workers[i]->Run();
    });
  }
  for (std::thread &thread : threads) thread.join();
  Worker last(kThreads + 1);
  last.CleanUp();
  for (auto &worker : workers) last.EndWaiting(worker.get());
  last.Bury();
  EXPECT_EQ(last.Unburied(), 0U);
  std::uint64_t made = 0;
  std::uint64_t extended = 0;
  for (auto &worker : workers) {
    worker->Bury();
    EXPECT_EQ(worker->Unburied(), 0U);
    const std::unique_ptr<Member> heap = worker->TakeHeap();
    if (heap != nullptr) EXPECT_EQ(heap->away.load(), 0);
    made += worker->Made();
    extended += worker->Extended();
  }
  std::printf("%llu blocks, %llu in extensions\n", static_cast<unsigned long long>(made),
              static_cast<unsigned long long>(extended));
  EXPECT_GT(extended, 0U);
  EXPECT_TRUE(ca_quarantine_set_capacity(0));
  EXPECT_EQ(ca_contexts_count().contexts, 0U);
  EXPECT_EQ(ca_contexts_count().quarantined, 0U);
  EXPECT_EQ(g_global_bytes.load(), 0);
  EXPECT_EQ(FreeSlots(100), slots[0]);
  EXPECT_EQ(FreeSlots(60 << 10), slots[1]);
  EXPECT_EQ(FreeSlots(900 << 10), slots[2]);
}

// As who counts may see a slot in which another context is just being made.
TEST(CountTest, NoBitsAreReadOutsideTheSlot) {
  ca_context_settings settings = {};
  settings.budget = 10000;
  settings.kind = CA_CONTEXT_BIT_SET;
  const ca_context context = ca_context_create(&settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  void *const block = ca_switchable_allocate(1000, 16).ptr;
  ASSERT_NE(ca_switchable_allocate(100, 16).ptr, nullptr);
  ca_switchable_deallocate(block);
  ca_context_swap_out();
  EXPECT_GE(ca_context_count(context).used, 100U);
  EXPECT_LT(ca_context_count(context).used, 1000U);
  ca_free_map *const map = &context.header->local.chosen.bit_set.map;
  const ca_free_map right = *map;
  map->words = reinterpret_cast<std::uint64_t *>(8);
  EXPECT_EQ(ca_context_count(context).used, 0U);
  map->words = right.words;
  map->index.known = context.header->slot_size / sizeof(std::uint64_t);
  EXPECT_EQ(ca_context_count(context).used, 0U);
  *map = right;
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

// Another thread may end it while its bits are counted, and shut the pages that they are in.
TEST(CountTest, NoBitsAreReadThatQuarantineMayShut) {
  ca_context_settings settings = {};
  settings.budget = 10000;
  settings.kind = CA_CONTEXT_BIT_SET;
  settings.on_destroy = CA_CONTEXT_QUARANTINE;
  const ca_context context = ca_context_create(&settings);
  ASSERT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  void *const block = ca_switchable_allocate(1000, 16).ptr;
  ASSERT_NE(ca_switchable_allocate(100, 16).ptr, nullptr);
  ca_switchable_deallocate(block);
  const ca_context_counts exact = ca_context_count(context);
  EXPECT_LT(exact.used, 1000U);
  ca_context_swap_out();
  const ca_context_counts parked = ca_context_count(context);
  EXPECT_EQ(parked.used, exact.peak);
  EXPECT_EQ(parked.peak, exact.peak);
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

}  // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    (void)std::sscanf(argv[i], "--rounds=%lu", &g_rounds);
    (void)std::sscanf(argv[i], "--seed=%lu", &g_seed);
  }
  return RUN_ALL_TESTS();
}
