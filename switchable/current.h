/* switchable/current.h - the three that can serve an allocation. */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_CURRENT_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_CURRENT_H_

/* Which of them serves this thread's next allocation. */
typedef enum ca_current {
  CA_CURRENT_GLOBAL = 0,    /* Every thread's: outlives both others. */
  CA_CURRENT_THREAD = 1,    /* The thread's own heap. */
  CA_CURRENT_COROUTINE = 2, /* The context that is swapped in. */
} ca_current;

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_CURRENT_H_ */
