import os
import subprocess
import sys

import jax
import pytest

from stillhouse.launch import devices

PATIENCE = 120
PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """Give the environment back as it was; settings of JAX take no effect in this process."""
    monkeypatch.setenv("NPROC", "2")
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", PREALLOCATE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
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


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """A GPU driver's tool that prints a line, and notes what it was asked."""

    def say(line, code=0):
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\necho "{line}"\nexit {code}\n')
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "asked"

    return say


def test_beside_others_it_takes_memory_only_as_it_needs_it(nvidia_smi, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-77")
    asked = nvidia_smi("61000, 81559")
    devices.use_device("gpu:1")
    assert os.environ[PREALLOCATE] == "false"
    assert "--id=GPU-77" in asked.read_text()


@pytest.mark.parametrize("line", ["12, 81559", "No devices were found", "[N/A], [N/A]", ""])
def test_of_a_free_gpu_or_an_unknown_one_jax_takes_its_share(nvidia_smi, line):
    nvidia_smi(line)
    devices.use_device("gpu:0")
    assert PREALLOCATE not in os.environ


@pytest.mark.parametrize("name", [PREALLOCATE, "XLA_PYTHON_CLIENT_MEM_FRACTION"])
def test_what_the_user_says_of_memory_stays(nvidia_smi, monkeypatch, name):
    nvidia_smi("61000, 81559")
    monkeypatch.setenv(name, "0.5")
    devices.use_device("gpu:0")
    assert os.environ[name] == "0.5"
    assert name == PREALLOCATE or PREALLOCATE not in os.environ


def test_gpus_are_numbered_as_the_driver_s_tool_does(monkeypatch):
    devices.use_device("gpu:0")
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    monkeypatch.delenv("CUDA_DEVICE_ORDER")
    devices.use_device("gpu:0")  # Numbers that somebody else has given stay as they were meant.
    assert "CUDA_DEVICE_ORDER" not in os.environ


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
