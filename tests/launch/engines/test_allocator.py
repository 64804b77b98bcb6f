"""Memory of arrays that come and go."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
from stillhouse.launch.engines.allocator import keep_freed_memory

def come_and_go():
    [b"x" * (2**20 + i) for i in range(40)]

def faults():
    for _ in range(5):
        come_and_go()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        come_and_go()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

if sys.argv[1] == "keep":
    keep_freed_memory()
thread = threading.Thread(target=faults)
thread.start()
thread.join()
"""


def page_faults(how):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], stdout=subprocess.PIPE, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_is_freed_is_used_again():
    # A page is 4 kB, so without it most of 800 megabytes take 256 each.
    assert page_faults("keep") < page_faults("leave") / 10
