/* switchable/slots.h - the arenas whose slots are contexts, one for each class of slot size.
 *
 * Private to //switchable. Threads: any.
 */
#ifndef CONTEXT_ALLOCATOR_SWITCHABLE_SLOTS_H_
#define CONTEXT_ALLOCATOR_SWITCHABLE_SLOTS_H_

#include "switchable/context_header.h"

/* A slot with room for `budget` bytes behind the header, from the smallest class that has one idle
 * or unused; NULL if there is none. Sets *slot_size. */
void *ca_slots_obtain(size_t budget, size_t *slot_size);

void ca_slots_release(void *slot);

#endif /* CONTEXT_ALLOCATOR_SWITCHABLE_SLOTS_H_ */
