/* What the settings wish of a mapped range beyond its addresses, one function each. Each returns
 * 0, also when nothing was wished, or the errno. errno itself is not kept. */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_WISHES_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_WISHES_H_

#include "sources/memory_map/memory_map.h"

/* For ca_wish_policy: move the pages that exist. */
enum { CA_WISH_MOVE = 1 };

/* Advice only: explicit huge pages are the mapping's. */
int ca_wish_huge_pages(ca_memory_map_huge_pages huge, ca_block range);
int ca_wish_policy(const ca_memory_map_settings *settings, ca_block range, int move);
int ca_wish_name(const ca_memory_map_settings *settings, ca_block range);
int ca_wish_lock(const ca_memory_map_settings *settings, ca_block range);

/* Whether `size` more bytes are available where the settings want them. */
int ca_wish_room(const ca_memory_map_settings *settings, size_t size, bool *enough);

/* Changes no contents: other threads may be using parts of the range. */
int ca_wish_prefault(ca_block range, size_t page_size);

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_WISHES_H_ */
