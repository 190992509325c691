#include "allocators/bit_set/bit_set.h"
#include "allocators/testing/allocator_model.h"
#include "sources/buffer/buffer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  alignas(16) static char memory[100003];
  // Small blocks, for runs longer than a word, and larger ones, for single blocks.
  for (const std::size_t block_size : {8, 64, 512}) {
    for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
      ca_buffer buffer;
      ca_buffer_init(&buffer, memory, sizeof memory);
      ca_bit_set set;
      if (!ca_bit_set_init(&set, ca_buffer_source(&buffer), 90000, block_size, sizes)) return 0;
      ca_testing::FuzzCalls calls;
      calls.reset = [&set] { ca_bit_set_reset(&set); };
      calls.live = [&set] { return ca_bit_set_live(&set); };
      ca_testing::FuzzAllocator(ca_bit_set_allocator(&set), data, size, {}, calls);
      ca_bit_set_destroy(&set);
    }
  }
  return 0;
}
