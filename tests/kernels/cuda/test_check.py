"""The loops are held against xla before they are believed, once for each device and program."""

import json
import logging

import pytest

from stillhouse.kernels import KernelSpec, convnet, kernel
from stillhouse.kernels.cuda import check
from stillhouse.kernels.cuda.check import agrees

SPEC = KernelSpec(convnet(1))
SHAPE = (5, 4, 1)
# The wrong coefficient of a polynomial: finite, and no more than a little off.
WRONG = [("9.0031617880e-01f", "9.1031617880e-01f")]


class Device:
    name = "a device"
    toolchain = "its compiler"
    shared_bytes = 232448


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "cache_folder", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def fused_kernel(fused):
    return fused(SPEC.architecture)


def test_a_kernel_that_agrees_is_remembered(folder, emulated, fused_kernel):
    assert agrees(emulated(SPEC.architecture), fused_kernel, SHAPE, Device())
    (path,) = folder.glob("*.json")
    verdict = json.loads(path.read_text())
    assert (verdict["device"], verdict["toolchain"]) == ("a device", "its compiler")
    assert max(verdict["differences"]) < 2e-5
    assert agrees(Unasked(), Unasked(), SHAPE, Device())


class Unasked:
    """A kernel that computes nothing."""

    spec = SPEC


def test_one_that_disagrees_is_remembered_too(folder, emulated, fused_kernel):
    assert not agrees(emulated(SPEC.architecture, edit=WRONG), fused_kernel, SHAPE, Device())
    assert not agrees(Unasked(), Unasked(), SHAPE, Device())


def test_another_device_or_compiler_is_asked_anew(folder, fused_kernel):
    for change in ({}, {"name": "another"}, {"toolchain": "a newer one"}):
        assert agrees(fused_kernel, fused_kernel, SHAPE, type("Other", (Device,), change)())
    assert len(list(folder.glob("*.json"))) == 3


@pytest.mark.parametrize("text", ["", "{}", '{"differences": ["a"]}'])
def test_a_broken_verdict_is_made_anew(folder, fused_kernel, text):
    agrees(fused_kernel, fused_kernel, SHAPE, Device())
    (path,) = folder.glob("*.json")
    path.write_text(text)
    assert agrees(fused_kernel, fused_kernel, SHAPE, Device())
    assert json.loads(path.read_text())["differences"] == [0.0, 0.0, 0.0]


def test_loops_that_disagree_are_not_believed(folder, emulated, fused_kernel, images, caplog):
    x = images(3, SHAPE)
    with caplog.at_level(logging.WARNING):
        found = emulated(SPEC.architecture, checks=True, edit=WRONG).gram(x)
    assert "disagrees with xla on this emulated (images 5 x 4 x 1)" in caplog.text
    assert (found == kernel(SPEC, backend="xla").gram(x)).all()
