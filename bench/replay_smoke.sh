#!/bin/bash
# //bench:replay on a trace made here: each back-end's row, plain and packed, and bad input refused.
set -eu
replay=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# 2000 objects of 24 to 823 bytes, each third one resized, all but the last 10 freed.
python3 - "$dir/made.ctr" <<'END'
import struct, sys
records, ids, live, peak, total = [], 0, {}, 0, 0
def add(op, ident, old, size):
    records.append(struct.pack("<BBHIII", op, 0, 0, ident, old, size))
for i in range(2000):
    ids += 1
    live[ids] = 24 + i * 7 % 800
    add(0, ids, 0, live[ids])
    if i % 3 == 0:
        ids += 1
        live[ids] = live.pop(ids - 1) * 2
        add(3, ids, ids - 1, live[ids])
    peak = max(peak, sum(live.values()))
    if len(live) > 10:
        oldest = next(iter(live))
        del live[oldest]
        add(4, oldest, 0, 0)
with open(sys.argv[1], "wb") as out:
    out.write(b"CATRACE1" + struct.pack("<7Q", len(records), ids + 1, peak, 0, 11, 1, 0))
    out.write(b"".join(records))
END
xz -k "$dir/made.ctr"
out=$("$replay" --quick "$dir/made.ctr" "$dir/made.ctr.xz")
echo "$out"
head -n 1 <<<"$out" |
  grep -qx 'trace,backend,ns_per_event_warm,ns_per_event_cold,peak_footprint_ratio,smallest_region_ratio'
for backend in glibc mimalloc jemalloc pmr_pools bump trees trees_unsized; do
  [ "$(grep -cE "^made,$backend(,-?[0-9]+\.[0-9]+){3},([0-9]+\.[0-9]+)?$" <<<"$out")" = 2 ]
done
[ "$("$replay" --quick --backends trees,bump "$dir/made.ctr" | wc -l)" = 3 ]
head -c 1000 "$dir/made.ctr" > "$dir/cut.ctr"
for wrong in "--quick $dir/cut.ctr" "--quick /dev/null" "--backends nobody $dir/made.ctr"; do
  # shellcheck disable=SC2086
  if "$replay" $wrong 2>/dev/null; then
    echo "took $wrong"
    exit 1
  fi
done
# malloc has to be libc's.
if ldd "$replay" | grep -E 'mimalloc|jemalloc'; then exit 1; fi
