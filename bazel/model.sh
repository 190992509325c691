#!/bin/bash
# Searches every interleaving of a model for spin. Usage: model.sh MODEL.pml CASE...
# A case is the model's definitions, joined by commas, or "plain": that search must find no error. With a
# "!" in front they seed a fault, which the search must find. Needs spin and gcc.
set -eu
model=$(realpath "$1")
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

search() { # Writes what the search of the model with the given definitions found.
  local definitions=()
  [ "$1" = plain ] || mapfile -t definitions < <(tr , '\n' <<<"$1" | sed 's/^/-D/')
  spin "${definitions[@]}" -a "$model"
  # spin's own code is not free of gcc's warnings.
  gcc -w -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=6000 -o pan pan.c
  ./pan -m100000
}

verifies() { grep -q 'errors: 0' found && ! grep -q -e 'not completed' -e 'depth too small' found; }

# The words of the pan verifier for a broken assertion, and for a process that waits for ever.
fault='pan:1: \(assertion violated\|invalid end state\)'

failed=0
for case in "$@"; do
  search "${case#!}" >found || true
  if [ "$case" = "${case#!}" ] && verifies; then
    echo "$case verifies:$(grep -m1 'states, stored' found)"
  elif [ "$case" != "${case#!}" ] && grep -q "$fault" found; then
    echo "${case#!} is found: $(grep -m1 "$fault" found)"
  else
    cat found
    echo "FAILED: $case"
    failed=1
  fi
done
exit "$failed"
