"""Stand-ins for the repositories that Bazel's own files load, for want of a network."""

def offline_rules():
    """Declare them where Bazel is Debian's build, which has no version and fetches nothing.

    Each holds the few names that are asked for, and re-exports the native rules. Other builds of
    Bazel fetch the real repositories.
    """
    if native.bazel_version:
        return
    for name in ["remote_coverage_tools", "rules_cc", "rules_java", "rules_python"]:
        native.local_repository(name = name, path = "third_party/bazel/" + name)
