/* A model of arena.c for spin: the two counted stacks, the counter of slots never used, and obtain
 * and release as each thread runs them, one atomic access a step. `arena_model` runs it.
 *
 * Exhaustive for three threads over three slots, sequentially consistent: the memory orders are
 * argued in arena.c, and not shown here. Two threads obtain once, and one OBTAINS times,
 * of which it may hold two slots at a time. What must hold, in every interleaving:
 *
 *   - a slot that obtain returns is held by nobody else;
 *   - obtain refuses only if there was a moment during the call without an idle slot;
 *   - in the end every used slot lies on exactly one stack, at the depth that it says, and
 *     `resident` holds no more than RETAINED.
 *
 * Faults that must be found:
 *   -DBUG_NO_COUNT    an exchange compares the slot and not the count beside it (ABA)
 *   -DBUG_NO_RECHECK  obtain refuses when it found stacks and counter empty one after the other
 */
#define THREADS 3
#ifndef OBTAINS
#define OBTAINS 3
#endif
#ifndef RETAINED
#define RETAINED 1
#endif
#define SLOTS 3
#define NO_LIMIT 255
#define RESIDENT 0
#define DECOMMITTED 1

/* Slots are numbered from 1, as in arena.c; 0 is none. */
byte head[2];
byte count[2];
byte next[SLOTS + 1];
byte depth[SLOTS + 1];
bool out[SLOTS + 1];
byte holders[SLOTS + 1];
byte fresh;
byte finished;

/* Not in arena.c, for the assertions only. */
byte idle = SLOTS;     /* Slots on a stack or never used. */
bool starved[THREADS]; /* Whether idle was 0 since the thread's obtain began. */

inline now_out() {
  idle--;
  if
  :: idle == 0 -> starved[0] = true; starved[1] = true; starved[2] = true
  :: else
  fi
}

#ifdef BUG_NO_COUNT
#define SAME(s) (head[s] == h)
#else
#define SAME(s) (head[s] == h && count[s] == c)
#endif

inline read_top(s) {
  do
  :: atomic { h = head[s]; c = count[s]; place_next = 0; place_depth = 0 };
     if
     :: h == 0 -> break
     :: else ->
        atomic { place_next = next[h]; place_depth = depth[h] };
        if
        :: SAME(s) -> break
        :: else
        fi
     fi
  od
}

/* pushes: whether the slot becomes idle by it. */
inline change_head(s, number, pushes) {
  atomic {
    if
    :: SAME(s) ->
       head[s] = number;
       count[s] = count[s] + 1;
       changed = true;
       if
       :: pushes -> idle++
       :: else -> now_out()
       fi
    :: else -> changed = false
    fi
  }
}

/* pushed: whether number lies on stack s now. */
inline push(s, number, limit) {
  do
  :: read_top(s);
     if
     :: place_depth >= limit -> pushed = false; break
     :: else ->
        atomic { next[number] = h; depth[number] = place_depth + 1 };
        change_head(s, number, true);
        if
        :: changed -> pushed = true; break
        :: else
        fi
     fi
  od
}

/* popped: the number of the slot taken off stack s, or 0. */
inline pop(s) {
  do
  :: read_top(s);
     if
     :: place_depth == 0 -> popped = 0; break
     :: else ->
        change_head(s, place_next, false);
        if
        :: changed -> popped = h; break
        :: else
        fi
     fi
  od
}

inline take_fresh() {
  atomic {
    if
    :: fresh < SLOTS -> fresh = fresh + 1; popped = fresh; now_out()
    :: else -> popped = 0
    fi
  }
}

/* exhausted: whether there was a moment when no slot was idle. */
inline was_exhausted() {
  atomic { h = head[RESIDENT]; c = count[RESIDENT] };
  atomic { h2 = head[DECOMMITTED]; c2 = count[DECOMMITTED] };
  exhausted = (h == 0 && h2 == 0 && fresh == SLOTS);
#ifdef BUG_NO_RECHECK
  exhausted = true;
#else
  exhausted = (exhausted && head[DECOMMITTED] == h2 && count[DECOMMITTED] == c2);
  exhausted = (exhausted && head[RESIDENT] == h && count[RESIDENT] == c);
#endif
}

inline obtain() {
  starved[me] = (idle == 0);
  pop(RESIDENT);
  do
  :: popped != 0 -> break
  :: else ->
     pop(DECOMMITTED);
     if
     :: popped == 0 -> take_fresh()
     :: else
     fi;
     if
     :: popped == 0 -> pop(RESIDENT)
     :: else
     fi;
     if
     :: popped == 0 ->
        was_exhausted();
        if
        :: exhausted -> break
        :: else
        fi
     :: else
     fi
  od
}

inline release(number) {
  atomic { assert(out[number]); out[number] = false };
  push(RESIDENT, number, RETAINED);
  if
  :: !pushed -> push(DECOMMITTED, number, NO_LIMIT)
  :: else
  fi
}

/* Obtains `obtains` times in all, with up to `most` slots held at once, and releases them all. */
proctype user(byte me; byte obtains; byte most) {
  byte first, second; /* What is held; the newer one is second. */
  byte h, c, h2, c2, place_next, place_depth, popped;
  bool changed, pushed, exhausted;
  do
  :: obtains > 0 && second == 0 && (most == 2 || first == 0) ->
     obtain();
     atomic {
       obtains--;
       if
       :: popped == 0 -> assert(starved[me])
       :: else ->
          out[popped] = true;
          depth[popped] = 0;
          holders[popped] = holders[popped] + 1;
          assert(holders[popped] == 1);
          if
          :: first == 0 -> first = popped
          :: else -> second = popped
          fi
       fi;
       popped = 0; h = 0; c = 0; h2 = 0; c2 = 0; place_next = 0; place_depth = 0
     }
  :: first != 0 ->
     atomic {
       popped = first;
       first = second;
       second = 0;
       holders[popped] = holders[popped] - 1
     };
     release(popped);
     atomic { popped = 0; h = 0; c = 0; place_next = 0; place_depth = 0 }
  :: else -> break
  od;
  finished++
}

inline walk(s) {
  number = head[s];
  expected = depth[number];
  do
  :: number != 0 ->
     assert(!out[number] && depth[number] == expected);
     seen++;
     expected--;
     number = next[number]
  :: else -> break
  od;
  assert(expected == 0)
}

/* A busy arena: every slot was used before, and lies on `decommitted`; or a new one. */
init {
  byte number, expected, seen;
  atomic {
    if
    :: true ->
       fresh = SLOTS;
       head[DECOMMITTED] = SLOTS;
       do
       :: number < SLOTS -> next[number + 1] = number; depth[number + 1] = number + 1; number++
       :: else -> break
       od
    :: true
    fi;
    run user(0, 1, 1);
    run user(1, 1, 1);
    run user(2, OBTAINS, 2)
  };
  finished == THREADS;
  d_step {
    assert(idle == SLOTS);
    assert(depth[head[RESIDENT]] <= RETAINED);
    walk(RESIDENT);
    walk(DECOMMITTED);
    assert(seen == fresh)
  }
}
