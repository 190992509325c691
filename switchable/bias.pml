/* A model for spin of biased holding: the words `holder` and `generation` of a header and `in` of a
 * thread's record, as bias.h, bias.c, holding.h and context_swap.c use them, one access a step.
 * `bias_model` runs it.
 *
 * A context is biased to one thread, which swaps it in and out, also steps out of it, goes from it to
 * another, holds it for a moment while it is parked, uses a stale handle, and ends it and makes another
 * in the same slot, which is biased from the start. At the same time a second thread destroys it and
 * makes another in the same slot, and a third holds it for a moment, also by a stale handle. What
 * must hold, in every interleaving:
 *
 *   - nobody holds a context that somebody else holds, and nobody holds by a stale handle;
 *   - in the end it is parked, and no revocation is left behind.
 *
 * The biased thread's plain stores wait in a buffer, first in, first out, and it reads its own ones
 * there; its exchanges wait until that is empty, and so does membarrier: it is then that the thread
 * executes the fence. (That the words of other stores are seen in order is by their releases and acquires,
 * which the code says.) The others' stores are seen at once: there is only one that is no
 * exchange, letting go, and to be late with it is to hold longer.
 *
 * Faults that must be found:
 *   -DBUG_NO_FENCE          who revokes doesn't wait for the thread's fence
 *   -DBUG_ONE_LOOK          the thread doesn't look again after it has written `in`
 *   -DBUG_PLAIN_REVOKING    who revokes marks `holder` without looking whether it changed meanwhile
 *   -DBUG_PLAIN_COMMIT      who revokes writes `holder` without looking whether it changed meanwhile
 *   -DBUG_SAME_NUMBER       revocations have no number of their own
 *   -DBUG_NO_GENERATION     a biased `holder` doesn't say of which context
 *   -DBUG_ANY_REVOCATION    who meets a revocation doesn't look of which context that is
 *   -DBUG_EARLY_OUT         who steps out, or goes, clears `in` first, and then writes `holder`
 */

/* Of `holder`. */
#define PARKED(generation) (generation)
#ifdef BUG_NO_GENERATION
#define BIASED(generation) 10
#define IS_BIASED_TO(word, generation) ((word) == 10)
#else
#define BIASED(generation) (10 + (generation))
#define IS_BIASED_TO(word, generation) ((word) == 10 + (generation))
#endif
#ifdef BUG_SAME_NUMBER
#define REVOKING(number) 20
#else
#define REVOKING(number) (20 + (number))
#endif
#define IS_REVOKING(word) ((word) >= 20 && (word) < 100)
#ifdef BUG_ANY_REVOCATION
#define IS_REVOKING_OF(word, context) IS_REVOKING(word)
#else
#define IS_REVOKING_OF(word, context) (IS_REVOKING(word) && generation == (context))
#endif
#define SWAPPED_IN 100
#define SELF 101
#define HELD_BY(other) (110 + (other))

byte holder = BIASED(1);
byte generation = 1;
bit in;
byte handle = 1;     /* Of the context that is alive, or was. */
bit renewed;         /* The thread has ended it, and made number 3. */
byte numbers;

/* Not in the code. */
byte holders;
byte finished;

/* The biased thread's stores. */
#define IN 0
#define HOLDER 1
#define GENERATION 2
#define HANDLE 3
chan buffer = [6] of { byte, byte };
byte buffered;       /* Of those, to `holder`. */
byte newest;

inline store(word, value) {
  atomic {
    nfull(buffer) -> buffer!word(value);
    if
    :: word == HOLDER -> buffered++; newest = value
    :: else
    fi
  }
}

#define LOADED (buffered > 0 -> newest : holder)
#define ITS_GENERATION (renewed -> 3 : generation)

active proctype processor() {
  byte word, value;
end:
  do
  :: atomic {
       buffer?word(value) ->
       if
       :: word == HOLDER -> holder = value; buffered--
       :: word == GENERATION -> generation = value
       :: word == HANDLE -> handle = value
       :: word == IN -> in = value
       fi;
       word = 0; value = 0
     }
  od
}

inline now_held(by, alive) {
  holders++;
  assert(holders == 1 && alive == by)
}

/* ca_hold() by the biased thread, and ca_hold_biased() where it finds itself. */
inline hold(by, mark) {
  do
  :: atomic { seen = LOADED };
     if
     :: seen == PARKED(by) || IS_BIASED_TO(seen, by) || IS_REVOKING_OF(seen, by) ->
        atomic {
          empty(buffer) ->
          if
          :: holder == seen -> holder = mark; got = true; now_held(by, ITS_GENERATION)
          :: else
          fi
        };
        if
        :: got -> break
        :: else
        fi
     :: else -> break
     fi
  od
}

/* ca_hold_by_bias(), and if it comes to nothing, as above. */
inline swap_in(by) {
  if
  :: atomic { IS_BIASED_TO(LOADED, by) -> skip };
     store(IN, 1);
     atomic {
       if
#ifndef BUG_ONE_LOOK
       :: !IS_BIASED_TO(LOADED, by)
#endif
       :: else -> got = true; now_held(by, ITS_GENERATION)
       fi
     };
     if
     :: !got -> store(IN, 0)
     :: else
     fi
  :: atomic { !IS_BIASED_TO(LOADED, by) -> skip }
  fi;
  if
  :: !got -> hold(by, SWAPPED_IN)
  :: else
  fi
}

