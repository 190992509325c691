/* A model for spin of who owns a context and its blocks: the words `holder`, `generation`, `foreign` and
 * `outstanding` of a header (context_header.h), as holding.h, context.c, context_blocks.c and
 * context_tree.c use them, one atomic access a step. `ownership_model` runs it.
 *
 * One slot, which serves two contexts one after the other. Of the first, two blocks are in the hands
 * of two freers, one of whom may resize his before; the owner swaps it in and out, frees a third block, resets
 * and destroys it; a rival, who has its handle, does so at the same time, and keeps trying when the
 * handle is stale. What must hold, in every interleaving:
 *
 *   - nobody holds a context that somebody else holds;
 *   - a block that was freed is taken in once, counted down once, or gone with its context, and
 *     once all frees have returned the next to take in has them all;
 *   - an orphan ends once, after its last block;
 *   - nobody writes into the slot after it was given back;
 *   - no generation is dealt twice; a stale handle holds nothing, and is said to be GONE.
 *
 * The program is correct: it destroys with live blocks, or with blocks that are just being freed,
 * only by the policies that allow it. Which policy is a -D:
 *   -DREFUSE      frees may run at the same time as destroy
 *   -DORPHAN      likewise
 *   -DRELEASE     all frees have returned before a destroy is begun
 *   -DRACE        RELEASE by a wrong program, which frees and destroys at the same time. Then the
 *                 last but one can't hold. A block may be lost, but is gone in any case, or its freer
 *                 told. The slot is not used again meanwhile.
 *
 * A context that is biased to a thread (bias.h) is left out: bias.pml is the model of that.
 *
 * Spin is sequentially consistent. The code asks for less; why that is enough is said at each step:
 *   [acquire], [release]: the order that the code asks for; the rest is [relaxed].
 * All of a word's changes have one order, in which an exchange follows what it read: that alone, and
 * no order between words, makes the steps on `holder`, on `foreign` and on `outstanding` as exclusive
 * as they are here. Where the model needs two words in order, the comment names what orders them.
 *
 * Faults that must be found:
 *   -DBUG_HOLD_IN_TWO_STEPS   hold() looks at the holder, and then writes it
 *   -DBUG_TAKE_IN_TWO_STEPS   take_in() reads the list, and then empties it
 *   -DBUG_COUNT_FIRST         orphan() adds the blocks that are out before it says ORPHANED
 *   -DBUG_COUNT_BELOW         who counts down to less than 0 ends the orphan, too
 *   -DBUG_OLD_HEAD            a push that is overtaken tries again without linking again
 *   -DBUG_ONE_RUN             two threads deal generations from the same run
 *   -DBUG_KEEP_GENERATION     an orphan keeps its generation
 *   -DBUG_NO_REFUSAL_TAKES    a destroy that may be refused doesn't take in before it counts
 */
#ifdef RACE
#define RELEASE
#endif

/* Of `holder`, besides generations, which stand for ca_parked() of them and are odd. A slot whose
 * pages were given back reads as 0. */
#define SELF 200
#define SWAPPED_IN(thread) (100 + 2 * (thread))
/* Of `foreign`, besides blocks, which are 1 to 3. */
#define NONE 0
#define GONE 10
#define ORPHANED 11

byte holder;
byte generation;
byte foreign = NONE;
short outstanding;
byte link[4];        /* The first word of a freed block. */
byte allocations;    /* Of the holder only. */
byte deallocations;  /* Of the holder only. */
#define RUN 2
byte next_run = RUN;
byte dealt[3];       /* Of each thread: the last one. */

/* Results. */
#define DONE 0
#define IS_GONE 1
#define HELD 2
#define LIVE 4

/* Not in the code, for the program and the assertions only. */
#define OWNER 0
#define RIVAL 1
byte handle;         /* Of the first context; 0: it isn't made yet. */
byte life;           /* Which of the contexts the slot serves. */
bool out_of_arena;   /* Not given back. */
byte holders;
byte ends[3];        /* Of each life. */
byte calls = 3;      /* Frees that have not returned. */
bool was_dealt[32];
#define IS_OUT 1
#define IS_LISTED 2
#define IS_TAKEN 3
#define IS_COUNTED 4
#define IS_LOST 5    /* With its context. */
byte state[4];

