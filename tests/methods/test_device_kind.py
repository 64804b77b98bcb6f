import platform
from pathlib import Path

import jax
import pytest

from stillhouse.methods import device_kind as module
from stillhouse.methods.device_kind import device_kind, own_device, processor

ARM = """processor\t: 0
Features\t: fp asimd evtstrm aes sve sve2
CPU implementer\t: 0x41
CPU part\t: 0xd4f
"""
INTEL = """processor\t: 0
model name\t: Intel(R) Xeon(R)  Platinum 8481C
flags\t\t: fpu sse4_2 avx avx2 avx512f
processor\t: 1
model name\t: another
"""


@pytest.fixture
def cpuinfo(monkeypatch):
    """Read the processor from a text, as Linux gives it."""

    def use(text):
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        monkeypatch.setattr(Path, "read_text", lambda path, **options: text)
        processor.cache_clear()

    yield use
    processor.cache_clear()


def test_a_processor_is_its_model_and_its_widest_vectors(cpuinfo, monkeypatch):
    cpuinfo(INTEL)
    assert processor() == "Intel(R) Xeon(R) Platinum 8481C (avx512f)"
    # A virtual machine may hide what the model has.
    cpuinfo(INTEL.replace(" avx512f", ""))
    assert device_kind("cpu") == "cpu: Intel(R) Xeon(R) Platinum 8481C (avx2)"
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    cpuinfo(ARM)
    assert processor() == "aarch64 0x41/0xd4f (sve2)"


def test_where_nothing_is_known_it_still_has_a_name(cpuinfo, monkeypatch):
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    cpuinfo("\x1b[2Jmodel name\n")
    assert processor() == "riscv64"


def test_this_machine_has_one():
    found = device_kind("cpu")
    assert found.startswith("cpu: ") and found.isprintable() and 6 < len(found) < 200
    assert found == device_kind("cpu")


def test_a_gpu_is_what_jax_calls_it(monkeypatch):
    class Gpu:
        device_kind = "NVIDIA H100 80GB HBM3\n"

    monkeypatch.setattr(jax, "local_devices", lambda: [Gpu(), object()])
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert device_kind("gpu:0") == "NVIDIA H100 80GB HBM3"
    assert [own_device(backend) for backend in ("fused", "xla")] == ["cpu", "gpu:0"]


def test_without_proc_it_asks_elsewhere(cpuinfo, monkeypatch):
    cpuinfo("")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(module, "_sysctl", lambda name: "Apple M2\n")
    assert processor() == "Apple M2"