/* ca_hold_by_itself(), ca_step_in(). */
inline step_out_and_in() {
  if
  :: atomic { LOADED != SWAPPED_IN ->
#ifdef BUG_EARLY_OUT
     store(IN, 0) };
     store(HOLDER, SELF)
#else
     store(HOLDER, SELF) };
     store(IN, 0)
#endif
  :: atomic { LOADED == SWAPPED_IN -> store(HOLDER, SELF) }
  fi;
  store(HOLDER, SWAPPED_IN)
}

/* ca_context_swap_to(), by bias: `in` names the other from then on. It may get that or not, and goes on as
 * one that isn't held by bias. */
inline hold_while_looking_at_another() {
#ifdef BUG_EARLY_OUT
  store(IN, 0);
  store(HOLDER, SWAPPED_IN)
#else
  store(HOLDER, SWAPPED_IN);
  store(IN, 0)
#endif
}

/* ca_context_swap_out(): whether it is biased from now on is for ca_bias_for() to say. */
inline swap_out() {
  if
  :: atomic { LOADED != SWAPPED_IN -> holders--; store(IN, 0) }
  :: atomic { LOADED == SWAPPED_IN -> holders--; store(HOLDER, BIASED(ITS_GENERATION)) }
  :: atomic { LOADED == SWAPPED_IN -> holders--; store(HOLDER, PARKED(ITS_GENERATION)) }
  fi
}

/* ca_hold_own(), the end, ca_slot_cache_take(), and ca_let_go_new(). Requires that it was held by bias. */
inline renew() {
  store(HOLDER, SELF);
  store(IN, 0);
  atomic { renewed = 1; store(GENERATION, 3) };
  atomic { holders--; store(HOLDER, BIASED(3)) };
  store(HANDLE, 3)
}

active proctype biased() {
  byte seen, rounds, by;
  bool got;
  do
  :: rounds == 3 -> break
  :: rounds < 3 ->
     rounds++;
     got = false;
     if
     :: by = 1
     :: by = (renewed -> 3 : handle)
     fi;
     if
     :: swap_in(by);
        if
        :: got && !renewed && LOADED != SWAPPED_IN -> renew()
        :: got -> step_out_and_in(); swap_out()
        :: got && LOADED != SWAPPED_IN -> hold_while_looking_at_another(); swap_out()
        :: got -> swap_out()
        :: else
        fi
     :: hold(by, SELF);
        if
        :: got -> atomic { holders--; store(HOLDER, PARKED(ITS_GENERATION)) }
        :: else
        fi
     fi
  od;
  empty(buffer);
  finished++
}

/* ca_hold_biased() by another thread. */
inline hold_from_outside(other, by) {
  do
  :: seen = holder;
     if
     :: seen == PARKED(by) ->
        atomic {
          if
          :: holder == seen -> holder = HELD_BY(other); got = true; now_held(by, generation)
          :: else
          fi
        }
     :: IS_REVOKING_OF(seen, by) ->
        if
        :: holder != seen /* It waits, */
        :: numbers < 3 -> revoke(other, by) /* but not for ever, which may be several times. */
        fi
     :: IS_BIASED_TO(seen, by) -> revoke(other, by)
     :: else -> break
     fi;
     if
     :: got || refused -> break
     :: else
     fi
  od
}

inline revoke(other, by) {
  if
  :: in == 1 -> refused = true
  :: else ->
     atomic {
       numbers++;
       number = numbers
     };
     atomic {
       if
#ifdef BUG_PLAIN_REVOKING
       :: true -> holder = REVOKING(number)
#else
       :: holder == seen -> holder = REVOKING(number)
#endif
       :: else -> number = 0
       fi
     };
     if
     :: number == 0
     :: else ->
#ifndef BUG_NO_FENCE
        empty(buffer);
#endif
        if
        :: in == 1 ->
           atomic {
             if
             :: holder == REVOKING(number) -> holder = BIASED(by)
             :: else
             fi
           };
           refused = true
        :: else ->
           atomic {
             if
#ifdef BUG_PLAIN_COMMIT
             :: true ->
#else
             :: holder == REVOKING(number) ->
#endif
                holder = HELD_BY(other);
                got = true;
                now_held(by, generation)
             :: else
             fi
           }
        fi
     fi
  fi;
  number = 0
}

/* Destroys it, and makes another in its slot. The arena orders the two. */
active proctype destroyer() {
  byte seen, number;
  bool got, refused;
  hold_from_outside(1, 1);
  if
  :: got ->
     generation = 2;
     atomic { holders--; holder = PARKED(2) };
     handle = 2
  :: else
  fi;
  finished++
}

active proctype visitor() {
  byte seen, number, by;
  bool got, refused;
  if
  :: by = 1
  :: by = handle
  fi;
  hold_from_outside(2, by);
  if
  :: got -> atomic { holders--; holder = PARKED(generation) }
  :: else
  fi;
  finished++
}

init {
  finished == 3 && empty(buffer);
  assert(holders == 0 && in == 0 && buffered == 0);
  assert(holder == PARKED(generation) || IS_BIASED_TO(holder, generation))
}