/* A write to the header or to a block of the first context. */
#ifdef RACE
#define WRITES skip
#else
#define WRITES assert(out_of_arena && life == 1)
#endif

/* new_generation() of context.c. */
inline deal(thread) {
  d_step {
    if
    :: dealt[thread] % RUN == 0 ->
       /* An exchange, [relaxed]: that no two read the same is in the order of this one word. */
       dealt[thread] = next_run;
#ifndef BUG_ONE_RUN
       next_run = next_run + RUN
#endif
    :: else
    fi;
    dealt[thread] = dealt[thread] + 1;
    number = dealt[thread] * 2 + 1;
    assert(!was_dealt[number]);
    was_dealt[number] = true
  }
}

inline now_held() {
  holders++;
  assert(holders == 1 && out_of_arena)
}

/* [acquire], pairs with let_go(): the owner-only words are as the last holder left them. If it fails
 * nothing is read by it: [relaxed]. */
inline hold(expected, mark) {
#ifdef BUG_HOLD_IN_TWO_STEPS
  got = (holder == expected);
  if
  :: got -> atomic { holder = mark; now_held() }
  :: else
  fi
#else
  atomic {
    if
    :: holder == expected -> holder = mark; got = true; now_held()
    :: else -> got = false
    fi
  }
#endif
}

/* [release]: the other half. */
inline let_go() {
  atomic { assert(out_of_arena && holders == 1); holders--; holder = generation }
}

/* [acquire], pairs with push()'s release: the links are read. An exchange, or a block that is pushed
 * between would be lost. */
inline take_in() {
#ifdef BUG_TAKE_IN_TWO_STEPS
  list = foreign;
  foreign = NONE;
#else
  atomic { list = foreign; foreign = NONE };
#endif
  do
  :: list == NONE -> break
  :: else ->
     d_step {
       assert(list <= 3 && state[list] == IS_LISTED);
       state[list] = IS_TAKEN;
       deallocations++;
       list = link[list]
     }
  od
}

/* ca_has_foreign() is [relaxed]: a block that is missed is taken in later. */
inline take_in_if_any() {
  if
  :: foreign != NONE -> take_in()
  :: else
  fi
}

inline lose(block) {
  if
  :: state[block] == IS_LISTED -> state[block] = IS_LOST
#ifdef RACE
  :: state[block] == IS_OUT -> state[block] = IS_LOST
#endif
  :: else
  fi
}

/* ca_context_header_end(). `holder` stays SELF, so that no handle can hold it. [relaxed], all three:
 * a stale handle fails by `holder`, which is SELF or another generation in its own order; `generation`
 * and GONE are for who has a block, and a correct program has no block now, so that they only
 * serve to tell an incorrect one. */
inline end() {
  atomic { assert(out_of_arena); generation = 0 };
  /* [acquire] load, pairs with push(): the links were written before the slot is used again. That of
   * the newest is enough: all changes before it were exchanges, which hand the earlier releases on.
   * Not one exchange with the store that follows: who is pushing between the two loses a block that is
   * gone anyway (RACE). */
  (foreign == foreign);
  atomic {
    assert(out_of_arena && foreign != GONE);
    foreign = GONE;
    lose(1); lose(2); lose(3);
#ifndef RACE
    assert(state[1] != IS_OUT && state[2] != IS_OUT && state[3] != IS_OUT)
#endif
  };
  /* The arena's release orders what was written before what its next user writes. The pages may be
   * given back, and read as zero. */
  atomic {
    ends[life]++;
    assert(ends[life] == 1);
    holders = 0;
    out_of_arena = false;
    if
    :: true
    :: true -> holder = 0; generation = 0; foreign = NONE; outstanding = 0
    fi
  }
}

