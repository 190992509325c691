/* A model for spin of the tree of contexts: who holds what, who has the lock, and which links are
 * followed and written without it, as in context_tree.c and ca_context_destroy(). `family_model` runs
 * it; ownership.pml is the model of one context.
 *
 * A parent and its child exist; another is being made as a child of either. At the same time one
 * thread destroys the parent, a second makes the child a root or not and destroys it, and a third
 * destroys what it made. What must hold, in every interleaving:
 *
 *   - each context ends once, its descendants before it;
 *   - no link is followed into a slot that was given back, and none is written there;
 *   - a context that goes on has a parent that goes on, or none;
 *   - what is refused as HELD is as it was, and everything gets done in the end.
 *
 * Spin is sequentially consistent. The lock orders nearly all; what is read without it:
 *   holder       exchanged by an acquire, let go of by a release, as in ownership.pml
 *   first_child  of a context that the reader holds: [acquire], pairs with the [release] store by which
 *                the last child leaves. So that child's thread is done with the parent, which may end
 *                without the lock. Nobody adds a child to a context that he doesn't hold.
 *   parent       of a context that the reader holds: written by holders only
 *
 * Faults that must be found:
 *   -DBUG_LATE_NAME      a child looks at its parent again after it has left
 *   -DBUG_LINK_UNHELD    a child is added to a parent that isn't held
 *   -DBUG_SKIP_HELD      what is held elsewhere is left out, and the others are destroyed
 *   -DBUG_NO_LOCK        a child leaves without the lock
 */
#define PARENT 1
#define CHILD 2
#define NEW 3
#define NOBODY 0
#define HELD_BY(thread) (10 + (thread))
/* What a parked context's holder is. Each of the three is made once: its number serves. */
#define PARKED(node) (node)

byte holder[4];
bool out[4];         /* Its slot is not given back. */
byte ends[4];
byte parent[4], first_child[4], next[4], previous[4];
bool locked;
byte finished;

#define NEEDS(node) assert(node == NOBODY || out[node])

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

inline hold(node, thread) {
  atomic {
    if
    :: holder[node] == PARKED(node) -> NEEDS(node); holder[node] = HELD_BY(thread); got = true
    :: else -> got = false
    fi
  }
}

inline let_go(node, thread) {
  atomic { NEEDS(node); assert(holder[node] == HELD_BY(thread)); holder[node] = PARKED(node) }
}

/* next_down(): requires the lock. `at` is the next one, or NOBODY. */
inline go_down(from, root) {
  atomic {
    at = from;
    NEEDS(at);
    if
    :: first_child[at] != NOBODY -> at = first_child[at]
    :: else ->
       do
       :: at == root || next[at] != NOBODY -> break
       :: else -> at = parent[at]; NEEDS(at)
       od;
       if
       :: at == root -> at = NOBODY
       :: else -> at = next[at]
       fi
    fi;
    NEEDS(at)
  }
}

/* deepest(): of what is held and cut off. */
inline go_deepest(from) {
  atomic {
    at = from;
    do
    :: first_child[at] == NOBODY -> break
    :: else -> at = first_child[at]; NEEDS(at)
    od
  }
}

/* Requires the lock. One step for each store that somebody without it may see. */
inline link_to(node, to) {
  atomic {
    NEEDS(to);
    parent[node] = to;
    previous[node] = NOBODY;
    next[node] = first_child[to];
    NEEDS(next[node]);
    if
    :: next[node] != NOBODY -> previous[next[node]] = node
    :: else
    fi
  };
  atomic { NEEDS(to); first_child[to] = node }
}

/* unlink_from_parent(): requires the lock. */
inline unlink(node) {
  if
  :: parent[node] != NOBODY ->
     atomic {
       NEEDS(next[node]);
       NEEDS(previous[node]);
       if
       :: next[node] != NOBODY -> previous[next[node]] = previous[node]
       :: else
       fi
     };
     if
     :: previous[node] != NOBODY -> next[previous[node]] = next[node]
     :: else -> atomic { NEEDS(parent[node]); first_child[parent[node]] = next[node] }
     fi;
#ifdef BUG_LATE_NAME
     atomic { NEEDS(parent[node]); parent[node] = NOBODY };
#else
     parent[node] = NOBODY;
#endif
  :: else
  fi
}

