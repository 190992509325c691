"""Every external repository: each is a Debian package of the machine, and nothing is downloaded.

Bazel 4.2.3 asks for rules_cc, rules_java and remote_coverage_tools even where only native rules
are used. Debian's bazel-rules-cc is too new for it, hence the stubs.
"""

load("//third_party:system.bzl", "stub_repository", "system_library")

_RULES_CC = "\n".join(["%s = native.%s" % (rule, rule) for rule in [
    "cc_binary",
    "cc_import",
    "cc_library",
    "cc_proto_library",
    "cc_test",
    "cc_toolchain",
    "cc_toolchain_suite",
    "cc_libc_top_alias",
    "fdo_prefetch_hints",
    "fdo_profile",
    "objc_import",
    "objc_library",
]])

_COVERAGE = """
sh_binary(name = "coverage_report_generator", srcs = ["none.sh"], visibility = ["//visibility:public"])
sh_binary(name = "lcov_merger", srcs = ["none.sh"], visibility = ["//visibility:public"])
"""

def _maybe(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)

def _bazel_repositories():
    _maybe(
        stub_repository,
        name = "rules_cc",
        files = {"BUILD": "", "cc/BUILD": "", "cc/defs.bzl": _RULES_CC},
    )
    _maybe(
        stub_repository,
        name = "remote_coverage_tools",
        files = {"BUILD": _COVERAGE, "none.sh": "exit 0\n"},
    )
    _maybe(native.local_repository, name = "rules_java", path = "/usr/share/bazel/rules/java")
    _maybe(native.local_repository, name = "rules_proto", path = "/usr/share/bazel/rules/proto")
    _maybe(native.local_repository, name = "bazel_skylib", path = "/usr/share/bazel/tools/skylib")

def _test_repositories():
    _maybe(
        system_library,
        name = "com_google_googletest",
        package = "libgmock-dev",
        headers = ["gtest", "gmock"],
        targets = {"gtest_main": ["-lgmock_main", "-lgmock", "-lgtest", "-lpthread"]},
        source = "/usr/src/googletest",
        source_build = "//third_party:googletest.BUILD",
        test_only = True,
    )
    _maybe(
        system_library,
        name = "com_github_google_benchmark",
        package = "libbenchmark-dev",
        headers = ["benchmark"],
        targets = {
            "benchmark": ["-lbenchmark", "-lpthread"],
            "benchmark_main": ["-lbenchmark_main", "-lbenchmark", "-lpthread"],
        },
        test_only = True,
    )
    _maybe(
        system_library,
        name = "com_google_absl",
        package = "libabsl-dev",
        headers = ["absl"],
        pkg_config = [
            "absl_flat_hash_map",
            "absl_strings",
            "absl_str_format",
            "absl_random_random",
        ],
        test_only = True,
    )
    _maybe(
        system_library,
        name = "jansson",
        package = "libjansson-dev",
        headers = ["jansson.h", "jansson_config.h"],
        pkg_config = ["jansson"],
        test_only = True,
    )
    _maybe(
        system_library,
        name = "sqlite3",
        package = "libsqlite3-dev",
        headers = ["sqlite3.h"],
        pkg_config = ["sqlite3"],
        test_only = True,
    )
    _maybe(
        system_library,
        name = "boost_context",
        package = "libboost-context-dev and libboost-dev",
        headers = ["boost/context"],
        targets = {"boost_context": ["-lboost_context"]},
        test_only = True,
    )
    _maybe(
        system_library,
        name = "jemalloc",
        package = "libjemalloc-dev",
        headers = ["jemalloc"],
        pkg_config = ["jemalloc"],
        test_only = True,
    )
    _maybe(
        system_library,
        name = "mimalloc",
        package = "libmimalloc-dev",
        headers = ["mimalloc.h"],
        targets = {"mimalloc": ["-lmimalloc"]},
        test_only = True,
    )

# Libraries with hooks for an allocator: the name here, the module of pkg-config, the Debian package,
# and a header that shows whether it is there.
_HOOKED_LIBRARIES = [
    ("expat", "expat", "libexpat1-dev", "expat.h"),
    ("glib", "glib-2.0", "libglib2.0-dev", "glib-2.0"),
    ("libuv", "libuv", "libuv1-dev", "uv.h"),
    ("libxml2", "libxml-2.0", "libxml2-dev", "libxml2"),
    ("lua", "lua5.4", "liblua5.4-dev", "lua5.4"),
    ("openssl", "openssl", "libssl-dev", "openssl"),
    ("zlib", "zlib", "zlib1g-dev", "zlib.h"),
]

def _hooked_library_repositories():
    for name, module, package, header in _HOOKED_LIBRARIES:
        _maybe(
            system_library,
            name = name,
            package = package,
            headers = [header],
            pkg_config = [module],
            test_only = True,
        )

def _peer_repositories():
    # Peers, for benchmarks. Both define malloc, so they are loaded at run time and never linked.
    _maybe(
        system_library,
        name = "mimalloc_headers",
        package = "libmimalloc-dev",
        headers = ["mimalloc.h"],
        targets = {"mimalloc_headers": ["-ldl"]},
        test_only = True,
    )
    _maybe(
        system_library,
        name = "jemalloc_headers",
        package = "libjemalloc-dev",
        headers = ["jemalloc"],
        targets = {"jemalloc_headers": ["-ldl"]},
        test_only = True,
    )

def context_allocator_repositories(dev = True):
    """Declares the repositories that building context_allocator needs.

    Args:
      dev: also declare what only its tests, benchmarks and examples need.
    """
    _bazel_repositories()
    _maybe(
        system_library,
        name = "numa",
        package = "libnuma-dev",
        headers = ["numa.h", "numaif.h", "numacompat1.h"],
        pkg_config = ["numa"],
    )
    if dev:
        _test_repositories()
        _hooked_library_repositories()
        _peer_repositories()
