import json
import subprocess
import sys

import numba
import numpy as np
import pytest

from stillhouse.kernels.threads import default_threads
from stillhouse.methods.bit_traits import bit_traits

PROGRAM = "import json, sys; from stillhouse.methods.bit_traits import bit_traits; "
PROGRAM += "print(json.dumps(bit_traits('cpu')), 'jax' in sys.modules)"


def test_they_are_short_printable_texts_and_the_same_each_time():
    found = bit_traits("cpu")
    assert found == bit_traits("cpu")
    assert all(value.isprintable() and len(value) < 250 for value in found.values())
    assert (found["numba"], found["numpy"]) == (numba.__version__, np.__version__)


@pytest.mark.parametrize(
    ("variables", "changed"),
    [
        ({"NUMBA_CPU_NAME": "generic"}, {"numba_target": "generic (no vectors beyond the least)"}),
        ({"XLA_FLAGS": "--b --a --xla_dump_to=x"}, {"xla_flags": "--a --b"}),
        ({"XLA_FLAGS": "--xla_dump_to=x", "NPROC": "7"}, {"xla_processors": "7"}),
        ({"OPENBLAS_CORETYPE": "Nehalem"}, {"blas": "Nehalem"}),
        ({"OPENBLAS_NUM_THREADS": "1"}, {"blas_threads": "1"}),
    ],
)
def test_what_a_process_is_told_to_compute_with_tells_it_apart(monkeypatch, variables, changed):
    for name in ("NUMBA_CPU_NAME", "XLA_FLAGS", "NPROC", "OPENBLAS_CORETYPE"):
        monkeypatch.delenv(name, raising=False)
    before = {**bit_traits("cpu"), "xla_processors": str(default_threads())}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # Another process: most of them are read once.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100, check=True
    )
    text, _, jax_is_loaded = done.stdout.strip().rpartition(" ")
    after = json.loads(text)
    found = {name: value for name, value in after.items() if value != before[name]}
    # Of how many threads this process has been told by other tests.
    assert found.keys() - {"blas_threads"} == changed.keys() - {"blas_threads"}
    assert all(value in after[name] for name, value in changed.items())
    assert jax_is_loaded == "False"  # A worker of the fused loops starts without.


def test_where_one_thread_has_each_product_their_number_is_no_matter(monkeypatch):
    monkeypatch.setenv("NPROC", "7")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.4.13")
    assert bit_traits("cpu")["xla_processors"] == "1"
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.10.2.dev1")
    assert bit_traits("cpu")["xla_processors"] == "7"
