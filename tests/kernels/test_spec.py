import json

import pytest

from stillhouse.kernels.architecture import (
    Architecture,
    Conv,
    Dense,
    Flatten,
    Relu,
    convnet,
    fc,
    myrtle,
)
from stillhouse.kernels.spec import KernelSpec


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize(
    "architecture",
    [
        fc(2),
        convnet(),
        myrtle(5),
        Architecture((Conv((5, 3), 1.2, 0.0), Relu(), Flatten(), Dense())),
    ],
)
def test_json_brings_back_the_same_spec(architecture, kind):
    spec = KernelSpec(architecture, kind)
    read = KernelSpec.from_json(spec.to_json())
    assert read == spec
    assert hash(read) == hash(spec)
    assert json.loads(spec.to_json())["kind"] == kind


def test_the_neural_tangent_kernel_is_the_default():
    assert KernelSpec(fc(1)).kind == "ntk"


def test_wrong_values_are_named():
    with pytest.raises(ValueError, match=r"`kind` must be one of \['ntk', 'nngp'\], got 'rbf'"):
        KernelSpec(fc(1), "rbf")
    with pytest.raises(ValueError, match="`architecture` must be an Architecture, got 'fc'"):
        KernelSpec("fc")


@pytest.mark.parametrize(
    "text", ["", "[]", "7", '{"kind": "ntk"}', '{"kind": "ntk", "architecture": {"layers": [{}]}}']
)
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(ValueError, match="not a"):
        KernelSpec.from_json(text)
