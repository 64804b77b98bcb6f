import pytest

from stillhouse.server.schedule import Schedule


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [(5, 2, [0, 2, 4, 5]), (4, 2, [0, 2, 4]), (3, 0, [3]), (2, 50, [0, 2])],
)
def test_evaluates_first_last_and_in_between(steps, every, expected):
    schedule = Schedule(steps, eval_every=every)
    assert [n for n in range(steps + 1) if schedule.evaluates(n)] == expected
    assert schedule.evaluations == len(expected)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"checkpoint_every": 0}, {"eval_every": -1}])
def test_refuses_what_never_happens(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Schedule(**{"steps": 3, **wrong})
