/* switchable/examples/requests.c - the main job: unmodified libraries, each request in its own
 * memory.
 *
 * Thousands of coroutines on a few threads. Each handles a request: it parses a JSON document with
 * jansson, loads it into an in-memory SQLite database, waits (as for I/O, so that all of them are
 * in the middle of their work at once), and asks the database a question. Both libraries call
 * malloc and know nothing of coroutines. The same is done twice: with each request in a context,
 * which is destroyed with everything still allocated in it; and with glibc's malloc, each request
 * freeing all that it allocated. One request in a thousand gets too small a budget: it fails by
 * itself, by ENOMEM from its malloc.
 *
 * bazel run -c opt //switchable/examples:requests -- [--requests N] [--coroutines N] [--threads N]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "switchable/context.h"

enum {
  STACK_SIZE = 256 << 10,
  SAMPLES = 10,              /* Of the resident memory, over the run. */
  POOR_REQUEST_EVERY = 1000, /* One in so many gets POOR_BUDGET. */
  POOR_BUDGET = 96 << 10,
};

static const char document_path[] = "/usr/share/iso-codes/json/iso_4217.json";

typedef struct run_options {
  size_t requests;
  size_t coroutines;
  size_t threads;
  size_t budget;
} run_options;

/* What a run of one kind comes to. */
typedef struct run_results {
  double seconds;
  uint64_t answered; /* Requests with the right answer. */
  uint64_t wrong;    /* Requests with a wrong one: must be 0. */
  uint64_t refused;  /* Requests that failed by ENOMEM. */
  uint64_t blocks;   /* Sums over all requests; contexts only. */
  uint64_t bytes;
  long peak_rss_kib;
  long rss_kib[SAMPLES];
} run_results;

typedef struct worker worker;

/* A coroutine, and the request that it is busy with. */
typedef struct coroutine {
  worker *owner;
  ucontext_t registers;
  void *stack;
  ca_context context;
  size_t request; /* Which of all. */
  bool busy;
  bool answered;
  bool right;
  int error;
} coroutine;

struct worker {
  pthread_t thread;
  ucontext_t registers;
  coroutine *coroutines;
  size_t count;
  size_t first; /* Requests first, first + step, ... are this worker's. */
  size_t step;
  size_t end;
  bool contexts;
  size_t budget;
  pthread_barrier_t *all_wait; /* Until each coroutine of all is in the middle of its work. */
  run_results sums;
};

static char *document;
static size_t document_size;

/* The request's own code: nothing in it knows of contexts. */

