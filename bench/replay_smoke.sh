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
for backend in glibc mimalloc jemalloc pmr_pools bump trees trees_unsized bit_set; do
  [ "$(grep -cE "^made,$backend(,-?[0-9]+\.[0-9]+){3},([0-9]+\.[0-9]+)?$" <<<"$out")" = 2 ]
done
[ "$("$replay" --quick --backends trees,bump "$dir/made.ctr" | wc -l)" = 3 ]
# Those that are only measured when named serve the trace too.
out=$("$replay" --quick --backends context,memory_map "$dir/made.ctr")
echo "$out"
for backend in context memory_map; do
  grep -qE "^made,$backend(,-?[0-9]+\.[0-9]+){2},[0-9]+\.[0-9]+,([0-9]+\.[0-9]+)?$" <<<"$out"
done
head -c 1000 "$dir/made.ctr" > "$dir/cut.ctr"
head -c 2000 "$dir/made.ctr.xz" > "$dir/cut.ctr.xz"
# Headers and records that lie: each NAME.ctr of one fault.
python3 - "$dir" <<'END'
import struct, sys
def write(name, events, ids, *records):
    with open("%s/%s.ctr" % (sys.argv[1], name), "wb") as out:
        out.write(b"CATRACE1" + struct.pack("<7Q", events, ids, 0, 0, 0, 1, 0))
        for record in records:
            out.write(struct.pack("<BBHIII", *record))
make, free = (0, 0, 0, 1, 0, 100), (4, 0, 0, 1, 0, 0)
write("empty", 0, 1)
write("frees_only", 1, 2, free)
write("no_ids", 1, 0, make)
write("many_ids", 1, 2 ** 33, make)
write("ids_beyond_memory", 2, 2 ** 32 - 1, make)
write("events_beyond_memory", 2 ** 40, 2, make)
write("events_beyond_any", 2 ** 64 - 1, 2, make)
write("id_0", 1, 2, (0, 0, 0, 0, 0, 100))
write("id_beyond", 1, 2, (0, 0, 0, 2, 0, 100))
write("old_id_beyond", 2, 3, make, (3, 0, 0, 2, 3, 100))
write("twice", 2, 2, make, make)
write("resized_to_itself", 2, 2, make, (3, 0, 0, 1, 1, 200))
write("resized_to_another", 3, 3, make, (0, 0, 0, 2, 0, 100), (3, 0, 0, 2, 1, 200))
write("alignment", 1, 2, (2, 255, 0, 1, 0, 100))
write("operation", 1, 2, (5, 0, 0, 1, 0, 100))
# A check sum that is wrong, of bytes that are all there.
packed = bytearray(open(sys.argv[1] + "/made.ctr.xz", "rb").read())
packed[-20] ^= 1
open(sys.argv[1] + "/check_sum.ctr.xz", "wb").write(packed)
END
for wrong in "$dir"/*.ctr "$dir"/c*.ctr.xz /dev/null "$dir/none.ctr.xz"; do
  [ "$wrong" != "$dir/made.ctr" ] || continue
  status=0
  "$replay" --quick --backends trees,bump "$wrong" >/dev/null 2>"$dir/said" || status=$?
  # One line of its own that names the file, and no signal.
  [ "$status" = 2 ] && [ "$(grep -c "^$wrong: " "$dir/said")" = 1 ] || {
    echo "took $wrong ($status):"
    cat "$dir/said"
    exit 1
  }
done
if "$replay" --quick --backends nobody "$dir/made.ctr" 2>/dev/null; then
  echo "took a back-end that there isn't"
  exit 1
fi
# malloc has to be libc's.
if ldd "$replay" | grep -E 'mimalloc|jemalloc'; then exit 1; fi
