#!/bin/bash
# The preloaded library's rules of placement, told by variables, with a program that was never linked with
# it. Usage: preload_placement_test.sh LIBRARY PROGRAM LIBPLACED LIBOTHER
set -eu
library=$PWD/$1 program=$PWD/$2 placed=$PWD/$3 other=$PWD/$4

fail() { echo "FAILED: $*"; exit 1; }

# Usage: expect 'VARIABLE=VALUE ...' LINE... : what the program reports of itself and the two libraries.
expect() {
  local settings=$1 got
  shift
  # shellcheck disable=SC2086 # Several settings.
  got=$(env $settings LD_PRELOAD="$library" "$program" "$placed" "$other" 2>&1) || fail "$settings: $got"
  [ "$got" = "$(printf '%s\n' "$@")" ] || fail "$settings gives: $got"
}

own='program: malloc context'
in_context='initialiser context, malloc context, new context'
objects=CONTEXT_ALLOCATOR_GLOBAL_OBJECTS
initialisers=CONTEXT_ALLOCATOR_GLOBAL_INITIALISERS
expect '' "$own" "libplaced.so: $in_context" "libother.so: $in_context"
expect $objects=libplaced "$own" 'libplaced.so: initialiser global, malloc global, new global' "libother.so: $in_context"
expect "$objects=libnone:libother $initialisers=no" "$own" "libplaced.so: $in_context" \
  'libother.so: initialiser global, malloc global, new global'
expect $initialisers=yes "$own" 'libplaced.so: initialiser global, malloc context, new context' \
  'libother.so: initialiser global, malloc context, new context'
expect "$objects=libother.so $initialisers=yes" "$own" 'libplaced.so: initialiser global, malloc context, new context' \
  'libother.so: initialiser global, malloc global, new global'
expect "$objects=libother CONTEXT_ALLOCATOR_CURRENT=thread" "$own" "libplaced.so: $in_context" \
  'libother.so: initialiser global, malloc global, new global'

# What is no such value is reported, and the other rule is in force all the same.
ignored="context_allocator: $objects=a/b is ignored: at most 16 names of files, as libssl:libcrypto"
expect "$objects=a/b $initialisers=yes" "$ignored" "$own" 'libplaced.so: initialiser global, malloc context, new context' \
  'libother.so: initialiser global, malloc context, new context'
expect "$objects= " "context_allocator: $objects= is ignored: at most 16 names of files, as libssl:libcrypto" "$own" \
  "libplaced.so: $in_context" "libother.so: $in_context"
expect "$objects=libplaced $initialisers=1" "context_allocator: $initialisers=1 is ignored: yes or no" "$own" \
  'libplaced.so: initialiser global, malloc global, new global' "libother.so: $in_context"

# Programs run under the rules as without.
[ "$(env $objects=libssl:libcrypto:libc $initialisers=yes CONTEXT_ALLOCATOR_CURRENT=thread LD_PRELOAD="$library" \
  /usr/bin/python3 -c 'import json, ssl, sqlite3, hashlib
print(ssl.create_default_context().verify_mode, hashlib.sha256(b"a").hexdigest()[:8], json.loads("[1]"))')" = \
  "$(/usr/bin/python3 -c 'import json, ssl, sqlite3, hashlib
print(ssl.create_default_context().verify_mode, hashlib.sha256(b"a").hexdigest()[:8], json.loads("[1]"))')" ] ||
  fail "python3 prints something else"
echo passed
