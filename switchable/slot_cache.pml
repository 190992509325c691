/* A model for spin of the threads' caches of slots: the cells `idle` and the numbers `kept` of three
 * threads' records, as slot_cache.h and slots.c use them, one access a step. `slot_cache_model` runs
 * it. The arena is one number here, as it says exactly of one moment that it was exhausted (arena.pml).
 *
 * Of two slots, which each thread may both have, one thread obtains or releases six times, as it takes
 * that to have another slot kept while one is idle all the time, and the others once. What must hold, in
 * every interleaving:
 *
 *   - no slot is handed out that is out;
 *   - nobody is refused unless there was a moment, since he asked, when no slot was idle: one is from
 *     the moment when the call that released it returned, or earlier;
 *   - in the end none is lost.
 *
 * That the accesses of who is refused are seen in this order is by their acquires, which the code
 * says.
 *
 * Faults that must be found:
 *   -DBUG_PLAIN_TAKE     a slot is taken from a cell by a load and a store
 *   -DBUG_ONE_LOOK       who found the caches and the arena empty doesn't ask whether one was kept meanwhile
 *   -DBUG_ARENA_FIRST    the arena is not looked at again after the caches
 *   -DBUG_EARLY_NUMBER   a thread counts before it puts the slot there
 */

#define SLOTS 2
#define NONE 0

byte arena = SLOTS;          /* Slots on its stack, */
byte stack[SLOTS] = { 1, 2 };
byte cell[3];
byte kept[3];

/* Not in the code. */
bool out[SLOTS + 1];
short surely_idle = SLOTS;   /* Of calls that have returned. */
bool none_idle[3];           /* Since this thread asked. */
byte finished;

inline now_out(slot) {
  assert(!out[slot]);
  out[slot] = true;
  surely_idle--;
  if
  :: surely_idle <= 0 -> none_idle[0] = true; none_idle[1] = true; none_idle[2] = true
  :: else
  fi
}

inline obtain_from_arena() {
  atomic {
    if
    :: arena > 0 -> arena--; slot = stack[arena]; now_out(slot)
    :: else
    fi
  }
}

inline take(from) {
#ifdef BUG_PLAIN_TAKE
  slot = cell[from];
  atomic {
    if
    :: slot != NONE -> cell[from] = NONE; now_out(slot)
    :: else
    fi
  }
#else
  if
  :: cell[from] == NONE
  :: else ->
     atomic {
       slot = cell[from];
       cell[from] = NONE;
       if
       :: slot != NONE -> now_out(slot)
       :: else
       fi
     }
  fi
#endif
}

inline obtain() {
  atomic { slot = NONE; none_idle[self] = (surely_idle <= 0) };
  take(self);
  if
  :: slot == NONE -> obtain_from_arena()
  :: else
  fi;
  do
  :: slot != NONE -> break
  :: else ->
     number = kept[0];
     number = number + kept[1];
     number = number + kept[2];
     take(0);
     if
     :: slot == NONE -> take(1)
     :: else
     fi;
     if
     :: slot == NONE -> take(2)
     :: else
     fi;
#ifndef BUG_ARENA_FIRST
     if
     :: slot == NONE -> obtain_from_arena()
     :: else
     fi;
#endif
     if
     :: slot != NONE -> break
     :: else ->
#ifdef BUG_ONE_LOOK
        break
#else
        again = kept[0];
        again = again + kept[1];
        again = again + kept[2];
        if
        :: again == number -> break
        :: else
        fi
#endif
     fi
  od;
  if
  :: slot == NONE -> assert(none_idle[self])
  :: else
  fi
}

/* Of a slot that is out, and nobody else's. */
inline release(slot) {
  if
  :: cell[self] == NONE ->
#ifdef BUG_EARLY_NUMBER
     kept[self]++;
     atomic { out[slot] = false; cell[self] = slot };
     surely_idle++
#else
     atomic { out[slot] = false; cell[self] = slot };
     atomic { kept[self]++; surely_idle++ }
#endif
  :: else -> atomic { out[slot] = false; stack[arena] = slot; arena++; surely_idle++ }
  fi
}

proctype thread(byte self, most) {
  byte slot, first, second, rounds, number, again;
  do
  :: rounds == most -> break
  :: rounds < most && second == NONE ->
     rounds++;
     obtain();
     if
     :: slot != NONE && first == NONE -> first = slot
     :: slot != NONE && first != NONE -> second = slot
     :: else
     fi
  :: rounds < most && first != NONE ->
     rounds++;
     release(first);
     first = second;
     second = NONE
  od;
  if
  :: first != NONE -> release(first)
  :: else
  fi;
  if
  :: second != NONE -> release(second)
  :: else
  fi;
  finished++
}

init {
  atomic {
    run thread(0, 6);
    run thread(1, 1);
    run thread(2, 1)
  };
  finished == 3;
  assert(surely_idle == SLOTS);
  assert(arena + (cell[0] != NONE) + (cell[1] != NONE) + (cell[2] != NONE) == SLOTS)
}
