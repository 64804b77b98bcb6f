import os
import subprocess
import sys

import jax
import pytest

from stillhouse.launch import devices

PATIENCE = 120


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """Give the environment back as it was; settings of JAX take no effect in this process."""
    monkeypatch.setenv("NPROC", "2")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [
        (None, "gpu:0", "0"),
        (None, "gpu:3", "3"),
        ("4,5", "gpu:1", "5"),
        ("GPU-8932f937,MIG-1", "gpu:1", "MIG-1"),
    ],
)
def test_a_gpu_is_counted_among_those_that_the_process_may_see(
    monkeypatch, visible, device, expected
):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    devices.use_device(device)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == expected


@pytest.mark.parametrize(("visible", "count"), [("", 0), ("2", 1)])
def test_a_gpu_beyond_those_is_named(monkeypatch, visible, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(ValueError, match=f"`--device` is gpu:1, but .* {count} of them"):
        devices.use_device("gpu:1")


@pytest.mark.parametrize("found", ["cpu", RuntimeError("no CUDA")])
def test_where_there_is_no_gpu_it_says_so(monkeypatch, found):
    def default_backend():
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(jax, "default_backend", default_backend)
    with pytest.raises(ValueError, match="`--device` is gpu:0, but JAX finds .* --device=cpu"):
        devices.use_device("gpu:0")


def test_in_a_new_process_the_settings_take_effect():
    program = (
        "import os; from stillhouse.launch.devices import use_device; use_device('cpu', 1);"
        "import jax, jax.numpy as jnp; from threadpoolctl import threadpool_info;"
        "(jnp.ones((300, 300)) @ jnp.ones((300, 300))).block_until_ready();"
        "print(jax.default_backend(), jax.config.jax_platforms,"
        " max(pool['num_threads'] for pool in threadpool_info()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "JAX_PLATFORMS": ""},
    )
    assert done.stdout.split() == ["cpu", "cpu", "1"], done.stderr
