"""The kernels that a report scores a set under, by the names of the command line."""

import dataclasses
import json
from collections.abc import Sequence

from stillhouse.data.distilled import DistilledSet
from stillhouse.kernels.spec import KernelSpec, Kind
from stillhouse.methods.architectures import ARCHITECTURES, build_architecture, default_depth

_CHOICE = ("own", "own:twin", "fc:1", "fc:3", "conv:3", "convnet:3")
_KINDS: tuple[Kind, ...] = ("ntk", "nngp")


@dataclasses.dataclass(frozen=True)
class NamedKernel:
    """A kernel as the command line names it.

    Attributes:
        family: of the network; None for the set's own network.
        depth: its depth; None for the set's own network.
        kind: which kernel of it; None for the set's own kind.
    """

    family: str | None
    depth: int | None
    kind: Kind | None

    @property
    def flag(self) -> str:
        """What `--kernels` takes."""
        parts = ("own",) if self.family is None else (self.family, str(self.depth))
        return ":".join((*parts, *((self.kind,) if self.kind else ())))


@dataclasses.dataclass(frozen=True)
class ChosenKernel:
    """A kernel to score the set under.

    Attributes:
        named: how the command line names it.
        spec: what it computes.
        name: how the page does.
    """

    named: NamedKernel
    spec: KernelSpec
    name: str


def parse_kernels(names: Sequence[str]) -> tuple[NamedKernel, ...]:
    """Return the kernels named: `own`, `family` or `family:depth`, each with `:ntk` or `:nngp`.

    Raises:
        ValueError: if a name is not of that form, or there is no such family.
    """
    return tuple(map(_parse, names))


def choose_kernels(
    names: Sequence[str], own: KernelSpec | None, distilled: DistilledSet
) -> tuple[ChosenKernel, ...]:
    """Return the kernels named, or a choice of them where none is: the set's own and others.

    Of the choice, what the images are too small for is left out or made shallower.

    Args:
        names: of the kernels, as for `parse_kernels`; empty for the choice.
        own: the set's own kernel; None where that is not known.
        distilled: the set.

    Raises:
        ValueError: if a kernel is named that the set does not have, or its images are too small
            for.
    """
    if names:
        found = [_chosen(named, own, distilled) for named in parse_kernels(names)]
    else:
        found = _choice(own, distilled)
    first: dict[KernelSpec, ChosenKernel] = {}
    for kernel in found:
        first.setdefault(kernel.spec, kernel)
    return tuple(first.values())


def _parse(name: str) -> NamedKernel:
    family, *rest = name.split(":")
    kind: Kind | None = None
    if rest and rest[-1] in _KINDS:
        kind = "ntk" if rest.pop() == "ntk" else "nngp"
    is_depth = len(rest) == 1 and rest[0].isdecimal() and int(rest[0]) > 0
    if family == "own" and not rest:
        return NamedKernel(None, None, kind)
    if family not in ARCHITECTURES or (rest and not is_depth):
        raise ValueError(
            f"`--kernels`: {name!r} is none; expected own or one of {', '.join(ARCHITECTURES)}, "
            "with its depth and ntk or nngp if need be, such as own:nngp or convnet:3:ntk"
        )
    depth = int(rest[0]) if rest else default_depth(family)
    return NamedKernel(family, depth, kind or "ntk")


def _choice(own: KernelSpec | None, distilled: DistilledSet) -> list[ChosenKernel]:
    found = []
    for name in _CHOICE:
        if name == "own:twin":
            if own is None:
                continue
            named = NamedKernel(None, None, "nngp" if own.kind == "ntk" else "ntk")
        else:
            named = _parse(name)
        if named.family is None and own is None:
            continue
        for depth in range(named.depth or 1, 0, -1):
            shallower = named if named.family is None else dataclasses.replace(named, depth=depth)
            try:
                found.append(_chosen(shallower, own, distilled))
                break
            except ValueError:  # The images are too small.
                continue
    return found


def _chosen(named: NamedKernel, own: KernelSpec | None, distilled: DistilledSet) -> ChosenKernel:
    if named.family is None:
        if own is None:
            raise ValueError(
                "`--kernels`: the set does not say what network it was distilled with; give "
                "--architecture, such as --architecture=convnet"
            )
        spec = KernelSpec(own.architecture, named.kind or own.kind)
        name = f"{_name_of(own, distilled)} {spec.kind.upper()}"
        name += " (own)" if spec == own else ""
    else:
        architecture = build_architecture(named.family, named.depth)
        spec = KernelSpec(architecture, named.kind or "ntk")
        name = f"{named.family}:{named.depth} {spec.kind.upper()}"
        if spec == own:
            return _chosen(NamedKernel(None, None, None), own, distilled)
    spec.architecture.check_image(*distilled.images.shape[1:3])
    return ChosenKernel(named, spec, name)


def _name_of(own: KernelSpec, distilled: DistilledSet) -> str:
    """Return the set's own network as `family:depth`, where it is one of those."""
    stored = distilled.card.config.get("kernels") if distilled.card else None
    for name, content in stored.items() if isinstance(stored, dict) else ():
        if json.loads(own.architecture.to_json()) == dict(content).get("architecture"):
            return str(name)
    for family in ARCHITECTURES:
        if build_architecture(family) == own.architecture:
            return f"{family}:{default_depth(family)}"
    return "own network"