inline end(node, thread) {
  atomic {
    assert(out[node] && holder[node] == HELD_BY(thread));
    assert(first_child[node] == NOBODY && parent[node] == NOBODY);
    ends[node]++;
    assert(ends[node] == 1);
    out[node] = false
  }
}

/* hold_descendants(), with its let_go_until(). `held`: all of them. */
inline hold_descendants(root, thread) {
  held = true;
  go_down(root, root);
  do
  :: at == NOBODY -> break
  :: else ->
     hold(at, thread);
     if
     :: got -> go_down(at, root)
     :: else ->
#ifdef BUG_SKIP_HELD
        go_down(at, root)
#else
        held = false;
        until = at;
        break
#endif
     fi
  od;
  if
  :: !held ->
     go_down(root, root);
     do
     :: at == until -> break
     :: else ->
        last = at;
        go_down(at, root);
        let_go(last, thread)
     od;
     until = NOBODY;
     last = NOBODY
  :: else
  fi
}

/* The rest of ca_context_tree_destroy(): all are held and cut off, children first. */
inline end_all(root, thread) {
  go_deepest(root);
  do
  :: at == NOBODY -> break
  :: else ->
     atomic {
       last = at;
       if
       :: at == root -> up = NOBODY /* Whose links to siblings are of no meaning any more. */
       :: at != root && next[at] != NOBODY -> up = next[at]
       :: at != root && next[at] == NOBODY -> up = parent[at]
       fi;
       NEEDS(up)
     };
     if
     :: up != NOBODY && next[last] == up && last != root -> go_deepest(up); up = at
     :: else
     fi;
     atomic { parent[last] = NOBODY; first_child[last] = NOBODY };
     end(last, thread);
     atomic { at = up; up = NOBODY; last = NOBODY }
  od
}

/* ca_context_destroy(). `done`: it was neither held elsewhere, nor one of its descendants. */
inline destroy(node, thread) {
  done = true;
  hold(node, thread);
  if
  :: !got -> done = (ends[node] != 0)
  :: got && parent[node] == NOBODY && first_child[node] == NOBODY -> end(node, thread)
  :: else ->
#ifndef BUG_NO_LOCK
     lock();
#endif
     hold_descendants(node, thread);
     if
     :: held -> unlink(node)
     :: else
     fi;
#ifndef BUG_NO_LOCK
     unlock();
#endif
     if
     :: held -> end_all(node, thread)
     :: else -> let_go(node, thread); done = false
     fi
  fi;
  atomic { got = false; held = false; at = NOBODY }
}

inline destroy_until_done(node, thread) {
  done = false;
  do
  :: done -> break
  :: else -> destroy(node, thread)
  od;
  done = false
}

/* Of the parent. */
proctype first() {
  byte at, last, until, up;
  bool got, held, done;
  destroy_until_done(PARENT, 1);
  finished++
}

/* Of the child, which may become a root before: ca_context_set_parent(). */
proctype second() {
  byte at, last, until, up;
  bool got, held, done;
  if
  :: hold(CHILD, 2);
     if
     :: got -> lock(); unlink(CHILD); unlock(); let_go(CHILD, 2)
     :: else
     fi
  :: true
  fi;
  destroy_until_done(CHILD, 2);
  finished++
}

/* Of a new one: ca_context_create(). */
proctype third() {
  byte at, last, until, up, to;
  bool got, held, done;
  if
  :: to = PARENT
  :: to = CHILD
  fi;
  atomic { out[NEW] = true; holder[NEW] = HELD_BY(3) };
#ifdef BUG_LINK_UNHELD
  got = (holder[to] == PARKED(to));
#else
  hold(to, 3);
#endif
  if
  :: got ->
     lock();
     link_to(NEW, to);
     unlock();
#ifndef BUG_LINK_UNHELD
     let_go(to, 3);
#endif
     let_go(NEW, 3);
     destroy_until_done(NEW, 3)
  :: else -> end(NEW, 3)
  fi;
  finished++
}

init {
  atomic {
    out[PARENT] = true;
    out[CHILD] = true;
    holder[PARENT] = PARKED(PARENT);
    holder[CHILD] = PARKED(CHILD);
    parent[CHILD] = PARENT;
    first_child[PARENT] = CHILD
  };
  atomic {
    run first();
    run second();
    run third()
  };
  finished == 3;
  assert(!locked && ends[PARENT] == 1 && ends[CHILD] == 1 && ends[NEW] == 1)
}
