#include "allocators/memory_map/memory_map.h"
#include "allocators/testing/allocator_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  ca_testing::ModelLimits limits;
  limits.max_size = 30000;
  limits.max_align = 65536;
  limits.max_blocks = 20;
  for (const ca_sizes sizes : {CA_SIZES_FORGOTTEN, CA_SIZES_RECORDED}) {
    ca_memory_map_allocator_settings settings = {};
    settings.sizes = sizes;
    settings.limit = 1 << 20;
    ca_memory_map_allocator map;
    ca_memory_map_allocator_init(&map, &settings);
    ca_testing::FuzzAllocator(ca_memory_map_allocator_allocator(&map), data,
                              size < 200 ? size : 200, limits);
    ca_memory_map_allocator_destroy(&map);
  }
  return 0;
}
