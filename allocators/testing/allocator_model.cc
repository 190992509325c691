#include "allocators/testing/allocator_model.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

namespace ca_testing {

AllocatorModel::AllocatorModel(ca_allocator *under_test, std::function<std::uint32_t()> next,
                               ModelLimits limits)
    : allocator_(under_test),
      next_(std::move(next)),
      limits_(limits),
      walks_(under_test->ops->walk != nullptr &&
             under_test->ops->walk(
                 under_test, [](void *, ca_block) { return true; }, nullptr)) {}

std::string AllocatorModel::Step() {
  const std::string wrong = Operate();
  if (!wrong.empty()) return wrong;
  if (limits_.check_every_step && allocator_->ops->check != nullptr &&
      !allocator_->ops->check(allocator_)) {
    return "its own invariants do not hold";
  }
  return limits_.check_every_step ? CheckWalk() : "";
}

std::string AllocatorModel::FreeAll() {
  while (!live_.empty()) {
    const std::string wrong = Deallocate(live_.begin());
    if (!wrong.empty()) return wrong;
  }
  return CheckWalk();
}

std::string AllocatorModel::Operate() {
  const std::uint32_t choice = next_() % 16;
  const bool crowded = live_.size() >= limits_.max_blocks;
  if (live_.empty() || (choice < 7 && !crowded)) return Allocate();
  if (choice < 12) return Deallocate(AnyBlock());
  if (choice < 14) return Resize(AnyBlock());
  if (choice < 15) return Reallocate(AnyBlock());
  return AskTheImpossible();
}

std::size_t AllocatorModel::AnyRequest() {
  const std::uint32_t bits = next_();
  const std::size_t most = bits % 64 == 0 ? limits_.max_size * 16 : limits_.max_size;
  // Small sizes as often as large ones: a power of two first, then anything below it.
  std::size_t bound = std::size_t{8} << (next_() % 13);
  if (bound > most) bound = most;
  return 1 + next_() % bound;
}

std::size_t AllocatorModel::AnyAlign() {
  const std::uint32_t bits = next_();
  if (bits % 4 != 0)
    return CA_ALIGN_DEFAULT < limits_.max_align ? CA_ALIGN_DEFAULT : limits_.max_align;
  const std::size_t align = std::size_t{1} << (bits / 4 % 13);
  return align < limits_.max_align ? align : limits_.max_align;
}

std::string AllocatorModel::Allocate() {
  const std::size_t size = AnyRequest();
  const std::size_t align = AnyAlign();
  const ca_block block = ca_allocate(allocator_, size, align);
  if (ca_block_is_none(block)) {
    refusals_++;
    return block.size == 0 ? "" : "a refusal has a size";
  }
  return Adopt(block, size, align);
}

std::string AllocatorModel::AskTheImpossible() {
  const std::size_t size = SIZE_MAX - next_() % 8192;
  if (!ca_block_is_none(ca_allocate(allocator_, size, AnyAlign())))
    return "served a size near SIZE_MAX";
  const auto it = AnyBlock();
  void *ptr = reinterpret_cast<void *>(it->first);
  const ca_move move = next_() % 2 == 0 ? CA_MOVE_NEVER : CA_MOVE_ALLOWED;
  if (!ca_block_is_none(ca_grow(allocator_, ptr, it->second.asked, size, it->second.align, move))) {
    return "grew to a size near SIZE_MAX";
  }
  return CheckStamp(it->first, it->second, it->second.got);
}

std::string AllocatorModel::Adopt(ca_block block, std::size_t asked, std::size_t align) {
  const auto at = reinterpret_cast<std::uintptr_t>(block.ptr);
  if (block.size < asked) return "handed out less than was asked";
  if (!ca_is_aligned(block.ptr, align)) return "is not aligned as asked";
  if (at + block.size < at) return "wraps around the address space";
  const std::string wrong = CheckNeighbours(at, block.size);
  if (!wrong.empty()) return wrong;
  const Live live = {asked, block.size, align, ++last_stamp_};
  std::memset(block.ptr, live.stamp, live.got);  // All of the excess is the caller's too.
  live_.emplace(at, live);
  return CheckRecord(at, live);
}

std::string AllocatorModel::CheckNeighbours(std::uintptr_t at, std::size_t got) const {
  const auto after = live_.lower_bound(at);
  if (after != live_.end() && at + got > after->first) return "overlaps the block after it";
  if (after != live_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second.got > at) return "overlaps the block before it";
  }
  return "";
}

