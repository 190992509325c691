"""Repository rules for what the machine already has; nothing here downloads."""

def _stub_repository_impl(rctx):
    rctx.file("WORKSPACE", "workspace(name = %r)\n" % rctx.name)
    for path, text in rctx.attr.files.items():
        rctx.file(path, text)

stub_repository = repository_rule(
    implementation = _stub_repository_impl,
    doc = "A repository made of the given texts.",
    attrs = {"files": attr.string_dict(mandatory = True)},
)

_TARGET = """
cc_library(
    name = "{name}",
    testonly = {test_only},
    hdrs = glob([path + "/**" for path in {includes}]),
    includes = {includes},
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
"""

def _pkg_config(rctx, what):
    result = rctx.execute(["pkg-config", what] + rctx.attr.pkg_config)
    if result.return_code:
        fail("%s: %s" % (rctx.name, result.stderr))
    return [flag for flag in result.stdout.strip().split(" ") if flag]

def _link_folders(rctx):
    """Links the folders which the library's own headers want on the include path."""
    names = []
    for flag in _pkg_config(rctx, "--cflags-only-I") if rctx.attr.pkg_config else []:
        name = "include_%d" % len(names)
        rctx.symlink(rctx.path(flag[len("-I"):]), name)
        names.append(name)
    return names

def _is_for_another_machine(rctx):
    return "-linux-" in rctx.os.environ.get("CC", "")

def _link_source(rctx):
    for child in rctx.path(rctx.attr.source).readdir():
        rctx.symlink(child, child.basename)
    rctx.file("WORKSPACE", "workspace(name = %r)\n" % rctx.name)
    rctx.symlink(rctx.attr.source_build, "BUILD")

def _system_library_impl(rctx):
    if rctx.attr.source and _is_for_another_machine(rctx):
        return _link_source(rctx)
    missing = []
    for header in rctx.attr.headers:
        path = rctx.path("/usr/include/" + header)
        if path.exists:
            rctx.symlink(path, "include/" + header)
        else:
            missing.append(str(path))
    if missing:
        fail("%s: run ./setup, or install the Debian package %s (no %s)" %
             (rctx.name, rctx.attr.package, ", ".join(missing)))
    targets = rctx.attr.targets
    if not targets:
        targets = {rctx.name: _pkg_config(rctx, "--libs")}
    includes = ["include"] + _link_folders(rctx)
    rctx.file("WORKSPACE", "workspace(name = %r)\n" % rctx.name)
    rctx.file("BUILD", "".join([
        _TARGET.format(
            name = name,
            test_only = rctx.attr.test_only,
            linkopts = repr(flags),
            includes = repr(includes),
        )
        for name, flags in targets.items()
    ]))
    return None

system_library = repository_rule(
    implementation = _system_library_impl,
    doc = "A library that a Debian package put under /usr: its headers, and how to link it.",
    local = True,
    attrs = {
        "headers": attr.string_list(mandatory = True, doc = "files or folders below /usr/include"),
        "source": attr.string(doc = "folder to build from where CC compiles for another machine"),
        "source_build": attr.label(doc = "its BUILD file"),
        "package": attr.string(mandatory = True, doc = "the Debian package that brings them"),
        "pkg_config": attr.string_list(doc = "modules that tell link options and folders of headers"),
        "targets": attr.string_list_dict(doc = "instead of pkg_config: target to link options"),
        "test_only": attr.bool(doc = "refuse every target that is not testonly"),
    },
    environ = ["CC", "PKG_CONFIG_PATH"],
)
