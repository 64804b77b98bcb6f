"""The sources compile for the GPUs there are, without one: no spills, and once only."""

import io
import re

import pytest

pytest.importorskip("cuda.core", reason="the extra cuda is not installed")

from stillhouse.kernels import KernelSpec, convnet, myrtle
from stillhouse.kernels.cuda import compiler
from stillhouse.kernels.cuda.plan import make_plan
from stillhouse.kernels.cuda.program import kernel_names, source

# Architectures and the shared memory of a block: A100, H100, B200.
DEVICES = {"80": 166_912, "90": 232_448, "100": 232_448}


def resources(plan, arch):
    """Registers and spilled bytes of each kernel, by its name."""
    log = io.StringIO()
    code = compiler.compile_now(source(plan), arch, log)
    assert len(bytes(code.code)) > 1000
    found = {}
    for part in log.getvalue().split("Compiling entry function '")[1:]:
        name = part.partition("'")[0]
        spilled = re.findall(r"(\d+) bytes spill", part)
        found[name] = int(re.search(r"Used (\d+) registers", part)[1]), sum(map(int, spilled))
    return found


@pytest.mark.parametrize("arch", DEVICES)
def test_nothing_is_spilled(arch):
    plan = make_plan(KernelSpec(convnet(3)), (32, 32, 3), DEVICES[arch])
    found = resources(plan, arch)
    assert set(found) == set(kernel_names(plan))
    for name, (registers, spilled) in found.items():
        assert spilled == 0, name
        assert registers <= 255, name
    # Twelve warps of the forward pass, should shared memory ever allow them.
    assert found["forward0"][0] <= 168


def test_every_field_of_a_global_pool_compiles():
    plan = make_plan(KernelSpec(myrtle(7), "nngp"), (16, 16, 3), DEVICES["90"])
    assert set(resources(plan, "90")) == set(kernel_names(plan))


def test_code_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path))
    plan = make_plan(KernelSpec(convnet(1)), (6, 6, 1), DEVICES["90"])
    first = bytes(compiler.compiled(source(plan), "90").code)
    (path,) = (tmp_path / "cuda").iterdir()
    assert path.read_bytes() == first
    monkeypatch.setattr(compiler, "compile_now", None)
    assert bytes(compiler.compiled(source(plan), "90").code) == first


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "file"))
    plan = make_plan(KernelSpec(convnet(1)), (6, 6, 1), DEVICES["90"])
    assert bytes(compiler.compiled(source(plan), "90").code)
