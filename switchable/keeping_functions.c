/* Functions of libc that keep what they allocate, run with the global allocator current:
 * kept_by_libc.h says why.
 *
 * Each stands in front of libc's own, which it calls. They come by the names that programs and
 * libraries link to: what libc calls within itself is covered by who called libc. Apart from
 * malloc, since a fully static program has no next one to call. */
#undef _FORTIFY_SOURCE /* Which defines some of them inline. */
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE
#include <aio.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <iconv.h>
#include <libintl.h>
#include <locale.h>
#include <mcheck.h>
#include <mntent.h>
#include <netdb.h>
#include <printf.h>
#include <pwd.h>
#include <resolv.h>
#include <search.h>
#include <semaphore.h>
#include <shadow.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "base/check.h"
#include "switchable/thread_life.h"
#include "switchable/thread_state.h"

#define EXPORT __attribute__((visibility("default")))

/* By name, as a coroutine that waits in here may go on on another thread. */
static ca_current enter_global(void) {
  ca_thread_state *const state = ca_thread_state_get();
  /* A heap that was promised comes now, or it would be left again. */
  (void)ca_thread_current(state);
  const ca_current before = ca_thread_state_current(state);
  ca_thread_state_use(state, NULL);
  return before;
}

/* Also when the thread is cancelled in here. */
static void leave_global(const ca_current *before) {
  ca_thread_state *const state = ca_thread_state_get();
  ca_thread_state_use(state, ca_thread_state_resolve(state, *before));
}

/* Relaxed: every thread finds the same. */
static void *next_of(const char *name, void **found) {
  void *symbol = __atomic_load_n(found, __ATOMIC_RELAXED);
  if (CA_UNLIKELY(symbol == NULL)) {
    symbol = dlsym(RTLD_NEXT, name);
    CA_CHECK(symbol != NULL);
    __atomic_store_n(found, symbol, __ATOMIC_RELAXED);
  }
  return symbol;
}

/* Declares `next`, libc's own function of that name, and what makes the global allocator current
 * until the end of the scope. */
