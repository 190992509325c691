/* What the preloaded library is told by CONTEXT_ALLOCATOR_* variables: see README.md. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/line.h"
#include "switchable/placement.h"
#include "switchable/quarantine.h"
#include "switchable/report.h"
#include "switchable/samples.h"
#include "switchable/switchable.h"

static void reject_entry(const char *name, const char *equals, const char *value, const char *why) {
  ca_line line = {.used = 0};
  ca_line_add(&line, "context_allocator: ");
  ca_line_add(&line, name);
  ca_line_add(&line, equals);
  ca_line_add(&line, value);
  ca_line_add(&line, " is ignored: ");
  ca_line_add(&line, why);
  (void)ca_line_write_to(&line, 2);
}

static void reject(const char *name, const char *value, const char *allowed) {
  reject_entry(name, "=", value, allowed);
}

/* A number of at most `most`; -1: no such. Not strtol(), which would take spaces and signs. */
static long number_of(const char *text, long most) {
  long number = 0;
  if (*text == '\0') {
    return -1;
  }
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9' || number > most) {
      return -1;
    }
    number = number * 10 + (*text - '0');
  }
  return number <= most ? number : -1;
}

static void set_current(const char *name, const char *value) {
  if (strcmp(value, "thread") == 0) {
    (void)ca_switchable_promise_thread_heaps(NULL);
  } else if (strcmp(value, "global") != 0) {
    reject(name, value, "global or thread");
  }
}

static void set_quarantine(const char *name, const char *value) {
  const long number = number_of(value, CA_QUARANTINE_MOST);
  if (number < 0 || !ca_quarantine_set_capacity((size_t)number) || !ca_quarantine_report_faults()) {
    reject(name, value, "a number of contexts up to 4096");
  }
}

static void set_sample(const char *name, const char *value) {
  const long number = number_of(value, 1000000000);
  if (number < 0) {
    reject(name, value, "a number of allocations up to 1000000000");
    return;
  }
  ca_samples_set_default((unsigned)number);
}

static ca_report_format report_format;
static bool report_at_exit;

static bool parse_format(const char *value) {
  const bool is_json = strcmp(value, "json") == 0;
  report_format = is_json ? CA_REPORT_JSON : CA_REPORT_TEXT;
  return is_json || strcmp(value, "text") == 0;
}

static void set_report(const char *name, const char *value) {
  report_at_exit = parse_format(value);
  if (!report_at_exit) {
    reject(name, value, "text or json");
  }
}

static void set_report_signal(const char *name, const char *value) {
  const long number = number_of(value, 64);
  if (number < 1 || !ca_contexts_report_on_signal((int)number, 2, report_format)) {
    reject(name, value, "the number of a signal that can be caught");
  }
}

static const char objects_name[] = "CONTEXT_ALLOCATOR_GLOBAL_OBJECTS";
static const char initialisers_name[] = "CONTEXT_ALLOCATOR_GLOBAL_INITIALISERS";

static bool wants_initialisers(void) {
  const char *const value = secure_getenv(initialisers_name);
  const bool yes = value != NULL && strcmp(value, "yes") == 0;
  if (value != NULL && !yes && strcmp(value, "no") != 0) {
    reject(initialisers_name, value, "yes or no");
  }
  return yes;
}

/* All rules are stated by one call. Before anything else, as that may make contexts. */
static void set_placement(void) {
  ca_placement_settings settings = {.objects = secure_getenv(objects_name),
                                    .initialisers = wants_initialisers()};
  if (settings.objects != NULL && !ca_placement_init(&settings)) {
    reject(objects_name, settings.objects, "at most 16 names of files, as libssl:libcrypto");
    settings.objects = NULL;
  }
  if (settings.objects == NULL && settings.initialisers) {
    (void)ca_placement_init(&settings);
  }
}

/* In this order: the signal's report has the format of the one at exit. */
static const struct {
  const char *name;
  void (*set)(const char *name, const char *value);
} variables[] = {
    {"CONTEXT_ALLOCATOR_SAMPLE", set_sample}, /* First: heaps are sampled, too. */
    {"CONTEXT_ALLOCATOR_CURRENT", set_current},
    {"CONTEXT_ALLOCATOR_QUARANTINE", set_quarantine},
    {"CONTEXT_ALLOCATOR_REPORT", set_report},
    {"CONTEXT_ALLOCATOR_REPORT_SIGNAL", set_report_signal},
};

static bool is_named(const char *entry, const char *name) {
  const size_t length = strlen(name);
  return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

static bool is_of_variable(const char *entry) {
  bool found = is_named(entry, objects_name) || is_named(entry, initialisers_name);
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
    found = found || is_named(entry, variables[i].name);
  }
  return found;
}

/* Else a name that is misspelt would go by in silence. */
static void reject_unknown(void) {
  static const char prefix[] = "CONTEXT_ALLOCATOR_";
  if (getauxval(AT_SECURE) != 0) {
    return;
  }
  for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
    if (strncmp(*entry, prefix, sizeof prefix - 1) == 0 && !is_of_variable(*entry)) {
      reject_entry(*entry, "", "", "there is no such variable");
    }
  }
}

__attribute__((constructor)) static void read_environment(void) {
  set_placement();
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
    const char *const value = secure_getenv(variables[i].name);
    if (value != NULL) {
      variables[i].set(variables[i].name, value);
    }
  }
  reject_unknown();
}

__attribute__((destructor)) static void report(void) {
  if (report_at_exit) {
    (void)ca_contexts_report(2, report_format);
  }
}