std::string AllocatorModel::CheckRecord(std::uintptr_t at, const Live &live) const {
  const ca_allocator_ops *ops = allocator_->ops;
  const auto *first = reinterpret_cast<const char *>(at);
  if (ops->owns != nullptr &&
      (!ops->owns(allocator_, first) || !ops->owns(allocator_, first + live.got - 1))) {
    return "does not own what it handed out";
  }
  if (ops->usable_size != nullptr) {
    const std::size_t usable = ops->usable_size(allocator_, first);
    if (usable != live.got) return "recorded another size than it handed out";
  }
  return "";
}

std::string AllocatorModel::CheckWalk() const {
  struct Walk {
    const Blocks &live;
    Blocks::const_iterator next;
    std::string wrong;
  };
  if (!walks_) return "";
  Walk walk{live_, live_.begin(), ""};
  const bool whole = allocator_->ops->walk(
      allocator_,
      [](void *argument, ca_block block) {
        auto &self = *static_cast<Walk *>(argument);
        const auto at = reinterpret_cast<std::uintptr_t>(block.ptr);
        if (self.next == self.live.end() || at < self.next->first) {
          self.wrong = "walks over a block that does not live";
        } else if (at > self.next->first) {
          self.wrong = "misses a live block on its walk";
        } else if (block.size < self.next->second.asked || block.size > self.next->second.got) {
          self.wrong = "walks over a block of another size";
        } else {
          ++self.next;
        }
        return self.wrong.empty();
      },
      &walk);
  if (!walk.wrong.empty()) return walk.wrong;
  if (!whole) return "stops its walk";
  return walk.next == live_.end() ? "" : "misses a live block on its walk";
}

std::string AllocatorModel::CheckStamp(std::uintptr_t at, const Live &live, std::size_t bytes) {
  const auto *byte = reinterpret_cast<const std::uint8_t *>(at);
  for (std::size_t i = 0; i < bytes; ++i) {
    if (byte[i] != live.stamp) return "changed a live block's contents";
  }
  return "";
}

AllocatorModel::Blocks::iterator AllocatorModel::AnyBlock() {
  const std::uint32_t bits = next_();
  if (bits % 4 == 0) return std::prev(live_.end());
  if (bits % 4 == 1) return live_.begin();
  // A random address finds a random block: cheaper than walking to the n-th one.
  const std::uintptr_t low = live_.begin()->first;
  const std::uintptr_t span = std::prev(live_.end())->first - low + 1;
  const auto it = live_.lower_bound(low + (std::uintptr_t{bits} * 0x9E3779B97F4A7C15U) % span);
  return it == live_.end() ? live_.begin() : it;
}

std::size_t AllocatorModel::AnySizeOf(const Live &live) {
  return live.asked + next_() % (live.got - live.asked + 1);
}

std::string AllocatorModel::Deallocate(Blocks::iterator it) {
  const std::string wrong = CheckStamp(it->first, it->second, it->second.got);
  if (!wrong.empty()) return wrong;
  void *ptr = reinterpret_cast<void *>(it->first);
  std::size_t told = it->second.got;
  const std::uint32_t way = allocator_->ops->deallocate_unsized == nullptr ? 0 : next_() % 4;
  if (way == 0) {
    ca_deallocate(allocator_, ptr, AnySizeOf(it->second), it->second.align);
  } else if (way == 1) {
    allocator_->ops->deallocate_unsized(allocator_, ptr);
  } else {
    told = ca_deallocate_recorded(allocator_, ptr, way == 2 ? 0 : AnySizeOf(it->second));
  }
  const bool told_right = told == it->second.got;
  live_.erase(it);
  return told_right ? "" : "tells another size of what it took back";
}

