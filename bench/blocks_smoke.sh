#!/bin/bash
# Every measure of //bench:blocks for a moment: rows of four fields, each with a positive figure.
set -eu
out=$("$1" --quick)
echo "$out"
head -n 1 <<<"$out" | grep -qx 'measure,backend,value,unit'
for measure in block_newest block_oldest block_random block_wave run_p99 bump reset create_destroy; do
  grep -q "^$measure" <<<"$out"
done
! tail -n +2 <<<"$out" | grep -vE '^[a-z_0-9/]+,[a-z_0-9]+,[0-9]+\.[0-9]+,(ns|us|ratio)$'
