import resource

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


@pytest.mark.parametrize(
    "end", [b"\xff\xfe\x00\x80", b"\xff\xfe\n", b"\x00\x00\x00\n", b"[1, 2]\n", b'{"step": null}\n']
)
def test_a_file_that_ends_in_broken_bytes_is_gone_on_with_and_that_is_said(paths, end, caplog):
    write(paths, (1, 2, 3))
    with open(paths[0], "ab") as file:
        file.write(end)
    write(paths, (3, 4), last_step=2)
    assert "metrics.jsonl: 1 damaged lines are left out" in caplog.text
    caplog.clear()
    assert [values["step"] for values in read_metrics(paths[0])] == [1, 2, 3, 4]
    assert caplog.text == ""


def test_steps_that_are_missing_below_the_checkpoint_are_said(paths, caplog):
    write(paths, (1, 2, 3, 4, 5))
    lines = paths[0].read_bytes().splitlines(keepends=True)
    paths[0].write_bytes(b"".join(lines[:2]))
    write(paths, (6,), last_step=5)
    assert "lacks 3 of the 5 steps before the checkpoint, the first of them step 3" in caplog.text
    assert [values["step"] for values in read_metrics(paths[0])] == [1, 2, 6]


def test_a_full_disk_delays_lines_and_loses_none(paths, caplog):
    """A limit on the length of files, which the system enforces as a disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with MetricsLog(*paths) as metrics:
        metrics.write(1, {"loss": 0.5}, wall_time=0.0)
        full = paths[0].stat().st_size + 7
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, before[1]))
        try:
            for step in (2, 3):
                metrics.write(step, {"loss": 0.5}, wall_time=0.0)
            with pytest.raises(OSError):
                metrics.sync()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert paths[0].stat().st_size == full
        metrics.write(4, {"loss": 0.5}, wall_time=0.0)
    assert [values["step"] for values in read_metrics(paths[0])] == [1, 2, 3, 4]
    assert caplog.text.count("the metrics of step 2 are not written yet") == 1
    assert "step 3" not in caplog.text


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
