// A small program that logs its allocations: //bench:logging_replay_test replays what it writes.
//
//   logged_program FILE
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <vector>

#include "adaptors/logging/logging.h"
#include "allocators/multiple_binary_search_tree/multiple_binary_search_tree.h"

namespace {

struct Held {
  void *ptr;
  std::size_t size;
  std::size_t align;
};

// Allocates, grows, shrinks and frees; leaves what is held at the end. Returns false if refused.
bool Work(ca_allocator *allocator) {
  std::mt19937 random(1);
  std::vector<Held> held;
  for (int i = 0; i < 20000; ++i) {
    const std::size_t at = held.empty() ? 0 : random() % held.size();
    const std::size_t size = 1 + random() % 700;
    if (held.size() < 100 || random() % 3 == 0) {
      const std::size_t align = random() % 10 == 0 ? 256 : 16;
      held.push_back({ca_allocate(allocator, size, align).ptr, size, align});
      if (held.back().ptr == nullptr) return false;
    } else if (random() % 4 == 0) {
      Held *one = &held[at];
      one->ptr = ca_reallocate(allocator, one->ptr, one->size, size, one->align).ptr;
      one->size = size;
      if (one->ptr == nullptr) return false;
    } else {
      ca_deallocate(allocator, held[at].ptr, held[at].size, held[at].align);
      held[at] = held.back();
      held.pop_back();
    }
  }
  return true;
}

}  // namespace

int main(int argc, char **argv) {
  const int file = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
  if (file < 0) {
    std::fprintf(stderr, "usage: logged_program FILE\n");
    return 2;
  }
  std::vector<char> memory(std::size_t{16} << 20), table(std::size_t{1} << 20);
  ca_multiple_binary_search_tree trees;
  ca_multiple_binary_search_tree_init_range(&trees, ca_block_make(memory.data(), memory.size()),
                                            CA_SIZES_FORGOTTEN);
  ca_logging logging;
  const bool begun = ca_logging_init(&logging, ca_multiple_binary_search_tree_allocator(&trees),
                                     file, table.data(), table.size(), 0);
  const bool worked = begun && Work(ca_logging_allocator(&logging));
  const bool written = ca_logging_finish(&logging);
  std::printf("%llu events\n", static_cast<unsigned long long>(logging.events.header.events));
  ca_multiple_binary_search_tree_destroy(&trees);
  return worked && written && close(file) == 0 ? 0 : 1;
}
