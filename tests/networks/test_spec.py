import dataclasses
import json
import subprocess
import sys

import pytest

from stillhouse.networks import NETWORKS, NetworkSpec


@pytest.mark.parametrize(
    "spec",
    [
        *map(NetworkSpec, NETWORKS),
        NetworkSpec("convnet", width=7, depth=2, norm="group", pooling="max", prepend=False),
        NetworkSpec("mlp", activation="sigmoid", parameterisation="ntk"),
    ],
    ids=str,
)
def test_json_and_back_is_the_same_spec(spec):
    assert NetworkSpec.from_json(spec.to_json()) == spec
    assert "\n" not in spec.to_json()


def test_what_is_left_out_is_the_familys_own_so_that_equal_networks_are_equal():
    spelled = NetworkSpec("convnet", width=128, depth=3, norm="none", pooling="avg", prepend=True)
    assert NetworkSpec() == spelled and NetworkSpec().to_json() == spelled.to_json()
    assert NetworkSpec("mlp", norm="none", pooling="none") == NetworkSpec("mlp")
    assert NetworkSpec("vgg11").width == 64
    assert json.loads(NetworkSpec("lenet").to_json()) == {
        "family": "lenet",
        "parameterisation": "standard",
        "initialisation": "xavier",
    }


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"family": "lenet5"}, "`family` must be one of convnet, .* got 'lenet5'"),
        ({"norm": "weight"}, "`norm` must be one of none, instance, .* got 'weight'"),
        ({"pooling": "median"}, "`pooling` must be"),
        ({"activation": "step"}, "`activation` must be"),
        ({"parameterisation": "mup"}, "`parameterisation` must be"),
        ({"initialisation": "zero"}, "`initialisation` must be"),
        ({"depth": 0}, "`depth` must be a positive integer, got 0"),
        ({"width": 2.5}, "`width` must be a positive integer, got 2.5"),
        ({"family": "vgg11", "depth": 5}, "vgg11 has no `depth` to set, got 5; it has width, norm"),
        ({"family": "mlp", "prepend": False}, "mlp has no `prepend`"),
        ({"family": "mlp", "norm": "batch"}, "mlp has no `norm`"),
        ({"family": "lenet", "width": 6}, "lenet has no `width`"),
        ({"parameterisation": "ntk", "initialisation": "xavier"}, "biases of zero"),
    ],
)
def test_what_a_network_does_not_have_is_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        NetworkSpec(**settings)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"family": "mlp", "depths": 3}', '{"family": "mlp", "depth": "3"}']
)
def test_text_that_is_no_networks_is_refused(text):
    with pytest.raises(ValueError, match="not a network spec"):
        NetworkSpec.from_json(text)


def test_in_words_a_network_is_its_family_and_what_differs():
    assert str(NetworkSpec("lenet")) == "lenet"
    spec = NetworkSpec(width=32, norm="instance", prepend=False, initialisation="xavier")
    assert str(spec) == (
        "convnet of width 32, norm instance, without the first convolution, xavier initialisation"
    )


def test_a_spec_cannot_be_changed_and_needs_no_jax():
    with pytest.raises(dataclasses.FrozenInstanceError):
        NetworkSpec().width = 3
    program = "import sys, stillhouse.networks; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