std::string AllocatorModel::Resize(Blocks::iterator it) {
  const auto [at, old] = *it;
  void *ptr = reinterpret_cast<void *>(at);
  const std::size_t size = AnySizeOf(old);
  const std::size_t new_size = AnyRequest();
  const ca_move move = next_() % 2 == 0 ? CA_MOVE_NEVER : CA_MOVE_ALLOWED;
  const std::size_t kept = size < new_size ? size : new_size;
  std::string wrong = CheckStamp(at, old, old.got);
  if (!wrong.empty()) return wrong;
  const ca_block block = new_size >= size
                             ? ca_grow(allocator_, ptr, size, new_size, old.align, move)
                             : ca_shrink(allocator_, ptr, size, new_size, old.align, move);
  if (ca_block_is_none(block)) {
    return CheckStamp(at, old, old.got);  // Refused: the block is as it was.
  }
  if (move == CA_MOVE_NEVER && block.ptr != ptr) return "moved although told not to";
  wrong = CheckStamp(reinterpret_cast<std::uintptr_t>(block.ptr), old, kept);
  if (!wrong.empty()) return wrong;
  live_.erase(it);
  return Adopt(block, new_size, old.align);
}

std::string AllocatorModel::Reallocate(Blocks::iterator it) {
  const auto [at, old] = *it;
  const std::size_t size = AnySizeOf(old);
  const std::size_t new_size = AnyRequest();
  const ca_block block =
      ca_reallocate(allocator_, reinterpret_cast<void *>(at), size, new_size, old.align);
  if (ca_block_is_none(block)) {
    refusals_++;
    return CheckStamp(at, old, old.got);
  }
  const std::string wrong = CheckStamp(reinterpret_cast<std::uintptr_t>(block.ptr), old,
                                       size < new_size ? size : new_size);
  if (!wrong.empty()) return wrong;
  live_.erase(it);
  return Adopt(block, new_size, old.align);
}

std::size_t AllocatorModel::live_bytes() const {
  std::size_t bytes = 0;
  for (const auto &[at, live] : live_) bytes += live.got;
  return bytes;
}

std::uint32_t FuzzBits::operator()() {
  std::uint32_t bits = 0;
  // Two bytes a choice reach every size and operation above.
  for (int i = 0; i < 2; ++i) {
    bits = bits << 8 | (at_ < size_ ? data_[at_++] : 0);
  }
  return bits;
}

static std::string EndQuarter(std::size_t quarter, AllocatorModel *model, const FuzzCalls &calls) {
  if (calls.live && calls.live() != model->live_bytes()) return "counts other bytes than live";
  if (quarter != 2) {
    if (calls.tidy) calls.tidy();
  } else if (calls.reset) {
    calls.reset();
    model->Forget();
  }
  if (calls.live && calls.live() != model->live_bytes()) return "counts other bytes than live now";
  return "";
}

void FuzzAllocator(ca_allocator *under_test, const std::uint8_t *data, std::size_t size,
                   ModelLimits limits, const FuzzCalls &calls) {
  FuzzBits bits(data, size);
  AllocatorModel model(
      under_test, [&bits] { return bits(); }, limits);
  std::string wrong;
  std::size_t quarter = 1;
  while (wrong.empty() && !bits.empty()) {
    wrong = model.Step();
    for (; wrong.empty() && quarter <= 3 && bits.used() * 4 >= quarter * size; ++quarter) {
      wrong = EndQuarter(quarter, &model, calls);
    }
  }
  if (wrong.empty()) wrong = model.FreeAll();
  if (!wrong.empty()) {
    std::fprintf(stderr, "%s: %s\n", under_test->ops->name, wrong.c_str());
    std::abort();
  }
}

}  // namespace ca_testing
