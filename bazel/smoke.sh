#!/bin/bash
# Runs every benchmark of a program for a moment, so that none of them rots.
set -eu
program=$1
shift
out=$("$program" --benchmark_min_time=0.001 --benchmark_format=csv "$@" 2>&1) || { echo "$out"; exit 1; }
echo "$out"
rows=$(grep -c '^"' <<<"$out")
[ "$rows" -gt 0 ] || { echo "no benchmark ran"; exit 1; }
# Google Benchmark exits with 0 also when a benchmark calls SkipWithError().
! grep -q ',true,' <<<"$out"
