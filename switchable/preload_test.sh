#!/bin/bash
# The preloaded library: what it exports and needs, and programs that run under it unchanged, with
# the same output as under glibc alone.
# Usage: preload_test.sh LIBRARY THREADS_PROGRAM KEEPING_PROGRAM KEEPING_FUNCTIONS_ARCHIVE...
# Of the archives, which are the same functions compiled twice in an optimised build, the first one is read.
set -eu
library=$PWD/$1
threads=$PWD/$2
keeping=$PWD/$3
keepers=$(nm --defined-only "$4" | awk '$2 == "T" {print $3}')
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/preload.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work GIT_CONFIG_NOSYSTEM=1 PYTHONMALLOC=malloc LC_ALL=C
passed=0

fail() { echo "FAILED: $*"; exit 1; }

# Runs the given shell text without the library, preloaded, and preloaded with a heap for each thread,
# and compares what it prints.
same() {
  local name=$1 text=$2 current
  mkdir -p "$name.plain"
  (cd "$name.plain" && bash -c "$text") >"$name.want" 2>&1 || fail "$name fails without the library: $(tail -3 "$name.want")"
  [ -s "$name.want" ] || fail "$name prints nothing"
  for current in global thread; do
    mkdir -p "$name.$current"
    (cd "$name.$current" && CONTEXT_ALLOCATOR_CURRENT=$current LD_PRELOAD=$library bash -c "$text") >"$name.got" 2>&1 ||
      fail "$name, $current: $(tail -3 "$name.got")"
    cmp "$name.want" "$name.got" || fail "$name, $current, prints something else"
  done
  passed=$((passed + 1))
}

LD_PRELOAD=$library grep -q "libcontext_allocator" /proc/self/maps || fail "it is not loaded"
! readelf -d "$library" | grep NEEDED | grep -v 'libc\.so' || fail "it needs more than libc"
readelf -d "$library" | grep -q STATIC_TLS || fail "its thread state is not initial-exec"
exported=$(nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ {print $3}' | sort)
for name in malloc free calloc realloc reallocarray memalign aligned_alloc posix_memalign valloc pvalloc \
  malloc_usable_size malloc_trim free_sized free_aligned_sized _Znwm _ZdlPv ca_context_create ca_switchable_run dlopen \
  __cxa_atexit $keepers; do
  grep -qx "$name" <<<"$exported" || fail "$name is not exported"
done
! grep -vE '^(malloc|free|calloc|realloc|reallocarray|memalign|aligned_alloc|posix_memalign|valloc|pvalloc|malloc_usable_size|malloc_trim|free_sized|free_aligned_sized|_Z(nw|na|dl|da).*|dlopen|__cxa_atexit|ca_.*)$' <<<"$exported" |
  grep -vxF "$keepers" ||
  fail "it exports more than it should"

# The settings: each does what the table says, and what isn't one is reported.
run() { env LD_PRELOAD="$library" "$@" 2>&1 >/dev/null; }
[ -z "$(run true)" ] || fail "it says something unasked"
run CONTEXT_ALLOCATOR_REPORT=text true | grep -q '^contexts 0: live 0' || fail "no text report"
run CONTEXT_ALLOCATOR_REPORT=json CONTEXT_ALLOCATOR_CURRENT=thread "$threads" >report.json
python3 -c 'import json,sys; r = json.load(open("report.json")); sys.exit(r["contexts"] < 1 or len(r["all"]) != r["contexts"])' ||
  fail "the JSON report: $(head -3 report.json)"
run CONTEXT_ALLOCATOR_REPORT_SIGNAL=10 bash -c 'kill -10 $$' | grep -q '^contexts 0' || fail "no report on a signal"
for bad in CURRENT=heap SAMPLE=often QUARANTINE=many QUARANTINE=4097 QUARANTINE= REPORT=xml REPORT_SIGNAL=9 REPORT_SIGNAL=-1; do
  run "CONTEXT_ALLOCATOR_$bad" true | grep -q "^context_allocator: CONTEXT_ALLOCATOR_$bad is ignored: " || fail "$bad is not reported"
done
[ "$(run CONTEXT_ALLOCATOR_QUARANTINES=2 true)" = \
  "context_allocator: CONTEXT_ALLOCATOR_QUARANTINES=2 is ignored: there is no such variable" ] || fail "no misspelt name is reported"
[ -z "$(run CONTEXT_ALLOCATOR_CURRENT=global CONTEXT_ALLOCATOR_GLOBAL_INITIALISERS=no CONTEXT_ALLOCATOR_GLOBAL_OBJECTS=libnone \
  CONTEXT_ALLOCATOR_SAMPLE=1 CONTEXT_ALLOCATOR_QUARANTINE=2 true)" ] || fail "settings are reported"
passed=$((passed + 4))

same sqlite3 'sqlite3 :memory: "create table t(a integer primary key, b text);
  insert into t with recursive n(i) as (select 1 union all select i+1 from n where i<20000) select i, hex(i*7919) from n;
  create index ib on t(b); delete from t where a%3=0; select count(*), sum(a) from t where b > '"'8'"'; pragma integrity_check;"'
same python3 '/usr/bin/python3 -c "
import json, re, threading, zlib
d = {str(i): [i * 0.5] * 10 for i in range(3000)}
assert json.loads(json.dumps(d)) == d
out = []
def work(k): out.append(len(zlib.decompress(zlib.compress(bytes(1000 * k)))))
t = [threading.Thread(target=work, args=(k,)) for k in range(8)]
[x.start() for x in t]; [x.join() for x in t]
print(sorted(out), len(re.findall(r\"\d+\.\", json.dumps(d))))"'
same git 'git init -q r && cd r && for i in $(seq 60); do seq $i $((i * 5)) > f$i; done && git add . &&
  GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" GIT_COMMITTER_DATE="2020-01-01T00:00:00Z" git -c user.name=a -c user.email=a@b commit -qm one &&
  git repack -adq && git gc -q && git fsck --full --strict && git rev-parse HEAD'
same gcc 'for i in $(seq 200); do echo "static int f$i(int x){int s=0;for(int i=0;i<x;i++){s+=i*$i^(s>>3);}return s;}"; done > a.c
  { echo "#include <stdio.h>"; cat a.c; echo "int main(void){unsigned s=0;"; for i in $(seq 200); do echo "s+=f$i($i);"; done
    echo "printf(\"%u\\n\",s);return 0;}"; } > b.c && gcc -O1 -o b b.c && ./b'
same perl 'perl -e '"'"'my %h; for my $i (1..50000) { $h{"k$i"}=[$i,"v"x($i%50)] } delete $h{"k$_"} for map {$_*2} 1..20000; my $s=0; $s+=$h{$_}[0] for keys %h; print "$s\n"'"'"
same xz 'seq 1 50000 > s; xz -T2 -k -6 s && xz -dc s.xz | cmp - s && echo equal'
same sort 'seq 1 100000 | sort -R --random-source=/usr/bin/git > s; sort -n --parallel=2 s | sha1sum'
same threads "$threads"
same keeping "$keeping"
echo "$passed programs and settings did as they should"
