#include "allocators/bump/bump.h"
#include "allocators/testing/allocator_model.h"
#include "sources/buffer/buffer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  alignas(16) static char memory[100003];  // Odd, so that the end is met at odd addresses too.
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    ca_buffer buffer;
    ca_buffer_init(&buffer, memory, sizeof memory);
    ca_bump bump;
    if (!ca_bump_init(&bump, ca_buffer_source(&buffer), sizeof memory, sizes)) return 0;
    ca_testing::FuzzCalls calls;
    calls.reset = [&bump] { ca_bump_reset(&bump); };
    ca_testing::FuzzAllocator(ca_bump_allocator(&bump), data, size, {}, calls);
    ca_bump_destroy(&bump);
  }
  return 0;
}
