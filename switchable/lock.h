/* switchable/lock.h - the locks of the front end, for which a fork waits.
 *
 * Idea        what another thread has locked while a process forks stays locked in the child for
 *             ever, and what it was changing half changed. So fork() takes all of them before, and
 *             gives them back in both processes (pthread_atfork).
 * Handlers    of others that run meanwhile may do here what they like: their thread has them all.
 * Signals     where a signal interrupted a thread that holds one, or waits for it, and the handler
 *             forks, none is taken: that thread goes on in both processes.
 *
 * Private to //switchable.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_LOCK_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_LOCK_H_

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who has one takes only those that come later. */
typedef enum ca_lock {
  CA_LOCK_PLACEMENT = 0,  /* Stating the rules: placement.c. */
  CA_LOCK_SLOTS = 1,      /* Reserving the address space: slots.c. */
  CA_LOCK_TREE = 2,       /* The links between contexts: context_tree.c. */
  CA_LOCK_QUARANTINE = 3, /* What is in there: quarantine.c. */
  CA_LOCK_FAMILIES = 4,   /* What counts where: context_family.c. */
} ca_lock;

enum { CA_LOCKS = 5 };

void ca_lock_take(ca_lock which);
/* False if somebody has it. */
bool ca_lock_try(ca_lock which);
void ca_lock_release(ca_lock which);

#ifdef __cplusplus
}
#endif

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_LOCK_H_ */
