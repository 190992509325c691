#include "allocators/context/context.h"
#include "allocators/testing/allocator_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  alignas(16) static char memory[60007];
  for (const ca_lifetime_hint hint : {CA_LIFETIME_SHORT, CA_LIFETIME_MEDIUM, CA_LIFETIME_LONG}) {
    ca_context_allocator_settings settings = {};
    settings.sizes = size % 2 == 0 ? CA_SIZES_FORGOTTEN : CA_SIZES_RECORDED;
    ca_context_allocator context;
    if (!ca_context_allocator_init_range(&context, ca_block_make(memory, sizeof memory),
                                         ca_context_kind_for(hint), &settings)) {
      return 0;
    }
    ca_testing::FuzzCalls calls;
    calls.reset = [&context] { ca_context_allocator_reset(&context); };
    ca_testing::FuzzAllocator(ca_context_allocator_allocator(&context), data, size, {}, calls);
    ca_context_allocator_destroy(&context);
  }
  return 0;
}
