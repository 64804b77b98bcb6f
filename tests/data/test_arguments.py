"""A wrong argument is named where it is given, in words of ours."""

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pytest

import stillhouse as sh
from stillhouse.data import arguments
from stillhouse.data.arguments import check_arguments, of_hint, shown


@pytest.mark.parametrize(
    ("hint", "value", "becomes"),
    [
        (int, np.int16(3), 3),
        (float, 2, 2.0),
        (float, np.float32(0.5), 0.5),
        (bool, np.bool_(True), True),
        (str | os.PathLike[str], "a/b", "a/b"),
        (int | None, None, None),
        (Sequence[str], np.array(["a", "b"]), ("a", "b")),
        (Literal["ntk", "nngp"] | None, "nngp", "nngp"),
        (tuple[int, int] | None, "left to the function", "left to the function"),
        (np.ndarray | Sequence[float], "left to the function", "left to the function"),
    ],
)
def test_right_values_come_as_the_type_that_is_asked_for(hint, value, becomes):
    found = of_hint("`x`", value, hint)
    assert found == becomes and type(found) is type(becomes)


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (int, 1.5, "`x` must be a whole number, got 1.5"),
        (int, True, "`x` must be a whole number, got True"),
        (int, None, "`x` must be a whole number, got None"),
        (float, "1", "`x` must be a number, got '1'"),
        (bool, 1, "`x` must be true or false, got 1"),
        (str | os.PathLike[str], 3, "`x` must be a path, got 3"),
        (str | os.PathLike[str], "", "`x` must be a path, got ''"),
        (Sequence[str] | None, "ab", "`x` must be a sequence of texts, got 'ab'"),
        (Sequence[str] | None, [1], r"`x` must be a sequence of texts, got \[1\]"),
        (Callable[[int], None], 3, "`x` must be a function, got 3"),
        (Literal["ntk", "nngp"] | None, "abc", "`x` must be one of ntk, nngp, got 'abc'"),
        (sh.Dataset, "digits", "`x` must be a Dataset, got 'digits'; `load_dataset` reads one .*"),
    ],
)
def test_wrong_ones_are_refused(hint, value, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        of_hint("`x`", value, hint)


def test_no_message_shows_a_whole_array_or_object():
    assert shown(sh.convnet(3)) == "Architecture"
    assert shown(np.zeros((100, 3))) == "ndarray"
    assert shown(list(range(1000))) == "list"
    assert len(shown("a" * 1000)) < 70


def test_arguments_that_python_itself_refuses_name_the_function():
    @check_arguments
    def double(number: int) -> int:
        return 2 * number

    assert double(np.int8(3)) == 6
    with pytest.raises(TypeError, match=r"double\(\) got an unexpected keyword argument 'colour'"):
        double(3, colour=1)


SPEC, X = sh.KernelSpec(sh.fc(1)), np.ones((2, 2, 2, 1))
PUBLIC = [
    (name, parameter)
    for name in sh.__all__
    if hasattr(value := getattr(sh, name), "__wrapped__")
    for parameter in inspect.signature(value, eval_str=True).parameters.values()
    if all(map(arguments._is_checked, arguments._parts(parameter.annotation)))
    and parameter.kind is not parameter.VAR_KEYWORD
]


@pytest.mark.parametrize(("name", "parameter"), PUBLIC, ids=lambda p: getattr(p, "name", p))
def test_each_argument_of_a_public_function_is_checked(name, parameter):
    function = getattr(sh, name)
    required = {
        other.name: np.zeros(1)
        for other in inspect.signature(function).parameters.values()
        if other.default is other.empty and other.kind is other.POSITIONAL_OR_KEYWORD
    }
    # In order: what stands before it is right.
    right = {"kind": "none", "path": "x.npz", "source": "digits"}
    right["distilled"] = sh.DistilledSet(np.ones((2, 2, 2)), np.eye(2))
    right["spec"] = sh.KernelSpec(sh.fc(1))
    right["config"] = sh.KipConfig(specs=right["spec"])
    right["state"] = sh.initial_state(right["config"], np.ones((2, 2, 2, 1)), np.eye(2))
    given = {key: right.get(key, value) for key, value in required.items()}
    with pytest.raises(ValueError, match=f"`{parameter.name}` must be .*, got object$"):
        function(**{**given, parameter.name: object()})


def test_the_public_functions_for_data_and_sets_are_among_them():
    names = {name for name, _ in PUBLIC}
    assert {"dataset_from", "dataset_from_arrays", "distill", "evaluate", "fit_transform"} <= names
    assert {"load", "load_dataset", "load_distilled", "save_distilled"} <= names
    assert {"evaluate_krr", "initial_state", "kip_step", "krr_predict"} <= names


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sh.convnet(2.0), "`depth` of convnet must be a positive integer, got 2.0"),
        (lambda: sh.conv(2, window=3), "`window` of Conv must be two positive integers, got 3"),
        (lambda: sh.Architecture(3), "`layers` must be a sequence of layers, got 3"),
        (lambda: sh.myrtle([5]), "`depth` of myrtle must be a positive integer"),
        (lambda: sh.KipConfig(specs=3), "`specs` must be a KernelSpec, got 3"),
        (lambda: sh.KipConfig(specs=sh.fc(1)), "`specs` must be a KernelSpec, got Architecture"),
        (lambda: sh.KipConfig(specs=SPEC, learning_rate="a"), "`learning_rate` must be a number"),
        (lambda: sh.KipConfig(specs=SPEC, seed=1.5), "`seed` must be a whole number, got 1.5"),
        (lambda: sh.LocalComputer(3), "`backend` must be a text, got 3"),
        (lambda: sh.LabelSolver(np.eye(3), "a"), "`num_classes` must be a whole number, got 'a'"),
        (lambda: sh.krr_predict(1, 2, 3), "`K_ss` must be a square matrix"),
        (lambda: sh.evaluate_krr(3, SPEC, X, X, []), "`computer` must compute kernels, .* got 3"),
        (lambda: sh.kernel(SPEC).gram(X.astype(str)), "`x` must hold real numbers, got"),
        (lambda: sh.kernel(SPEC).block(X, [[1], [1, 2]]), "`x2` must be an array, got rows"),
        (lambda: sh.kernel(SPEC).gram_vjp(X, "a"), "`cotangent` must hold real numbers"),
        (lambda: sh.kernel(SPEC).vjp(X, X, np.eye(2), wrt=1), r"`wrt` must be \(0,\), .* got 1"),
    ],
)
def test_kernels_and_regression_name_what_is_wrong_too(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_scalars_of_numpy_are_numbers_to_architectures():
    network = sh.convnet(np.int64(2), W_std=np.float32(1.5))
    assert network == sh.convnet(2, W_std=1.5)
    assert network.to_json() == sh.convnet(2, W_std=1.5).to_json()
    assert sh.KipConfig(specs=SPEC, seed=np.int64(3), learning_rate=np.float32(0.5)).seed == 3
