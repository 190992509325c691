/* switchable/coroutine/callback.h - an event loop's callbacks, each in the memory of whom it is for.
 *
 *   connection *c = ...;                                       has a ca_coroutine, c->coroutine
 *   static ca_coroutine *of(uv_stream_t *stream);              finds it
 *   uv_read_start(stream, ca::within<alloc, of_handle>, ca::within<read, of>);
 *
 * Idea        ca::within<callback, of> is a function of the same type as `callback`, made at compile
 *             time: it asks of(first argument) for a coroutine, and calls `callback` with its state.
 *             In C the same is four lines: ca_coroutine_enter(), the work, ca_coroutine_exit().
 *             A callback on another thread (uv_queue_work()) is served likewise.
 * Cost        of coroutine.h's enter and exit.
 * Errors      if the coroutine's context is gone or held elsewhere, `callback` isn't called, but
 *             `refused`, the third parameter, with the same arguments; if there is none, nothing
 *             is called, and a result is all-zero.
 * Ownership   the coroutine must live until the callback has returned.
 * Threads     callbacks for one coroutine come one after the other, on whichever thread.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_CALLBACK_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_CALLBACK_H_

#include <type_traits>

#include "switchable/coroutine/guards.h"

namespace ca {

template <auto kCallback, auto kCoroutineOf, auto kRefused, typename = decltype(kCallback)>
struct callback_within;

template <auto kCallback, auto kCoroutineOf, auto kRefused, typename Result, typename First,
          typename... Rest>
struct callback_within<kCallback, kCoroutineOf, kRefused, Result (*)(First, Rest...)> {
  static Result call(First first, Rest... rest) {
    const coroutine_guard inside(kCoroutineOf(first));
    if (inside) return kCallback(first, rest...);
    if constexpr (!std::is_null_pointer_v<decltype(kRefused)>) {
      return kRefused(first, rest...);
    } else {
      return Result();
    }
  }
};

template <auto kCallback, auto kCoroutineOf, auto kRefused = nullptr>
inline constexpr auto within = callback_within<kCallback, kCoroutineOf, kRefused>::call;

}  // namespace ca

#endif  // CONTEXT_ALLOCATOR_SWITCHABLE_COROUTINE_CALLBACK_H_
