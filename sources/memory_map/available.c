#define _GNU_SOURCE
#include "sources/memory_map/available.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Both files are below 3 KiB; what is asked for stands in the first. */
enum { TEXT_SIZE = 4096, PATH_SIZE = 64 };

/* stdio allocates: hence by hand. */
static int read_text(const char *path, char *text) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return errno;
  }
  const ssize_t size = read(file, text, TEXT_SIZE - 1);
  const int error = size < 0 ? errno : 0;
  close(file);
  text[size < 0 ? 0 : size] = '\0';
  return error;
}

/* The bytes behind "name:", told in kB; 0 if the kernel doesn't tell them. */
static size_t value_of(const char *text, const char *name) {
  const char *at = strstr(text, name);
  if (at == NULL) {
    return 0;
  }
  at += strlen(name);
  at += strspn(at, " ");
  size_t value = 0;
  for (; *at >= '0' && *at <= '9'; at++) {
    value = value * 10 + (size_t)(*at - '0');
  }
  return value << 10;
}

static size_t less(size_t value, size_t by) { return value > by ? value - by : 0; }

/* What the kernel keeps back on a node (its watermarks), generously: a sixteenth, at most 64 MiB.
 */
static size_t reserve_of(size_t total) {
  const size_t most = (size_t)64 << 20;
  return total / 16 < most ? total / 16 : most;
}

static void path_of(unsigned node, char *path) {
  char digits[8];
  size_t at = sizeof digits;
  digits[--at] = '\0';
  do {
    digits[--at] = (char)('0' + node % 10);
    node /= 10;
  } while (node != 0);
  strcpy(path, "/sys/devices/system/node/node");
  strcat(path, digits + at);
  strcat(path, "/meminfo");
}

static int available_on(unsigned node, size_t *bytes) {
  char text[TEXT_SIZE];
  char path[PATH_SIZE];
  path_of(node, path);
  const int error = read_text(path, text);
  if (error == 0) {
    *bytes = less(value_of(text, " MemFree:") + value_of(text, " Inactive(file):"),
                  value_of(text, " Dirty:") + reserve_of(value_of(text, " MemTotal:")));
  }
  return error;
}

static int available_anywhere(size_t *bytes) {
  char text[TEXT_SIZE];
  const int error = read_text("/proc/meminfo", text);
  if (error == 0) {
    const size_t reserve = reserve_of(value_of(text, "MemTotal:"));
    *bytes = less(value_of(text, "MemAvailable:") + value_of(text, "SwapFree:"), reserve);
  }
  return error;
}

int ca_memory_available(const ca_node_set *nodes, size_t *bytes) {
  if (nodes == NULL) {
    return available_anywhere(bytes);
  }
  size_t sum = 0;
  for (unsigned node = 0; node < CA_NODE_COUNT_MAX; node++) {
    size_t here = 0;
    const int error = ca_node_set_has(nodes, node) ? available_on(node, &here) : 0;
    if (error != 0) {
      return error;
    }
    sum += here;
  }
  *bytes = sum;
  return 0;
}
