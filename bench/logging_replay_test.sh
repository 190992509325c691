#!/bin/bash
# What adaptors/logging wrote of a program can be replayed: each back-end serves all of its events.
#   logging_replay_test.sh LOGGED_PROGRAM REPLAY
set -eu
trace=$TEST_TMPDIR/logged.ctr
events=$("$1" "$trace")
[ "$events" = "$(od -An -t u8 -j 8 -N 8 "$trace" | tr -d ' ') events" ]
[ "$(stat -c %s "$trace")" -eq $((64 + 16 * ${events% events})) ]
out=$("$2" --quick --backends glibc,bump,trees,trees_unsized "$trace")
echo "$out"
for backend in glibc bump trees trees_unsized; do
  grep -qE "^logged,$backend,-?[0-9]+\.[0-9]+," <<<"$out"
done
# A trace that was cut off is not taken for a whole one.
head -c $((64 + 16 * 100 + 5)) "$trace" >"$TEST_TMPDIR/cut.ctr"
! "$2" --quick --backends bump "$TEST_TMPDIR/cut.ctr" || exit 1
