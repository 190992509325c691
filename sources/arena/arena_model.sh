#!/bin/bash
# Searches every interleaving of arena.pml, which must be free of errors, and then each seeded fault,
# which must be found. Needs spin and gcc. Usage: arena_model.sh arena.pml
set -eu
model=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

search() { # Writes what the search of the model with the given definitions found.
  spin "$@" -a "$model"
  # spin's own code is not free of gcc's warnings.
  gcc -w -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=6000 -o pan pan.c
  ./pan -m100000
}

failed=0
search >good || true
if grep -q 'errors: 0' good && ! grep -q -e 'not completed' -e 'depth too small' good; then
  echo "the model verifies:$(grep -m1 'states, stored' good)"
else
  cat good
  echo "FAILED: the model does not verify"
  failed=1
fi
for fault in BUG_NO_COUNT BUG_NO_RECHECK; do
  search "-D$fault" >found || true
  if grep -q 'errors: 1' found && grep -q 'assertion violated' found; then
    echo "$fault is found: $(grep -m1 'assertion violated' found)"
  else
    cat found
    echo "FAILED: $fault is not found"
    failed=1
  fi
done
exit "$failed"
