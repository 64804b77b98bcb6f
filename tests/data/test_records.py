import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Literal

import pytest

from stillhouse.data.records import from_plain, to_plain
from stillhouse.kernels.architecture import conv
from stillhouse.kernels.spec import KernelSpec


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class Record:
    count: int
    name: str
    flag: bool = False
    sizes: tuple[int, ...] = ()
    pair: tuple[int, float] = (1, 0.5)
    most: int | None = None
    kind: Literal["a", "b"] = "a"
    inner: Inner = Inner()
    spec: KernelSpec | None = None
    entries: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    "record",
    [
        Record(3, "x"),
        Record(3, "x", True, (1, 2), (2, 1.0), 7, "b", Inner(0.5), KernelSpec(conv(2)), {"k": [1]}),
    ],
)
def test_a_record_goes_through_json_and_back(record):
    assert from_plain(Record, json.loads(json.dumps(to_plain(record)))) == record


def test_fields_left_out_have_their_defaults_and_whole_numbers_are_floats_too():
    assert from_plain(Record, {"count": 1, "name": ""}) == Record(1, "")
    assert from_plain(Inner, {"rate": 1}) == Inner(1.0)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (3, "Record must be a JSON object, got 3"),
        ({"count": 1}, "Record lacks 'name'"),
        ({"color": 1}, "Record has no 'color', only count, name"),
        ({"count": 1.0}, "`Record.count` must be of type int, got 1.0"),
        ({"count": True}, "`Record.count` must be of type int, got True"),
        ({"name": None}, "`Record.name` must be of type str"),
        ({"sizes": [1, "2"]}, "`Record.sizes` must be of type int, got '2'"),
        ({"sizes": "12"}, "`Record.sizes` must be a list"),
        ({"pair": [1]}, "`Record.pair` must be a list of 2"),
        ({"most": "x"}, "`Record.most` must be of type"),
        ({"kind": "c"}, r"`Record.kind` must be one of \['a', 'b'\], got 'c'"),
        ({"inner": {"rate": "fast"}}, "`Inner.rate` must be a finite number, got 'fast'"),
        ({"inner": {"rate": float("nan")}}, "`Inner.rate` must be a finite number"),
        ({"spec": {"kind": "ntk"}}, "must be of type NoneType|not a kernel spec"),
        ({"entries": []}, "`Record.entries` must be a JSON object"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(entries, message):
    if isinstance(entries, dict) and "lacks" not in message:
        entries = {"count": 1, "name": "x", **entries}
    with pytest.raises(ValueError, match=message):
        from_plain(Record, entries)