static bool load(sqlite3 *database, const json_t *currencies) {
  sqlite3_stmt *insert = NULL;
  if (sqlite3_exec(database,
                   "CREATE TABLE currency(code TEXT PRIMARY KEY, number TEXT, name TEXT); BEGIN",
                   NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(database, "INSERT INTO currency VALUES(?, ?, ?)", -1, &insert, NULL) !=
          SQLITE_OK) {
    return false;
  }
  bool done = true;
  for (size_t i = 0; done && i < json_array_size(currencies); i++) {
    const json_t *const one = json_array_get(currencies, i);
    sqlite3_bind_text(insert, 1, json_string_value(json_object_get(one, "alpha_3")), -1,
                      SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, json_string_value(json_object_get(one, "numeric")), -1,
                      SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, json_string_value(json_object_get(one, "name")), -1,
                      SQLITE_STATIC);
    done = sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK;
  }
  sqlite3_finalize(insert);
  return done && sqlite3_exec(database, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
}

static bool query(sqlite3 *database, const json_t *asked, bool *right) {
  sqlite3_stmt *select = NULL;
  if (sqlite3_prepare_v2(database,
                         "SELECT name, (SELECT count(*) FROM currency WHERE number < c.number)"
                         " FROM currency c WHERE code = ?",
                         -1, &select, NULL) != SQLITE_OK) {
    return false;
  }
  sqlite3_bind_text(select, 1, json_string_value(json_object_get(asked, "alpha_3")), -1,
                    SQLITE_STATIC);
  const bool found = sqlite3_step(select) == SQLITE_ROW;
  if (found) {
    *right = strcmp((const char *)sqlite3_column_text(select, 0),
                    json_string_value(json_object_get(asked, "name"))) == 0;
  }
  sqlite3_finalize(select);
  return found;
}

static void wait_for_input(coroutine *self);

/* Frees what it made only if it has to. */
static void handle(coroutine *self, bool frees) {
  sqlite3 *database = NULL;
  json_t *const root = json_loadb(document, document_size, 0, NULL);
  const json_t *const currencies = json_object_get(root, "4217");
  if (root != NULL &&
      sqlite3_open_v2(":memory:", &database,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                      NULL) == SQLITE_OK &&
      load(database, currencies)) {
    wait_for_input(self);
    self->answered =
        query(database, json_array_get(currencies, self->request % json_array_size(currencies)),
              &self->right);
  }
  if (!self->answered) {
    errno = 0;
    self->error = malloc(64 << 10) == NULL ? errno : 0; /* What the libraries have just met. */
  }
  if (frees) {
    sqlite3_close(database);
    json_decref(root);
  }
}

/* Coroutines: ucontext's registers, and the context that goes with them. */

static void leave(coroutine *self) { swapcontext(&self->registers, &self->owner->registers); }

static void wait_for_input(coroutine *self) { leave(self); }

static void run(unsigned high, unsigned low) {
  coroutine *const self = (coroutine *)((uintptr_t)high << 32 | low);
  for (;;) {
    handle(self, !self->owner->contexts);
    self->busy = false;
    leave(self);
  }
}

static void resume(coroutine *self) {
  if (self->owner->contexts && ca_context_swap_in(self->context) != CA_CONTEXT_DONE) {
    abort();
  }
  swapcontext(&self->owner->registers, &self->registers);
  ca_context_swap_out();
}

static void init_coroutine(coroutine *self, worker *owner) {
  self->owner = owner;
  self->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (self->stack == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  getcontext(&self->registers);
  self->registers.uc_stack.ss_sp = self->stack;
  self->registers.uc_stack.ss_size = STACK_SIZE;
  makecontext(&self->registers, (void (*)(void))run, 2, (unsigned)((uintptr_t)self >> 32),
              (unsigned)(uintptr_t)self);
}

static void begin(coroutine *self, size_t request) {
  worker *const owner = self->owner;
  self->request = request;
  self->busy = true;
  self->answered = self->right = false;
  self->error = 0;
  if (owner->contexts) {
    const bool poor = request % POOR_REQUEST_EVERY == POOR_REQUEST_EVERY - 1;
    const ca_context_settings settings = {
        .budget = poor ? POOR_BUDGET : owner->budget,
        .name = "request",
    };
    self->context = ca_context_create(&settings);
    if (ca_context_is_none(self->context)) {
      fputs("no more contexts\n", stderr);
      exit(1);
    }
  }
}

static void end(coroutine *self) {
  run_results *const sums = &self->owner->sums;
  sums->answered += self->answered && self->right;
  sums->wrong += self->answered ? !self->right : self->error != ENOMEM;
  sums->refused += !self->answered && self->error == ENOMEM;
  if (self->owner->contexts) {
    const ca_context_counts counts = ca_context_count(self->context);
    sums->blocks += counts.allocations;
    sums->bytes += counts.used;
    ca_context_destroy(self->context); /* Nothing was freed; nothing is left. */
  }
}

static long resident_kib(void) {
  long pages = 0;
  FILE *const file = fopen("/proc/self/statm", "r");
  if (file != NULL) {
    if (fscanf(file, "%*d %ld", &pages) != 1) {
      pages = 0;
    }
    fclose(file);
  }
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void *work(void *argument) {
  worker *const self = argument;
  size_t next = self->first;
  size_t sample = 0;
  bool any = true;
  for (size_t round = 0; any; round++) {
    any = false;
    for (size_t i = 0; i < self->count; i++) {
      coroutine *const one = &self->coroutines[i];
      if (!one->busy && next < self->end) {
        begin(one, next);
        next += self->step;
      }
      if (one->busy) {
        any = true;
        resume(one);
        if (!one->busy) {
          end(one);
        }
      }
    }
    if (round == 0) { /* What is resident from now on doesn't depend on which thread came first. */
      pthread_barrier_wait(self->all_wait);
    }
    if (self->first == 0 && sample < SAMPLES && next >= self->end / SAMPLES * (sample + 1)) {
      self->sums.rss_kib[sample++] = resident_kib();
    }
  }
  return NULL;
}

/* A run: in a process of its own, so that its peak is its own. */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void add(run_results *total, const run_results *part) {
  total->answered += part->answered;
  total->wrong += part->wrong;
  total->refused += part->refused;
  total->blocks += part->blocks;
  total->bytes += part->bytes;
  for (size_t i = 0; i < SAMPLES; i++) {
    total->rss_kib[i] += part->rss_kib[i];
  }
}

static run_results run_all(const run_options *options, bool contexts) {
  /* What the libraries keep for the whole process must not be a request's. */
  json_object_seed(0);
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3_initialize();
  /* As many slots as coroutines, all of whose pages are kept for the next request. */
  const ca_contexts_settings slots = {
      .classes = {{.slot_size = (size_t)1 << 20, .slots = options->coroutines}}};
  if (contexts && !ca_contexts_init(&slots)) {
    fputs("no address space for the contexts\n", stderr);
    exit(1);
  }
  pthread_barrier_t all_wait;
  pthread_barrier_init(&all_wait, NULL, (unsigned)options->threads);
  worker *const workers = calloc(options->threads, sizeof *workers);
  const size_t each = options->coroutines / options->threads;
  for (size_t i = 0; i < options->threads; i++) {
    workers[i] = (worker){.count = each,
                          .first = i,
                          .step = options->threads,
                          .end = options->requests,
                          .contexts = contexts,
                          .budget = options->budget,
                          .all_wait = &all_wait};
    workers[i].coroutines = calloc(each, sizeof *workers[i].coroutines);
    for (size_t j = 0; j < each; j++) {
      init_coroutine(&workers[i].coroutines[j], &workers[i]);
    }
  }
  run_results total = {0};
  const double start = now();
  for (size_t i = 0; i < options->threads; i++) {
    pthread_create(&workers[i].thread, NULL, work, &workers[i]);
  }
  for (size_t i = 0; i < options->threads; i++) {
    pthread_join(workers[i].thread, NULL);
    add(&total, &workers[i].sums);
  }
  total.seconds = now() - start;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  total.peak_rss_kib = usage.ru_maxrss;
  return total;
}

static run_results run_in_a_process(const run_options *options, bool contexts) {
  int ends[2];
  run_results all = {0};
  if (pipe(ends) != 0) {
    perror("pipe");
    exit(1);
  }
  const pid_t child = fork();
  if (child == 0) {
    all = run_all(options, contexts);
    _exit(write(ends[1], &all, sizeof all) == (ssize_t)sizeof all ? 0 : 1);
  }
  close(ends[1]);
  int status = 0;
  const bool whole = read(ends[0], &all, sizeof all) == (ssize_t)sizeof all;
  close(ends[0]);
  if (waitpid(child, &status, 0) != child || status != 0 || !whole) {
    fprintf(stderr, "the run with %s failed (status %d)\n", contexts ? "contexts" : "malloc",
            status);
    exit(1);
  }
  return all;
}

static bool read_document(void) {
  FILE *const file = fopen(document_path, "rb");
  if (file == NULL) {
    perror(document_path);
    return false;
  }
  document = malloc(1 << 20);
  document_size = fread(document, 1, 1 << 20, file);
  fclose(file);
  return document_size > 0;
}

/* What glibc's malloc handed out isn't counted: what a waiting coroutine keeps resident is. */
static void print_row(const char *label, const run_options *options, const run_results *results) {
  const double requests = (double)options->requests;
  printf("%-10s %11.0f", label, requests / results->seconds);
  if (results->blocks > 0) {
    printf(" %12.1f %10.0f", (double)results->bytes / requests / 1024,
           (double)results->blocks / requests);
  } else {
    printf(" %12s %10s", "-", "same");
  }
  printf(" %13.1f %12.1f", (double)results->rss_kib[SAMPLES / 2] / (double)options->coroutines,
         (double)results->peak_rss_kib / 1024);
  printf(" %9" PRIu64 " %7" PRIu64 " %6" PRIu64 "\n", results->answered, results->refused,
         results->wrong);
}

static void print_samples(const char *label, const run_results *results) {
  printf("%-10s", label);
  for (size_t i = 0; i < SAMPLES; i++) {
    printf(" %7.1f", (double)results->rss_kib[i] / 1024);
  }
  printf("\n");
}

/* Flat: what the first half of the requests needed, the second half needs too, within a tenth. */
static bool is_flat(const run_results *results) {
  long early = 0;
  long late = 0;
  for (size_t i = 0; i < SAMPLES; i++) {
    long *const most = i < SAMPLES / 2 ? &early : &late;
    *most = results->rss_kib[i] > *most ? results->rss_kib[i] : *most;
  }
  return late <= early + early / 10;
}

static int print(const run_options *options, const run_results *contexts,
                 const run_results *plain) {
  printf(
      "%zu requests by %zu coroutines on %zu threads, each: parse %zu bytes of JSON (jansson),\n"
      "load it into SQLite, wait, query. contexts: nothing is freed, each request's memory goes "
      "at\n"
      "once; malloc: everything is freed. Every %dth request has a budget of %d KiB.\n\n",
      options->requests, options->coroutines, options->threads, document_size, POOR_REQUEST_EVERY,
      POOR_BUDGET >> 10);
  printf("%-10s %11s %12s %10s %13s %12s %9s %7s %6s\n", "", "requests/s", "KiB/request", "blocks",
         "RSS/coroutine", "peak RSS MiB", "answered", "ENOMEM", "wrong");
  print_row("contexts", options, contexts);
  print_row("malloc", options, plain);
  printf("\nRSS in MiB after each tenth of the requests\n");
  print_samples("contexts", contexts);
  print_samples("malloc", plain);
  const uint64_t poor = options->requests / POOR_REQUEST_EVERY;
  const bool right = contexts->wrong == 0 && plain->wrong == 0 && contexts->refused == poor &&
                     contexts->answered == options->requests - poor &&
                     plain->answered == options->requests;
  printf("\n%" PRIu64 " requests over their budget failed alone, by ENOMEM; the other %" PRIu64
         " were answered: %s\n",
         contexts->refused, contexts->answered, right ? "right" : "WRONG");
  printf("RSS with contexts %s\n", is_flat(contexts) ? "stayed flat" : "GREW");
  return right && is_flat(contexts) ? 0 : 1;
}

static size_t number(const char *text) {
  char *rest;
  const unsigned long value = strtoul(text, &rest, 10);
  if (*rest != '\0' || value == 0) {
    fprintf(stderr, "not a positive number: %s\n", text);
    exit(2);
  }
  return value;
}

int main(int argc, char **argv) {
  static const struct option names[] = {{"requests", required_argument, NULL, 'r'},
                                        {"coroutines", required_argument, NULL, 'c'},
                                        {"threads", required_argument, NULL, 't'},
                                        {NULL, 0, NULL, 0}};
  run_options options = {.requests = 100000, .coroutines = 2000, .threads = 2, .budget = 900 << 10};
  for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (option == 'r') {
      options.requests = number(optarg);
    } else if (option == 'c') {
      options.coroutines = number(optarg);
    } else if (option == 't') {
      options.threads = number(optarg);
    } else {
      return 2;
    }
  }
  if (options.coroutines < options.threads || !read_document()) {
    fputs("there must be a coroutine for each thread, and the document\n", stderr);
    return 2;
  }
  const run_results contexts = run_in_a_process(&options, true);
  const run_results plain = run_in_a_process(&options, false);
  return print(&options, &contexts, &plain);
}
