"""Whatever is sent, there is an answer, and nothing else happens."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st


class Nasty(str):
    def __eq__(self, other):
        raise RuntimeError("compared")

    __hash__ = str.__hash__


# What comes from the wire, and worse; words that mean something among it.
words = st.sampled_from(["worker", "task", "value", "", "\ud800", "x" * 300, "é", "a\x00b"])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), words
)
objects = st.builds(object) | st.just(Nasty("w")) | st.just(np.ones(3)) | st.just({1, 2})
anything = st.recursive(
    scalars | objects,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(scalars, inner, max_size=4),
    max_leaves=8,
)
METHODS = ("register", "lease", "fetch", "complete", "fail", "heartbeat", "leave", "status")
STATUSES = {"ok", "refused", "unknown", "quarantined"}


def is_plain(value):
    if type(value) is dict:
        return all(type(k) is str and is_plain(k) and is_plain(v) for k, v in value.items())
    if type(value) is list:
        return all(map(is_plain, value))
    if type(value) is str:
        value.encode()  # Raises for half a character, which no transport carries.
    return type(value) in (type(None), bool, int, float, str, bytes)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_arguments_get_an_answer_and_do_no_harm(make_house, data):
    house = make_house()
    try:
        worker = house.join()
        (entry,) = house.service.lease(worker, 1)["tasks"]
        known = st.sampled_from(
            [worker, entry["id"], entry["shared"], 1, 0.5, dict(make_house.info)]
        )
        for _ in range(data.draw(st.integers(1, 6))):
            method = data.draw(st.sampled_from(METHODS))
            arguments = data.draw(st.lists(anything | known, max_size=6))
            named = data.draw(st.dictionaries(st.sampled_from(["worker", "self", "x"]), anything))
            answer = getattr(house.service, method)(*arguments, **named)
            assert answer["status"] in STATUSES and is_plain(answer), answer
            assert "its log says why" not in answer.get("reason", "")
        # It goes on as if nothing had been.
        good = house.join()
        house.pool.leave(worker)
        for _ in range(4):
            (entry,) = house.service.lease(good, 1)["tasks"]
            assert house.hand_in(good, entry)["accepted"] == "first"
        assert len(house.finish()) == 4
    finally:
        house.close()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_almost_right_arguments_get_an_answer_and_do_no_harm(make_house, data):
    right = {
        "register": [make_house.info],
        "lease": ["w", 1],
        "fetch": ["w", ["h"]],
        "complete": ["w", "t", [b"junk"], 0.1, 1],
        "fail": ["w", "t", "other", "reason"],
        "heartbeat": ["w", ["t"], {}],
        "leave": ["w"],
    }
    house = make_house()
    try:
        worker = house.join()
        (entry,) = house.service.lease(worker, 1)["tasks"]
        replace = {"w": worker, "t": entry["id"], "h": entry["shared"][0]}
        method = data.draw(st.sampled_from(sorted(right)))
        arguments = [replace.get(a, a) if type(a) is str else a for a in right[method]]
        place = data.draw(st.integers(0, len(arguments) - 1))
        wrong = data.draw(anything)
        if method == "register" and data.draw(st.booleans()):
            wrong = {**make_house.info, data.draw(st.sampled_from(sorted(make_house.info))): wrong}
        arguments[place] = wrong
        before = house.service.status()["tasks"]
        answer = getattr(house.service, method)(*arguments)
        assert answer["status"] in STATUSES and is_plain(answer), answer
        assert "its log says why" not in answer.get("reason", "")
        if answer["status"] == "refused":
            assert house.service.status()["tasks"] == before
    finally:
        house.close()
