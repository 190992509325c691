#!/bin/bash
# Runs, as 64-bit Arm programs under qemu, all tests that need none of Debian's libraries for Arm.
#
# Usage: bazel/test_on_arm.sh [OPTION of bazel test...]
#
# qemu keeps x86's order of memory accesses: a missing barrier doesn't show. Nor can a program under it
# start itself again, as a death test in the "threadsafe" style does, see its own mappings alone, ask for
# huge pages, or be limited in its address space. Debian's libc for it has no modules of iconv.
set -euo pipefail
cd "$(dirname "$0")/.."

libraries=$(bazel query 'labels("deps", //...)' 2>/dev/null | grep '^@' | grep -v -e googletest -e '^@bazel_tools')
tests=$(bazel query "kind(cc_test, //...) except rdeps(//..., set($libraries)) except attr(tags, 'manual|no_qemu', //...)" \
  2>/dev/null)
# shellcheck disable=SC2086
exec bazel test --config=aarch64 --test_env=GTEST_FILTER=-QuarantineDeathTest.ATouch*:PlacementTest.Libssl*:BiasDeathTest.*:ClassesTest.HugePages*:ArenaDeathTest.ALimit*:KeepingFunctionsTest.Conversions "$@" $tests
