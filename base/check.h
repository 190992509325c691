/* base/check.h - assertions that are safe inside malloc.
 *
 * libc's assert() formats with stdio, which may call malloc: in a program whose malloc is ours,
 * that re-enters the allocator that just failed. What is here only calls write(2) and traps.
 *
 *   CA_CHECK(x)   always on.                   Damage that must not spread. O(1), rarely taken.
 *   CA_ASSERT(x)  on unless NDEBUG.            The caller's side of a contract. O(1).
 *   CA_AUDIT(x)   on with CA_AUDIT_ENABLED=1   The callee's invariants. May be O(n).
 *                 (--config=audit).
 */
#ifndef CONTEXT_ALLOCATOR_BASE_CHECK_H_
#define CONTEXT_ALLOCATOR_BASE_CHECK_H_

#ifndef CA_AUDIT_ENABLED
#define CA_AUDIT_ENABLED 0
#endif

#define CA_LIKELY(x) __builtin_expect(!!(x), 1)
#define CA_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CA_COLD __attribute__((cold, noinline))

#ifdef __cplusplus
extern "C" {
#endif

/* Writes "file:line: text" and a newline to descriptor 2 and traps. Never allocates. */
CA_COLD __attribute__((noreturn)) void ca_panic(const char *file, unsigned line, const char *text);

/* Reports a misuse: writes "context_allocator: call(0x...): what" and a newline to descriptor 2
 * and traps. `call` is the function that the culprit called, `what` names the class of misuse.
 * Never allocates. */
CA_COLD __attribute__((noreturn)) void ca_panic_misuse(const char *call, const void *ptr,
                                                       const char *what);

#ifdef __cplusplus
}
#endif

/* Each macro turns its own argument into text: passed on through another macro it would be
 * expanded first, and the report would show what NULL stands for. */
#define CA_CHECK_TEXT_(x, text) (CA_LIKELY(x) ? (void)0 : ca_panic(__FILE__, __LINE__, text))
#define CA_CHECK(x) CA_CHECK_TEXT_(x, #x)
#ifdef NDEBUG
#define CA_ASSERT(x) ((void)sizeof(!(x)))
#else
#define CA_ASSERT(x) CA_CHECK_TEXT_(x, #x)
#endif
#if CA_AUDIT_ENABLED
#define CA_AUDIT(x) CA_CHECK_TEXT_(x, #x)
#else
#define CA_AUDIT(x) ((void)sizeof(!(x)))
#endif

#endif /* CONTEXT_ALLOCATOR_BASE_CHECK_H_ */