#define GLOBALLY(type, name, parameters)                                                   \
  typedef type(next_function) parameters;                                                  \
  static void *found;                                                                      \
  next_function *next;                                                                     \
  __attribute__((cleanup(leave_global), unused)) const ca_current before = enter_global(); \
  void *const symbol = next_of(#name, &found);                                             \
  __builtin_memcpy(&next, &symbol, sizeof next) /* No call. */

#define KEEP(type, name, parameters, arguments) \
  type name parameters;                         \
  EXPORT type name parameters {                 \
    GLOBALLY(type, name, parameters);           \
    return next arguments;                      \
  }

/* Streams, which libc has in a list until they are closed; and what is put back into one. */

KEEP(FILE *, fopen, (const char *restrict path, const char *restrict mode), (path, mode))
KEEP(FILE *, fopen64, (const char *restrict path, const char *restrict mode), (path, mode))
KEEP(FILE *, fdopen, (int fd, const char *mode), (fd, mode))
KEEP(FILE *, freopen, (const char *restrict path, const char *restrict mode, FILE *restrict stream),
     (path, mode, stream))
KEEP(FILE *, freopen64,
     (const char *restrict path, const char *restrict mode, FILE *restrict stream),
     (path, mode, stream))
KEEP(FILE *, fopencookie,
     (void *restrict cookie, const char *restrict mode, cookie_io_functions_t functions),
     (cookie, mode, functions))
KEEP(FILE *, fmemopen, (void *buffer, size_t size, const char *mode), (buffer, size, mode))
KEEP(FILE *, open_memstream, (char **buffer, size_t *size), (buffer, size))
KEEP(FILE *, open_wmemstream, (wchar_t * *buffer, size_t *size), (buffer, size))
KEEP(FILE *, popen, (const char *command, const char *mode), (command, mode))
KEEP(FILE *, tmpfile, (void), ())
KEEP(FILE *, tmpfile64, (void), ())
KEEP(FILE *, setmntent, (const char *path, const char *mode), (path, mode))
KEEP(int, ungetc, (int c, FILE *stream), (c, stream))
KEEP(wint_t, ungetwc, (wint_t c, FILE *stream), (c, stream))

/* The environment, and lists of functions to be called later. */

KEEP(int, setenv, (const char *name, const char *value, int replace), (name, value, replace))
KEEP(int, putenv, (char *string), (string))
KEEP(int, on_exit, (void (*function)(int status, void *argument), void *argument),
     (function, argument))
KEEP(int, __cxa_at_quick_exit, (void (*function)(void *), void *object), (function, object))
KEEP(int, __register_atfork,
     (void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object),
     (prepare, parent, child, object))

/* Locales. libc loads how one converts characters when that is first needed, mostly later and in
 * whatever context comes then: so it is needed at once. */

static void load_conversion(void) { (void)btowc(0x80); }

EXPORT char *setlocale(int category, const char *locale) {
  GLOBALLY(char *, setlocale, (int, const char *));
  char *const name = next(category, locale);
  if (name != NULL && locale != NULL) {
    load_conversion();
  }
  return name;
}

static locale_t loaded(locale_t locale) {
  if (locale != NULL) {
    const locale_t previous = uselocale(locale);
    load_conversion();
    (void)uselocale(previous);
  }
  return locale;
}

EXPORT locale_t newlocale(int categories, const char *name, locale_t base) {
  GLOBALLY(locale_t, newlocale, (int, const char *, locale_t));
  return loaded(next(categories, name, base));
}

/* As libstdc++ calls it. */
locale_t __newlocale(int categories, const char *name, locale_t base);
EXPORT locale_t __newlocale(int categories, const char *name, locale_t base) {
  GLOBALLY(locale_t, __newlocale, (int, const char *, locale_t));
  return loaded(next(categories, name, base));
}

KEEP(locale_t, duplocale, (locale_t locale), (locale))
KEEP(locale_t, __duplocale, (locale_t locale), (locale))
KEEP(iconv_t, iconv_open, (const char *to, const char *from), (to, from))

/* Catalogues of messages; texts that libc keeps until the next is asked for. */

/* Macros of <libintl.h>. */
#undef gettext
#undef dgettext
#undef dcgettext
#undef ngettext
#undef dngettext
#undef dcngettext

KEEP(char *, textdomain, (const char *domain), (domain))
KEEP(char *, bindtextdomain, (const char *domain, const char *directory), (domain, directory))
KEEP(char *, bind_textdomain_codeset, (const char *domain, const char *codeset), (domain, codeset))
KEEP(char *, gettext, (const char *text), (text))
KEEP(char *, dgettext, (const char *domain, const char *text), (domain, text))
KEEP(char *, dcgettext, (const char *domain, const char *text, int category),
     (domain, text, category))
KEEP(char *, __dcgettext, (const char *domain, const char *text, int category),
     (domain, text, category))
KEEP(char *, ngettext, (const char *one, const char *many, unsigned long count), (one, many, count))
KEEP(char *, dngettext,
     (const char *domain, const char *one, const char *many, unsigned long count),
     (domain, one, many, count))
KEEP(char *, dcngettext,
     (const char *domain, const char *one, const char *many, unsigned long count, int category),
     (domain, one, many, count, category))
KEEP(char *, strerror, (int error), (error))
KEEP(char *, strerror_l, (int error, locale_t locale), (error, locale))
KEEP(char *, strerror_r, (int error, char *buffer, size_t size), (error, buffer, size))
KEEP(int, __xpg_strerror_r, (int error, char *buffer, size_t size), (error, buffer, size))
KEEP(char *, strsignal, (int number), (number))
KEEP(char *, dlerror, (void), ())
EXPORT void perror(const char *text) {
  GLOBALLY(void, perror, (const char *));
  next(text);
}

/* The time zone, which is read anew when TZ has changed, and where TZ isn't set by each of these. */

EXPORT void tzset(void) {
  GLOBALLY(void, tzset, (void));
  next();
}
KEEP(struct tm *, localtime, (const time_t *when), (when))
KEEP(struct tm *, localtime_r, (const time_t *restrict when, struct tm *restrict result),
     (when, result))
KEEP(struct tm *, gmtime, (const time_t *when), (when))
KEEP(struct tm *, gmtime_r, (const time_t *restrict when, struct tm *restrict result),
     (when, result))
KEEP(time_t, mktime, (struct tm * time), (time))
KEEP(time_t, timelocal, (struct tm * time), (time))
KEEP(time_t, timegm, (struct tm * time), (time))
KEEP(char *, ctime, (const time_t *when), (when))
KEEP(char *, ctime_r, (const time_t *restrict when, char *restrict buffer), (when, buffer))
KEEP(size_t, strftime,
     (char *restrict text, size_t size, const char *restrict format,
      const struct tm *restrict time),
     (text, size, format, time))
KEEP(size_t, strftime_l,
     (char *restrict text, size_t size, const char *restrict format, const struct tm *restrict time,
      locale_t locale),
     (text, size, format, time, locale))
KEEP(size_t, __strftime_l,
     (char *restrict text, size_t size, const char *restrict format, const struct tm *restrict time,
      locale_t locale),
     (text, size, format, time, locale))
KEEP(size_t, wcsftime,
     (wchar_t *restrict text, size_t size, const wchar_t *restrict format,
      const struct tm *restrict time),
     (text, size, format, time))
KEEP(size_t, wcsftime_l,
     (wchar_t *restrict text, size_t size, const wchar_t *restrict format,
      const struct tm *restrict time, locale_t locale),
     (text, size, format, time, locale))
KEEP(size_t, __wcsftime_l,
     (wchar_t *restrict text, size_t size, const wchar_t *restrict format,
      const struct tm *restrict time, locale_t locale),
     (text, size, format, time, locale))
KEEP(char *, strptime,
     (const char *restrict text, const char *restrict format, struct tm *restrict time),
     (text, format, time))
KEEP(struct tm *, getdate, (const char *text), (text))
KEEP(int, getdate_r, (const char *restrict text, struct tm *restrict time), (text, time))

/* The system's log, whose lines have a time. */

static void log_globally(int priority, const char *format, va_list arguments) {
  GLOBALLY(void, vsyslog, (int, const char *, va_list));
  next(priority, format, arguments);
}

EXPORT void vsyslog(int priority, const char *format, va_list arguments) {
  log_globally(priority, format, arguments);
}

EXPORT void syslog(int priority, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  log_globally(priority, format, arguments);
  va_end(arguments);
}

/* As a program built with _FORTIFY_SOURCE calls them. */

static void log_checked(int priority, int flag, const char *format, va_list arguments) {
  GLOBALLY(void, __vsyslog_chk, (int, int, const char *, va_list));
  next(priority, flag, format, arguments);
}

void __vsyslog_chk(int priority, int flag, const char *format, va_list arguments);
EXPORT void __vsyslog_chk(int priority, int flag, const char *format, va_list arguments) {
  log_checked(priority, flag, format, arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...);
EXPORT void __syslog_chk(int priority, int flag, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  log_checked(priority, flag, format, arguments);
  va_end(arguments);
}

/* Names of hosts, services, protocols, users and groups: configurations, modules, buffers. */

KEEP(int, getaddrinfo,
     (const char *restrict node, const char *restrict service,
      const struct addrinfo *restrict hints, struct addrinfo **restrict result),
     (node, service, hints, result))
KEEP(int, getnameinfo,
     (const struct sockaddr *restrict address, socklen_t length, char *restrict host,
      socklen_t host_size, char *restrict service, socklen_t service_size, int flags),
     (address, length, host, host_size, service, service_size, flags))
KEEP(struct hostent *, gethostbyname, (const char *name), (name))
KEEP(struct hostent *, gethostbyname2, (const char *name, int family), (name, family))
KEEP(struct hostent *, gethostbyaddr, (const void *address, socklen_t length, int family),
     (address, length, family))
KEEP(int, gethostbyname_r,
     (const char *restrict name, struct hostent *restrict host, char *restrict buffer, size_t size,
      struct hostent **restrict result, int *restrict error),
     (name, host, buffer, size, result, error))
KEEP(int, gethostbyname2_r,
     (const char *restrict name, int family, struct hostent *restrict host, char *restrict buffer,
      size_t size, struct hostent **restrict result, int *restrict error),
     (name, family, host, buffer, size, result, error))
KEEP(int, gethostbyaddr_r,
     (const void *restrict address, socklen_t length, int family, struct hostent *restrict host,
      char *restrict buffer, size_t size, struct hostent **restrict result, int *restrict error),
     (address, length, family, host, buffer, size, result, error))
KEEP(struct hostent *, gethostent, (void), ())
KEEP(struct servent *, getservbyname, (const char *name, const char *protocol), (name, protocol))
KEEP(struct servent *, getservbyport, (int port, const char *protocol), (port, protocol))
KEEP(int, getservbyname_r,
     (const char *restrict name, const char *restrict protocol, struct servent *restrict service,
      char *restrict buffer, size_t size, struct servent **restrict result),
     (name, protocol, service, buffer, size, result))
KEEP(int, getservbyport_r,
     (int port, const char *restrict protocol, struct servent *restrict service,
      char *restrict buffer, size_t size, struct servent **restrict result),
     (port, protocol, service, buffer, size, result))
KEEP(struct servent *, getservent, (void), ())
KEEP(struct protoent *, getprotobyname, (const char *name), (name))
KEEP(struct protoent *, getprotobynumber, (int number), (number))
KEEP(int, getprotobyname_r,
     (const char *restrict name, struct protoent *restrict protocol, char *restrict buffer,
      size_t size, struct protoent **restrict result),
     (name, protocol, buffer, size, result))
KEEP(int, getprotobynumber_r,
     (int number, struct protoent *restrict protocol, char *restrict buffer, size_t size,
      struct protoent **restrict result),
     (number, protocol, buffer, size, result))
KEEP(int, __res_init, (void), ())
KEEP(int, __res_ninit, (res_state state), (state))
KEEP(int, res_query, (const char *name, int class, int type, unsigned char *answer, int size),
     (name, class, type, answer, size))
KEEP(int, res_search, (const char *name, int class, int type, unsigned char *answer, int size),
     (name, class, type, answer, size))
KEEP(int, res_nquery,
     (res_state state, const char *name, int class, int type, unsigned char *answer, int size),
     (state, name, class, type, answer, size))
KEEP(int, res_nsearch,
     (res_state state, const char *name, int class, int type, unsigned char *answer, int size),
     (state, name, class, type, answer, size))

KEEP(struct passwd *, getpwnam, (const char *name), (name))
KEEP(struct passwd *, getpwuid, (uid_t uid), (uid))
KEEP(struct passwd *, getpwent, (void), ())
KEEP(struct passwd *, fgetpwent, (FILE * stream), (stream))
KEEP(int, getpwnam_r,
     (const char *restrict name, struct passwd *restrict user, char *restrict buffer, size_t size,
      struct passwd **restrict result),
     (name, user, buffer, size, result))
KEEP(int, getpwuid_r,
     (uid_t uid, struct passwd *restrict user, char *restrict buffer, size_t size,
      struct passwd **restrict result),
     (uid, user, buffer, size, result))
KEEP(struct spwd *, getspnam, (const char *name), (name))
KEEP(struct group *, getgrnam, (const char *name), (name))
KEEP(struct group *, getgrgid, (gid_t gid), (gid))
KEEP(struct group *, getgrent, (void), ())
KEEP(struct group *, fgetgrent, (FILE * stream), (stream))
KEEP(int, getgrnam_r,
     (const char *restrict name, struct group *restrict group, char *restrict buffer, size_t size,
      struct group **restrict result),
     (name, group, buffer, size, result))
KEEP(int, getgrgid_r,
     (gid_t gid, struct group *restrict group, char *restrict buffer, size_t size,
      struct group **restrict result),
     (gid, group, buffer, size, result))
KEEP(int, getgrouplist, (const char *user, gid_t group, gid_t *groups, int *count),
     (user, group, groups, count))
KEEP(int, initgroups, (const char *user, gid_t group), (user, group))
KEEP(char *, ttyname, (int fd), (fd))
KEEP(char *, getpass, (const char *prompt), (prompt))
KEEP(struct mntent *, getmntent, (FILE * stream), (stream))

/* Tables of what is under way or open. */

EXPORT sem_t *sem_open(const char *name, int flags, ...) {
  GLOBALLY(sem_t *, sem_open, (const char *, int, ...));
  if ((flags & O_CREAT) == 0) {
    return next(name, flags);
  }
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  const unsigned value = va_arg(arguments, unsigned);
  va_end(arguments);
  return next(name, flags, mode, value);
}

KEEP(int, timer_create, (clockid_t clock, struct sigevent *restrict event, timer_t *restrict timer),
     (clock, event, timer))
KEEP(int, hcreate, (size_t count), (count))
KEEP(int, aio_read, (struct aiocb * request), (request))
KEEP(int, aio_read64, (struct aiocb64 * request), (request))
KEEP(int, aio_write, (struct aiocb * request), (request))
KEEP(int, aio_write64, (struct aiocb64 * request), (request))
KEEP(int, aio_fsync, (int operation, struct aiocb *request), (operation, request))
KEEP(int, aio_fsync64, (int operation, struct aiocb64 *request), (operation, request))
KEEP(int, lio_listio,
     (int mode, struct aiocb *const requests[restrict], int count, struct sigevent *restrict event),
     (mode, requests, count, event))
KEEP(int, lio_listio64,
     (int mode, struct aiocb64 *const requests[restrict], int count,
      struct sigevent *restrict event),
     (mode, requests, count, event))
KEEP(int, getaddrinfo_a,
     (int mode, struct gaicb *requests[restrict], int count, struct sigevent *restrict event),
     (mode, requests, count, event))
KEEP(int, register_printf_specifier,
     (int specifier, printf_function *convert, printf_arginfo_size_function *info),
     (specifier, convert, info))
KEEP(int, register_printf_modifier, (const wchar_t *text), (text))
KEEP(int, register_printf_type, (printf_va_arg_function * function), (function))
