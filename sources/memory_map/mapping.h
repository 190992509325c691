/* Address space: where a range lies, between which guards. Knows nothing of policies. */
#ifndef CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MAPPING_H_
#define CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MAPPING_H_

#include <stddef.h>

#include "base/block.h"

typedef struct ca_mapping {
  size_t size;  /* Whole pages of page_size. */
  size_t align; /* A power of two. */
  size_t before;
  size_t after;     /* Guards, whole ordinary pages. */
  size_t page_size; /* Of the range: ordinary or huge. */
  size_t ordinary_page_size;
  int protection;
  int flags;      /* For mmap: MAP_PRIVATE | MAP_ANONYMOUS and, as wished, MAP_NORESERVE. */
  int huge_flags; /* MAP_HUGETLB and the size, or 0. */
  char *hint;     /* Where the range must begin; NULL for anywhere. */
} ca_mapping;

/* Maps what is described. Returns 0 or the errno, with nothing mapped. errno itself is not kept. */
int ca_mapping_make(const ca_mapping *self, ca_block *range);

/* Unmaps, or gives back the memory at least. size may be 0. errno is not kept. */
void ca_mapping_unmap(char *ptr, size_t size);

#endif /* CONTEXT_ALLOCATOR_SOURCES_MEMORY_MAP_MAPPING_H_ */
