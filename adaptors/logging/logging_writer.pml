/* A model of logging_writer.c for spin: how the writer goes to sleep, and how a call and finish wake it, one
 * access a step. `logging_writer_model` runs it.
 *
 * Exhaustive for CALLS calls, each a piece, over a ring of which HALF pieces are half; a rest that ends
 * by itself may do so at any time, or never. What must hold, in every interleaving:
 *
 *   - between two calls the writer doesn't sleep, not to be woken, while half of the ring is full;
 *   - nobody waits for ever: the writer ends when it is told to;
 *   - each post is taken, so that the semaphore doesn't count up, and is 0 in the end.
 *
 * Faults that must be found:
 *   -DBUG_NO_SECOND_LOOK  the writer doesn't look again once it has said that it sleeps
 *   -DBUG_NO_EXCHANGE     the call reads `asleep`, and then clears it
 *   -DBUG_LOOK_FIRST      the call looks whether the writer sleeps before the piece is complete
 *   -DBUG_LEAVES_POST     whose rest ends by itself doesn't take the post of who came between
 *   -DBUG_STOP_UNSEEN     finish doesn't wake it
 */
#define CALLS 4
#define HALF 2

byte complete;
bool asleep;
bool stops;
byte posted;
bool waits;   /* The writer is in sem_wait(). */
bool in_call;
bool ended;

inline wake() {
#ifdef BUG_NO_EXCHANGE
  was = asleep;
  asleep = false;
#else
  atomic { was = asleep; asleep = false };
#endif
  if
  :: was -> posted++
  :: else
  fi;
  assert(posted <= 1)
}

active proctype calls() {
  byte call = 0;
  bool was;
  do
  :: call < CALLS ->
     in_call = true;
#ifdef BUG_LOOK_FIRST
     if
     :: complete + 1 >= HALF -> wake()
     :: else
     fi;
     complete++;
#else
     complete++;
     if
     :: complete >= HALF -> wake()
     :: else
     fi;
#endif
     in_call = false;
     call++
  :: else -> break
  od;
  stops = true;
#ifndef BUG_STOP_UNSEEN
  wake();
#endif
  ended;
  assert(posted == 0)
}

active proctype writer() {
  bool was;
  bool again;
  bool by_itself;
  bool endless;
  do
  :: stops -> break
  :: else ->
     complete = 0;
     atomic { asleep = true };
#ifdef BUG_NO_SECOND_LOOK
     again = false;
#else
     again = complete >= HALF;
     again = again || stops;
#endif
     by_itself = false;
     if
     :: again
     :: else ->
        if
        :: endless = true
        :: endless = false
        fi;
        waits = true;
        if
        :: atomic { posted > 0 -> posted--; waits = false }
        :: !endless -> by_itself = true; waits = false
        fi
     fi;
     if
     :: again || by_itself ->
        atomic { was = asleep; asleep = false };
#ifndef BUG_LEAVES_POST
        if
        :: !was -> atomic { posted > 0 -> posted-- }
        :: else
        fi
#else
        skip
#endif
     :: else
     fi
  od;
  ended = true
}

/* A rest without an end is one whose end doesn't come: this must hold before it does. */
active proctype observer() {
  do
  :: ended -> break
  :: atomic { waits && !in_call && !stops -> assert(!(complete >= HALF && posted == 0)) }
  od
}
