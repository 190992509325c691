#!/bin/bash
# Every measure of //bench:contexts for a moment: each row is there, with a positive figure.
set -eu
out=$("$1" --contexts 1000 --rounds 1)
echo "$out"
head -n 1 <<<"$out" | grep -qx 'measure,backend,value,unit'
has() { grep -qE "^$1,$2,[0-9]+(\.[0-9]+)?,$3\$" <<<"$out" || { echo "no row $1,$2,...,$3" >&2; exit 1; }; }
for backend in contexts mimalloc jemalloc; do
  has live_contexts $backend contexts
  has rss_one_block $backend KiB
  has rss_ten_blocks $backend KiB
  for measure in swap_in_out swap_in_out_many create_malloc_destroy_warm create_malloc_destroy_cold \
    foreign_free request; do
    has $measure $backend ns
  done
done
for measure in swap_in_out swap_in_out_many create_malloc_destroy_warm create_malloc_destroy_cold; do
  has $measure contexts_page ns
done
for backend in contexts contexts_page; do
  has create_malloc_destroy_cold_ahead $backend ns
  has create_malloc_destroy_cold_present $backend ns
done
has create_malloc_destroy_cold contexts_huge ns
for backend in contexts_page contexts_huge; do
  has live_contexts $backend contexts
  has rss_one_block $backend KiB
done
has rss_ten_blocks contexts_page KiB
has rss_ten_blocks contexts_growing KiB
has request contexts_growing ns
has request_to_contexts contexts_growing ratio
for peer in glibc mimalloc jemalloc; do
  has request_to_$peer contexts ratio
  has foreign_free $peer ns
  has request $peer ns
done
for peer in mimalloc jemalloc; do
  has request_in_heap $peer ns
  has request_in_heap_to_contexts $peer ratio
done
for blocks in 10 1000 100000; do
  has destroy_$blocks contexts ns
done
has call_through_pointer nobody ns
has touch_new_page kernel ns
has request nobody ns
has create_malloc_destroy_given_back contexts_page ns
has swap_in_out_migrating contexts ns
has swap_in_out_migrating_first contexts ns
has swap_in_out_to_call contexts ratio
has destroy_100000_to_10 contexts ratio
for backend in contexts contexts_page contexts_huge; do
  grep -qx "live_contexts,$backend,1000,contexts" <<<"$out"
done
if tail -n +2 <<<"$out" | grep -E ',0(\.0*)?,'; then
  echo "a row without a figure" >&2
  exit 1
fi
for kind in bit_set trees; do # Their first row; its reader's end ends the program.
  "$1" --contexts 1000 --rounds 1 --kind $kind | grep -m1 -x "live_contexts,contexts_$kind,1000,contexts"
done
if "$1" --kind none 2>/dev/null; then
  echo "a kind that there isn't was taken" >&2
  exit 1
fi
