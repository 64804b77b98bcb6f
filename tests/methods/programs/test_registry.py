import dataclasses
import json
from typing import ClassVar

import pytest

from stillhouse.kernels.architecture import convnet, fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs import (
    KernelBlock,
    KernelBlockVjp,
    KernelGram,
    KernelGramVjp,
    Program,
    program_from_json,
    program_to_json,
    register,
)

_SPEC = KernelSpec(convnet(3), "nngp")


@pytest.mark.parametrize(
    "program",
    [KernelGram(_SPEC), KernelBlock(_SPEC), KernelGramVjp(_SPEC), KernelBlockVjp(_SPEC, (0, 1))],
    ids=lambda program: program.name,
)
def test_a_program_turns_to_json_and_back(program):
    text = program_to_json(program)
    assert json.loads(text)["program"] == program.name
    assert program_from_json(text) == program


def test_two_programs_cannot_have_one_name():
    with pytest.raises(ValueError, match="a program 'kernel_block' already: KernelBlock"):

        @register("kernel_block")
        @dataclasses.dataclass(frozen=True)
        class Another(Program):
            unit: ClassVar[str] = "passes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no program"),
        ("[]", "no program"),
        ("{}", "no program"),
        ('{"program":"rm"}', "no program 'rm' is known here, only .*kernel_block"),
        ('{"program":["x"]}', "is known here"),
        ('{"program":"kernel_gram"}', "KernelGram lacks 'spec'"),
        ('{"program":"kernel_gram","spec":3}', "not a kernel spec"),
        ('{"program":"kernel_gram","spec":{},"x":1}', "KernelGram has no 'x'"),
    ],
)
def test_text_that_is_no_program_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        program_from_json(text)


def test_settings_of_another_type_are_refused():
    spec = json.loads(KernelSpec(fc(1)).to_json())
    text = json.dumps({"program": "kernel_block_vjp", "spec": spec, "wrt": [0.5]})
    with pytest.raises(ValueError, match="`KernelBlockVjp.wrt` must be of type int, got 0.5"):
        program_from_json(text)