/* ca_context_header_count_down(). An exchange, [acquire] and [release]: the last one sees what all
 * the others wrote into the slot before he gives it back. */
inline count_down(change, block) {
  atomic {
    WRITES;
    outstanding = outstanding + change;
    left = outstanding;
    if
    :: block != 0 -> assert(state[block] == IS_OUT); state[block] = IS_COUNTED
    :: else
    fi
  };
  if
#ifdef BUG_COUNT_BELOW
  :: left <= 0 ->
#else
  :: left == 0 ->
#endif
     d_step { deallocations = allocations; left = 0 };
     end()
  :: else
  fi
}

/* ca_context_header_orphan(), held. Its generation is another from now on: [relaxed], as `holder` is
 * SELF for good. */
inline orphan(thread) {
  deal(thread);
#ifndef BUG_KEEP_GENERATION
  generation = number;
#endif
#ifdef BUG_COUNT_FIRST
  take_in();
  left = allocations - deallocations;
  if
  :: left != 0 -> count_down(left, 0)
  :: else
  fi;
#endif
  /* [release], pairs with the load in push(): who sees ORPHANED finds the header as it is now.
   * `outstanding` needs nothing more: 0 since the context was made, which its blocks' freers saw
   * when they got them. */
  do
  :: atomic { foreign == NONE -> WRITES; foreign = ORPHANED }; break
  :: foreign != NONE -> take_in()
  od;
#ifdef BUG_COUNT_FIRST
  if
  :: left == 0 && allocations == deallocations -> end()
  :: else
  fi
#else
  left = allocations - deallocations;
  if
  :: left == 0 -> end()
  :: else -> count_down(left, 0)
  fi
#endif
}

/* ca_refuse(). `generation` is [relaxed]: who knows of the end saw it, or something later. */
inline refuse(expected) {
  if
  :: generation == expected -> result = HELD
  :: else -> result = IS_GONE
  fi
}

/* create() and the let_go() that publishes it, by the release there. */
inline create(thread, which) {
  atomic {
    !out_of_arena -> out_of_arena = true; /* The arena's obtain: sources/arena/arena.pml. */
    life = which;
    assert(holders == 0);
    holders = 1;
    outstanding = 0;
    foreign = NONE;
    allocations = 0;
    deallocations = 0;
    if
    :: which == 1 -> allocations = 3; state[1] = IS_OUT; state[2] = IS_OUT; state[3] = IS_OUT
    :: else
    fi
  };
  deal(thread);
  generation = number;
  holder = SELF;
  let_go()
}

/* ca_context_destroy(), by a handle. */
inline destroy(thread, expected) {
#if defined(RELEASE) && !defined(RACE)
  calls == 0;
#endif
  quiet = (calls == 0);
  hold(expected, SELF);
  if
  :: !got -> refuse(expected)
  :: else ->
     assert(generation == expected);
#if defined(REFUSE)
#ifndef BUG_NO_REFUSAL_TAKES
     take_in();
#endif
     if
     :: allocations != deallocations ->
        assert(!quiet); /* Only a block that somebody still has may refuse. */
        result = LIVE;
        let_go()
     :: else -> end(); result = DONE
     fi
#elif defined(ORPHAN)
     orphan(thread);
     result = DONE
#else
     end();
     result = DONE
#endif
  fi;
  quiet = false
}

/* ca_context_swap_in(), what a coroutine does, and ca_context_swap_out(). */
inline work(thread) {
  hold(handle, SWAPPED_IN(thread));
  if
  :: got ->
     assert(life == 1 && generation == handle);
     take_in_if_any();
     /* The thread knows by itself: ca_is_held_here(). */
     assert(holder == SWAPPED_IN(thread));
     if
     :: d_step { thread == OWNER && state[3] == IS_OUT -> state[3] = IS_TAKEN; deallocations++; calls-- }
     :: true
     fi;
     let_go()
  :: else
  fi
}

