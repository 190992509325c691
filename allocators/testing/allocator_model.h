// A second, slow and obvious account of what an allocator owes its callers.
//
// Step() does one random operation on the allocator under test and on the model, and returns an
// empty string or the sentence that turned out false. The same model runs from a seed (tests) and
// from a fuzzer's bytes (fuzz targets).
#ifndef CONTEXT_ALLOCATOR_ALLOCATORS_TESTING_ALLOCATOR_MODEL_H_
#define CONTEXT_ALLOCATOR_ALLOCATORS_TESTING_ALLOCATOR_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "allocators/allocator.h"

namespace ca_testing {

struct ModelLimits {
  std::size_t max_size = 2000;   // Most requests are far smaller; a few are larger.
  std::size_t max_align = 4096;  // The largest alignment that the allocator honours.
  std::size_t max_blocks = 300;  // Above that, more frees than allocations.
  bool check_every_step = true;  // Call ops->check and ops->walk after each step.
};

class AllocatorModel {
 public:
  // `next` yields the next 32 random bits.
  AllocatorModel(ca_allocator *under_test, std::function<std::uint32_t()> next,
                 ModelLimits limits = {});

  std::string Step();

  // Ends every block's life; what it finds wrong on the way is returned as by Step().
  std::string FreeAll();

  // Drops the model's account of every block, for use after the allocator's reset.
  void Forget() { live_.clear(); }

  std::size_t live_blocks() const { return live_.size(); }
  std::size_t live_bytes() const;  // As they were handed out.
  std::size_t refusals() const { return refusals_; }

 private:
  struct Live {
    std::size_t asked;
    std::size_t got;
    std::size_t align;
    std::uint8_t stamp;  // Every byte of [0, got) holds this.
  };
  using Blocks = std::map<std::uintptr_t, Live>;

  std::string Operate();
  std::string Allocate();
  std::string Deallocate(Blocks::iterator it);
  std::string Resize(Blocks::iterator it);
  std::string Reallocate(Blocks::iterator it);
  std::string AskTheImpossible();
  std::string Adopt(ca_block block, std::size_t asked, std::size_t align);
  std::string CheckNeighbours(std::uintptr_t at, std::size_t got) const;
  std::string CheckRecord(std::uintptr_t at, const Live &live) const;
  std::string CheckWalk() const;
  static std::string CheckStamp(std::uintptr_t at, const Live &live, std::size_t bytes);
  Blocks::iterator AnyBlock();
  std::size_t AnySizeOf(const Live &live);
  std::size_t AnyRequest();
  std::size_t AnyAlign();

  ca_allocator *const allocator_;
  const std::function<std::uint32_t()> next_;
  const ModelLimits limits_;
  const bool walks_;  // And so does what stands below.
  Blocks live_;
  std::uint8_t last_stamp_ = 0;
  std::size_t refusals_ = 0;
};

// Feeds the bytes of a fuzzer to a model as random bits: byte by byte, so that small changes of
// the input make small changes of the run; zeros once they are used up.
class FuzzBits {
 public:
  FuzzBits(const std::uint8_t *data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ >= size_; }
  std::size_t used() const { return at_; }
  std::uint32_t operator()();

 private:
  const std::uint8_t *data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

// What an allocator has beside its interface, where it has it: called after each quarter of a run.
struct FuzzCalls {
  std::function<void()> reset;        // Forgets every block. Half-way.
  std::function<void()> tidy;         // Changes nothing for blocks' owners. After the other two.
  std::function<std::size_t()> live;  // The bytes in live blocks. Each time.
};

// Runs a model over one fuzzer input and aborts with the false sentence, if any.
void FuzzAllocator(ca_allocator *under_test, const std::uint8_t *data, std::size_t size,
                   ModelLimits limits = {}, const FuzzCalls &calls = {});

}  // namespace ca_testing

#endif  // CONTEXT_ALLOCATOR_ALLOCATORS_TESTING_ALLOCATOR_MODEL_H_
