"""A network's program in CUDA C++: a struct of constants for each level, and its kernels.

The sources, in the folder `source`, are templates over such a struct.
"""

import dataclasses

from stillhouse.kernels.cuda.plan import DeviceLevel, DevicePlan


def source(plan: DevicePlan) -> str:
    """Return the whole program, for a folder of sources to include from."""
    numbers = range(len(plan.levels))
    structs = [_struct(f"Level{i}", plan.levels[i]) for i in numbers]
    kernels = [f"LEVEL_KERNELS({i})" for i in numbers]
    return "\n".join(['#include "device.cuh"', *structs, '#include "entry.cuh"', *kernels, ""])


def kernel_names(plan: DevicePlan) -> tuple[str, ...]:
    """Return the names of its kernels."""
    numbers = range(len(plan.levels))
    return (*(f"{way}{i}" for i in numbers for way in ("forward", "backward")), "add_runs")


def _struct(name: str, level: DeviceLevel) -> str:
    lines = [f"struct {name} {{"]
    for field, value in dataclasses.asdict(level).items():
        if not isinstance(value, tuple):
            kind = "bool" if isinstance(value, bool) else "int"
            lines.append(f"  static constexpr {kind} {_camel(field)} = {int(value)};")
    for function, values in (("scale", level.scales), ("bias", level.biases)):
        lines.append(f"  __device__ static constexpr float {function}(int layer) {{")
        lines += [f"    if (layer == {i}) return {v:.9e}f;" for i, v in enumerate(values)]
        lines += ["    return 0.f;", "  }"]
    lines += [_TAKEN, "};"]
    return "\n".join(lines)


def _camel(field: str) -> str:
    return "k" + "".join(word.capitalize() for word in field.split("_"))


# Whether the readout takes the entry at p with displacement d, along one dimension.
_TAKEN = """\
  __device__ static constexpr bool taken(int p, int d, int size, int reach) {
    if (!kPooledReadout)
      return p >= 0 && p < size && p + d >= 0 && p + d < size && d >= -reach && d <= reach;
    const int cell = p >> 1, D = ((p + d) >> 1) - cell;
    return D >= -reach && D <= reach && cell >= 0 && cell < size / 2 && cell + D >= 0 &&
           cell + D < size / 2;
  }"""
