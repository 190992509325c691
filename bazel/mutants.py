#!/usr/bin/env python3
"""Tests the tests: applies each small deliberate bug of a component and expects its tests to fail.

Usage: bazel/mutants.py [FOLDER...]    (default: every folder that has a *_mutants.txt)

A mutant is a line `file<TAB>text<TAB>replacement`: the text occurs once in the file, which is named from
the list's folder or from the top. Lines that begin with # are comments. The tests are the list's package's own, without those tagged
"manual". The working tree must be clean; each file is put back, also on ^C.
"""
import os
import pathlib
import subprocess
import sys


def bazel_test(package):
    """Returns the exit status of the package's tests: 0 passed, 3 failed, 1 did not build."""
    return subprocess.run(
        ["bazel", "test", "--test_output=summary", "--test_tag_filters=-benchmark,-manual", "--build_tests_only",
         "--test_timeout=60,120,300,600", "//%s:all" % package],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def find_source(folder, name):
    for path in (folder / name, pathlib.Path(name)):
        if path.is_file():
            return path
    return None


def try_mutant(folder, line):
    """Returns what is wrong with the mutant or with the tests; None if it was caught."""
    fields = line.split("\t")
    fields += [""] * (3 - len(fields))
    name, text, replacement = fields[:3]
    path = find_source(folder, name)
    if path is None:
        return "no such file"
    source = path.read_text()
    if source.count(text) != 1:
        return "the text occurs %d times" % source.count(text)
    try:
        path.write_text(source.replace(text, replacement))
        status = bazel_test(folder)
    finally:
        path.write_text(source)
    return {0: "SURVIVED", 1: "does not build", 3: None}.get(status, "bazel exited with %d" % status)


def main():
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    if subprocess.run(["git", "diff", "--quiet", "HEAD"]).returncode:
        sys.exit("the working tree has changes: commit them first")
    folders = [pathlib.Path(argument.strip("/")) for argument in sys.argv[1:]] or [pathlib.Path(".")]
    lists = sorted(path for folder in folders for path in folder.glob("**/*_mutants.txt")
                   if not path.parts[0].startswith(("out", "bazel-")))
    caught = bad = 0
    for path in lists:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            wrong = try_mutant(path.parent, line)
            caught += wrong is None
            bad += wrong is not None
            if wrong is not None:
                print("%s:%d: %s" % (path, number, wrong), flush=True)
        print("%s: done" % path, flush=True)
    print("%d caught, %d not" % (caught, bad))
    sys.exit(bad > 0 or caught == 0)


main()
