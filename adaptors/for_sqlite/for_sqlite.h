/* adaptors/for_sqlite/for_sqlite.h - SQLite's memory in a given allocator.
 *
 *   static const sqlite3_mem_methods methods = CA_FOR_SQLITE_METHODS(allocator);
 *   sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
 *   sqlite3_initialize();
 *
 * Idea        SQLite takes a table of functions, for the whole process: hence one allocator, named
 *             in the table. free() brings no size: an allocator that forgets sizes is served by
 *             adaptors/sized, at 8 bytes a block. With C's rules for constants the allocator is an
 *             address of static storage; elsewhere fill in pAppData by hand.
 * Cost        the allocator's own and a load. SQLite asks for a block's size at each allocation and
 *             free where SQLITE_CONFIG_MEMSTATUS is on, as it is by default.
 * Alignment   CA_ALIGN_DEFAULT; SQLite wants 8.
 * Errors      NULL iff the allocator refuses: SQLite then returns SQLITE_NOMEM and rolls back.
 *             sqlite3_initialize() returns SQLITE_MISUSE iff the allocator is NULL.
 * Ownership   the allocator must live until sqlite3_shutdown().
 * Threads     where several threads use SQLite, the allocator must be thread-safe and record sizes
 *             itself (adaptors/sized has no lock), as adaptors/locked around one that does. With
 *             SQLITE_CONFIG_MEMSTATUS on, SQLite holds a mutex of its own around each call but one:
 *             it asks for a block's size without. adaptors/sized looks for that at the block alone,
 *             so any allocator that forgets sizes will do then, too.
 * Tested      with SQLite 3.40.
 */
#ifndef CONTEXT_ALLOCATOR_ADAPTORS_FOR_SQLITE_FOR_SQLITE_H_
#define CONTEXT_ALLOCATOR_ADAPTORS_FOR_SQLITE_FOR_SQLITE_H_

#ifdef __cplusplus
extern "C" {
#endif

/* The functions of a sqlite3_mem_methods, in its order. */
void *ca_for_sqlite_malloc(int size);
void ca_for_sqlite_free(void *ptr);
void *ca_for_sqlite_realloc(void *ptr, int size);
int ca_for_sqlite_size(void *ptr);
int ca_for_sqlite_roundup(int size);
int ca_for_sqlite_init(void *allocator);
void ca_for_sqlite_shutdown(void *allocator);

/* Initialises a sqlite3_mem_methods. */
#define CA_FOR_SQLITE_METHODS(allocator)                                                       \
  {                                                                                            \
    ca_for_sqlite_malloc, ca_for_sqlite_free, ca_for_sqlite_realloc, ca_for_sqlite_size,       \
        ca_for_sqlite_roundup, ca_for_sqlite_init, ca_for_sqlite_shutdown, (void *)(allocator) \
  }

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_ADAPTORS_FOR_SQLITE_FOR_SQLITE_H_ */
