#!/bin/bash
# That the address of a thread's state is computed anew after a switch, in a program that was optimised
# as a whole. Two builds of resume_elsewhere: as it is, and with an accessor whose result the compiler
# may keep. The first must find the right state everywhere, the second must not (else this test
# could see nothing), and the same shows in their instructions.
#
# Usage: lto_test.sh AS_IT_IS CACHEABLE
set -u
failed=0

fail() {
  echo "$*"
  failed=1
}

# The instructions of sleep_and_wake() from the switch to the first comparison after it, which is that of
# the accessor's result.
after_the_switch() {
  objdump --disassemble --no-show-raw-insn "$1" | awk '
    /^[0-9a-f]+ <sleep_and_wake[^>]*>:/ { inside = 1 }
    /^$/ { inside = 0 }
    inside && after { print }
    inside && after && /\tcmp/ { exit }
    inside && /(call|bl).*<swapcontext/ { after = 1 }'
}

# Whether the thread's own register is read there: %fs on x86-64, tpidr_el0 on 64-bit Arm.
computes_address() { after_the_switch "$1" | grep -qE '%fs:0x0|tpidr_el0'; }

for program in "$@"; do
  after_the_switch "$program" | grep -q cmp || fail "$program: no comparison after a switch"
done

"$1" || fail "the state of another thread was found"
computes_address "$1" || fail "no address is computed after the switch: $(after_the_switch "$1")"

report=$("$2" 2>&1)
[ $? -eq 1 ] || fail "an address that is kept went unnoticed; is this built with -O3 and -flto?"
[[ $report == "another thread's state"* ]] || fail "unexpected report: $report"
computes_address "$2" && fail "an address is computed after the switch: $(after_the_switch "$2")"

exit "$failed"
