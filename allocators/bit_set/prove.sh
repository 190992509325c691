#!/bin/bash
# Proves the contracts in words.h with Frama-C's WP and z3; fails unless every goal is proved.
set -eu
source=$(realpath "${1:-allocators/bit_set/words.h}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$source" "$work/words.c"
cd "$work"
export HOME=$work
why3 config detect >/dev/null 2>&1
out=$(frama-c -wp -wp-rte -wp-prover z3 -wp-timeout 20 -wp-par 2 words.c 2>&1) || { echo "$out"; exit 1; }
proved=$(grep -o 'Proved goals: *[0-9]* / [0-9]*' <<<"$out") || { echo "$out"; exit 1; }
read -r got all < <(sed 's/[^0-9/]//g; s|/| |' <<<"$proved")
echo "$got of $all goals proved"
if [ "$got" -ne "$all" ] || [ "$all" -lt 150 ]; then
  grep -E 'Timeout|Failed|Unknown' <<<"$out" || true
  exit 1
fi
