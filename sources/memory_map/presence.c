#define _GNU_SOURCE
#include "sources/memory_map/presence.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"

#if !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23
#endif
#if !defined(SYS_process_madvise)
#define SYS_process_madvise 440
#endif

/* In the place of a file descriptor: the calling process (linux/pidfd.h, Linux 6.15; the call takes
 * any advice for it since the same version). */
enum { THIS_PROCESS = -10001 };

bool ca_pages_make_present(const ca_block *ranges, size_t count) {
  CA_ASSERT(count <= CA_PRESENCE_RANGES);
  struct iovec vector[CA_PRESENCE_RANGES];
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    vector[i] = (struct iovec){.iov_base = ranges[i].ptr, .iov_len = ranges[i].size};
    bytes += ranges[i].size;
  }
  const int kept_errno = errno;
  const long done =
      syscall(SYS_process_madvise, THIS_PROCESS, vector, count, MADV_POPULATE_WRITE, 0);
  errno = kept_errno;
  return done >= 0 && (size_t)done == bytes;
}
