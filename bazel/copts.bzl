"""Flags, as named lists. Tests relax warnings; nothing else does."""

CA_COPTS = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wcast-qual",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Werror",
]

CA_TEST_COPTS = [
    "-std=c++17",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-missing-field-initializers",
    "-Wno-dangling-else",  # if (...) EXPECT_...; is how GoogleTest reads
]

# For a processor with tzcnt, blsr and popcnt: what base/bits.h is the same without.
CA_BMI_COPTS = [
    "-mbmi",
    "-mbmi2",
    "-mlzcnt",
    "-mpopcnt",
]
