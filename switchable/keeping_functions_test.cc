// Functions of libc that keep what they allocate: called in a context, whose memory can't be touched any
// more once it has gone, while libc goes on to use what it keeps. Each in a process of its own, so that it
// is the first to ask.
#include <aio.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <iconv.h>
#include <libintl.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <search.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <cwchar>
#include <functional>
#include <string>

#include "switchable/context.h"
#include "switchable/switchable.h"

namespace {

using Work = std::function<void()>;

void Nothing() {}
void NothingMore(int, void *) {}

ca_context Quarantined() {
  ca_context_settings settings = {};
  settings.on_destroy = CA_CONTEXT_QUARANTINE;
  return ca_context_create(&settings);
}

enum { ALLOCATED = 17, NOT_RIGHT = 18 };

void Require(bool right) {
  if (!right) _exit(NOT_RIGHT);
}

// Runs `keep` in a context and `use` after that has gone, and then exit().
[[noreturn]] void KeepAndUse(const Work &before, const Work &keep, const Work &use) {
  before();
  const ca_context context = Quarantined();
  Require(ca_context_swap_in(context) == CA_CONTEXT_DONE);
  keep();
  ca_context_swap_out();
  if (ca_context_count(context).allocations != 0) _exit(ALLOCATED);
  Require(ca_context_destroy(context) == CA_CONTEXT_DONE);
  use();
  std::exit(0);
}

// 0, or what went wrong.
int InChild(const Work &work) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void ExpectKept(const Work &before, const Work &keep, const Work &use) {
  EXPECT_EQ(InChild([&] { KeepAndUse(before, keep, use); }), 0);
}

void ExpectKept(const Work &keep, const Work &use) { ExpectKept(Nothing, keep, use); }

void FlushAll() { Require(std::fflush(nullptr) == 0); }

TEST(KeepingFunctionsTest, StreamsThatStayOpen) {
  ExpectKept([] { Require(std::fopen("/dev/null", "w") != nullptr); }, FlushAll);
  ExpectKept([] { Require(fopen64("/dev/null", "w") != nullptr); }, FlushAll);
  ExpectKept([] { Require(fdopen(open("/dev/null", O_WRONLY), "w") != nullptr); }, FlushAll);
  ExpectKept([] { Require(std::freopen("/dev/null", "r,ccs=UTF-8", stdin) != nullptr); }, FlushAll);
  ExpectKept([] { Require(fopencookie(nullptr, "r", {}) != nullptr); }, FlushAll);
  static char buffer[100];
  ExpectKept([] { Require(fmemopen(buffer, sizeof buffer, "w") != nullptr); }, FlushAll);
  ExpectKept([] { Require(std::tmpfile() != nullptr && tmpfile64() != nullptr); }, FlushAll);
  ExpectKept([] { Require(popen("exit 0", "r") != nullptr); }, FlushAll);
}

TEST(KeepingFunctionsTest, StreamsIntoMemoryThatStayOpen) {
  static char *text;
  static wchar_t *wide;
  static std::size_t size;
  ExpectKept(
      [] {
        std::FILE *const stream = open_memstream(&text, &size);
        Require(stream != nullptr && std::fputs("a request's", stream) >= 0);
      },
      FlushAll);
  ExpectKept([] { Require(open_wmemstream(&wide, &size) != nullptr); }, FlushAll);
}

TEST(KeepingFunctionsTest, WhatAStreamWroteIsThereAtExit) {
  std::string path = testing::TempDir() + "keeping_XXXXXX";
  const int fd = mkstemp(&path[0]);
  ASSERT_GE(fd, 0);
  ExpectKept([&] { Require(std::fputs("in a request", std::fopen(path.c_str(), "w")) >= 0); },
             Nothing);
  char written[20] = {};
  EXPECT_EQ(read(fd, written, sizeof written), 12);
  EXPECT_STREQ(written, "in a request");
  close(fd);
  std::remove(path.c_str());
}

TEST(KeepingFunctionsTest, CharactersPutBack) {
  static std::FILE *stream;
  ExpectKept(
      [] {
        stream = std::fopen("/dev/zero", "r");
        (void)std::fgetc(stream);
      },
      [] { Require(std::ungetc('a', stream) == 'a'); }, [] { Require(std::fgetc(stream) == 'a'); });
  ExpectKept(
      [] {
        stream = std::fopen("/dev/zero", "r");
        (void)std::fgetwc(stream);
      },
      [] { Require(std::ungetwc(L'a', stream) == L'a'); },
      [] { Require(std::fgetwc(stream) == L'a'); });
}

TEST(KeepingFunctionsTest, TheEnvironment) {
  ExpectKept(
      [] {
        Require(setenv("KEPT", "of a request", 1) == 0);
        static char other[] = "OTHER=put";
        Require(putenv(other) == 0);
      },
      [] {
        Require(std::strcmp(std::getenv("KEPT"), "of a request") == 0);
        Require(std::strcmp(std::getenv("OTHER"), "put") == 0);
        Require(setenv("KEPT", "of nobody", 1) == 0);
      });
}

TEST(KeepingFunctionsTest, FunctionsToBeCalledLater) {
  const auto many = [](const Work &one) {
    return [one] {
      for (int i = 0; i < 100; ++i) one();
    };
  };
  ExpectKept(many([] { on_exit(NothingMore, nullptr); }), Nothing);
  ExpectKept(many([] { at_quick_exit(Nothing); }), [] { std::quick_exit(0); });
  ExpectKept(many([] { pthread_atfork(Nothing, Nothing, Nothing); }),
             [] { Require(InChild(Nothing) == 0); });
}

TEST(KeepingFunctionsTest, Locales) {
  if (std::setlocale(LC_ALL, "C.UTF-8") == nullptr) GTEST_SKIP() << "needs the locale C.UTF-8";
  std::setlocale(LC_ALL, "C");
  const auto convert = [] {
    wchar_t wide[10];
    Require(std::mbstowcs(wide, "\xc3\xa9", 10) == 1);
  };
  ExpectKept([] { Require(std::setlocale(LC_ALL, "C.UTF-8") != nullptr); }, convert);
  ExpectKept([] { std::setlocale(LC_ALL, "C.UTF-8"); }, convert, convert);
  static locale_t locale;
  const auto make = [] {
    locale = newlocale(LC_ALL_MASK, "C.UTF-8", nullptr);
    Require(locale != nullptr);
  };
  const auto use = [convert] {
    uselocale(locale);
    convert();
  };
  ExpectKept(make, use);
  ExpectKept(make, use, convert);
  ExpectKept(
      make, [] { locale = duplocale(locale); }, use);
}

TEST(KeepingFunctionsTest, Conversions) {
  static iconv_t converter;
  ExpectKept(
      [] {
        converter = iconv_open("UTF-16", "UTF-8");
        Require(converter != reinterpret_cast<iconv_t>(-1));
      },
      [] { Require(iconv_close(converter) == 0 && iconv_open("UTF-8", "UTF-16") != nullptr); });
}

TEST(KeepingFunctionsTest, CataloguesOfMessages) {
  ExpectKept(
      [] {
        Require(bindtextdomain("kept", "/nowhere") != nullptr && textdomain("kept") != nullptr);
        bind_textdomain_codeset("kept", "UTF-8");
      },
      [] { Require(std::strcmp(textdomain(nullptr), "kept") == 0); });
  // Looks for catalogues, and keeps that there is none.
  ExpectKept(
      [] {
        setenv("LANGUAGE", "xx", 1);
        std::setlocale(LC_ALL, "C.UTF-8");
      },
      [] { Require(std::strcmp(gettext("a text"), "a text") == 0); },
      [] { Require(std::strcmp(gettext("a text"), "a text") == 0); });
}

TEST(KeepingFunctionsTest, TextsThatStayUntilTheNext) {
  const auto error = [] { Require(std::strstr(std::strerror(123456), "123456") != nullptr); };
  ExpectKept(error, error);
  const auto signal_text = [] { Require(std::strstr(strsignal(123456), "123456") != nullptr); };
  ExpectKept(signal_text, signal_text);
}

TEST(KeepingFunctionsTest, TheTimeZone) {
  static const std::time_t when = 1'000'000'000;
  static std::tm time;
  const auto local = [] { Require(std::localtime(&when)->tm_year == 101); };
  ExpectKept(local, local);
  ExpectKept([] { setenv("TZ", "EST5EDT", 1); }, local, local);
  ExpectKept([] { setenv("TZ", "AAA5BBB,M3.2.0,M11.1.0", 1); }, local, local);
  ExpectKept([] { tzset(); }, local);
  ExpectKept([] { localtime_r(&when, &time); }, local);
  ExpectKept([] { std::gmtime(&when); }, local);
  ExpectKept([] { gmtime_r(&when, &time); }, local);
  ExpectKept([] { std::mktime(&time); }, local);
  ExpectKept([] { timegm(&time); }, local);
  ExpectKept([] { std::ctime(&when); }, local);
  const auto format = [] {
    char text[100];
    Require(std::strftime(text, sizeof text, "%c %Z %s", &time) > 0);
  };
  ExpectKept(format, format);
}

TEST(KeepingFunctionsTest, TheSystemsLog) {
  const auto log = [] {
    closelog();  // Nobody listens here.
    syslog(LOG_DEBUG, "%s", "kept");
  };
  EXPECT_EQ(InChild([&] {
              const ca_context context = Quarantined();
              ca_context_swap_in(context);
              log();
              ca_context_swap_out();
              ca_context_destroy(context);
              std::time_t now = 0;
              Require(std::localtime(&now) != nullptr);
              log();
            }),
            0);
}

TEST(KeepingFunctionsTest, NamesOfHostsAndUsers) {
  const auto names = [] {
    addrinfo hints = {};
    hints.ai_flags = AI_NUMERICHOST;
    addrinfo *found = nullptr;
    Require(getaddrinfo("127.0.0.1", "80", &hints, &found) == 0);
    freeaddrinfo(found);
    (void)gethostbyname("localhost");
    (void)getservbyname("http", "tcp");
    (void)getpwuid(0);
    passwd user;
    passwd *result;
    char buffer[1000];
    (void)getpwnam_r("root", &user, buffer, sizeof buffer, &result);
  };
  ExpectKept(names, names);
}

TEST(KeepingFunctionsTest, TablesOfWhatIsOpen) {
  ExpectKept([] { Require(hcreate(10) != 0); },
             [] {
               static char key[] = "key";
               Require(hsearch({key, nullptr}, ENTER) != nullptr);
             });
  const auto event = [] {
    sigevent on_timer = {};
    on_timer.sigev_notify = SIGEV_THREAD;
    on_timer.sigev_notify_function = [](sigval) {};
    timer_t timer;
    Require(timer_create(CLOCK_MONOTONIC, &on_timer, &timer) == 0);
  };
  ExpectKept(event, event);
  const auto request = [] {
    static char byte;
    static aiocb read_one;
    read_one.aio_fildes = open("/dev/zero", O_RDONLY);
    read_one.aio_buf = &byte;
    read_one.aio_nbytes = 1;
    Require(aio_read(&read_one) == 0);
    const aiocb *const all[] = {&read_one};
    while (aio_error(&read_one) == EINPROGRESS) aio_suspend(all, 1, nullptr);
    Require(aio_return(&read_one) == 1);
  };
  ExpectKept(request, request);
}

TEST(KeepingFunctionsTest, NamedSemaphores) {
  const std::string name = "/keeping_functions_" + std::to_string(getpid());
  const auto open_it = [&name] { return sem_open(name.c_str(), O_CREAT, 0600, 3); };
  if (open_it() == SEM_FAILED) GTEST_SKIP() << "needs /dev/shm";
  int value = 0;
  EXPECT_EQ(sem_getvalue(open_it(), &value), 0);
  EXPECT_EQ(value, 3);
  const std::string other = name + "_other";
  ExpectKept([&] { Require(sem_open(other.c_str(), O_CREAT | O_EXCL, 0600, 1) != SEM_FAILED); },
             [&] { Require(sem_open(other.c_str(), 0) != SEM_FAILED); });
  sem_unlink(name.c_str());
  sem_unlink(other.c_str());
}

// What serves is as before, however the function is left.

TEST(KeepingFunctionsTest, LeaveWhatIsCurrent) {
  const ca_context context = ca_context_create(nullptr);
  ca_context_swap_in(context);
  tzset();
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
  ASSERT_TRUE(ca_switchable_use(CA_CURRENT_GLOBAL));
  tzset();
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
  const locale_t locale = newlocale(LC_ALL_MASK, "C", nullptr);
  EXPECT_EQ(uselocale(nullptr), LC_GLOBAL_LOCALE);
  freelocale(locale);
  ca_context_swap_out();
  ca_context_destroy(context);
}

ca_current current_while_cancelled;

void *OpenCancelled(void *) {
  const ca_context context = ca_context_create(nullptr);
  ca_context_swap_in(context);
  pthread_cleanup_push([](void *) { current_while_cancelled = ca_switchable_current(); }, nullptr);
  pthread_cancel(pthread_self());
  std::FILE *const stream = std::fopen("/dev/null", "r");  // Opening is where it takes effect.
  EXPECT_EQ(stream, nullptr) << "it was cancelled";
  pthread_cleanup_pop(0);
  return nullptr;
}

TEST(KeepingFunctionsTest, LeaveWhatIsCurrentWhenCancelled) {
  current_while_cancelled = CA_CURRENT_GLOBAL;
  pthread_t thread;
  void *result = nullptr;
  ASSERT_EQ(pthread_create(&thread, nullptr, OpenCancelled, nullptr), 0);
  pthread_join(thread, &result);
  EXPECT_EQ(result, PTHREAD_CANCELED);
  EXPECT_EQ(current_while_cancelled, CA_CURRENT_COROUTINE);
}

TEST(KeepingFunctionsTest, AreNoReasonToLoseAPromisedHeap) {
  for (void (*first)() : {+[] { Require(std::tmpfile() != nullptr); },
                          +[] {
                            for (int i = 0; i < 100; ++i) (void)std::atexit(Nothing);
                          }}) {
    EXPECT_EQ(InChild([first] {
                ca_switchable_promise_thread_heaps(nullptr);
                pthread_t thread;
                void *(*const run)(void *) = [](void *function) -> void * {
                  reinterpret_cast<void (*)()>(function)();
                  std::free(std::malloc(1));
                  Require(ca_switchable_current() == CA_CURRENT_THREAD);
                  return nullptr;
                };
                pthread_create(&thread, nullptr, run, reinterpret_cast<void *>(first));
                pthread_join(thread, nullptr);
              }),
              0);
  }
}

}  // namespace
