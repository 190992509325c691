/* A model of logging.c for spin: the ring of pieces, and how the calls, two threads in
 * ca_logging_write() and a flush share it, one access a step. `logging_model` runs it.
 *
 * Exhaustive for CALLS calls over PIECES pieces of one call each, sequentially consistent: the
 * memory orders are argued in logging.c, and not shown here. What must hold, in every interleaving:
 *
 *   - every call is written once, in the order of the calls;
 *   - a piece is put down in only after what it held has been written;
 *   - nobody waits for ever.
 *
 * Faults that must be found:
 *   -DBUG_NO_WAIT        a call that finds no room goes on
 *   -DBUG_FREED_EARLY    a piece is free before it has been written
 *   -DBUG_COMPLETE_EARLY a piece is complete before it has been put down
 *   -DBUG_NO_MUTEX       two write at once
 *   -DBUG_FULL_ONCE      a call that had to wait for the mutex doesn't look again whether it must
 *                        write, and takes a piece that is its own
 */
#ifndef CALLS
#define CALLS 6
#endif
#define PIECES 3
#define WRITERS 2

byte piece[PIECES]; /* The number of the call that it holds; 0: none, or it has been written. */
byte filled;
byte written;
byte in_file; /* Calls in the file: number in_file was the last. */
bool turn;
bool mutex;
bool done;

#ifdef BUG_NO_MUTEX
#define LOCK skip
#define UNLOCK skip
#else
#define LOCK                      \
  atomic { !turn -> turn = true }; \
  atomic { !mutex -> mutex = true }; \
  turn = false
#define UNLOCK mutex = false
#endif

/* Requires the mutex, and a complete piece. */
inline write_run() {
#ifdef BUG_FREED_EARLY
  at = written % PIECES;
  written++;
  held = piece[at];
  assert(held == in_file + 1);
  in_file = held;
  piece[at] = 0
#else
  at = written % PIECES;
  held = piece[at];
  assert(held == in_file + 1);
  in_file = held;
  piece[at] = 0;
  written++
#endif
}

active proctype calls() {
  byte call = 1;
  byte at;
  byte held;
  byte seen;
  do
  :: call <= CALLS ->
#ifdef BUG_COMPLETE_EARLY
     filled++;
     piece[(filled - 1) % PIECES] = call;
#else
     assert(piece[filled % PIECES] == 0);
     piece[filled % PIECES] = call;
     filled++;
#endif
     call++;
     seen = written;
     if
     :: filled - seen == PIECES ->
#ifndef BUG_NO_WAIT
        LOCK;
#ifdef BUG_FULL_ONCE
        write_run();
#else
        if
        :: filled - written == PIECES -> write_run()
        :: else
        fi;
#endif
        UNLOCK
#else
        skip
#endif
     :: else
     fi
  :: else -> break
  od;
  LOCK; /* A flush. */
  do
  :: filled > written -> write_run()
  :: else -> break
  od;
  UNLOCK;
  assert(in_file == CALLS);
  done = true
}

active [WRITERS] proctype writer() {
  byte at;
  byte held;
  byte seen;
  do
  :: done -> break
  :: else ->
     seen = written;
     if
     :: filled > seen ->
        LOCK;
        if
        :: filled > written -> write_run()
        :: else
        fi;
        UNLOCK
     :: else
     fi
  od
}
