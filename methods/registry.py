"""The methods by the names that `--method` has for them: one line each."""

import dataclasses
from collections.abc import Collection
from typing import Any

from stillhouse.methods.kernel_regression.frepo_settings import FrepoSettings
from stillhouse.methods.kernel_regression.kip_settings import KipSettings
from stillhouse.methods.kernel_regression.label_solve_settings import LabelSolveSettings
from stillhouse.methods.kernel_regression.rfad_settings import RfadSettings
from stillhouse.methods.matching.dm_settings import DmSettings
from stillhouse.methods.matching.gradient_settings import DcSettings, DsaSettings
from stillhouse.methods.matching.mtt_settings import MttSettings
from stillhouse.methods.method import Method
from stillhouse.methods.near import nearest
from stillhouse.methods.unrolling.settings import UnrollSettings

METHODS: dict[str, type[Method]] = {}


def add_method(name: str, method: type[Method]) -> None:
    """Let a method be known by a name, to the command line and to `stillhouse.distill`.

    Raises:
        ValueError: if another method has the name.
    """
    if METHODS.setdefault(name, method) is not method:
        raise ValueError(f"there is a method {name!r} already: {METHODS[name].__qualname__}")
    method.name = name


add_method("kip", KipSettings)
add_method("label_solve", LabelSolveSettings)
add_method("rfad", RfadSettings)
add_method("frepo", FrepoSettings)
add_method("dd", UnrollSettings)
add_method("dm", DmSettings)
add_method("dc", DcSettings)
add_method("dsa", DsaSettings)
add_method("mtt", MttSettings)


def method_for(name: str, **settings: Any) -> Method:
    """Return a method with these settings, the others as they are by default.

    Raises:
        ValueError: if there is no such method, it has no such setting, or a value is wrong.
    """
    if name not in METHODS:
        raise ValueError(f"`--method` must be one of {', '.join(METHODS)}, got {name!r}")
    known = {field.name for field in dataclasses.fields(METHODS[name])}
    for setting in settings:
        if setting not in known:
            raise ValueError(foreign_setting(setting, name))
    return METHODS[name](**settings)


def foreign_setting(setting: str, method: str, also: Collection[str] = ()) -> str:
    """Return what to say of a setting that a method lacks: which methods have it.

    Args:
        setting: its name.
        method: the name of the method.
        also: what may have been meant, beside the settings of the method.
    """
    owners = owners_of(setting)
    if not owners:
        names = [*also, *(field.name for field in dataclasses.fields(METHODS[method]))]
        near = nearest(setting, names)
        hint = f"; did you mean `--{near}`?" if near else ""
        return f"there is no setting `--{setting}` of --method={method}{hint}"
    return (
        f"`--{setting}` has no meaning for --method={method}, only for {' and '.join(owners)}; "
        "drop it"
    )


def owners_of(setting: str) -> list[str]:
    """Return the methods that have a setting."""
    return [
        name
        for name, method in METHODS.items()
        if any(field.name == setting for field in dataclasses.fields(method))
    ]