/* ca_context_reset(): by a correct program when all frees have returned. */
inline reset() {
  hold(handle, SELF);
  if
  :: got ->
     /* [acquire] exchange, as in take_in(). */
     atomic { foreign = NONE; lose(1); lose(2); lose(3); allocations = 0; deallocations = 0 };
     let_go()
  :: else
  fi
}

/* ca_hold_parked() and let_go(): a block of a parked context is resized. It can't end, as the block is
 * live; an orphan is held. Hence `generation` may be [relaxed]: a stale one holds nothing. */
inline resize() {
  number = generation;
  hold(number, SELF);
  if
  :: got ->
     assert(generation == number && life == 1);
     take_in_if_any();
     let_go()
  :: else
  fi
}

/* ca_context_header_deallocate() by who doesn't hold the context. */
inline push(block) {
  /* require_block(): [relaxed], as a correct freer got the block after the context was made. */
  if
  :: generation == 0 -> told = true
  :: else ->
     head = foreign; /* [acquire]: pairs with ORPHANED's release. */
     do
     :: head == ORPHANED ->
        count_down(-1, block);
        break
     :: head == GONE -> told = true; break
     :: else ->
#ifdef BUG_OLD_HEAD
        atomic {
          if
          :: !linked -> link[block] = head; linked = true
          :: else
          fi
        };
#else
        atomic { WRITES; link[block] = head };
#endif
        /* [release]: pairs with take_in(), so that the link is seen. If it fails, [acquire], as the
         * load above. A head that left the list and came back is as good: only the newest block's
         * link names it. */
        atomic {
          if
          :: foreign == head ->
             WRITES;
             foreign = block;
             if
             :: state[block] == IS_OUT -> state[block] = IS_LISTED
             :: else -> assert(state[block] == IS_LOST) /* RACE */
             fi;
             break
          :: else -> head = foreign
          fi
        }
     od
  fi;
#ifndef RACE
  assert(!told)
#endif
}

/* The owner's own block, if he hasn't freed it while he had the context swapped in. */
inline free_third(must) {
  if
  :: state[3] == IS_OUT -> push(3); calls--
#ifdef ORPHAN
  :: !must /* It may outlive the context. */
#endif
  :: else
  fi
}

proctype owner() {
  byte number, list, result, head;
  short left;
  bool got, quiet, told, linked;
  create(OWNER, 1);
  handle = generation;
  work(OWNER);
  free_third(false);
  if
  :: calls == 0 -> reset()
  :: true
  fi;
  result = HELD;
  do
  :: result == DONE || result == IS_GONE -> break
  :: else -> destroy(OWNER, handle)
  od;
  refuse(handle);
  assert(result == IS_GONE);
  free_third(true);
#ifndef RACE
  /* The slot's next context; it waits for the last block of an orphan. */
  create(OWNER, 2);
  hold(generation, SWAPPED_IN(OWNER));
  assert(got && foreign == NONE && outstanding == 0);
  let_go();
  hold(handle, SELF);
  assert(!got)
#endif
}

proctype rival() {
  byte number, list, result;
  short left;
  bool got, quiet;
  handle != 0;
  work(RIVAL);
  destroy(RIVAL, handle);
  if
  :: result == DONE || result == IS_GONE ->
     hold(handle, SWAPPED_IN(RIVAL));
     assert(!got);
     refuse(handle);
     assert(result == IS_GONE)
  :: else
  fi
}

proctype freer(byte block) {
  byte number, list, head;
  short left;
  bool got, told, linked;
  handle != 0;
#ifndef RACE
  if
  :: block == 1 -> resize()
  :: true
  fi;
#endif
  push(block);
  calls--
}

init {
  atomic {
    run owner();
    run rival();
    run freer(1);
    run freer(2)
  };
  (_nr_pr == 1);
  d_step {
    assert(ends[1] == 1);
    assert(state[1] > IS_LISTED && state[2] > IS_LISTED && state[3] > IS_LISTED);
#ifndef RACE
    assert(ends[2] == 0 && out_of_arena && holders == 0)
#endif
  }
}
