/* adaptors/for_lua/for_lua.h - a Lua state in a given allocator.
 *
 *   lua_State *state = lua_newstate(ca_for_lua, allocator);
 *
 * Idea        Lua asks one function for everything, and tells the old size each time: any allocator
 *             serves, one per state if wanted. A state in a region of its own (a bump allocator, a
 *             coroutine's slot) needs no lua_close(): resetting the region ends it at once and
 *             leaks nothing of Lua's. What finalizers (__gc, __close) would have released
 *             elsewhere, such as open files, is then not released.
 * Cost        the allocator's own and two compares.
 * Alignment   CA_ALIGN_DEFAULT.
 * Errors      NULL iff the allocator refuses: Lua collects its garbage, asks once more, and then
 *             raises LUA_ERRMEM, or lua_newstate() returns NULL. Lua up to 5.3 expects that
 *             shrinking always succeeds; it does wherever the allocator shrinks in place, or else
 *             has room for the smaller copy, and ends in LUA_ERRMEM otherwise.
 * Ownership   the allocator must outlive the state, or be reset with it.
 * Threads     as the state: one at a time, if the allocator is its own.
 * Tested      with Lua 5.4.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_LUA_FOR_LUA_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_LUA_FOR_LUA_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A lua_Alloc whose user data is a ca_allocator. */
void *ca_for_lua(void *allocator, void *ptr, size_t old_size, size_t new_size);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_LUA_FOR_LUA_H_ */
