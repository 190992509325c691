#!/bin/bash
# The README's example is the program that is compiled and run here: not a word differs.
set -eu
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' | diff - switchable/examples/hello.c
