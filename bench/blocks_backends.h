// The back-ends of //bench:blocks: each hands out blocks of one size.
//
// To add one: a struct with a constructor (block size, how many blocks it must hold at once),
// Allocate(), Free() and kName, and a line in ForEachBackend().
#ifndef CONTEXT_ALLOCATOR_BENCH_BLOCKS_BACKENDS_H_
#define CONTEXT_ALLOCATOR_BENCH_BLOCKS_BACKENDS_H_

#include <sys/mman.h>

#include <boost/pool/pool.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory_resource>
#include <vector>

#include "allocators/bit_set/bit_set.h"

namespace ca_bench {

// Address space, zeroed on demand, so that untouched blocks cost nothing.
class Mapping {
 public:
  explicit Mapping(std::size_t size) : size_(size) {
    ptr_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (ptr_ == MAP_FAILED) std::abort();
  }
  ~Mapping() { munmap(ptr_, size_); }
  Mapping(const Mapping &) = delete;
  Mapping &operator=(const Mapping &) = delete;
  ca_block block() const { return ca_block_make(ptr_, size_); }
  char *begin() const { return static_cast<char *>(ptr_); }

 private:
  void *ptr_;
  std::size_t size_;
};

struct BitSet {
  static constexpr const char *kName = "bit_set";
  BitSet(std::size_t block_size, std::size_t count, ca_sizes sizes = CA_SIZES_FORGOTTEN)
      : size(block_size), memory(block_size * count + count + 65536) {
    if (!ca_bit_set_init_range(&set, memory.block(), block_size, sizes)) std::abort();
  }
  ~BitSet() { ca_bit_set_destroy(&set); }
  void *Allocate() { return ca_bit_set_allocate(&set, size, 16).ptr; }
  void Free(void *ptr) { ca_bit_set_deallocate(&set, ptr, size); }
  std::size_t size;
  Mapping memory;
  ca_bit_set set;
};

struct BitSetThroughTable : BitSet {
  static constexpr const char *kName = "bit_set_through_table";
  BitSetThroughTable(std::size_t block_size, std::size_t count) : BitSet(block_size, count) {}
  void *Allocate() { return ca_allocate(&set.base, size, 16).ptr; }
  void Free(void *ptr) { ca_deallocate(&set.base, ptr, size, 16); }
};

struct BitSetRecording : BitSet {
  static constexpr const char *kName = "bit_set_recording";
  BitSetRecording(std::size_t block_size, std::size_t count)
      : BitSet(block_size, count, CA_SIZES_RECORDED) {}
};

// The yardstick: a plain bit set with one summary level, as one would write it for a single size.
struct PlainBitSet {
  static constexpr const char *kName = "plain_bit_set";
  PlainBitSet(std::size_t block_size, std::size_t count)
      : memory(block_size * (count + 4096)),
        shift(ca_log2_floor(block_size)),
        words((count + 4095) / 4096 * 64, ~std::uint64_t{0}),
        summary(words.size() / 64, ~std::uint64_t{0}) {}
  void *Allocate() {
    while (summary[hint] == 0) {
      if (++hint == summary.size()) hint = 0;
    }
    const std::size_t word = hint * 64 + ca_bits_lowest(summary[hint]);
    const std::size_t block = word * 64 + ca_bits_lowest(words[word]);
    words[word] = ca_bits_clear_lowest(words[word]);
    if (words[word] == 0) summary[hint] = ca_bits_clear_lowest(summary[hint]);
    return memory.begin() + (block << shift);
  }
  void Free(void *ptr) {
    const std::size_t block =
        static_cast<std::size_t>(static_cast<char *>(ptr) - memory.begin()) >> shift;
    words[block / 64] |= std::uint64_t{1} << (block % 64);
    summary[block / 4096] |= std::uint64_t{1} << (block / 64 % 64);
    if (block / 4096 < hint) hint = block / 4096;
  }
  Mapping memory;
  unsigned shift;
  std::vector<std::uint64_t> words;
  std::vector<std::uint64_t> summary;
  std::size_t hint = 0;
};

struct BoostPool {
  static constexpr const char *kName = "boost_pool";
  BoostPool(std::size_t block_size, std::size_t count) : pool(block_size, count) {}
  void *Allocate() { return pool.malloc(); }
  void Free(void *ptr) { pool.free(ptr); }
  boost::pool<> pool;
};

struct PmrPool {
  static constexpr const char *kName = "pmr_pool";
  PmrPool(std::size_t block_size, std::size_t) : size(block_size) {}
  void *Allocate() { return pool.allocate(size, 16); }
  void Free(void *ptr) { pool.deallocate(ptr, size, 16); }
  std::size_t size;
  std::pmr::unsynchronized_pool_resource pool;
};

struct Glibc {
  static constexpr const char *kName = "glibc";
  Glibc(std::size_t block_size, std::size_t) : size(block_size) {}
  void *Allocate() { return std::malloc(size); }
  void Free(void *ptr) { std::free(ptr); }
  std::size_t size;
};

template <typename T>
struct Tag {
  using Backend = T;
};

// Calls visit(Tag<Backend>{}) for each. The trees go in here too.
template <typename Visitor>
void ForEachBackend(Visitor &&visit) {
  visit(Tag<BitSet>{});
  visit(Tag<BitSetThroughTable>{});
  visit(Tag<BitSetRecording>{});
  visit(Tag<PlainBitSet>{});
  visit(Tag<BoostPool>{});
  visit(Tag<PmrPool>{});
  visit(Tag<Glibc>{});
}

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_BLOCKS_BACKENDS_H_
