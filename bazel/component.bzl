"""The one shape of a component: a C library with its test, its benchmark and its fuzz target."""

load("//bazel:copts.bzl", "CA_COPTS", "CA_TEST_COPTS")

def ca_library(name, copts = [], **kwargs):
    """A C11 library. Its headers are also C++17: a test of each component includes them as such."""
    native.cc_library(
        name = name,
        copts = CA_COPTS + copts,
        linkstatic = True,
        **kwargs
    )

def ca_test(name, copts = [], deps = [], size = "small", **kwargs):
    """A GoogleTest program."""
    native.cc_test(
        name = name,
        size = size,
        copts = CA_TEST_COPTS + copts,
        linkstatic = True,
        deps = deps + ["@com_google_googletest//:gtest_main"],
        **kwargs
    )

def ca_bench(name, copts = [], deps = [], **kwargs):
    """A Google Benchmark program, and the test NAME_smoke which runs each benchmark for a moment.

    It is only worth its figures when built with -c opt.
    """
    native.cc_binary(
        name = name,
        testonly = True,
        copts = CA_TEST_COPTS + copts,
        linkstatic = True,
        deps = deps + ["@com_github_google_benchmark//:benchmark_main"],
        **kwargs
    )
    native.sh_test(
        name = name + "_smoke",
        size = "small",
        srcs = ["//bazel:smoke.sh"],
        args = ["$(location :%s)" % name],
        data = [":" + name],
        tags = ["benchmark", "nosan", "no_valgrind"],
    )

def ca_fuzz(name, copts = [], deps = [], **kwargs):
    """A libFuzzer target under --config=fuzz; elsewhere a test that replays seeded inputs."""
    native.cc_test(
        name = name,
        size = "small",
        args = select({
            "//bazel:fuzzing": ["-runs=20000", "-max_len=4096"],
            "//conditions:default": [],
        }),
        copts = CA_TEST_COPTS + copts,
        linkopts = select({
            "//bazel:fuzzing": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        linkstatic = True,
        tags = ["fuzz"],
        deps = deps + select({
            "//bazel:fuzzing": [],
            "//conditions:default": ["//allocators/testing:fuzz_driver"],
        }),
        **kwargs
    )
