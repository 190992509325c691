#define _GNU_SOURCE
#include "switchable/quarantine.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/line.h"
#include "switchable/context_extensions.h"
#include "switchable/context_family.h"
#include "switchable/context_header.h"
#include "switchable/context_tree.h"
#include "switchable/lock.h"
#include "switchable/samples.h"

/* Written under the lock; `slot` is written last and cleared first, for ca_quarantine_find(). */
typedef struct entry {
  ca_context_header *slot; /* Atomic. NULL: empty. */
  size_t size;
  uint64_t number; /* Of the quarantines ever. */
  char name[CA_CONTEXT_NAME_SIZE];
  char parent[CA_CONTEXT_NAME_SIZE];
} entry;

/* A ring: those from `put - now` to `put` are in quarantine, at their number modulo the size. */
static struct {
  size_t capacity;
  size_t now;   /* Atomic. */
  size_t bytes; /* Atomic. Of those. */
  uint64_t put; /* Atomic. */
  uint64_t refused;
  entry entries[CA_QUARANTINE_MOST];
} quarantine = {.capacity = CA_QUARANTINE_DEFAULT};

static entry *entry_of(uint64_t number) { return &quarantine.entries[number % CA_QUARANTINE_MOST]; }

size_t ca_quarantine_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static bool protect(ca_context_header *slot, size_t size, int protection) {
  const size_t page = ca_quarantine_page_size();
  return mprotect((char *)slot + page, size - page, protection) == 0;
}

/* Requires the lock. */
static void release_oldest(void) {
  entry *const oldest = entry_of(quarantine.put - quarantine.now);
  ca_context_header *const slot = oldest->slot;
  __atomic_store_n(&oldest->slot, NULL, __ATOMIC_RELAXED);
  __atomic_store_n(&quarantine.now, quarantine.now - 1, __ATOMIC_RELAXED);
  __atomic_store_n(&quarantine.bytes, quarantine.bytes - oldest->size, __ATOMIC_RELAXED);
  if (protect(slot, oldest->size, PROT_READ | PROT_WRITE)) {
    ca_context_header_release_slot(slot);
  } /* Else the slot is lost: better than one that faults in somebody's hands. */
}

/* Requires the lock. */
static void make_room(void) {
  while (quarantine.now > 0 && quarantine.now >= quarantine.capacity) {
    release_oldest();
  }
}

/* Requires the lock. Of a slot that was closed. */
static void put(ca_context_header *slot, const char *name, const char *parent) {
  make_room();
  entry *const new = entry_of(quarantine.put);
  new->size = slot->slot_size;
  new->number = quarantine.put;
  memcpy(new->name, name, sizeof new->name);
  memcpy(new->parent, parent, sizeof new->parent);
  if (!protect(slot, new->size, PROT_NONE)) {
    quarantine.refused++;
    ca_context_header_release_slot(slot);
    return;
  }
  /* Release: pairs with the acquire in ca_quarantine_find(). */
  __atomic_store_n(&new->slot, slot, __ATOMIC_RELEASE);
  __atomic_store_n(&quarantine.put, quarantine.put + 1, __ATOMIC_RELAXED);
  __atomic_store_n(&quarantine.now, quarantine.now + 1, __ATOMIC_RELAXED);
  __atomic_store_n(&quarantine.bytes, quarantine.bytes + new->size, __ATOMIC_RELAXED);
}

void ca_quarantine(ca_context_header *self, const char *parent) {
  ca_lock_take(CA_LOCK_QUARANTINE);
  if (quarantine.capacity == 0) {
    ca_context_header_end(self);
  } else {
    ca_context_header *extension;
    while ((extension = ca_context_take_extension(self)) != NULL) {
      put(extension, self->name, parent);
    }
    ca_context_header_close(self);
    ca_family_stop_counting(self);
    put(self, self->name, parent);
  }
  ca_lock_release(CA_LOCK_QUARANTINE);
}

bool ca_quarantine_set_capacity(size_t capacity) {
  if (capacity > CA_QUARANTINE_MOST) {
    return false;
  }
  ca_lock_take(CA_LOCK_QUARANTINE);
  quarantine.capacity = capacity;
  while (quarantine.now > capacity) {
    release_oldest();
  }
  ca_lock_release(CA_LOCK_QUARANTINE);
  return true;
}

ca_quarantine_counts ca_quarantine_count(void) {
  ca_lock_take(CA_LOCK_QUARANTINE);
  const ca_quarantine_counts counts = {
      .now = quarantine.now, .put = quarantine.put, .refused = quarantine.refused};
  ca_lock_release(CA_LOCK_QUARANTINE);
  return counts;
}

size_t ca_quarantine_size(void) { return __atomic_load_n(&quarantine.now, __ATOMIC_RELAXED); }

size_t ca_quarantine_bytes(void) { return __atomic_load_n(&quarantine.bytes, __ATOMIC_RELAXED); }

ca_quarantined ca_quarantine_find(const void *ptr) {
  ca_quarantined found;
  memset(&found, 0, sizeof found);
  for (size_t i = 0; i < CA_QUARANTINE_MOST; i++) {
    const entry *const one = &quarantine.entries[i];
    const ca_context_header *const slot = __atomic_load_n(&one->slot, __ATOMIC_ACQUIRE);
    if (slot != NULL && (uintptr_t)ptr - (uintptr_t)slot < one->size) {
      found.slot = slot;
      found.size = one->size;
      memcpy(found.name, one->name, sizeof found.name);
      memcpy(found.parent, one->parent, sizeof found.parent);
      found.age = __atomic_load_n(&quarantine.put, __ATOMIC_RELAXED) - one->number - 1;
      return found;
    }
  }
  return found;
}

/* The report. */

static void report(const void *ptr, const ca_quarantined *found) {
  ca_line text = {.used = 0};
  ca_line_add(&text, "context_allocator: touched 0x");
  ca_line_add_number(&text, (uintptr_t)ptr, 16);
  ca_line_add(&text, ", byte ");
  ca_line_add_number(&text, (uintptr_t)ptr - (uintptr_t)found->slot, 10);
  ca_line_add(&text, " of the destroyed context \"");
  ca_line_add(&text, found->name);
  ca_line_add(&text, "\", child of \"");
  ca_line_add(&text, found->parent);
  ca_line_add(&text, "\", ");
  ca_line_add_number(&text, found->age, 10);
  ca_line_add(&text, " quarantines ago");
  (void)ca_line_write_to(&text, 2);
  (void)ca_samples_report(ptr, 2);
}

static struct sigaction next_action;

static void on_fault(int signal, siginfo_t *info, void *where) {
  const ca_quarantined found = ca_quarantine_find(info->si_addr);
  if (found.slot != NULL) {
    report(info->si_addr, &found);
  }
  if ((next_action.sa_flags & SA_SIGINFO) != 0) {
    next_action.sa_sigaction(signal, info, where);
  } else if (next_action.sa_handler != SIG_DFL && next_action.sa_handler != SIG_IGN) {
    next_action.sa_handler(signal);
  } else {
    /* The instruction runs again, faults again, and the system does what it does. */
    (void)sigaction(signal, &next_action, NULL);
  }
}

bool ca_quarantine_report_faults(void) {
  struct sigaction action;
  struct sigaction before;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  if (sigaction(SIGSEGV, NULL, &before) != 0) {
    return false;
  }
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction == on_fault) {
    return true;
  }
  next_action = before;
  return sigaction(SIGSEGV, &action, NULL) == 0;
}
