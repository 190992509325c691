// An inner allocator whose blocks fit many sizes: rounds every size up to a multiple of 64, in
// cells of 4 KiB with one block in each, and records sizes or not.
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ROUNDING_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ROUNDING_H_

#include <gtest/gtest.h>

#include <cstddef>

#include "allocators/allocator.h"

namespace ca_testing {

class Rounding {
 public:
  static constexpr std::size_t kCell = 4096;
  static constexpr std::size_t kCells = 64;

  explicit Rounding(bool recorded) { base_.ops = recorded ? &kRecording : &kForgetting; }
  ca_allocator *get() { return &base_; }
  static std::size_t RoundUp(std::size_t size) { return (size + 63) / 64 * 64; }

  // Of all live blocks, rounded.
  std::size_t live_bytes() const {
    std::size_t bytes = 0;
    for (const std::size_t size : size_) bytes += size;
    return bytes;
  }

  void KeepTails() { keeps_tails_ = true; }  // Shrinking gives nothing back from now on.

 private:
  static Rounding *From(ca_allocator *base) { return reinterpret_cast<Rounding *>(base); }
  static const Rounding *From(const ca_allocator *base) {
    return reinterpret_cast<const Rounding *>(base);
  }
  std::size_t IndexOf(const void *ptr) const {
    return static_cast<std::size_t>(static_cast<const char *>(ptr) - cells_[0]) / kCell;
  }

  static ca_block Resize(ca_allocator *base, void *ptr, std::size_t size, std::size_t new_size,
                         std::size_t, ca_move) {
    Rounding *self = From(base);
    if (new_size > kCell) return ca_block_none();
    std::size_t *recorded = &self->size_[self->IndexOf(ptr)];
    if (new_size > size || !self->keeps_tails_) *recorded = RoundUp(new_size);
    return ca_block_make(ptr, *recorded);
  }
  static ca_block Allocate(ca_allocator *base, std::size_t size, std::size_t align) {
    Rounding *self = From(base);
    for (std::size_t i = 0; i < kCells && size <= kCell && align <= 64; ++i) {
      if (self->size_[i] != 0) continue;
      return Resize(base, self->cells_[i], 0, size, align, CA_MOVE_NEVER);
    }
    return ca_block_none();
  }
  static std::size_t UsableSize(const ca_allocator *base, const void *ptr) {
    return From(base)->size_[From(base)->IndexOf(ptr)];
  }
  static void DeallocateUnsized(ca_allocator *base, void *ptr) {
    From(base)->size_[From(base)->IndexOf(ptr)] = 0;
  }
  static void Deallocate(ca_allocator *base, void *ptr, std::size_t size, std::size_t) {
    EXPECT_LE(size, UsableSize(base, ptr)) << "does not fit";
    DeallocateUnsized(base, ptr);
  }

  static constexpr ca_allocator_ops kForgetting = {
      Allocate, Deallocate, Resize, Resize, nullptr, nullptr, nullptr, nullptr, "rounding"};
  static constexpr ca_allocator_ops kRecording = {Allocate, Deallocate, Resize,
                                                  Resize,   UsableSize, DeallocateUnsized,
                                                  nullptr,  nullptr,    "rounding, sizes recorded"};

  ca_allocator base_;  // First.
  bool keeps_tails_ = false;
  std::size_t size_[kCells] = {};
  alignas(64) char cells_[kCells][kCell];
};

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TESTING_ROUNDING_H_
