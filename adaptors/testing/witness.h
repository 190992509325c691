// An allocator for the tests of library hooks: records sizes, knows every live block, refuses when
// told to, and reports a free of what it did not hand out.
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_TESTING_WITNESS_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_TESTING_WITNESS_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "allocators/allocator.h"

namespace ca_testing {

// Thread-safe, as some libraries call from threads of their own.
class Witness {
 public:
  Witness() : handle_{{&kOps}, this} {}
  Witness(const Witness &) = delete;
  ~Witness() { EXPECT_EQ(live_blocks(), 0U) << "leaked"; }

  ca_allocator *get() { return &handle_.base; }

  std::size_t live_blocks() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_.size();
  }
  std::size_t live_bytes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::size_t sum = 0;
    for (const auto &[ptr, size] : live_) sum += size;
    return sum;
  }
  bool Owns(const void *ptr) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_.count(const_cast<void *>(ptr)) != 0;
  }

  std::size_t requests = 0;            // Allocations and moves so far, refused ones too.
  std::size_t refuse_from = SIZE_MAX;  // This one and, up to refuse_count, later ones are refused.
  std::size_t refuse_count = SIZE_MAX;
  std::size_t refusals = 0;

 private:
  struct Handle {
    ca_allocator base;  // First.
    Witness *self;
  };

  static Witness *From(const ca_allocator *base) {
    return reinterpret_cast<const Handle *>(base)->self;
  }

  static ca_block Allocate(ca_allocator *base, std::size_t size, std::size_t align) {
    Witness *const self = From(base);
    const std::lock_guard<std::mutex> lock(self->mutex_);
    const std::size_t number = self->requests++;
    const bool refuse =
        number >= self->refuse_from && number - self->refuse_from < self->refuse_count;
    if (refuse || size > PTRDIFF_MAX - align) {
      self->refusals++;
      return ca_block_none();
    }
    void *const ptr = std::aligned_alloc(align, ca_round_up(size, align));
    std::memset(ptr, 0xA5, size);  // Nobody may count on zeros.
    self->live_[ptr] = size;
    return ca_block_make(ptr, size);
  }

  static void DeallocateUnsized(ca_allocator *base, void *ptr) {
    Witness *const self = From(base);
    const std::lock_guard<std::mutex> lock(self->mutex_);
    ASSERT_EQ(self->live_.erase(ptr), 1U) << "free of what it did not hand out";
    std::free(ptr);
  }

  static void Deallocate(ca_allocator *base, void *ptr, std::size_t size, std::size_t) {
    EXPECT_EQ(UsableSize(base, ptr), size) << "deallocate with another size";
    DeallocateUnsized(base, ptr);
  }

  // Every resize moves: what a library or an adaptor gets wrong with it shows.
  static ca_block Grow(ca_allocator *base, void *ptr, std::size_t size, std::size_t new_size,
                       std::size_t, ca_move) {
    EXPECT_EQ(UsableSize(base, ptr), size) << "grow with another size";
    return new_size == size ? ca_block_make(ptr, size) : ca_block_none();
  }

  static std::size_t UsableSize(const ca_allocator *base, const void *ptr) {
    Witness *const self = From(base);
    const std::lock_guard<std::mutex> lock(self->mutex_);
    const auto it = self->live_.find(const_cast<void *>(ptr));
    if (it != self->live_.end()) return it->second;
    ADD_FAILURE() << "not a live block";
    return 1;
  }

  static constexpr ca_allocator_ops kOps = {
      Allocate, Deallocate, Grow, Grow, UsableSize, DeallocateUnsized, nullptr, nullptr, "witness"};

  Handle handle_;
  std::mutex mutex_;
  std::map<void *, std::size_t> live_;
};

// Runs `workload` with the first request refused and all after it, then from the second on, and so
// forth until it gets through untouched; after each run nothing may be live but `lasting` blocks.
// The workload returns whether it succeeded, and may not when a request was refused only if the
// library can do without. Returns the number of runs.
template <typename Workload>
std::size_t RefuseFromEachRequestOn(Witness &witness, Workload workload) {
  const std::size_t lasting = witness.live_blocks();
  for (std::size_t n = 0;; ++n) {
    witness.requests = 0;
    witness.refusals = 0;
    witness.refuse_from = n;
    const bool succeeded = workload();
    EXPECT_EQ(witness.live_blocks(), lasting) << "refused from request " << n << " on";
    if (witness.refusals == 0) {
      EXPECT_TRUE(succeeded);
      witness.refuse_from = SIZE_MAX;
      return n;
    }
    if (testing::Test::HasFailure()) return n;
  }
}

// The same with each request refused alone, and then also all after it.
template <typename Workload>
std::size_t RefuseEachRequest(Witness &witness, Workload workload) {
  witness.refuse_count = 1;
  RefuseFromEachRequestOn(witness, workload);
  witness.refuse_count = SIZE_MAX;
  return testing::Test::HasFailure() ? 0 : RefuseFromEachRequestOn(witness, workload);
}

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_ADAPTORS_TESTING_WITNESS_H_
