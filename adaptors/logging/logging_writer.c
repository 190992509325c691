#define _POSIX_C_SOURCE 200809L

#include "adaptors/logging/logging_writer.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* Nanoseconds. */
static const long SECOND = 1000000000;
static const long PAUSE_MIN = 50000;
static const long PAUSE_MAX = 10000000; /* Beyond this a rest ends only by being woken. */
static const long PAUSE_DEAF = 1000000; /* A rest that can't be ended: finish waits for it. */
static const long CALL_MIN = 10;        /* Hardly any program makes 100 million a second. */

/* The writer rests while there is nothing to do: about as long as it takes to fill a piece, so that
 * nobody has to wake it, which may take as long as a thousand calls. Only where it rests for long a
 * call does, once half of the buffer is full.
 *
 * Who sets `asleep` and who clears it do so by exchanges, of which one comes first. If that is the
 * writer's, the other sees that it has to be woken; else the writer, which acquires by its own, sees
 * what was stored before the other's: pieces complete, or that it is to end. */

void ca_logging_wake_writer(ca_logging *self) {
  if (__atomic_exchange_n(&self->asleep, false, __ATOMIC_ACQ_REL)) {
    self->wakes++;
    (void)sem_post(&self->wake);
  }
}

static bool stops(const ca_logging *self) {
  /* Relaxed: acquired by the exchange before, or seen the next time. */
  return __atomic_load_n(&self->stops, __ATOMIC_RELAXED);
}

/* Until somebody posts `wake`, or for `pause` nanoseconds; then false. */
static bool was_woken(ca_logging *self, long pause) {
  struct timespec until;
  (void)clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += (until.tv_nsec + pause) / SECOND;
  until.tv_nsec = (until.tv_nsec + pause) % SECOND;
  int failed;
  do {
    failed = pause > PAUSE_MAX ? sem_wait(&self->wake) : sem_timedwait(&self->wake, &until);
  } while (failed && errno == EINTR);
  return !failed;
}

static void rest(ca_logging *self, long pause) {
  if (pause <= PAUSE_DEAF && pause < (long)(self->pieces * self->piece_size / 2) * CALL_MIN) {
    const struct timespec length = {.tv_nsec = pause};
    (void)nanosleep(&length, NULL);
    return;
  }
  (void)__atomic_exchange_n(&self->asleep, true, __ATOMIC_ACQ_REL);
  if (!ca_logging_is_half_full(self) && !stops(self) && was_woken(self, pause)) {
    return;
  }
  if (!__atomic_exchange_n(&self->asleep, false, __ATOMIC_ACQ_REL)) {
    (void)was_woken(self, PAUSE_MAX + 1); /* Somebody came between, and posts. */
  }
}

static void *write_until_stopped(void *argument) {
  ca_logging *const self = argument;
  long pause = PAUSE_MIN;
  while (!stops(self)) {
    const bool any = ca_logging_write(self);
    while (ca_logging_write(self)) {
    }
    pause = any ? pause / 2 : pause * 2;
    pause = pause < PAUSE_MIN ? PAUSE_MIN : pause > PAUSE_MAX ? PAUSE_MAX + 1 : pause;
    rest(self, pause);
  }
  return NULL;
}

/* As the thread that starts another hands on the signals that it blocks. */
static int create_without_signals(pthread_t *thread, void *(*run)(void *), void *argument) {
  sigset_t all;
  sigset_t before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, NULL, run, argument);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

int ca_logging_start_writer(ca_logging *self) {
  if (self->next == NULL) {
    return EINVAL;
  }
  if (self->has_writer) {
    return EALREADY;
  }
  self->asleep = self->stops = false;
  (void)sem_init(&self->wake, 0, 0); /* 0 is never out of range. */
  const int error = create_without_signals(&self->writer, write_until_stopped, self);
  self->has_writer = error == 0;
  return error;
}

void ca_logging_stop_writer(ca_logging *self) {
  __atomic_store_n(&self->stops, true, __ATOMIC_RELAXED);
  ca_logging_wake_writer(self);
  (void)pthread_join(self->writer, NULL);
  (void)sem_destroy(&self->wake);
  self->has_writer = false;
}
