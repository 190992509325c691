// A server's request: 100 blocks of 16 to 1,024 bytes, log-uniform, 30 of them freed on the way, in
// random order, the rest dropped at the end.
#ifndef CONTEXT_ALLOCATOR_BENCH_CONTEXTS_REQUEST_H_
#define CONTEXT_ALLOCATOR_BENCH_CONTEXTS_REQUEST_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "bench/contexts_backends.h"
#include "bench/contexts_life.h"
#include "bench/measure.h"

namespace ca_bench {

// Ten times ten blocks allocated and then three of the live ones freed: random are sizes and victims,
// but no branch of the loop, which would cost as much as an allocation.
struct Request {
  static constexpr std::size_t kGroups = 10;
  static constexpr std::size_t kAllocated = 10;
  static constexpr std::size_t kFreed = 3;
  static constexpr std::size_t kBlocks = kGroups * kAllocated;

  explicit Request(std::mt19937 &random) {
    std::size_t made = 0;
    for (auto &victims : freed) {
      for (std::size_t i = 0; i < kAllocated; ++i) {
        const double log_size = std::uniform_real_distribution<double>(4, 10)(random);
        sizes[made] = static_cast<std::uint16_t>(std::exp2(log_size));
        dropped.push_back(static_cast<std::uint16_t>(made++));
      }
      for (std::uint16_t &victim : victims) {
        std::swap(dropped[random() % dropped.size()], dropped.back());
        victim = dropped.back();
        dropped.pop_back();
      }
    }
  }
  std::uint16_t sizes[kBlocks];
  std::uint16_t freed[kGroups][kFreed];
  std::vector<std::uint16_t> dropped;
};

// The same ones for every back-end, in turn.
class Requests {
 public:
  Requests() {
    std::mt19937 random(1);
    for (std::size_t i = 0; i < kCount; ++i) requests_.emplace_back(random);
  }
  const Request &Next() { return requests_[next_++ % kCount]; }

 private:
  static constexpr std::size_t kCount = 16;
  std::vector<Request> requests_;
  std::size_t next_ = 0;
};

// The blocks' first bytes are written.
template <typename Backend>
void Serve(Backend &backend, const Request &request, void **blocks) {
  std::size_t made = 0;
  for (const auto &victims : request.freed) {
    for (std::size_t i = 0; i < Request::kAllocated; ++i, ++made) {
      blocks[made] = AllocateAndWrite(backend.Allocate(request.sizes[made]));
    }
    for (const std::uint16_t victim : victims) backend.Free(blocks[victim]);
  }
}

// The loop's own time.
inline double RequestByNobody() {
  struct {
    char byte;
    void *Allocate(std::size_t) { return &byte; }
    void Free(void *) {}
  } nobody;
  Requests requests;
  void *blocks[Request::kBlocks];
  return FastestTime([&] { Serve(nobody, requests.Next(), blocks); });
}

// One malloc for all requests: what would be dropped is freed one by one.
inline double RequestFreed(PlainMalloc plain) {
  Requests requests;
  void *blocks[Request::kBlocks];
  return FastestTime([&] {
    const Request &request = requests.Next();
    Serve(plain, request, blocks);
    for (const std::uint16_t block : request.dropped) plain.Free(blocks[block]);
  });
}

constexpr std::size_t kRequestBudget = 48 << 10;

// A context of its own for each request.
template <typename Backend>
double RequestInContext() {
  Backend backend(1);
  Requests requests;
  void *blocks[Request::kBlocks];
  return FastestTime([&] {
    const auto context = backend.Create(kRequestBudget);
    backend.Enter(context);
    Serve(backend, requests.Next(), blocks);
    backend.Leave();
    backend.Destroy(context);
  });
}

// One context, reset after each request.
template <typename Backend>
double RequestInContextReset() {
  Backend backend(1);
  Requests requests;
  void *blocks[Request::kBlocks];
  const auto context = backend.Create(kRequestBudget);
  return FastestTime([&] {
    backend.Enter(context);
    Serve(backend, requests.Next(), blocks);
    backend.Leave();
    backend.Reset(context);
  });
}

}  // namespace ca_bench

#endif  // CONTEXT_ALLOCATOR_BENCH_CONTEXTS_REQUEST_H_
