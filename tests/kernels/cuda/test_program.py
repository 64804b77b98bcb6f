"""A plan becomes a program."""

from stillhouse.kernels import KernelSpec, convnet
from stillhouse.kernels.cuda.plan import make_plan
from stillhouse.kernels.cuda.program import kernel_names, source


def test_the_program_has_a_struct_and_two_kernels_for_each_level():
    plan = make_plan(KernelSpec(convnet(2)), (32, 32, 3), 232_448)
    assert kernel_names(plan) == ("forward0", "backward0", "forward1", "backward1", "add_runs")
    text = source(plan)
    assert "struct Level1 {" in text
    assert "static constexpr int kHeight = 32;" in text
    assert f"if (layer == 0) return {2 / 9 / 3:.9e}f;" in text
    assert text.endswith("LEVEL_KERNELS(0)\nLEVEL_KERNELS(1)\n")
