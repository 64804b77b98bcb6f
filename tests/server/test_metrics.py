import pytest

from stillhouse.server.metrics import MetricsLog, read_metrics


@pytest.fixture
def paths(tmp_path):
    events = tmp_path / "tensorboard"
    events.mkdir()
    return tmp_path / "metrics.jsonl", events


def write(paths, steps, last_step=None, loss=0.5):
    with MetricsLog(*paths, last_step=last_step) as metrics:
        for step in steps:
            metrics.write(step, {"loss": loss / step, "seconds": 1.0}, wall_time=100.0 + step)
        metrics.sync()


def test_a_line_for_each_step(paths):
    write(paths, (1, 2))
    assert read_metrics(paths[0]) == [
        {"step": 1, "loss": 0.5, "seconds": 1.0},
        {"step": 2, "loss": 0.25, "seconds": 1.0},
    ]


def test_going_on_drops_what_will_come_again(paths):
    write(paths, (1, 2, 3, 4))
    with open(paths[0], "a") as file:
        file.write('{"step": 5, "lo')  # A machine that stopped.
    write(paths, (3, 4, 5), last_step=2)
    assert [values["step"] for values in read_metrics(paths[0])] == [1, 2, 3, 4, 5]


def test_beginning_again_drops_all(paths):
    write(paths, (1, 2, 3))
    write(paths, (1,))
    assert [values["step"] for values in read_metrics(paths[0])] == [1]


def test_lines_are_there_for_a_reader_at_once(paths):
    with MetricsLog(*paths) as metrics:
        metrics.write(1, {"loss": 0.5}, wall_time=0.0)
        assert len(read_metrics(paths[0])) == 1


def test_nan_is_refused_rather_than_written_as_no_json(paths):
    with MetricsLog(*paths) as metrics, pytest.raises(ValueError, match="JSON"):
        metrics.write(1, {"loss": float("nan")}, wall_time=0.0)


def test_tensorboard_sees_each_step_once(paths):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write(paths, (1, 2, 3, 4), loss=0.5)
    write(paths, (3, 4, 5), last_step=2, loss=0.7)
    events = accumulators.EventAccumulator(str(paths[1]))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5]
    assert events.Scalars("loss")[2].value == pytest.approx(0.7 / 3)
